//! Jobs in the database.

use std::marker::PhantomData;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::{Job, JobError, JobId, JobKind, JobState as _, NewJob, Refused, Status};
use crate::store::{Store, StoreError, now_ms};
use crate::tags;

/// Jobs that have not ended.
const AT_WORK: &str = "status IN ('InProgress', 'Stopping')";

/// All jobs of a kind.
#[derive(Clone, Debug)]
pub struct Jobs<K> {
    pub(crate) store: Arc<Store>,
    changes: watch::Sender<u64>,
    kind: PhantomData<K>,
}

impl<K: JobKind> Jobs<K> {
    /// The jobs of a database.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, changes: watch::Sender::new(0), kind: PhantomData }
    }

    /// Changes whenever a job is created or asked to stop, so that a runner checks for work.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Creates a job. It is on disk when this returns.
    ///
    /// # Errors
    /// If a job with this name exists in the region, ignoring case.
    pub fn create(&self, new: NewJob<K>) -> Result<Job<K>, JobError> {
        let job = self.store.write(|transaction| Self::insert(transaction, new))?;
        self.changed();
        Ok(job)
    }

    /// Creates a job within the caller's transaction; the caller calls [`changed`](Self::changed) after it.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub(crate) fn insert(transaction: &Transaction<'_>, new: NewJob<K>) -> Result<Job<K>, JobError> {
        if let Some(other) = select_by_name::<K>(transaction, &new.region, &new.name)? {
            return Err(JobError::Exists { noun: K::NOUN, arn: other.arn });
        }
        let mut statement = transaction.prepare_cached(&format!(
            "INSERT INTO {} (region, name, arn, request, state, status, created_ms, modified_ms)
             VALUES (:region, :name, :arn, :request, '', '', 0, 0)",
            K::TABLE
        ))?;
        statement.execute(named_params! {
            ":region": new.region,
            ":name": new.name,
            ":arn": new.arn,
            ":request": Value::Object(new.request.clone()).to_string(),
        })?;
        let job = Job {
            id: JobId(transaction.last_insert_rowid()),
            region: new.region,
            name: new.name,
            arn: new.arn,
            request: new.request,
            state: new.state,
        };
        save_state(transaction, &job)?;
        tags::put(transaction, &job.arn, &new.tags)?;
        Ok(job)
    }

    /// The job with this name.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn find(&self, region: &str, name: &str) -> Result<Job<K>, JobError> {
        self.store.read(|transaction| select_by_name(transaction, region, name)?.ok_or(JobError::NotFound))
    }

    /// The job with this id.
    ///
    /// # Errors
    /// If it no longer exists.
    pub fn get(&self, id: JobId) -> Result<Job<K>, JobError> {
        self.store.read(|transaction| select(transaction, "id = ?1", [id.0])?.ok_or(JobError::NotFound))
    }

    /// Asks a job to stop. A job that no runner has taken is stopped at once.
    ///
    /// # Errors
    /// If it does not exist, or has ended.
    pub fn stop(&self, region: &str, name: &str) -> Result<(), JobError> {
        self.store.write(|transaction| {
            let mut job = select_by_name::<K>(transaction, region, name)?.ok_or(JobError::NotFound)?;
            job.state.stop(now_ms())?;
            if !is_claimed::<K>(transaction, job.id)? {
                job.state.end_unstarted(now_ms())?;
            }
            save_state(transaction, &job)
        })?;
        self.changed();
        Ok(())
    }

    /// Changes the request of a job that has not ended.
    ///
    /// # Errors
    /// If it does not exist, or has ended.
    pub fn update(
        &self,
        region: &str,
        name: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<Job<K>, JobError> {
        self.store.write(|transaction| {
            let mut job = select_by_name::<K>(transaction, region, name)?.ok_or(JobError::NotFound)?;
            let status = job.state.status();
            if status.is_final() {
                return Err(Refused { noun: K::NOUN, status }.into());
            }
            change(&mut job.request);
            job.state.touch(now_ms());
            let request = Value::Object(job.request.clone()).to_string();
            let statement = format!("UPDATE {} SET request = ?2 WHERE id = ?1", K::TABLE);
            transaction.execute(&statement, (job.id.0, request))?;
            save_state(transaction, &job)?;
            Ok(job)
        })
    }

    /// Deletes a job that has ended, and its tags.
    ///
    /// # Errors
    /// If it does not exist, or has not ended.
    pub fn delete(&self, region: &str, name: &str) -> Result<(), JobError> {
        self.store.write(|transaction| {
            let job = select_by_name::<K>(transaction, region, name)?.ok_or(JobError::NotFound)?;
            let status = job.state.status();
            if !status.is_final() {
                return Err(Refused { noun: K::NOUN, status }.into());
            }
            transaction.execute(&format!("DELETE FROM {} WHERE id = ?1", K::TABLE), [job.id.0])?;
            tags::remove_all(transaction, &job.arn)?;
            Ok(())
        })
    }

    /// The job that has waited longest; it belongs to the runner from now on.
    ///
    /// # Errors
    /// If the database fails.
    pub fn next_waiting(&self) -> Result<Option<Job<K>>, JobError> {
        self.store.write(|transaction| {
            let waiting = format!("claimed = 0 AND {AT_WORK} ORDER BY id LIMIT 1");
            let job = select::<K>(transaction, &waiting, [])?;
            if let Some(job) = &job {
                let statement = format!("UPDATE {} SET claimed = 1 WHERE id = ?1", K::TABLE);
                transaction.execute(&statement, [job.id.0])?;
            }
            Ok(job)
        })
    }

    /// Jobs that a runner had taken when the last server ended, in the order of their creation.
    ///
    /// # Errors
    /// If the database fails.
    pub fn unfinished(&self) -> Result<Vec<Job<K>>, JobError> {
        let condition = format!("claimed = 1 AND {AT_WORK} ORDER BY id");
        self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached(&select_statement::<K>(&condition))?;
            let rows = statement.query_map([], columns)?;
            rows.map(|row| Job::try_from(row?)).collect()
        })
    }

    /// Whether a job was asked to stop.
    ///
    /// # Errors
    /// If it no longer exists.
    pub fn is_stopping(&self, id: JobId) -> Result<bool, JobError> {
        Ok(self.get(id)?.state.status() == Status::Stopping)
    }

    /// Changes the state of a job.
    ///
    /// # Errors
    /// If it no longer exists, and the errors of `change`.
    pub fn change(
        &self,
        id: JobId,
        change: impl FnOnce(&mut K::State) -> Result<(), Refused>,
    ) -> Result<(), JobError> {
        self.change_with(id, |_, job| Ok(change(&mut job.state)?))
    }

    /// Changes the state of a job together with other data in the database.
    ///
    /// # Errors
    /// If it no longer exists, and the errors of `change`.
    pub(crate) fn change_with(
        &self,
        id: JobId,
        change: impl FnOnce(&Transaction<'_>, &mut Job<K>) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        self.store.write(|transaction| {
            let mut job = select(transaction, "id = ?1", [id.0])?.ok_or(JobError::NotFound)?;
            change(transaction, &mut job)?;
            save_state(transaction, &job)
        })
    }

    /// Reports that a job was created or asked to stop.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

