//! Bytes that are to become an object or a part, before they have a name.

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

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// A file that is being written, without a name that anybody would find. Dropped, it is removed.
pub struct Staging {
    file: NamedTempFile,
    hashes: Hashes,
    size: u64,
}

/// A file that is written, and on the disk.
pub struct Staged {
    file: NamedTempFile,
    /// Size in bytes.
    pub size: u64,
    /// The time that it carries, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// What its bytes amount to.
    pub digests: Digests,
}

impl Staging {
    /// Begins a file in the folder for such files, with the checksums that are to be computed beside MD5.
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

    /// Appends many bytes, which are written and hashed at the same time.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_and_hash(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { file, hashes, size } = self;
        let written = thread::scope(|scope| {
            let write = || file.as_file().write_all_at(bytes, *size);
            let writer = thread::Builder::new().spawn_scoped(scope, write);
            hashes.update(bytes);
            // One after the other where the system refuses a thread.
            let Ok(writer) = writer else { return write() };
            writer.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread ended early")))
        });
        written.map_err(S3Error::io(self.file.path(), "write the file"))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// What makes the disk write what it has not written yet. Whether it could is found at the end.
    pub fn begin_sync(&self) -> Option<impl FnOnce() + Send + 'static> {
        let file = self.file.as_file().try_clone().ok()?;
        Some(move || {
            let _ = file.sync_data();
        })
    }

    /// Appends what a file has from where it stands, at most `limit` bytes.
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

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Brings the file to the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(self) -> Result<Staged> {
        let Self { file, hashes, size } = self;
        Staged::of(file, size, hashes.finish())
    }
}

impl Staged {
    /// Brings a file to the disk.
    pub(crate) fn of(file: NamedTempFile, size: u64, digests: Digests) -> Result<Self> {
        let modified_ns = seal(&file, size)?;
        Ok(Self { file, size, modified_ns, digests })
    }

    /// Gives it its name; whatever had that name is replaced.
    pub(crate) fn rename(self, path: &Path) -> std::result::Result<(), (Self, io::Error)> {
        let Self { file, size, modified_ns, digests } = self;
        match file.persist(path) {
            Ok(_) => Ok(()),
            Err(error) => Err((Self { file: error.file, size, modified_ns, digests }, error.error)),
        }
    }
}

/// A file without a name of its own, that only its time tells from others of the same size.
pub(crate) fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(OWN_PREFIX).suffix(".part").rand_bytes(12);
    // As any new file, and not private as temporary files are: umask decides who may read it.
    builder.make_in(folder, |path: &Path| File::options().read(true).write(true).create_new(true).open(path))
}

/// Gives a file its time and brings it to the disk.
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

/// Writes a small file in full: to a temporary name, to the disk, and then to its own.
pub(crate) fn write_small(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let file = stage_small(folder, bytes)?;
    file.persist(path).map_err(|error| S3Error::io(path, "rename the finished file")(error.error))?;
    Ok(())
}

/// The first half of that.
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
