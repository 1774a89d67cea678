//! Errors of a transform job, with their positions.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use kokanee_formats::recordio::RecordIoError;
use kokanee_formats::{FileError, LockError};
use thiserror::Error;

use crate::choices::SplitType;

/// The reason why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct InvokeError {
    /// The record of the request that is at fault, from 1, where that is known.
    pub record: Option<usize>,
    /// Whether only the maintainers of the service can fix it.
    pub is_internal: bool,
    /// What is wrong, without the position.
    pub message: String,
}

/// The reason why a transform job stopped.
#[derive(Debug, Error)]
pub enum TransformError {
    /// The operating system refused to read or write.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The attempted action, as a verb phrase.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Options that contradict each other.
    #[error("{option}: {problem}")]
    Options {
        /// The option as on the command line.
        option: &'static str,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A record of the input cannot be sent, or its response cannot be used.
    #[error("{place}: {problem}")]
    Record {
        /// The record.
        place: Place,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A request was refused.
    #[error("{place}: {source}")]
    Invoke {
        /// The records that were sent, or the one at fault.
        place: Place,
        /// The error.
        source: InvokeError,
    },
    /// A RecordIO file is damaged, or has another format.
    #[error(transparent)]
    RecordIo(#[from] RecordIoError),
    /// Existing files would have to be replaced, though they do not belong to this job.
    #[error(
        "{path}: the file exists{}, but {reason}; choose another --output, or replace such files with --overwrite",
        more(*.others)
    )]
    InTheWay {
        /// The first such file.
        path: PathBuf,
        /// Why it is not an output of this job.
        reason: String,
        /// The number of further such files.
        others: usize,
    },
    /// Another process works on the same folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The list of finished files is damaged.
    #[error(
        "{path}:{line}: this list of finished files is damaged: {problem}; remove it, and give --overwrite"
    )]
    Journal {
        /// The list.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The fault.
        problem: String,
    },
    /// The job was asked to stop.
    #[error("stopped; finished files are whole, and the same command goes on with the others")]
    Stopped,
}

impl From<FileError> for TransformError {
    fn from(error: FileError) -> Self {
        let FileError { path, action, source } = error;
        Self::Io { path, action, source }
    }
}

impl TransformError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}

fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" (and {count} more of the kind)") }
}

/// A range of records in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The kind of record: a line, a RecordIO record, the whole file.
    pub split_type: SplitType,
    /// Number of the first record, from 1; line numbers include empty lines.
    pub first: u64,
    /// Number of the last record.
    pub last: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        let noun = match self.split_type {
            SplitType::None => return Ok(()),
            SplitType::Line => "line",
            SplitType::RecordIO => "record",
        };
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, ": {noun} {first}"),
            (first, last) => write!(f, ": one of the {noun}s {first} to {last}"),
        }
    }
}
