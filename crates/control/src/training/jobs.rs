//! Training jobs in the database.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::watch;

use super::state::{FinalMetric, Outcome, Refused, Secondary, Status, TrainingState};
use crate::engine::LOG_FILE;
use crate::metrics::{self, Metric, Point};
use crate::store::{Store, StoreError, now_ms};
use crate::tags;

/// A job's place in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(i64);

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingJob {
    /// Its place; jobs that were created earlier have a lower one.
    pub id: JobId,
    /// The region that it was created in.
    pub region: String,
    /// Its name, as it was given.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The built-in algorithm that its image names; none for an image that a user brings.
    pub algorithm: Option<String>,
    /// The members of `CreateTrainingJob` but for tags, with defaults filled in.
    pub request: Map<String, Value>,
    /// What came of it.
    pub state: TrainingState,
}

/// A job to be created.
#[derive(Clone, Debug)]
pub struct NewTrainingJob {
    /// The region.
    pub region: String,
    /// The name.
    pub name: String,
    /// The ARN.
    pub arn: String,
    /// See [`TrainingJob::algorithm`].
    pub algorithm: Option<String>,
    /// See [`TrainingJob::request`].
    pub request: Map<String, Value>,
    /// Keys and values.
    pub tags: Vec<(String, String)>,
    /// Why it fails before it starts, where that is known already.
    pub failure: Option<String>,
}

/// What can be wrong with a request about a job.
#[derive(Debug, Error)]
pub enum JobError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such job.
    #[error("Requested resource not found.")]
    NotFound,
    /// The name is taken.
    #[error(
        "Training job names must be unique within an AWS account and region, and a training job with this name already exists \
         ({arn})"
    )]
    Exists {
        /// The other job's ARN.
        arn: String,
    },
    /// The job's status does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<rusqlite::Error> for JobError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// All training jobs.
#[derive(Clone, Debug)]
pub struct TrainingJobs {
    pub(super) store: Arc<Store>,
    changes: watch::Sender<u64>,
}

