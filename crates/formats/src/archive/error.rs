//! Errors of archives.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::FileError;

/// An error in packing or unpacking an archive.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The file is not an archive, or is incomplete.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// The fault, and what to do.
        reason: String,
    },
    /// The archive has an entry that must not be unpacked.
    #[error("{} is not unpacked: entry `{entry}` {reason}", path.display())]
    UnsafeEntry {
        /// The archive.
        path: PathBuf,
        /// Name of the entry.
        entry: String,
        /// The fault.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The attempted action, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl From<FileError> for ArchiveError {
    fn from(error: FileError) -> Self {
        let FileError { path, action, source } = error;
        // In this message the object comes at the end.
        let action = action.strip_suffix(" the file").unwrap_or(action);
        Self::Io { action, path, source }
    }
}

impl ArchiveError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}
