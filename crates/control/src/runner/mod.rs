//! Training jobs as processes of this machine.
//!
//! A job's input is laid out in a folder of its own by the container contract, `kokanee train` runs on it as a child process, and
//! what it leaves is put into S3. Jobs beyond the places that there are wait, in the order of their creation.

mod child;
mod job_folder;
mod log;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use self::child::{Child, Ended};
use self::job_folder::{JobFolder, JobInput, Prepared};
use self::log::JobLog;
use crate::api::Control;
use crate::s3;
use crate::training::{FinalMetric, JobError, Outcome, Secondary, TrainingJob};

/// Between two looks for jobs, where nobody says that there is one.
const LOOK: Duration = Duration::from_secs(5);
/// Between two looks at a child.
const POLL: Duration = Duration::from_millis(20);

/// Runs training jobs.
pub struct Runner {
    /// The jobs.
    pub control: Arc<Control>,
    /// The objects.
    pub objects: Arc<s3::Store>,
    /// Folder of the jobs' folders and logs.
    pub folder: PathBuf,
    /// The program that trains: `kokanee` itself.
    pub program: PathBuf,
    /// Jobs at a time.
    pub places: usize,
}

/// Why a job fails without having trained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The author of the job must act.
    #[error("ClientError: {0}")]
    Client(String),
    /// The keeper of the machine must act.
    #[error("InternalServerError: {0}")]
    Machine(String),
    /// The job is gone or has ended meanwhile, or the database fails.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Runner {
    /// Runs jobs until `stop` counts 1. Then children are asked to stop, and what they leave is kept.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<u32>) {
        let places = Arc::new(Semaphore::new(self.places));
        let is_ending = Arc::new(AtomicBool::new(false));
        let mut changes = self.control.training_jobs.changes();
        let mut waiting: Vec<TrainingJob> =
            self.blocking(|runner| runner.control.training_jobs.unfinished()).await;
        // Jobs of an earlier server go on first, in their order.
        waiting.reverse();
        loop {
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                _ = stop.wait_for(|&count| count > 0) => break,
            };
            // Never closed.
            let Ok(place) = place else { break };
            changes.mark_unchanged();
            let job = match waiting.pop() {
                Some(job) => Some((job, true)),
                None => self
                    .blocking(|runner| runner.control.training_jobs.next_waiting())
                    .await
                    .map(|job| (job, false)),
            };
            let Some((job, goes_on)) = job else {
                drop(place);
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { break },
                    () = tokio::time::sleep(LOOK) => {}
                    _ = stop.wait_for(|&count| count > 0) => break,
                }
                continue;
            };
            let (runner, is_ending) = (Arc::clone(&self), Arc::clone(&is_ending));
            tokio::task::spawn_blocking(move || {
                runner.train(&job, goes_on, &is_ending);
                drop(place);
            });
        }
        is_ending.store(true, Ordering::SeqCst);
        let all = u32::try_from(self.places).unwrap_or(u32::MAX);
        let _ = places.acquire_many(all).await;
    }

    /// Work that waits for the disk; nothing where it fails, which the log tells.
    async fn blocking<T: Default + Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, JobError> + Send + 'static,
    ) -> T {
        let runner = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&runner)).await;
        match done {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => {
                tracing::error!(%error, "training jobs cannot be read");
                T::default()
            }
            Err(_) => T::default(),
        }
    }

    /// One job from its input to its end.
    fn train(&self, job: &TrainingJob, goes_on: bool, is_ending: &AtomicBool) {
        let outcome = match self.outcome(job, goes_on, is_ending) {
            Ok(outcome) => outcome,
            Err(RunError::Job(error)) => {
                tracing::error!(job = job.name, %error, "a training job cannot go on");
                return;
            }
            Err(error) => Outcome::Failed { reason: error.to_string() },
        };
        match self.control.training_jobs.finish(job.id, outcome) {
            Ok(()) => {
                if let Err(error) = JobFolder::new(&self.folder, job).clear() {
                    tracing::warn!(job = job.name, %error, "the folder of a training job cannot be removed");
                }
            }
            Err(error) => {
                tracing::error!(job = job.name, %error, "the end of a training job cannot be noted");
            }
        }
    }

    fn outcome(&self, job: &TrainingJob, goes_on: bool, is_ending: &AtomicBool) -> Result<Outcome, RunError> {
        let jobs = &self.control.training_jobs;
        let Some(algorithm) = &job.algorithm else {
            return Err(RunError::Client(
                "the image is none of the built-in algorithms, and programs of your own cannot be run yet"
                    .to_owned(),
            ));
        };
        let folder = JobFolder::new(&self.folder, job);
        let input = JobInput::parse(&job.request)?;
        let first = if goes_on { Secondary::Restarting } else { Secondary::Downloading };
        jobs.enter(job.id, first, None)?;
        let Prepared { output } = folder.prepare(&input, &self.objects)?;
        jobs.enter(job.id, Secondary::Training, None)?;
        let log = JobLog::open(&folder.log(), &input.metrics)?;
        let mut child = Child::start(&self.program, algorithm, &job.name, &folder, &log)?;
        let mut told: Option<Ended> = None;
        let ended = loop {
            if let Some(status) = child.ended()? {
                break status;
            }
            let why = if is_ending.load(Ordering::SeqCst) || jobs.is_stopping(job.id)? {
                Some(Ended::Stopped)
            } else if child.runtime() > input.max_runtime {
                Some(Ended::TimeOver)
            } else {
                None
            };
            if let Some(why) = why {
                told.get_or_insert(why);
                child.stop();
            }
            for metric in log.take() {
                jobs.measured(job.id, vec![metric])?;
            }
            std::thread::sleep(POLL);
        };
        child.finish();
        let metrics: Vec<FinalMetric> = log.take();
        if !metrics.is_empty() {
            jobs.measured(job.id, metrics)?;
        }
        if told.is_none() && !ended.success() {
            return Ok(Outcome::Failed { reason: folder.failure(ended) });
        }
        jobs.enter(job.id, Secondary::Uploading, None)?;
        let artefacts = folder.upload(&output, &job.name, &self.objects)?;
        Ok(match told {
            None => match artefacts {
                Some(artefacts) => Outcome::Completed { artefacts },
                None => Outcome::Failed { reason: "AlgorithmError: the training left no model".to_owned() },
            },
            Some(Ended::Stopped) => Outcome::Stopped { artefacts },
            Some(Ended::TimeOver) => Outcome::MaxRuntimeExceeded { artefacts },
        })
    }
}

/// A text in a request.
fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |value, name| value.get(name))?.as_str()
}
