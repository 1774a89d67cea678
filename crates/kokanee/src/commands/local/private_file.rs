//! A file of the data folder that holds secrets while a server runs.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use kokanee_formats::FileError;
use serde_json::Value;
use tempfile::NamedTempFile;

/// The file, removed when this is dropped.
pub(super) struct PrivateFile {
    path: Option<PathBuf>,
}

impl PrivateFile {
    /// Writes a file that only its owner can read, completely or not at all. Without content, the file of a server that was killed
    /// is removed.
    ///
    /// # Errors
    /// When the system returns an error.
    pub(super) fn write(path: PathBuf, content: Option<&Value>) -> Result<Self, FileError> {
        let Some(content) = content else {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(FileError::io(&path, "remove the file")(error))
                }
                _ => Ok(Self { path: None }),
            };
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        // Only the owner can access files of this kind from the moment they exist.
        let written = NamedTempFile::with_prefix_in(".kokanee-keys-", folder).and_then(|mut file| {
            writeln!(file, "{content}")?;
            file.persist(&path).map_err(|error| error.error)
        });
        written.map_err(FileError::io(&path, "write the file"))?;
        Ok(Self { path: Some(path) })
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}
