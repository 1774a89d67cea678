//! What can be wrong with an archive.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::FileError;

/// An archive that cannot be packed or unpacked.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// A file that is no archive, or not a whole one.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Something in it that must not be unpacked.
    #[error("{} is not unpacked: entry `{entry}` {reason}", path.display())]
    UnsafeEntry {
        /// The archive.
        path: PathBuf,
        /// Name of the entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<FileError> for ArchiveError {
    fn from(error: FileError) -> Self {
        let FileError { path, action, source } = error;
        // Here the object stands at the end.
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
