//! What all kinds of jobs have in common: a name, a request, a state, and a place in a queue.
//!
//! [`Jobs`] is where the API and a runner meet: the API creates and stops jobs, a runner takes those that wait
//! ([`Jobs::next_waiting`]) and changes their state as they get on. `queue::run` is the loop of such a runner.

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

/// A kind of jobs.
pub trait JobKind: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// Everything about such a job that changes.
    type State: JobState;
    /// The table that they are in, made by the macro `schema`.
    const TABLE: &'static str;
    /// As people call one of them: `training job`.
    const NOUN: &'static str = Self::State::NOUN;
    /// What lists say of such jobs beyond what they say of all.
    type Detail;
    /// The columns that [`detail`](Self::detail) reads.
    const DETAIL_COLUMNS: &'static str;
    /// An expression with the text that words are looked for in.
    const SEARCHED: &'static str = "name || ' ' || status";

    /// What lists say of the job of a row; columns are found by their names.
    ///
    /// # Errors
    /// If a column is missing or of another type.
    fn detail(row: &Row<'_>) -> rusqlite::Result<Self::Detail>;
}

/// Everything about a job that changes.
pub trait JobState: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What people call such a job: `training job`.
    const NOUN: &'static str;

    /// The status.
    fn status(&self) -> Status;
    /// The times.
    fn times(&self) -> Times;
    /// The job, which is at work, is told to stop now.
    fn begin_stopping(&mut self, now_ms: i64);

    /// Whether something can happen to the job.
    ///
    /// # Errors
    /// If it has ended.
    fn check_open(&self) -> Result<(), Refused> {
        let status = self.status();
        if status.is_final() { Err(Refused { noun: Self::NOUN, status }) } else { Ok(()) }
    }

    /// The job is told to stop. A second time changes nothing.
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

    /// A job that was told to stop ends, before any runner had it.
    ///
    /// # Errors
    /// If it has ended.
    fn end_unstarted(&mut self, now_ms: i64) -> Result<(), Refused>;
    /// Something about the job was changed.
    fn touch(&mut self, now_ms: i64);
}

/// When what happened to a job, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// It was created.
    pub created_ms: i64,
    /// Anything about it changed last.
    pub modified_ms: i64,
    /// It ended.
    pub ended_ms: Option<i64>,
}

/// A job's place in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub(crate) i64);

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job<K: JobKind> {
    /// Its place; jobs that were created earlier have a lower one.
    pub id: JobId,
    /// The region that it was created in.
    pub region: String,
    /// Its name, as it was given.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The members of the request that created it but for tags, with defaults filled in.
    pub request: Map<String, Value>,
    /// What came of it.
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
    /// How it begins; it may have ended.
    pub state: K::State,
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
        "{} names must be unique within an AWS account and region, and a {noun} with this name already exists ({arn})",
        capitalised(noun)
    )]
    Exists {
        /// What is called so.
        noun: &'static str,
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

fn capitalised(noun: &str) -> String {
    let (first, rest) = noun.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// The table of a kind of jobs, and its indices. Names clash whatever their case. `request` is what was sent, `state` what came of
/// it, both in JSON; the columns beside them are for lists. `claimed` is 1 as soon as a runner has the job.
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