/// The group of the logs of training jobs.
pub const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";
/// Folder of the jobs' folders in the data folder.
pub(crate) const FOLDER: &str = "jobs";

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
    /// Those of a database.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, changes: watch::Sender::new(0) }
    }

    /// Changes whenever a job is created or told to stop: when a runner should look.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Creates a job. It is on the disk when this returns.
    ///
    /// # Errors
    /// If there is one of this name in the region, whatever its case.
    pub fn create(&self, new: NewTrainingJob) -> Result<TrainingJob, JobError> {
        let mut state = TrainingState::new(now_ms());
        if let Some(reason) = new.failure {
            state.finish(Outcome::Failed { reason }, now_ms())?;
        }
        let job = self.store.write(|transaction| {
            let taken = select_by_name(transaction, &new.region, &new.name)?;
            if let Some(other) = taken {
                return Err(JobError::Exists { arn: other.arn });
            }
            let mut statement = transaction.prepare_cached(
                "INSERT INTO training_jobs (region, name, arn, algorithm, request, state, status, secondary, created_ms, modified_ms)
                 VALUES (:region, :name, :arn, :algorithm, :request, '', '', '', 0, 0)",
            )?;
            statement.execute(named_params! {
                ":region": new.region,
                ":name": new.name,
                ":arn": new.arn,
                ":algorithm": new.algorithm,
                ":request": Value::Object(new.request.clone()).to_string(),
            })?;
            let job = TrainingJob {
                id: JobId(transaction.last_insert_rowid()),
                region: new.region,
                name: new.name,
                arn: new.arn,
                algorithm: new.algorithm,
                request: new.request,
                state,
            };
            save_state(transaction, &job)?;
            tags::put(transaction, &job.arn, &new.tags)?;
            Ok(job)
        })?;
        self.changed();
        Ok(job)
    }

    /// The job of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, region: &str, name: &str) -> Result<TrainingJob, JobError> {
        self.store.read(|transaction| select_by_name(transaction, region, name)?.ok_or(JobError::NotFound))
    }

    /// The job in this place.
    ///
    /// # Errors
    /// If there is none any more.
    pub fn get(&self, id: JobId) -> Result<TrainingJob, JobError> {
        self.store.read(|transaction| select(transaction, "id = ?1", [id.0])?.ok_or(JobError::NotFound))
    }

    /// Tells a job to stop. One that no runner has is stopped at once.
    ///
    /// # Errors
    /// If there is none, or if it has ended.
    pub fn stop(&self, region: &str, name: &str) -> Result<(), JobError> {
        self.store.write(|transaction| {
            let mut job = select_by_name(transaction, region, name)?.ok_or(JobError::NotFound)?;
            job.state.stop(now_ms())?;
            if !is_claimed(transaction, job.id)? {
                job.state.finish(Outcome::Stopped { artefacts: None }, now_ms())?;
            }
            save_state(transaction, &job)
        })?;
        self.changed();
        Ok(())
    }

    /// Changes what was asked for in a job that has not ended.
    ///
    /// # Errors
    /// If there is none, or if it has ended.
    pub fn update(
        &self,
        region: &str,
        name: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<TrainingJob, JobError> {
        self.store.write(|transaction| {
            let mut job = select_by_name(transaction, region, name)?.ok_or(JobError::NotFound)?;
            if job.state.status.is_final() {
                return Err(Refused(job.state.status).into());
            }
            change(&mut job.request);
            job.state.modified_ms = job.state.modified_ms.max(now_ms());
            let request = Value::Object(job.request.clone()).to_string();
            transaction
                .execute("UPDATE training_jobs SET request = ?2 WHERE id = ?1", (job.id.0, request))?;
            save_state(transaction, &job)?;
            Ok(job)
        })
    }

    /// Forgets a job that has ended, and its tags.
    ///
    /// # Errors
    /// If there is none, or if it has not ended.
    pub fn delete(&self, region: &str, name: &str) -> Result<(), JobError> {
        self.store.write(|transaction| {
            let job = select_by_name(transaction, region, name)?.ok_or(JobError::NotFound)?;
            if !job.state.status.is_final() {
                return Err(Refused(job.state.status).into());
            }
            transaction.execute("DELETE FROM training_jobs WHERE id = ?1", [job.id.0])?;
            tags::remove_all(transaction, &job.arn)?;
            Ok(())
        })
    }

    /// The job that has waited longest, which is the runner's from now on.
    ///
    /// # Errors
    /// If the database fails.
    pub fn next_waiting(&self) -> Result<Option<TrainingJob>, JobError> {
        self.store.write(|transaction| {
            let waiting = "claimed = 0 AND status IN ('InProgress', 'Stopping') ORDER BY id LIMIT 1";
            let job = select(transaction, waiting, [])?;
            if let Some(job) = &job {
                transaction.execute("UPDATE training_jobs SET claimed = 1 WHERE id = ?1", [job.id.0])?;
            }
            Ok(job)
        })
    }

    /// Jobs that a runner had when the last server ended, in the order of their creation.
    ///
    /// # Errors
    /// If the database fails.
    pub fn unfinished(&self) -> Result<Vec<TrainingJob>, JobError> {
        self.store.read(|transaction| {
            select_all(transaction, "claimed = 1 AND status IN ('InProgress', 'Stopping') ORDER BY id", [])
        })
    }

    /// Whether a job was told to stop.
    ///
    /// # Errors
    /// If there is none any more.
    pub fn is_stopping(&self, id: JobId) -> Result<bool, JobError> {
        Ok(self.get(id)?.state.status == Status::Stopping)
    }

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
        self.store.write(|transaction| {
            let mut job = select(transaction, "id = ?1", [id.0])?.ok_or(JobError::NotFound)?;
            let points: Vec<Point> = found
                .iter()
                .filter(|metric| metrics::is_taken(metric.value))
                .map(|metric| point(&job.name, metric))
                .collect();
            job.state.measured(found, now_ms())?;
            job.state.log_offset = log_offset;
            save_state(transaction, &job)?;
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

    fn change(
        &self,
        id: JobId,
        change: impl FnOnce(&mut TrainingState) -> Result<(), Refused>,
    ) -> Result<(), JobError> {
        self.store.write(|transaction| {
            let mut job = select(transaction, "id = ?1", [id.0])?.ok_or(JobError::NotFound)?;
            change(&mut job.state)?;
            save_state(transaction, &job)
        })
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// A value that a job logged, as a point of a metric.
fn point(job: &str, metric: &FinalMetric) -> Point {
    let name = Metric::new(metrics::TRAINING_JOBS, &metric.name, [("TrainingJobName", job)]);
    Point::new(name, metric.at_ms, metric.value)
}

fn is_claimed(connection: &Connection, id: JobId) -> Result<bool, JobError> {
    Ok(connection.query_row("SELECT claimed FROM training_jobs WHERE id = ?1", [id.0], |row| row.get(0))?)
}

fn select_by_name(
    connection: &Connection,
    region: &str,
    name: &str,
) -> Result<Option<TrainingJob>, JobError> {
    select(connection, "region = ?1 AND name = ?2", [region, name])
}

fn select(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<TrainingJob>, JobError> {
    let mut statement = connection.prepare_cached(&select_statement(condition))?;
    let row = statement.query_row(parameters, columns).optional()?;
    row.map(TrainingJob::try_from).transpose()
}

fn select_all(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<TrainingJob>, JobError> {
    let mut statement = connection.prepare_cached(&select_statement(condition))?;
    let rows = statement.query_map(parameters, columns)?;
    rows.map(|row| TrainingJob::try_from(row?)).collect()
}

fn select_statement(condition: &str) -> String {
    format!("SELECT id, region, name, arn, algorithm, request, state FROM training_jobs WHERE {condition}")
}

/// The columns of a row as they are stored.
struct Columns {
    id: i64,
    texts: [String; 3],
    algorithm: Option<String>,
    request: String,
    state: String,
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok(Columns {
        id: row.get(0)?,
        texts: [row.get(1)?, row.get(2)?, row.get(3)?],
        algorithm: row.get(4)?,
        request: row.get(5)?,
        state: row.get(6)?,
    })
}

impl TryFrom<Columns> for TrainingJob {
    type Error = JobError;

    fn try_from(columns: Columns) -> Result<Self, JobError> {
        let content = |what| move |source| StoreError::Content { what, source };
        let [region, name, arn] = columns.texts;
        Ok(Self {
            id: JobId(columns.id),
            region,
            name,
            arn,
            algorithm: columns.algorithm,
            request: serde_json::from_str(&columns.request).map_err(content("request of a training job"))?,
            state: serde_json::from_str(&columns.state).map_err(content("state of a training job"))?,
        })
    }
}

/// Writes the state, and what of it lists are sorted and filtered by.
fn save_state(connection: &Connection, job: &TrainingJob) -> Result<(), JobError> {
    let state = &job.state;
    let mut statement = connection.prepare_cached(
        "UPDATE training_jobs SET state = :state, status = :status, secondary = :secondary, created_ms = :created_ms,
         modified_ms = :modified_ms, ended_ms = :ended_ms WHERE id = :id",
    )?;
    statement.execute(named_params! {
        ":id": job.id.0,
        ":state": serde_json::to_string(state).map_err(|source| StoreError::Content { what: "state", source })?,
        ":status": state.status.as_str(),
        ":secondary": state.secondary.as_str(),
        ":created_ms": state.created_ms,
        ":modified_ms": state.modified_ms,
        ":ended_ms": state.ended_ms,
    })?;
    Ok(())
}