fn is_claimed<K: JobKind>(connection: &Connection, id: JobId) -> Result<bool, JobError> {
    let statement = format!("SELECT claimed FROM {} WHERE id = ?1", K::TABLE);
    Ok(connection.query_row(&statement, [id.0], |row| row.get(0))?)
}

fn select_by_name<K: JobKind>(
    connection: &Connection,
    region: &str,
    name: &str,
) -> Result<Option<Job<K>>, JobError> {
    select(connection, "region = ?1 AND name = ?2", [region, name])
}

fn select<K: JobKind>(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<Job<K>>, JobError> {
    let mut statement = connection.prepare_cached(&select_statement::<K>(condition))?;
    let row = statement.query_row(parameters, columns).optional()?;
    row.map(Job::try_from).transpose()
}

fn select_statement<K: JobKind>(condition: &str) -> String {
    format!("SELECT id, region, name, arn, request, state FROM {} WHERE {condition}", K::TABLE)
}

/// The columns of a row as they are stored.
struct Columns {
    id: i64,
    texts: [String; 5],
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok(Columns { id: row.get(0)?, texts: [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?] })
}

impl<K: JobKind> TryFrom<Columns> for Job<K> {
    type Error = JobError;

    fn try_from(columns: Columns) -> Result<Self, JobError> {
        let content = |what| move |source| StoreError::Content { what, source };
        let [region, name, arn, request, state] = columns.texts;
        Ok(Self {
            id: JobId(columns.id),
            region,
            name,
            arn,
            request: serde_json::from_str(&request).map_err(content("request of a job"))?,
            state: serde_json::from_str(&state).map_err(content("state of a job"))?,
        })
    }
}

/// Writes the state, and the columns by which lists are sorted and filtered.
fn save_state<K: JobKind>(connection: &Connection, job: &Job<K>) -> Result<(), JobError> {
    let (state, times) = (&job.state, job.state.times());
    let mut statement = connection.prepare_cached(&format!(
        "UPDATE {} SET state = :state, status = :status, created_ms = :created_ms, modified_ms = :modified_ms,
         ended_ms = :ended_ms WHERE id = :id",
        K::TABLE
    ))?;
    statement.execute(named_params! {
        ":id": job.id.0,
        ":state": serde_json::to_string(state).map_err(|source| StoreError::Content { what: "state", source })?,
        ":status": state.status().as_str(),
        ":created_ms": times.created_ms,
        ":modified_ms": times.modified_ms,
        ":ended_ms": times.ended_ms,
    })?;
    Ok(())
}
