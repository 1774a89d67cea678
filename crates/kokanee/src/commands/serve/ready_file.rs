//! A file that tells another process the server's address, as soon as it answers requests.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use kokanee_formats::atomic_file::folder_of;
use kokanee_formats::{FileError, write_atomically};
use serde_json::json;

/// The file, removed when this is dropped unless somebody else has written it since.
pub(crate) struct ReadyFile {
    path: PathBuf,
    text: String,
}

impl ReadyFile {
    /// Checks that the file can be written later.
    ///
    /// # Errors
    /// When its folder is missing, or a folder has its name.
    pub(crate) fn check(path: &Path) -> Result<()> {
        let folder = folder_of(path);
        ensure!(folder.is_dir(), "--ready-file {}: there is no folder {}", path.display(), folder.display());
        ensure!(!path.is_dir(), "--ready-file {}: this is a folder; name a file in it", path.display());
        Ok(())
    }

    /// Writes the file, completely or not at all.
    ///
    /// # Errors
    /// When the system returns an error.
    pub(crate) fn write(path: &Path, address: SocketAddr) -> Result<Self, FileError> {
        let content =
            json!({"address": address.to_string(), "port": address.port(), "pid": std::process::id()});
        let text = format!("{content}\n");
        write_atomically(path, text.as_bytes())?;
        Ok(Self { path: path.to_owned(), text })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // The file names this process, so no other has written the same text.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
