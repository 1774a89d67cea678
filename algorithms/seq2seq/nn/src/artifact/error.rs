//! Errors in a model's files.

use std::path::{Path, PathBuf};

use kokanee_formats::FileError;
use kokanee_formats::archive::ArchiveError;

/// An error in reading or writing a model.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Nothing exists at the path.
    #[error("no model at {}: there is no such file or folder; give a model's folder or its model.tar.gz", path.display())]
    NotFound {
        /// The path that was searched.
        path: PathBuf,
    },
    /// A folder without a model.
    #[error("{} holds no model of Kokanee: it has no {missing}{}", path.display(), found.advice(path))]
    NotAModel {
        /// The folder.
        path: PathBuf,
        /// The file that was looked for.
        missing: &'static str,
        /// What the folder holds instead.
        found: Elsewhere,
    },
    /// Several models where one is expected.
    #[error(
        "{} holds several models, in its folders {}: give the path of one of them",
        path.display(), folders.join(", ")
    )]
    SeveralModels {
        /// The folder or archive.
        path: PathBuf,
        /// Its sub-folders with a model.
        folders: Vec<String>,
    },
    /// A model to be imported that is already one of Kokanee.
    #[error(
        "{} is a model of Kokanee already: use it as it is, such as `kokanee translate --model {}`",
        path.display(), path.display()
    )]
    NothingToImport {
        /// The folder or archive.
        path: PathBuf,
    },
    /// A link to a missing file.
    #[error(
        "{} is a link to {}, which does not exist: copy the file that it stands for too{remedy}",
        path.display(), target.display()
    )]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
        /// An alternative remedy; may be empty.
        remedy: &'static str,
    },
    /// A file of other programs under the name of an output.
    #[error(
        "{} is there and was not written by Kokanee, so it is not replaced: move it away, or choose another folder",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A folder without a model of Sockeye.
    #[error("{} holds no whole model of Sockeye 1.x: it has no {missing}", path.display())]
    NotSockeye {
        /// The folder.
        path: PathBuf,
        /// The missing file.
        missing: String,
    },
    /// A model of Sockeye with unsupported features.
    #[error("{} describes a model that Kokanee cannot compute: {}", path.display(), fields.join("; "))]
    Unsupported {
        /// The configuration.
        path: PathBuf,
        /// Every unsupported field, with its value.
        fields: Vec<String>,
    },
    /// Words that cannot be the vocabulary of a model.
    #[error("the {side} vocabulary cannot be exported: {reason}")]
    Vocabulary {
        /// `source` or `target`.
        side: &'static str,
        /// The fault.
        reason: String,
    },
    /// A file with wrong content.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The fault, and its place.
        reason: String,
    },
    /// An archive with an entry that must not be unpacked.
    #[error("{} is not unpacked: entry `{entry}` {reason}", path.display())]
    UnsafeArchive {
        /// The archive.
        path: PathBuf,
        /// Name of the entry.
        entry: String,
        /// The fault of the entry.
        reason: String,
    },
    /// The system returned an error.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The path concerned.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// The content of a folder without a model of Kokanee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nothing known.
    Nowhere,
    /// A model of Sockeye.
    Sockeye,
}

impl Elsewhere {
    fn advice(self, path: &Path) -> String {
        match self {
            Elsewhere::Nowhere => String::new(),
            Elsewhere::Sockeye => format!(
                "; it holds a model of Sockeye, as the artefacts of SageMaker's own algorithm do: `kokanee import {} --output FOLDER` \
                 makes a model of Kokanee of it",
                path.display()
            ),
        }
    }
}

impl From<FileError> for ArtifactError {
    fn from(error: FileError) -> Self {
        let FileError { path, action, source } = error;
        // Here the object comes at the end.
        let action = action.strip_suffix(" the file").unwrap_or(action);
        ArtifactError::Io { action, path, source }
    }
}

impl From<ArchiveError> for ArtifactError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Damaged { path, reason } => Self::Damaged { path, reason },
            ArchiveError::UnsafeEntry { path, entry, reason } => Self::UnsafeArchive { path, entry, reason },
            ArchiveError::Io { action, path, source } => Self::Io { action, path, source },
        }
    }
}

impl ArtifactError {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        ArtifactError::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        ArtifactError::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    /// The same error with paths below `from` shown below `to`.
    pub(crate) fn relocated(mut self, from: &Path, to: &Path) -> Self {
        let (ArtifactError::NotFound { path }
        | ArtifactError::NotAModel { path, .. }
        | ArtifactError::SeveralModels { path, .. }
        | ArtifactError::NothingToImport { path }
        | ArtifactError::Dangling { path, .. }
        | ArtifactError::NotSockeye { path, .. }
        | ArtifactError::Unsupported { path, .. }
        | ArtifactError::Damaged { path, .. }
        | ArtifactError::UnsafeArchive { path, .. }
        | ArtifactError::Io { path, .. }) = &mut self
        else {
            return self;
        };
        if let Ok(rest) = path.strip_prefix(from) {
            *path = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
        }
        self
    }
}
