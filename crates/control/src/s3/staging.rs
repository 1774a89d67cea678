//! Bytes that will become an object or a part, before they have a name.

use std::fs::{File, FileTimes};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use kokanee_formats::OWN_PREFIX;
use tempfile::NamedTempFile;

use super::checksums::{Algorithm, Digests, Hashes};
use super::error::{Result, S3Error};
use crate::times::{now_ns, system_time};

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// A file that is being written, under a temporary name. It is removed when dropped.
pub struct Staging {
    file: NamedTempFile,
    hashes: Hashes,
    size: u64,
}

/// A file that is complete and on disk.
pub struct Staged {
    file: NamedTempFile,
    /// Size in bytes.
    pub size: u64,
    /// Its timestamp, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// The checksums of its bytes.
    pub digests: Digests,
}

impl Staging {
    /// Creates a file in the folder of temporary files, with the algorithms to compute besides MD5.
    pub(crate) fn create(folder: &Path, algorithms: &[Algorithm]) -> Result<Self> {
        let file = temporary(folder).map_err(S3Error::io(folder, "create a file in the folder"))?;
        Ok(Self { file, hashes: Hashes::new(algorithms), size: 0 })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .as_file()
            .write_all_at(bytes, self.size)
            .map_err(S3Error::io(self.file.path(), "write the file"))?;
        self.hashes.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Appends many bytes, writing and hashing them in parallel.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_and_hash(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { file, hashes, size } = self;
        let written = thread::scope(|scope| {
            let write = || file.as_file().write_all_at(bytes, *size);
            let writer = thread::Builder::new().spawn_scoped(scope, write);
            hashes.update(bytes);
            // Sequential if the system refuses a thread.
            let Ok(writer) = writer else { return write() };
            writer.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread ended early")))
        });
        written.map_err(S3Error::io(self.file.path(), "write the file"))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// A function that syncs the bytes written so far. A failure is detected at the end.
    pub fn begin_sync(&self) -> Option<impl FnOnce() + Send + 'static> {
        let file = self.file.as_file().try_clone().ok()?;
        Some(move || {
            let _ = file.sync_data();
        })
    }

    /// Appends the rest of a file from its current position, at most `limit` bytes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn copy(&mut self, file: &mut File, limit: u64, path: &Path) -> Result<()> {
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(limit).unwrap_or(COPY_BYTES)).max(1)];
        let mut source = file.take(limit);
        loop {
            match source.read(&mut buffer).map_err(S3Error::io(path, "read the file"))? {
                0 => return Ok(()),
                count => self.write(&buffer[..count])?,
            }
        }
    }

    /// Number of bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Syncs the file to disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(self) -> Result<Staged> {
        let Self { file, hashes, size } = self;
        Staged::of(file, size, hashes.finish())
    }
}

impl Staged {
    /// Syncs a file to disk.
    pub(crate) fn of(file: NamedTempFile, size: u64, digests: Digests) -> Result<Self> {
        let modified_ns = seal(&file, size)?;
        Ok(Self { file, size, modified_ns, digests })
    }

    /// Gives the file its name, replacing any earlier file.
    pub(crate) fn rename(self, path: &Path) -> std::result::Result<(), (Self, io::Error)> {
        let Self { file, size, modified_ns, digests } = self;
        match file.persist(path) {
            Ok(_) => Ok(()),
            Err(error) => Err((Self { file: error.file, size, modified_ns, digests }, error.error)),
        }
    }
}

/// A temporary file, which only its time will distinguish from others of the same size.
pub(crate) fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(OWN_PREFIX).suffix(".part").rand_bytes(12);
    // The umask decides who may read the file, as for any new file; temporary files would be private.
    builder.make_in(folder, |path: &Path| File::options().read(true).write(true).create_new(true).open(path))
}

/// Sets a file's time and syncs it to disk.
fn seal(file: &NamedTempFile, size: u64) -> Result<u64> {
    let modified_ns = now_ns();
    let bring = || {
        file.as_file().set_times(FileTimes::new().set_modified(system_time(modified_ns)))?;
        file.as_file().sync_all()?;
        match file.as_file().metadata()?.len() {
            found if found == size => Ok(()),
            found => Err(io::Error::other(format!("it has {found} bytes instead of {size}"))),
        }
    };
    bring().map_err(S3Error::io(file.path(), "write the file"))?;
    Ok(modified_ns)
}

/// Writes a small file completely: under a temporary name, synced to disk, and then renamed.
pub(crate) fn write_small(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let file = stage_small(folder, bytes)?;
    file.persist(path).map_err(|error| S3Error::io(path, "rename the finished file")(error.error))?;
    Ok(())
}

/// Writes a small file under a temporary name and syncs it.
pub(crate) fn stage_small(folder: &Path, bytes: &[u8]) -> Result<NamedTempFile> {
    let path: PathBuf = folder.to_owned();
    let write = || {
        let mut file = temporary(&path)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(S3Error::io(&path, "write a file in the folder"))
}
