//! What can be wrong with a model's files.

use std::path::{Path, PathBuf};

/// A model that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Nothing at the path.
    #[error("no model at {}: there is no such file or folder; give a model's folder or its model.tar.gz", path.display())]
    NotFound {
        /// Where a model was looked for.
        path: PathBuf,
    },
    /// A folder without a model.
    #[error("{} holds no model of Kokanee: it has no {missing}", path.display())]
    NotAModel {
        /// The folder.
        path: PathBuf,
        /// The file that was looked for.
        missing: &'static str,
    },
    /// A file that is not what it should be.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// An archive with something in it that must not be unpacked.
    #[error("{} is not unpacked: entry `{entry}` {reason}", path.display())]
    UnsafeArchive {
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
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ArtifactError {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        ArtifactError::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        ArtifactError::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}
