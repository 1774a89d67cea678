//! Training jobs at work.
//!
//! A job's input is laid out in a folder of its own by the container contract, `kokanee train` or an [image](crate::images) of a
//! user's own runs on it as a task of the [`engine`](crate::engine), and what it leaves is put into S3. Jobs beyond the places that there
//! are wait, in the order of their creation. A job that an earlier server left at work is taken up where it is.

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

/// Writes the objects of a channel into `folder`, which is empty or absent, in File mode on the only machine. False if `goes_on` said
/// no meanwhile.
///
/// # Errors
/// If an object cannot be read, or has no room.
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
    /// Folder of the jobs' folders and logs.
    pub folder: PathBuf,
    /// The program that trains: `kokanee` itself.
    pub program: PathBuf,
    /// What runs it.
    pub engine: Arc<dyn Engine>,
    /// Jobs at a time.
    pub places: usize,
    /// Whether jobs go on without the server when it ends.
    pub keeps_jobs: bool,
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
    /// The engine refuses.
    #[error("InternalServerError: {0}")]
    Engine(#[from] EngineError),
    /// The job is gone or has ended meanwhile, or the database fails.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Runner {
    /// Runs jobs until `stop` counts 1. Then those at work are asked to stop and what they leave is kept, unless they are to go on.
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
