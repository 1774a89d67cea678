//! The state of all resources, in SQLite: one file that `sqlite3` opens.
//!
//! One connection writes, others read (write-ahead log). A committed transaction is on disk (`synchronous = FULL`), so that no acknowledged
//! change is lost when the server or the machine crashes.

mod migrations;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kokanee_formats::{FolderLock, LockError};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use thiserror::Error;

/// The name of the file in the data folder.
const FILE: &str = "kokanee.db";
/// Maximum readers kept open for later calls.
const MOST_IDLE_READERS: usize = 8;
/// How long a connection waits for another; ours hold locks only briefly.
const BUSY: Duration = Duration::from_secs(10);

/// The database of a data folder, which no other server uses at the same time.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    // Dropped first: the last connection to close moves the write-ahead log into the file, which a reader cannot do.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    lock: FolderLock,
}

/// An error of the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another server uses the folder, or it is not writable.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database was written by a later release.
    #[error(
        "{} is of a later release of Kokanee (its schema has version {found}, this release knows {known}): use that release, or \
         another --data folder", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of its schema.
        found: u32,
        /// The latest known version.
        known: u32,
    },
    /// SQLite cannot open the file.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// A statement failed: the disk is full or broken, or the file was changed by another program.
    #[error("the database failed: {0}")]
    Statement(#[from] rusqlite::Error),
    /// A row has content that this release does not understand.
    #[error("the database holds an unreadable {what}: {source}")]
    Content {
        /// The column.
        what: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
}

impl Store {
    /// Opens the database of a data folder and applies these schema steps; modules that store data here provide their own.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_with(folder: &Path, steps: &[&str]) -> Result<Self, StoreError> {
        let lock = FolderLock::acquire(folder)?;
        let path = folder.join(FILE);
        let open = |source| StoreError::Open { path: path.clone(), source };
        let mut writer = Connection::open(&path).map_err(open)?;
        writer.busy_timeout(BUSY).map_err(open)?;
        writer.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
        writer.pragma_update(None, "synchronous", "FULL").map_err(open)?;
        writer.pragma_update(None, "foreign_keys", true).map_err(open)?;
        let (found, known) = migrations::run(&mut writer, steps).map_err(open)?;
        if found > known {
            return Err(StoreError::Newer { path, found, known });
        }
        Ok(Self { path, writer: Mutex::new(writer), readers: Mutex::default(), lock })
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.lock.folder()
    }

    /// Runs a writing transaction. It is on disk when this returns, or undone if `work` fails.
    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = locked(&self.writer);
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(value)
    }

    /// Runs queries on a consistent state of the database.
    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = locked(&self.readers).pop();
        let mut reader = idle.map_or_else(|| self.reader(), Ok)?;
        let transaction = reader.transaction().map_err(StoreError::from)?;
        let value = work(&transaction);
        drop(transaction);
        let mut readers = locked(&self.readers);
        if readers.len() < MOST_IDLE_READERS {
            readers.push(reader);
        }
        value
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let reader = Connection::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        reader.busy_timeout(BUSY)?;
        Ok(reader)
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Locks a mutex even after a panic: the panicking thread left no transaction, since a dropped one is undone.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
