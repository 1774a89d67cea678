//! Files that others read are written whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::DataError;

/// A file that appears under its name only when it is complete: a temporary file in the same folder, synced to
/// the disk and then renamed. Dropped before [`commit`](Self::commit), it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    output: BufWriter<NamedTempFile>,
    path: PathBuf,
    bytes: u64,
}

impl AtomicFile {
    /// Opens a temporary file beside `path`, whose folder must exist.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".kokanee-").suffix(".part");
        #[cfg(unix)]
        {
            // A temporary file is private by default; this one becomes an ordinary file, so umask decides.
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder(path)).map_err(DataError::io(path, "create the file"))?;
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

    /// Brings what was written to the disk, so that [`commit`](Self::commit) can hardly fail.
    pub fn sync(&mut self) -> Result<(), DataError> {
        self.output
            .flush()
            .and_then(|()| self.output.get_ref().as_file().sync_all())
            .map_err(DataError::io(&self.path, "write the file"))
    }

    /// Gives the file its name; whatever had that name is replaced. Returns its size in bytes.
    pub fn commit(mut self) -> Result<u64, DataError> {
        self.sync()?;
        let Self { output, path, bytes } = self;
        let file = output
            .into_inner()
            .map_err(|error| DataError::io(&path, "write the file")(error.into_error()))?;
        file.persist(&path).map_err(|error| DataError::io(&path, "rename the finished file")(error.error))?;
        sync_folder(folder(&path));
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

/// Writes `bytes` to `path`, whole or not at all. Returns the size in bytes.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<u64, DataError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(DataError::io(path, "write the file"))?;
    file.commit()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the rename itself durable. The file is whole either way, so a system that cannot do it is no error.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
