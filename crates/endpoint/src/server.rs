//! The life of a server: it listens at once, loads the model, serves, and drains.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use kokanee_http::{Ended, Metrics, Server, Shell};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::app::{App, Phase};
use crate::backend::Backend;
use crate::config::ServerSettings;
use crate::routes::router;

/// The error of a failed `load` or `ready` callback, in the callback's words.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a server ended with an error.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(LoadError),
    /// The system cannot start the loading thread.
    #[error("the system refused to start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The backend failed for good; its reason.
    #[error("{0}; the log says why")]
    Broken(String),
    /// Loading the model ended without a result.
    #[error("loading the model failed; the log says why")]
    Loading,
}

/// A server of one model.
pub struct Endpoint<L, R> {
    /// The settings of the server.
    pub settings: ServerSettings,
    /// The metrics that requests are counted in.
    pub metrics: Arc<Metrics>,
    /// Loads the model on a separate thread, while the server answers that it is loading.
    pub load: L,
    /// Called when the server begins to answer requests.
    pub ready: R,
}

/// Metrics for an [`Endpoint`].
pub fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new("an /invocations request"))
}

impl<L, R> Endpoint<L, R>
where
    L: FnOnce() -> Result<Arc<dyn Backend>, LoadError> + Send + 'static,
    R: FnOnce() -> Result<(), LoadError>,
{
    /// Loads the model while answering that it is loading, then serves until `stop` counts 1, and finishes the running requests. A count of
    /// 2 ends it at once.
    ///
    /// # Errors
    /// When loading fails, or the backend fails for good.
    pub async fn run(self, server: Server, stop: watch::Receiver<u32>) -> Result<Ended, ServerError> {
        let Self { settings, metrics, load, ready } = self;
        let load_seconds = Gauge::<f64, AtomicU64>::default();
        metrics.registry().register_with_unit(
            "model_load",
            "How long loading the model took",
            Unit::Seconds,
            load_seconds.clone(),
        );
        let bounds = settings.bounds;
        let app = Arc::new(App::new(settings, Arc::clone(&metrics)));
        let (loaded, loading) = oneshot::channel();
        std::thread::Builder::new()
            .name("kokanee-load".to_owned())
            .spawn(move || {
                // Nobody receives the result if the server was told to stop.
                let _ = loaded.send(load());
            })
            .map_err(ServerError::Thread)?;
        let started = Instant::now();
        let address = server.address();
        let life = {
            let (app, mut stop) = (Arc::clone(&app), stop.clone());
            async move {
                let backend = tokio::select! {
                    loaded = loading => loaded.map_err(|_| ServerError::Loading)?.map_err(ServerError::Load)?,
                    _ = stop.wait_for(|&count| count > 0) => {
                        app.enter(Phase::Draining);
                        return Ok(());
                    }
                };
                load_seconds.set(started.elapsed().as_secs_f64());
                backend.register(&mut app.metrics.registry());
                let failure = backend.failure();
                app.enter(Phase::Ready(backend));
                ready().map_err(ServerError::Load)?;
                tracing::info!(%address, "ready");
                let ended = tokio::select! {
                    reason = failure => Err(ServerError::Broken(reason)),
                    _ = stop.wait_for(|&count| count > 0) => Ok(()),
                };
                // Requests that hold the backend continue to use it.
                app.enter(Phase::Draining);
                ended
            }
        };
        let shell = Shell { router: router(Arc::clone(&app)), site: app, metrics, bounds, tls: None };
        server.run(shell, life, stop).await
    }
}
