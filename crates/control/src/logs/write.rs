//! Streams that users write themselves, by `PutLogEvents`.
//!
//! Their lines are the messages, with line breaks written as `\n` and backslashes as `\\`: a message of several lines is one line of the
//! file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rusqlite::ErrorCode;

use super::registry::group_id;
use super::{LogError, Logs};
use crate::engine::log_file;
use crate::store::now_ms;

/// Events are accepted up to 14 days in the past and 2 hours in the future.
const PAST_MS: i64 = 14 * 86_400_000;
const FUTURE_MS: i64 = 2 * 3_600_000;

/// The rejected part of a list of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Events before this index are too old, or older than an event of the stream.
    pub too_old_before: usize,
    /// Events from this index on are too new.
    pub too_new_from: Option<usize>,
}

impl Logs {
    /// Creates a group.
    ///
    /// # Errors
    /// If a group with this name exists.
    pub fn create_group(&self, region: &str, name: &str) -> Result<(), LogError> {
        self.store.write(|transaction| {
            let added = transaction.execute(
                "INSERT INTO log_groups (region, name, created_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                (region, name, now_ms()),
            )?;
            if added == 0 { Err(LogError::Exists("log group")) } else { Ok(()) }
        })
    }

    /// Creates a stream that [`put`](Self::put) writes.
    ///
    /// # Errors
    /// If the group does not exist, if a stream with this name exists, or if the disk refuses.
    pub fn create_stream(&self, region: &str, group: &str, name: &str) -> Result<(), LogError> {
        self.store.write(|transaction| {
            let group = group_id(transaction, region, group)?;
            let added = transaction.execute(
                "INSERT INTO log_streams (group_id, name, path, created_ms, own) VALUES (?1, ?2, '', ?3, 1)",
                (group, name, now_ms()),
            );
            match added {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    return Err(LogError::Exists("log stream"));
                }
                added => added?,
            };
            let id = transaction.last_insert_rowid();
            let path = Self::own_path(id);
            let file = self.store.folder().join(&path);
            create(&file).map_err(|source| LogError::File { path: file, source })?;
            transaction.execute("UPDATE log_streams SET path = ?2 WHERE id = ?1", (id, path))?;
            Ok(())
        })
    }

    /// Records for how many days a user wants lines of a group to be kept; `None` for ever.
    ///
    /// # Errors
    /// If the group does not exist.
    pub fn retain(&self, region: &str, group: &str, days: Option<i64>) -> Result<(), LogError> {
        self.store.write(|transaction| {
            let id = group_id(transaction, region, group)?;
            transaction.execute("UPDATE log_groups SET retention_days = ?2 WHERE id = ?1", (id, days))?;
            Ok(())
        })
    }

    /// Adds events, times in milliseconds since 1970 with messages, in the order of their times. They are on disk when this returns.
    ///
    /// # Errors
    /// If the stream does not exist, if a job writes it, or if the disk refuses.
    pub fn put(
        &self,
        region: &str,
        group: &str,
        stream: &str,
        events: &[(i64, &str)],
    ) -> Result<Rejected, LogError> {
        let _writing = self.writing();
        let stream = self.stream(region, group, stream)?;
        if !stream.is_own {
            return Err(LogError::Foreign(stream.name));
        }
        let now_ms = now_ms();
        append(&stream.path, events, now_ms - PAST_MS, now_ms + FUTURE_MS)
            .map_err(|source| LogError::File { path: stream.path, source })
    }
}

fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    File::create(path)?.sync_all()?;
    File::open(folder)?.sync_all()
}

fn append(path: &Path, events: &[(i64, &str)], oldest_ms: i64, newest_ms: i64) -> io::Result<Rejected> {
    let last_ms = log_file::last_ms(path)?.unwrap_or_default();
    let too_old_before = events.partition_point(|(at_ms, _)| *at_ms < oldest_ms.max(last_ms));
    let too_new_from = events.partition_point(|(at_ms, _)| *at_ms <= newest_ms);
    let mut file = OpenOptions::new().append(true).read(true).open(path)?;
    let mut lines = String::new();
    let length = file.metadata()?.len();
    if length > 0 {
        // A server that was killed may have left an incomplete line.
        file.seek(SeekFrom::Start(length - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        lines.push_str(if last == *b"\n" { "" } else { "\n" });
    }
    for (at_ms, message) in events.get(too_old_before..too_new_from).unwrap_or_default() {
        lines.push_str(&format!("{at_ms}\t{}\n", escaped(message)));
    }
    file.write_all(lines.as_bytes())?;
    file.sync_data()?;
    Ok(Rejected { too_old_before, too_new_from: Some(too_new_from).filter(|&from| from < events.len()) })
}

/// Encodes a message as a line.
fn escaped(message: &str) -> String {
    message.replace('\\', "\\\\").replace('\n', "\\n")
}

/// Decodes the message of a line.
pub(super) fn unescaped(line: &str) -> String {
    let mut message = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => message.push('\n'),
                Some(other) => message.push(other),
                None => {}
            },
            character => message.push(character),
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_message_is_one_line(message in "[a\\\\n\n\t]{0,20}") {
            let line = escaped(&message);
            proptest::prop_assert!(!line.contains('\n'));
            proptest::prop_assert_eq!(unescaped(&line), message);
        }
    }
}
