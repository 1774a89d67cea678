//! What can be wrong with a model's files.

use std::path::{Path, PathBuf};

use kokanee_formats::FileError;
use kokanee_formats::archive::ArchiveError;

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
    #[error("{} holds no model of Kokanee: it has no {missing}{}", path.display(), found.advice(path))]
    NotAModel {
        /// The folder.
        path: PathBuf,
        /// The file that was looked for.
        missing: &'static str,
        /// What is there instead.
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
    /// A model of Kokanee that was to be turned into one.
    #[error(
        "{} is a model of Kokanee already: use it as it is, such as `kokanee translate --model {}`",
        path.display(), path.display()
    )]
    NothingToImport {
        /// The folder or archive.
        path: PathBuf,
    },
    /// A link to a file that is not there.
    #[error(
        "{} is a link to {}, which does not exist: copy the file that it stands for too{remedy}",
        path.display(), target.display()
    )]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// What else can be done; may be empty.
        remedy: &'static str,
    },
    /// A file of others under a name that is about to be written.
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
        /// What was looked for.
        missing: String,
    },
    /// A model of Sockeye with something that is not built.
    #[error("{} describes a model that Kokanee cannot compute: {}", path.display(), fields.join("; "))]
    Unsupported {
        /// The configuration.
        path: PathBuf,
        /// Every field that stands in the way, with its value.
        fields: Vec<String>,
    },
    /// Words that cannot be those of a model.
    #[error("the {side} vocabulary cannot be exported: {reason}")]
    Vocabulary {
        /// `source` or `target`.
        side: &'static str,
        /// What is wrong.
        reason: String,
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

/// What a folder without a model of Kokanee holds instead.
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
        // Here the object stands at the end.
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

    /// The same with paths below `from` shown below `to`.
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
