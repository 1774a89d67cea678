//! What can go wrong with a transform job, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use kokanee_formats::recordio::RecordIoError;
use kokanee_formats::{FileError, LockError};
use thiserror::Error;

use crate::choices::SplitType;

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct InvokeError {
    /// Which record of the request is at fault, from 1, where that is known.
    pub record: Option<usize>,
    /// Whether nobody but the service's makers can put it right.
    pub is_internal: bool,
    /// What is wrong, without the place.
    pub message: String,
}

/// Why a transform job stopped.
#[derive(Debug, Error)]
pub enum TransformError {
    /// The operating system refused to read or write.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Options that do not go together.
    #[error("{option}: {problem}")]
    Options {
        /// The option as on the command line.
        option: &'static str,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A place in the input that cannot be sent, or whose answer cannot be used.
    #[error("{place}: {problem}")]
    Record {
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A request was refused.
    #[error("{place}: {source}")]
    Invoke {
        /// The records that were sent, or the one at fault.
        place: Place,
        /// The answer.
        source: InvokeError,
    },
    /// A RecordIO file is damaged, or is none.
    #[error(transparent)]
    RecordIo(#[from] RecordIoError),
    /// Files that would have to be replaced, though they are not this job's.
    #[error(
        "{path}: the file exists{}, but {reason}; choose another --output, or replace such files with --overwrite",
        more(*.others)
    )]
    InTheWay {
        /// The first of them.
        path: PathBuf,
        /// Why it is not what this job would write.
        reason: String,
        /// How many more there are.
        others: usize,
    },
    /// Somebody else works on the same folder.
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
        /// What is wrong.
        problem: String,
    },
    /// Somebody asked for a stop.
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

/// One or several records of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// What a record is: a line, a RecordIO record, the whole file.
    pub split_type: SplitType,
    /// Number of the first record, from 1; a line's number counts empty lines too.
    pub first: u64,
    /// Number of the last one.
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
