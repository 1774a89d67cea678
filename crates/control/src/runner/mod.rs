//! Runs training jobs.
//!
//! A job's input is laid out in its own folder according to the container contract. `kokanee train` or a user's own [image](crate::images)
//! runs on it as a task of the [`engine`](crate::engine), and the results are uploaded to S3. If no place is free, jobs wait in the order
//! of their creation. A running job that an earlier server left is resumed in its present state.

mod artefacts;
mod channels;
mod checkpoints;
mod download;
mod fifo;
mod job;
mod job_folder;
mod log;
mod object_list;
mod pipe;
mod program;
#[cfg(test)]
mod test_channel;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::watch;

use self::job::Work;
use self::job_folder::{JobFolder, PREFIX};
use crate::api::Control;
use crate::engine::{Engine, EngineError};
use crate::jobs::JobError;
use crate::jobs::queue::{self, Worker};
use crate::objects::ObjectStore;
use crate::training::{ChannelRequest, FOLDER, Outcome, Training, TrainingJob, TrainingJobs};

/// Writes the objects of a channel into `folder`, which must be empty or absent, in File mode on the only machine. False if `goes_on`
/// returned false meanwhile.
///
/// # Errors
/// If an object cannot be read, or does not fit on the disk.
pub(crate) fn download_channel(
    channel: &ChannelRequest,
    objects: &dyn ObjectStore,
    folder: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<bool, RunError> {
    download::download(channel, channels::ONLY_HOST, objects, folder, goes_on)
}

/// Runs training jobs.
pub struct Runner {
    /// The jobs.
    pub control: Arc<Control>,
    /// The objects.
    pub objects: Arc<dyn ObjectStore>,
    /// The data folder, which contains the jobs' folders and logs.
    pub folder: PathBuf,
    /// The program that trains: `kokanee` itself.
    pub program: PathBuf,
    /// The engine that runs it.
    pub engine: Arc<dyn Engine>,
    /// The most jobs that run in parallel.
    pub places: usize,
    /// Whether jobs keep running when the server ends.
    pub keeps_jobs: bool,
}

/// The reason why a job fails without having trained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The author of the job must act.
    #[error("ClientError: {0}")]
    Client(String),
    /// The administrator of the machine must act.
    #[error("InternalServerError: {0}")]
    Machine(String),
    /// The engine reports an error.
    #[error("InternalServerError: {0}")]
    Engine(#[from] EngineError),
    /// The job has been deleted or has ended meanwhile, or the database fails.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Runner {
    /// Runs jobs until `stop` counts 1. Then running jobs are asked to stop and their results are kept, unless jobs keep running.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<u32>) {
        let places = self.places;
        queue::run(self, places, stop).await;
    }

    fn clear(&self, job: &TrainingJob) {
        if let Err(error) = JobFolder::new(&self.folder, job).clear(&*self.engine) {
            tracing::warn!(job = job.name, %error, "the folder of a training job cannot be removed");
        }
    }
}

impl Worker for Runner {
    type Kind = Training;

    fn jobs(&self) -> &TrainingJobs {
        &self.control.training_jobs
    }

    fn begin(&self) -> Result<(), JobError> {
        queue::clear_ended(&self.control.training_jobs, &self.folder.join(FOLDER), PREFIX, |job| {
            self.clear(job)
        })
    }

    fn work(&self, job: &TrainingJob, is_ending: &AtomicBool) {
        let outcome = match Work::new(self, job, is_ending).and_then(|mut work| work.run()) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return,
            Err(RunError::Job(error)) => {
                tracing::error!(job = job.name, %error, "a training job cannot go on");
                return;
            }
            Err(error) => Outcome::Failed { reason: error.to_string() },
        };
        match self.control.training_jobs.finish(job.id, outcome) {
            Ok(()) => self.clear(job),
            Err(error) => {
                tracing::error!(job = job.name, %error, "the end of a training job cannot be noted");
            }
        }
    }
}
