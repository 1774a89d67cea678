//! A single file that is written completely or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{FileError, OWN_PREFIX};

/// A file that appears under its name only when it is complete: a temporary file in the same folder, synced to disk and then renamed. If it
/// is dropped before [`commit`](Self::commit), nothing is left behind.
#[derive(Debug)]
pub struct AtomicFile {
    output: BufWriter<NamedTempFile>,
    path: PathBuf,
    bytes: u64,
}

impl AtomicFile {
    /// Opens a temporary file beside `path`, whose folder must exist.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        Self::create_after(path, |_| Ok(()))
    }

    /// As [`create`](Self::create); `note` receives the temporary file's path before the file is created.
    pub(crate) fn create_after(
        path: &Path,
        mut note: impl FnMut(&Path) -> io::Result<()>,
    ) -> Result<Self, FileError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(OWN_PREFIX).suffix(".part");
        // The umask decides who may read the file, as for any new file; temporary files would be private.
        let make = |path: &Path| note(path).and_then(|()| File::create_new(path));
        let file = builder.make_in(folder_of(path), make).map_err(FileError::io(path, "create the file"))?;
        Ok(Self { output: BufWriter::with_capacity(1 << 18, file), path: path.to_owned(), bytes: 0 })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The name the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the written bytes to disk, so that [`commit`](Self::commit) can hardly fail.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&mut self) -> Result<(), FileError> {
        self.output
            .flush()
            .and_then(|()| self.output.get_ref().as_file().sync_all())
            .map_err(FileError::io(&self.path, "write the file"))
    }

    /// Gives the file its name, replacing any earlier file. Returns its size in bytes.
    ///
    /// # Errors
    /// When the system refuses; the earlier file is then unchanged.
    pub fn commit(mut self) -> Result<u64, FileError> {
        self.sync()?;
        let Self { output, path, bytes } = self;
        let file = output
            .into_inner()
            .map_err(|error| FileError::io(&path, "write the file")(error.into_error()))?;
        file.persist(&path).map_err(|error| FileError::io(&path, "rename the finished file")(error.error))?;
        sync_folder(folder_of(&path));
        Ok(bytes)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Writes `bytes` to `path`, completely or not at all. Returns the size in bytes.
///
/// # Errors
/// When the system refuses; the earlier file is then unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<u64, FileError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(FileError::io(path, "write the file"))?;
    file.commit()
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes renames in a folder durable. Files are complete either way, so it is no error if the system does not support this.
pub fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Creates a folder with its parents and syncs each: a synced file is lost if its folder's entry is not.
///
/// # Errors
/// When the system refuses.
pub fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() || folder.as_os_str().is_empty() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => return Err(error),
        _ => sync_folder(folder_of(folder)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_when_it_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(write_atomically(&path, b"new").unwrap(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let error = write_atomically(&folder.path().join("no/x"), b"").unwrap_err().to_string();
        assert!(error.contains("no/x: cannot create the file: "), "{error}");
    }
}
