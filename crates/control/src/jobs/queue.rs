//! The loop of a runner: it processes first the jobs that an earlier server left, then waiting jobs, in parallel, in the order of their
//! creation.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::{Job, JobError, JobKind, JobState as _, Jobs};

/// Time between two checks for jobs when no change is reported.
const LOOK: Duration = Duration::from_secs(5);

/// The part of a runner that does the work.
pub(crate) trait Worker: Send + Sync + 'static {
    /// The kind of its jobs.
    type Kind: JobKind;

    /// The jobs.
    fn jobs(&self) -> &Jobs<Self::Kind>;

    /// Called once, before the first job.
    ///
    /// # Errors
    /// If the database fails.
    fn begin(&self) -> Result<(), JobError> {
        Ok(())
    }

    /// Works on a job until it has ended, or until `is_ending` becomes true.
    fn work(&self, job: &Job<Self::Kind>, is_ending: &AtomicBool);
}

/// Processes jobs until `stop` counts 1, then waits for running ones to end.
pub(crate) async fn run<W: Worker>(worker: Arc<W>, count: usize, mut stop: watch::Receiver<u32>) {
    let places = Arc::new(Semaphore::new(count));
    let is_ending = Arc::new(AtomicBool::new(false));
    let mut changes = worker.jobs().changes();
    let mut left: Vec<Job<W::Kind>> = blocking(&worker, |worker| worker.jobs().unfinished()).await;
    // Jobs are taken from the end.
    left.reverse();
    blocking(&worker, W::begin).await;
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stop.wait_for(|&count| count > 0) => break,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { break };
        changes.mark_unchanged();
        let job = match left.pop() {
            Some(job) => Some(job),
            None => blocking(&worker, |worker| worker.jobs().next_waiting()).await,
        };
        let Some(job) = job else {
            drop(place);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.wait_for(|&count| count > 0) => break,
            }
            continue;
        };
        let (worker, is_ending) = (Arc::clone(&worker), Arc::clone(&is_ending));
        tokio::task::spawn_blocking(move || {
            worker.work(&job, &is_ending);
            drop(place);
        });
    }
    is_ending.store(true, Ordering::SeqCst);
    let all = u32::try_from(count).unwrap_or(u32::MAX);
    let _ = places.acquire_many(all).await;
}

/// Cleans up after a killed server: calls `clear` for ended jobs whose folder `<root>/<region>/<job>` contains a folder `mark`.
///
/// # Errors
/// If the database fails.
pub(crate) fn clear_ended<K: JobKind>(
    jobs: &Jobs<K>,
    root: &Path,
    mark: &str,
    clear: impl Fn(&Job<K>),
) -> Result<(), JobError> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    for region in entries(root) {
        for folder in entries(&region.path()).filter(|folder| folder.path().join(mark).is_dir()) {
            match jobs.find(&name(&region), &name(&folder)) {
                Ok(job) if job.state.status().is_final() => clear(&job),
                // The job is running, or the folder belongs to another program.
                Ok(_) | Err(JobError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Runs blocking work; returns the default if it fails, which the log reports.
async fn blocking<W: Worker, T: Default + Send + 'static>(
    worker: &Arc<W>,
    work: impl FnOnce(&W) -> Result<T, JobError> + Send + 'static,
) -> T {
    let worker = Arc::clone(worker);
    match tokio::task::spawn_blocking(move || work(&worker)).await {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            tracing::error!(%error, "{}s cannot be read", W::Kind::NOUN);
            T::default()
        }
        Err(_) => T::default(),
    }
}
