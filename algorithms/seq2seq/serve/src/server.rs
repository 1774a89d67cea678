//! Connections, and the life of the server: it listens at once, loads, serves, drains.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tower_service::Service as _;

use crate::app::{App, Phase, router};
use crate::config::ServerSettings;
use crate::error::{Code, ServeError};
use crate::metrics::Metrics;
use crate::service::Service;
use crate::timed_stream::TimedStream;

/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Buffer limit of a connection in each direction, in bytes: there may be hundreds of connections.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// After an error of accepting (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A server that listens, and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why a service could not be loaded: a [`crate::ServiceError`], or what the caller has against the model.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// A server that could not go on.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Bind {
        /// Host and port.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no model to be served.
    #[error(transparent)]
    Load(LoadError),
    /// The system has no thread to load it with.
    #[error("the system refused to start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The decoder failed, and could not be made anew.
    #[error("the decoder failed and could not be made anew; the log says why")]
    Broken,
    /// Loading the model ended without a result.
    #[error("loading the model failed; the log says why")]
    Loading,
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another program listens there: choose another --port",
        std::io::ErrorKind::PermissionDenied => {
            "; ports below 1024 are for the administrator: choose another --port"
        }
        _ => "",
    }
}

/// How a server that was told to stop did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was begun was finished.
    Drained,
    /// When patience ended, so many connections were still at work.
    Abandoned(usize),
    /// It was told a second time, with so many connections at work.
    Forced(usize),
}

impl Server {
    /// Listens. Port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(host: IpAddr, port: u16) -> Result<Self, ServerError> {
        let address = SocketAddr::new(host, port);
        let bind = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind.await.map_err(|source| ServerError::Bind { address, source })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loads by `load` while it answers that it does, then serves until `stop` counts 1, and finishes what it has begun. A
    /// count of 2 ends it at once.
    ///
    /// # Errors
    /// When loading fails, or the decoder does for good.
    pub async fn run(
        self,
        settings: ServerSettings,
        metrics: Arc<Metrics>,
        load: impl FnOnce() -> Result<Service, LoadError> + Send + 'static,
        mut stop: watch::Receiver<u32>,
    ) -> Result<Ended, ServerError> {
        let app = Arc::new(App::new(settings, metrics));
        let connections = Connections {
            app: Arc::clone(&app),
            router: router(Arc::clone(&app)),
            places: Arc::new(Semaphore::new(app.settings.max_connections)),
            draining: watch::Sender::new(false),
        };
        let (loaded, mut loading) = oneshot::channel();
        std::thread::Builder::new()
            .name("kokanee-load".to_owned())
            .spawn(move || {
                // Nobody waits any longer where the server was told to stop.
                let _ = loaded.send(load());
            })
            .map_err(ServerError::Thread)?;
        let started = Instant::now();
        let mut is_loading = true;
        let mut broken = watch::Sender::new(false).subscribe();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => connections.take(stream),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                result = &mut loading, if is_loading => {
                    is_loading = false;
                    let service = result.map_err(|_| ServerError::Loading)?.map_err(ServerError::Load)?;
                    app.metrics.loaded(started.elapsed());
                    broken = service.broken();
                    app.enter(Phase::Ready(Arc::new(service)));
                    tracing::info!(address = %self.address, "ready");
                }
                Ok(()) = broken.changed(), if !is_loading => return Err(ServerError::Broken),
                _ = stop.wait_for(|&count| count > 0) => break,
            }
        }
        drop(self.listener);
        Ok(connections.drain(&app, &mut stop).await)
    }
}

/// The open connections.
struct Connections {
    app: Arc<App>,
    router: axum::Router,
    places: Arc<Semaphore>,
    draining: watch::Sender<bool>,
}

impl Connections {
    fn take(&self, stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            // Best effort: a new connection has room for so few bytes.
            let _ = stream.try_write(no_connection_left().as_bytes());
            return;
        };
        // Answers are written whole, so waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(
            stream,
            self.router.clone(),
            self.draining.subscribe(),
            Arc::clone(&self.app),
            place,
        ));
    }

    async fn drain(self, app: &App, stop: &mut watch::Receiver<u32>) -> Ended {
        // Those who hold the service go on with it.
        app.enter(Phase::Draining);
        self.draining.send_replace(true);
        let all = app.settings.max_connections;
        let at_work = || all - self.places.available_permits();
        tracing::info!(connections = at_work(), "draining");
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        tokio::select! {
            _ = self.places.acquire_many(all) => Ended::Drained,
            _ = stop.wait_for(|&count| count > 1) => Ended::Forced(at_work()),
            () = tokio::time::sleep(app.settings.patience.drain) => Ended::Abandoned(at_work()),
        }
    }
}

async fn serve(
    stream: TcpStream,
    router: axum::Router,
    mut draining: watch::Receiver<bool>,
    app: Arc<App>,
    _place: OwnedSemaphorePermit,
) {
    let patience = app.settings.patience;
    app.metrics.connections.inc();
    let service = service_fn(move |request: Request<Incoming>| router.clone().call(request.map(Body::new)));
    let stream = TokioIo::new(TimedStream::new(stream, patience.write));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = told(&mut draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // The other side's doing: malformed or endless heads, connections cut.
        tracing::debug!(%error, "a connection ended early");
    }
    app.metrics.connections.dec();
}

/// Waits until the server drains.
async fn told(draining: &mut watch::Receiver<bool>) {
    let _ = draining.wait_for(|draining| *draining).await;
}

/// The answer to a connection too many, which is not read.
fn no_connection_left() -> String {
    let body = ServeError::new(Code::Unavailable, "all connections are in use; try again in 1 s").to_json();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
