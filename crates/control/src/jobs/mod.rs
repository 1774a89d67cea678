//! The common part of all kinds of jobs: a name, a request, a state, and a position in a queue.
//!
//! [`Jobs`] connects the API and a runner: the API creates and stops jobs, a runner takes waiting jobs ([`Jobs::next_waiting`]) and changes
//! their state as they progress. `queue::run` is the loop of such a runner.

mod list;
pub(crate) mod queue;
mod status;
mod store;

use std::fmt::Debug;

use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

pub use list::Listed;
pub use status::{Refused, Status};
pub use store::Jobs;

use crate::store::StoreError;

/// A kind of job.
pub trait JobKind: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The part of such a job that changes.
    type State: JobState;
    /// Its table, made by the macro `schema`.
    const TABLE: &'static str;
    /// The name of one such job in messages: `training job`.
    const NOUN: &'static str = Self::State::NOUN;
    /// Details in lists, besides those that all jobs have.
    type Detail;
    /// The columns that [`detail`](Self::detail) reads.
    const DETAIL_COLUMNS: &'static str;
    /// An SQL expression for the text in which words are searched.
    const SEARCHED: &'static str = "name || ' ' || status";

    /// The details of the job in a row; columns are found by their names.
    ///
    /// # Errors
    /// If a column is missing or has another type.
    fn detail(row: &Row<'_>) -> rusqlite::Result<Self::Detail>;
}

/// The part of a job that changes.
pub trait JobState: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of such a job in messages: `training job`.
    const NOUN: &'static str;

    /// The status.
    fn status(&self) -> Status;
    /// The times.
    fn times(&self) -> Times;
    /// Marks the running job as stopping now.
    fn begin_stopping(&mut self, now_ms: i64);

    /// Checks that the job can still change.
    ///
    /// # Errors
    /// If it has ended.
    fn check_open(&self) -> Result<(), Refused> {
        let status = self.status();
        if status.is_final() { Err(Refused { noun: Self::NOUN, status }) } else { Ok(()) }
    }

    /// Requests that the job stops. A second request changes nothing.
    ///
    /// # Errors
    /// If it has ended.
    fn stop(&mut self, now_ms: i64) -> Result<(), Refused> {
        self.check_open()?;
        if self.status() != Status::Stopping {
            self.begin_stopping(now_ms);
        }
        Ok(())
    }

    /// Ends a job that was stopped before a runner took it.
    ///
    /// # Errors
    /// If it has ended.
    fn end_unstarted(&mut self, now_ms: i64) -> Result<(), Refused>;
    /// Sets the time of the last change.
    fn touch(&mut self, now_ms: i64);
}

/// Times of a job's events, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The creation.
    pub created_ms: i64,
    /// The last change.
    pub modified_ms: i64,
    /// The end.
    pub ended_ms: Option<i64>,
}

/// The id of a job's row in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub(crate) i64);

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job<K: JobKind> {
    /// Its id; jobs that were created earlier have a lower one.
    pub id: JobId,
    /// The region in which it was created.
    pub region: String,
    /// Its name, as given.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The members of the request that created it except tags, with defaults filled in.
    pub request: Map<String, Value>,
    /// Its present state.
    pub state: K::State,
}

/// A job to be created.
#[derive(Clone, Debug)]
pub struct NewJob<K: JobKind> {
    /// The region.
    pub region: String,
    /// The name.
    pub name: String,
    /// The ARN.
    pub arn: String,
    /// See [`Job::request`].
    pub request: Map<String, Value>,
    /// Keys and values.
    pub tags: Vec<(String, String)>,
    /// Its initial state; it may have ended already.
    pub state: K::State,
}

/// An error in a request about a job.
#[derive(Debug, Error)]
pub enum JobError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job does not exist.
    #[error("Requested resource not found.")]
    NotFound,
    /// The name is in use.
    #[error(
        "{} names must be unique within an AWS account and region, and a {noun} with this name already exists ({arn})",
        capitalised(noun)
    )]
    Exists {
        /// The kind of the existing job.
        noun: &'static str,
        /// The existing job's ARN.
        arn: String,
    },
    /// The job's status does not allow the operation.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<rusqlite::Error> for JobError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

fn capitalised(noun: &str) -> String {
    let (first, rest) = noun.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// The table of a kind of job, and its indices. Names that differ only in case collide. `request` is the request and `state` the present
/// state, both in JSON; the other columns are for lists. `claimed` is 1 as soon as a runner has taken the job.
macro_rules! schema {
    ($table:literal) => {
        concat!(
            "CREATE TABLE ",
            $table,
            " (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                region TEXT NOT NULL,
                name TEXT NOT NULL COLLATE NOCASE,
                arn TEXT NOT NULL,
                request TEXT NOT NULL,
                state TEXT NOT NULL,
                status TEXT NOT NULL,
                created_ms INTEGER NOT NULL,
                modified_ms INTEGER NOT NULL,
                ended_ms INTEGER,
                claimed INTEGER NOT NULL DEFAULT 0,
                UNIQUE (region, name)
            ) STRICT;
            CREATE UNIQUE INDEX ",
            $table,
            "_by_arn ON ",
            $table,
            " (arn);
            CREATE INDEX ",
            $table,
            "_by_creation ON ",
            $table,
            " (region, created_ms, name);
            CREATE INDEX ",
            $table,
            "_by_status ON ",
            $table,
            " (region, status, name);
            CREATE INDEX ",
            $table,
            "_at_work ON ",
            $table,
            " (claimed, id) WHERE status IN ('InProgress', 'Stopping');"
        )
    };
}
pub(crate) use schema;
