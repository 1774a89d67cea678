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

/// The table of training jobs.
pub(crate) const SCHEMA: &str = schema!("training_jobs");
/// The log group of training jobs.
pub const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";
/// The folder in the data folder that contains the jobs' folders.
pub(crate) const FOLDER: &str = "jobs";

impl JobKind for Training {
    type State = TrainingState;
    const TABLE: &'static str = "training_jobs";
    /// The secondary status.
    type Detail = String;
    const DETAIL_COLUMNS: &'static str = "state ->> 'secondary' AS secondary";
    const SEARCHED: &'static str = "name || ' ' || status || ' ' || coalesce(state ->> 'algorithm', '')";

    fn detail(row: &Row<'_>) -> rusqlite::Result<String> {
        row.get("secondary")
    }
}

impl TrainingJob {
    /// The stream of its log: `<job>/algo-1-<epoch>`, the same for every server.
    pub fn log_stream(&self) -> String {
        format!("{}/algo-1-{}", self.name, self.state.created_ms.div_euclid(1000))
    }

    /// The path of its folder in the data folder.
    pub fn folder(&self) -> String {
        format!("{FOLDER}/{}/{}", self.region, self.name)
    }

    /// The path of its log in the data folder.
    pub fn log_path(&self) -> String {
        format!("{}/{LOG_FILE}", self.folder())
    }
}

impl TrainingJobs {
    /// Sets the secondary status of a job; without a message, SageMaker's own is used.
    ///
    /// # Errors
    /// If it has ended.
    pub fn enter(&self, id: JobId, secondary: Secondary, message: Option<&str>) -> Result<(), JobError> {
        self.change(id, |state| state.enter(secondary, message, now_ms()))
    }

    /// Records the metrics that a job logged, also as points of its metrics, together with the offset `log_offset` at which its log
    /// continues. All of that happens in one transaction, so that a killed server neither loses a point nor counts one twice.
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

    /// Ends a job.
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
