//! Groups and streams in the database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::LogError;
use crate::store::{Store, StoreError, now_ms};

/// The tables. Names are case-sensitive, as on AWS. `path` is relative to the data folder; `own` is 1 for streams that users write.
pub(crate) const SCHEMA: &str = "CREATE TABLE log_groups (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        region TEXT NOT NULL,
        name TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        retention_days INTEGER,
        UNIQUE (region, name)
    ) STRICT;
    CREATE TABLE log_streams (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        group_id INTEGER NOT NULL REFERENCES log_groups (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        path TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        own INTEGER NOT NULL DEFAULT 0,
        UNIQUE (group_id, name)
    ) STRICT;
    CREATE INDEX log_streams_by_path ON log_streams (path);";

/// Folder, in the data folder, of logs that belong to no job.
const FOLDER: &str = "logs";

/// All logs.
#[derive(Debug)]
pub struct Logs {
    pub(super) store: Arc<Store>,
    /// Held while a file in the folder of logs is written or removed.
    writing: Mutex<()>,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStream {
    /// Its id in the database; streams that were created earlier have a lower one.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The file with its lines.
    pub path: PathBuf,
    /// Time of creation, in milliseconds since 1970.
    pub created_ms: i64,
    /// Whether users write it.
    pub is_own: bool,
}

impl Logs {
    /// The logs of a database.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, writing: Mutex::new(()) }
    }

    /// Adds a stream, and its group if that is missing. The lines are, or will be, in the file `path` of the data folder. An existing
    /// stream stays unchanged.
    ///
    /// # Errors
    /// If the database fails.
    pub fn add_stream(&self, region: &str, group: &str, stream: &str, path: &str) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            transaction.execute(
                "INSERT INTO log_groups (region, name, created_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                (region, group, now_ms()),
            )?;
            transaction.execute(
                "INSERT INTO log_streams (group_id, name, path, created_ms)
                 SELECT id, ?3, ?4, ?5 FROM log_groups WHERE region = ?1 AND name = ?2 ON CONFLICT DO NOTHING",
                (region, group, stream, path, now_ms()),
            )?;
            Ok(())
        })
    }

    /// Keeps the lines of the file `path` of the data folder when its owner is about to be deleted: its streams get their own files. The
    /// folder of the file is removed if nothing else is in it.
    ///
    /// # Errors
    /// If the file cannot be moved, or the database fails.
    pub fn keep(&self, path: &str) -> Result<(), LogError> {
        let ids: Vec<i64> = self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached("SELECT id FROM log_streams WHERE path = ?1")?;
            let ids = statement.query_map([path], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok::<_, LogError>(ids)
        })?;
        for id in ids {
            let kept = Self::own_path(id);
            self.link(path, &kept)?;
            self.store.write(|transaction| {
                transaction.execute("UPDATE log_streams SET path = ?2 WHERE id = ?1", (id, kept))?;
                Ok::<_, LogError>(())
            })?;
        }
        let path = self.store.folder().join(path);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(LogError::File { path, source });
            }
            _ => {}
        }
        if let Some(folder) = path.parent() {
            // The folder may contain other files.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// Gives a file a second name, so that a crash before the next step loses nothing.
    fn link(&self, from: &str, to: &str) -> Result<(), LogError> {
        let (from, to) = (self.store.folder().join(from), self.store.folder().join(to));
        let linked = fs::create_dir_all(self.store.folder().join(FOLDER)).and_then(|()| {
            match fs::hard_link(&from, &to) {
                // Left by a server that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                // Not every file system has links.
                Err(_) => fs::copy(&from, &to).map(drop),
                Ok(()) => Ok(()),
            }
        });
        linked.map_err(|source| LogError::File { path: to, source })
    }

    /// Deletes a stream, and its lines if no job owns them.
    ///
    /// # Errors
    /// If it does not exist, or the database fails.
    pub fn remove_stream(&self, region: &str, group: &str, stream: &str) -> Result<(), LogError> {
        let _writing = self.writing();
        let path = self.store.write(|transaction| {
            let group = group_id(transaction, region, group)?;
            let statement = "DELETE FROM log_streams WHERE group_id = ?1 AND name = ?2 RETURNING path";
            let path: Option<String> =
                transaction.query_row(statement, (group, stream), |row| row.get(0)).optional()?;
            path.ok_or(LogError::NoStream)
        })?;
        self.remove_files(&[path]);
        Ok(())
    }

    /// Deletes a group with its streams.
    ///
    /// # Errors
    /// If it does not exist, or the database fails.
    pub fn remove_group(&self, region: &str, group: &str) -> Result<(), LogError> {
        let _writing = self.writing();
        let paths = self.store.write(|transaction| {
            let id = group_id(transaction, region, group)?;
            let mut statement =
                transaction.prepare_cached("DELETE FROM log_streams WHERE group_id = ?1 RETURNING path")?;
            let paths = statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            transaction.execute("DELETE FROM log_groups WHERE id = ?1", [id])?;
            Ok::<_, LogError>(paths)
        })?;
        self.remove_files(&paths);
        Ok(())
    }

    /// Removes the files in the folder of logs; all other files are removed with the job that wrote them.
    fn remove_files(&self, paths: &[String]) {
        for path in paths.iter().filter(|path| path.starts_with(&format!("{FOLDER}/"))) {
            let path = self.store.folder().join(path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a log cannot be removed");
                }
                _ => {}
            }
        }
    }

    /// The path of a stream's own file.
    pub(super) fn own_path(id: i64) -> String {
        format!("{FOLDER}/{id}.log")
    }

    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream by its name.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn stream(&self, region: &str, group: &str, name: &str) -> Result<LogStream, LogError> {
        self.store.read(|transaction| {
            let group = group_id(transaction, region, group)?;
            let mut statement = transaction.prepare_cached(
                "SELECT id, name, path, created_ms, own FROM log_streams WHERE group_id = ?1 AND name = ?2",
            )?;
            let folder = self.store.folder();
            let row = statement.query_row((group, name), |row| stream(row, folder)).optional()?;
            row.ok_or(LogError::NoStream)
        })
    }
}

/// The id of a group.
pub(super) fn group_id(connection: &Connection, region: &str, name: &str) -> Result<i64, LogError> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM log_groups WHERE region = ?1 AND name = ?2")?;
    statement.query_row((region, name), |row| row.get(0)).optional()?.ok_or(LogError::NoGroup)
}

/// A row of `id, name, path, created_ms, own`.
pub(super) fn stream(row: &Row<'_>, folder: &Path) -> rusqlite::Result<LogStream> {
    let path: String = row.get(2)?;
    Ok(LogStream {
        id: row.get(0)?,
        name: row.get(1)?,
        path: folder.join(path),
        created_ms: row.get(3)?,
        is_own: row.get(4)?,
    })
}
