//! Tuning jobs: what they add to jobs of any kind.

use kokanee_tuner::closing::Closing;

use super::state::{Outcome, TuningState};
use crate::jobs::{Job, JobError, JobId, JobKind, Jobs, NewJob, schema};
use crate::store::now_ms;

/// The kind of tuning jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning;

/// A tuning job.
pub type TuningJob = Job<Tuning>;
/// A tuning job to be created.
pub type NewTuningJob = NewJob<Tuning>;
/// All tuning jobs.
pub type TuningJobs = Jobs<Tuning>;

/// Their table, and that of their children: `content` is a [`Child`](super::Child) in JSON.
pub(crate) const SCHEMA: &str = concat!(
    schema!("tuning_jobs"),
    "CREATE TABLE tuning_children (
        tuning_id INTEGER NOT NULL REFERENCES tuning_jobs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        content TEXT NOT NULL,
        PRIMARY KEY (tuning_id, number)
    ) STRICT;"
);

impl JobKind for Tuning {
    type State = TuningState;
    const TABLE: &'static str = "tuning_jobs";
}

impl TuningJobs {
    /// A job creates no more training jobs.
    ///
    /// # Errors
    /// If it has ended.
    pub fn close(&self, id: JobId, why: Closing) -> Result<(), JobError> {
        self.change(id, |state| state.close(why, now_ms()))
    }

    /// A job ends.
    ///
    /// # Errors
    /// If it has ended.
    pub fn finish(&self, id: JobId, outcome: Outcome) -> Result<(), JobError> {
        self.change(id, |state| state.finish(outcome, now_ms()))
    }
}
