//! Errors of the operating system on files.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file or folder that cannot be read or written.
#[derive(Debug, Error)]
#[error("{}: cannot {action}: {source}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// The attempted action, as a verb phrase: "open the file".
    pub action: &'static str,
    /// The system's error.
    pub source: io::Error,
}

impl FileError {
    /// Wraps the system's error.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self { path, action, source }
    }
}
