//! The specific part of transform jobs.

use rusqlite::Row;

use super::state::{Outcome, TransformState};
use crate::jobs::{Job, JobError, JobId, JobKind, Jobs, NewJob, schema};
use crate::store::now_ms;

/// The kind of transform jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transform;

/// A transform job.
pub type TransformJob = Job<Transform>;
/// A transform job to be created.
pub type NewTransformJob = NewJob<Transform>;
/// All transform jobs.
pub type TransformJobs = Jobs<Transform>;

/// Their table.
pub(crate) const SCHEMA: &str = schema!("transform_jobs");
/// The group of the logs of transform jobs.
pub const LOG_GROUP: &str = "/aws/sagemaker/TransformJobs";
/// Folder of the jobs' folders in the data folder.
pub(crate) const FOLDER: &str = "transform";

impl JobKind for Transform {
    type State = TransformState;
    const TABLE: &'static str = "transform_jobs";
    /// The failure reason.
    type Detail = Option<String>;
    const DETAIL_COLUMNS: &'static str = "state ->> 'failure_reason' AS failure_reason";

    fn detail(row: &Row<'_>) -> rusqlite::Result<Option<String>> {
        row.get("failure_reason")
    }
}

impl TransformJob {
    /// Its folder, in the data folder.
    pub fn folder(&self) -> String {
        format!("{FOLDER}/{}/{}", self.region, self.name)
    }

    /// The stream of its container's output: `<job>/<instance>-<epoch>`, the same for every server.
    pub fn log_stream(&self) -> String {
        format!("{}/{}-{}", self.name, self.instance_id(), self.state.created_ms.div_euclid(1000))
    }

    /// The id of its instance, in AWS's format.
    pub fn instance_id(&self) -> String {
        format!("i-0{:016x}", self.state.created_ms.unsigned_abs())
    }
}

impl TransformJobs {
    /// Records that a job has its machine.
    ///
    /// # Errors
    /// If it has ended.
    pub fn begin(&self, id: JobId) -> Result<(), JobError> {
        self.change(id, |state| state.begin(now_ms()))
    }

    /// Ends a job.
    ///
    /// # Errors
    /// If it has ended.
    pub fn finish(&self, id: JobId, outcome: Outcome) -> Result<(), JobError> {
        self.change(id, |state| state.finish(outcome, now_ms()))
    }
}
