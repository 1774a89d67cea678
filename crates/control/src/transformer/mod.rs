//! Runs batch transform jobs.
//!
//! A job's input is copied into its own folder, and an instance of its model is started as for an endpoint. The crate `kokanee_transform`
//! then sends the input through the model. Finished work is not repeated: a job that an earlier server left continues with the missing
//! files. Answers are uploaded to S3 when all of the input is done.

mod data_log;
mod folder;
mod model;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::runtime::Handle;
use tokio::sync::watch;

use self::folder::{INPUT, TransformFolder};
use self::work::Work;
use crate::api::Control;
use crate::fleet::Fleet;
use crate::jobs::JobError;
use crate::jobs::queue::{self, Worker};
use crate::objects::ObjectStore;
use crate::transform::{FOLDER, Outcome, Transform, TransformJob, TransformJobs};

/// Runs transform jobs.
pub struct Transformer {
    /// The jobs.
    pub control: Arc<Control>,
    /// The objects.
    pub objects: Arc<dyn ObjectStore>,
    /// The fleet that runs their instances.
    pub fleet: Arc<Fleet>,
    /// The data folder, which contains the jobs' folders.
    pub folder: PathBuf,
    /// The most jobs that run in parallel.
    pub places: usize,
    /// The most parallel requests of a job that leaves the number to the machine.
    pub most_concurrent: usize,
    /// Whether jobs wait for the next server when this one ends, instead of being stopped.
    pub keeps_jobs: bool,
    /// The runtime on which requests are sent.
    pub runtime: Handle,
}

/// The reason why a job cannot continue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransformFault {
    /// The author of the job must act.
    #[error("ClientError: {0}")]
    Client(String),
    /// The author of the model must act.
    #[error("AlgorithmError: {0}")]
    Algorithm(String),
    /// The administrator of the machine must act.
    #[error("InternalServerError: {0}")]
    Machine(String),
    /// The job has been deleted or has ended meanwhile, or the database fails.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Transformer {
    /// Runs jobs until `stop` counts 1. Then running jobs are stopped, unless they are to wait for the next server, which continues with
    /// what is missing.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<u32>) {
        let places = self.places;
        queue::run(self, places, stop).await;
    }

    fn clear(&self, job: &TransformJob) {
        if let Err(error) = TransformFolder::new(&self.folder, job).clear() {
            tracing::warn!(job = job.name, %error, "the folder of a transform job cannot be removed");
        }
    }
}

impl Worker for Transformer {
    type Kind = Transform;

    fn jobs(&self) -> &TransformJobs {
        &self.control.transform_jobs
    }

    /// Removes the folders that a killed server left of jobs that had ended.
    fn begin(&self) -> Result<(), JobError> {
        let root = self.folder.join(FOLDER);
        queue::clear_ended(&self.control.transform_jobs, &root, INPUT, |job| self.clear(job))
    }

    fn work(&self, job: &TransformJob, is_ending: &AtomicBool) {
        let outcome = match Work::new(self, job, is_ending).and_then(|work| work.run()) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return,
            Err(TransformFault::Job(error)) => {
                tracing::error!(job = job.name, %error, "a transform job cannot go on");
                return;
            }
            Err(error) => Outcome::Failed { reason: error.to_string() },
        };
        match self.control.transform_jobs.finish(job.id, outcome) {
            Ok(()) => self.clear(job),
            Err(error) => {
                tracing::error!(job = job.name, %error, "the end of a transform job cannot be noted");
            }
        }
    }
}
