//! The instances of endpoints: started, watched, started again when they end, and stopped.
//!
//! Each endpoint has a keeper, which compares what the endpoint is to run with what runs; each instance has a life of its own
//! (`life`). An instance is a task of the [`Engine`], in a folder that a later server finds it by:
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

/// Between two looks for endpoints, where nobody says that there is one.
const LOOK: Duration = Duration::from_secs(5);

/// Runs the instances of all endpoints.
pub struct Fleet {
    /// The endpoints, their logs and their metrics.
    pub control: Arc<Control>,
    /// Where requests learn which instances there are.
    pub routes: Arc<Routes>,
    /// The objects.
    pub objects: Arc<dyn ObjectStore>,
    /// The data folder.
    pub folder: PathBuf,
    /// What runs programs.
    pub engine: Arc<dyn Engine>,
    /// The program that serves models of built-in algorithms: `kokanee` itself.
    pub program: PathBuf,
}

impl Fleet {
    /// Runs instances until `stop` counts 1. Then they are stopped; endpoints stay as they are, and come up again with the next
    /// server.
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
            // A panic was told by its hook.
            let _ = keeper.await;
        }
    }
}

/// Work that waits for the disk; none where it fails, which the log tells.
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
