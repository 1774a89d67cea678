//! The instances of endpoints: started, watched, restarted when they end, and stopped.
//!
//! Each endpoint has a keeper, which compares the instances that the endpoint should run with those that run; each instance has a life of
//! its own (`life`). An instance is a task of the [`Engine`], in a folder by which a later server finds it:
//! `endpoints/<region>/<endpoint>/<generation>/<variant>-<n>`.

mod folder;
mod keeper;
mod launch;
mod life;
mod lone;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::keeper::Keeper;
pub(crate) use self::lone::{Lone, LoneInstance, LonePhase};
use crate::api::Control;
use crate::engine::Engine;
use crate::hosting::{EndpointId, HostingError, Routes};
use crate::objects::ObjectStore;

/// The time between two looks for endpoints if no change is notified.
const LOOK: Duration = Duration::from_secs(5);

/// Runs the instances of all endpoints.
pub struct Fleet {
    /// The endpoints, their logs and their metrics.
    pub control: Arc<Control>,
    /// The routes of requests, which the fleet keeps up to date.
    pub routes: Arc<Routes>,
    /// The objects.
    pub objects: Arc<dyn ObjectStore>,
    /// The data folder.
    pub folder: PathBuf,
    /// The engine that runs programs.
    pub engine: Arc<dyn Engine>,
    /// The program that serves models of built-in algorithms: `kokanee` itself.
    pub program: PathBuf,
}

impl Fleet {
    /// Runs instances until `stop` counts 1. Then it stops them; endpoints stay as they are, and the next server starts their instances
    /// again.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<u32>) {
        let mut changes = self.control.endpoints.changes();
        let mut keepers: HashMap<EndpointId, JoinHandle<()>> = HashMap::new();
        loop {
            changes.mark_unchanged();
            keepers.retain(|_, keeper| !keeper.is_finished());
            let endpoints = self.control.endpoints.clone();
            for id in blocking(move || endpoints.all()).await.unwrap_or_default() {
                keepers.entry(id).or_insert_with(|| {
                    let keeper = Keeper::new(Arc::clone(&self), id);
                    tokio::spawn(keeper.run(stop.clone()))
                });
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.wait_for(|&count| count > 0) => break,
            }
        }
        for keeper in keepers.into_values() {
            // The panic hook has already reported a panic.
            let _ = keeper.await;
        }
    }
}

/// Runs work that blocks on the disk; none if it fails, which is logged.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HostingError> + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "endpoints cannot be read or written");
            None
        }
        Err(_) => None,
    }
}
