//! Training jobs: what they add to jobs of any kind.

use rusqlite::Row;

use super::state::{FinalMetric, Outcome, Secondary, TrainingState};
use crate::engine::LOG_FILE;
use crate::jobs::{Job, JobError, JobId, JobKind, Jobs, NewJob, schema};
use crate::metrics::{self, Metric, Point};
use crate::store::now_ms;

/// The kind of training jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Training;

/// A training job.
pub type TrainingJob = Job<Training>;
/// A training job to be created.
pub type NewTrainingJob = NewJob<Training>;
/// All training jobs.
pub type TrainingJobs = Jobs<Training>;

/// Their table.
pub(crate) const SCHEMA: &str = schema!("training_jobs");
/// The group of the logs of training jobs.
pub const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";
/// Folder of the jobs' folders in the data folder.
pub(crate) const FOLDER: &str = "jobs";

impl JobKind for Training {
    type State = TrainingState;
    const TABLE: &'static str = "training_jobs";
    /// What it is doing.
    type Detail = String;
    const DETAIL_COLUMNS: &'static str = "state ->> 'secondary' AS secondary";
    const SEARCHED: &'static str = "name || ' ' || status || ' ' || coalesce(state ->> 'algorithm', '')";

    fn detail(row: &Row<'_>) -> rusqlite::Result<String> {
        row.get("secondary")
    }
}

impl TrainingJob {
    /// The stream of its log: `<job>/algo-1-<epoch>`, the same whichever server asks.
    pub fn log_stream(&self) -> String {
        format!("{}/algo-1-{}", self.name, self.state.created_ms.div_euclid(1000))
    }

    /// Its folder, in the data folder.
    pub fn folder(&self) -> String {
        format!("{FOLDER}/{}/{}", self.region, self.name)
    }

    /// Its log, in the data folder.
    pub fn log_path(&self) -> String {
        format!("{}/{LOG_FILE}", self.folder())
    }
}

impl TrainingJobs {
    /// A job does something else now; without a message, SageMaker's own is said.
    ///
    /// # Errors
    /// If it has ended.
    pub fn enter(&self, id: JobId, secondary: Secondary, message: Option<&str>) -> Result<(), JobError> {
        self.change(id, |state| state.enter(secondary, message, now_ms()))
    }

    /// A job logged metrics. They are points of its metrics too, and its log goes on at `log_offset`: all of that is noted at once, so
    /// that a server that is killed neither loses a point nor counts one twice.
    ///
    /// # Errors
    /// If it has ended.
    pub fn measured(&self, id: JobId, found: Vec<FinalMetric>, log_offset: u64) -> Result<(), JobError> {
        self.change_with(id, |transaction, job| {
            let points: Vec<Point> = found
                .iter()
                .filter(|metric| metrics::is_taken(metric.value))
                .map(|metric| point(&job.name, metric))
                .collect();
            job.state.measured(found, now_ms())?;
            job.state.log_offset = log_offset;
            Ok(metrics::put(transaction, &job.region, &points)?)
        })
    }

    /// A job ends.
    ///
    /// # Errors
    /// If it has ended.
    pub fn finish(&self, id: JobId, outcome: Outcome) -> Result<(), JobError> {
        self.change(id, |state| state.finish(outcome, now_ms()))
    }
}

/// A value that a job logged, as a point of a metric.
fn point(job: &str, metric: &FinalMetric) -> Point {
    let name = Metric::new(metrics::TRAINING_JOBS, &metric.name, [("TrainingJobName", job)]);
    Point::new(name, metric.at_ms, metric.value)
}
