//! Tuning jobs: what they add to jobs of any kind.

use kokanee_tuner::closing::Closing;
use rusqlite::Row;
use serde_json::Value;

use super::state::{Counters, Outcome, TuningState};
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

/// The table of tuning jobs, and that of their children, whose `content` is a [`Child`](super::Child) in JSON.
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
    type Detail = TuningDetail;
    const DETAIL_COLUMNS: &'static str = "state ->> 'counters' AS counters,
        request -> '$.HyperParameterTuningJobConfig.Strategy' AS strategy,
        request -> '$.HyperParameterTuningJobConfig.ResourceLimits' AS limits";

    fn detail(row: &Row<'_>) -> rusqlite::Result<TuningDetail> {
        let json = |text: String| serde_json::from_str(&text).unwrap_or_default();
        Ok(TuningDetail {
            counters: serde_json::from_str(&row.get::<_, String>("counters")?).unwrap_or_default(),
            strategy: json(row.get("strategy")?),
            limits: json(row.get("limits")?),
        })
    }
}

/// What lists show about a tuning job in addition to the fields of every job.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningDetail {
    /// The counts of its training jobs.
    pub counters: Counters,
    /// `Strategy`.
    pub strategy: Value,
    /// `ResourceLimits`.
    pub limits: Value,
}

impl TuningJobs {
    /// Stops a job from creating more training jobs.
    ///
    /// # Errors
    /// If it has ended.
    pub fn close(&self, id: JobId, why: Closing) -> Result<(), JobError> {
        self.change(id, |state| state.close(why, now_ms()))
    }

    /// Ends a job.
    ///
    /// # Errors
    /// If it has ended.
    pub fn finish(&self, id: JobId, outcome: Outcome) -> Result<(), JobError> {
        self.change(id, |state| state.finish(outcome, now_ms()))
    }
}
