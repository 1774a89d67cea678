//! Replacing a set of files in a folder as a whole, or not at all.
//!
//! The folder may be a mount point, so it cannot be swapped as a whole, and it may hold files of others, which are never touched. An update
//! has these steps, and may be killed between any two of them:
//!
//! 1. All files are written into `.kokanee-staging-XXXXXX/`, a folder in the folder, and synced to disk. Its `update.jsonl`
//!    lists each name before the file is created.
//! 2. That folder is renamed to `.kokanee-commit`. This is the commit: before it the old set is valid, after it the new one.
//! 3. Each file is renamed into its place; files of the old set that the new one lacks are removed; `.kokanee-commit` is removed.
//!
//! The next process that opens the folder finishes step 3 ([`finish`], [`FolderUpdate::begin`]). A process without write permission, or one
//! that comes while another is in step 3, reads files through [`path_of`], which looks into `.kokanee-commit` first.
//!
//! A process that works on an update holds a lock on its `update.jsonl`: a locked update is live, an unlocked one was interrupted.

mod manifest;
mod reading;
mod recovery;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::atomic_file::sync_folder;
use crate::{Digesting, FileDigest, FileError};
use manifest::{Line, Manifest};
pub use reading::{current, open, path_of, read};
pub(crate) use recovery::is_same_file;
pub use recovery::{finish, finish_before_listing};
use recovery::{finish_before_writing, put_in_place, remove_abandoned, remove_staging};

/// The folder of a committed update whose files are not all in their places yet.
const COMMIT_FOLDER: &str = ".kokanee-commit";
/// The prefix of the folder of an update that is being written.
const STAGING_PREFIX: &str = ".kokanee-staging-";
/// The list of an update's files, in its folder.
pub const MANIFEST_FILE: &str = "update.jsonl";
/// How long a writer waits for another process that moves committed files into their places; renames take milliseconds.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// An update of a folder's files. If it is dropped before [`commit`](Self::commit), nothing is left behind.
#[derive(Debug)]
pub struct FolderUpdate {
    folder: PathBuf,
    staging: PathBuf,
    /// Locked while this process works on the update.
    manifest: File,
    files: Vec<String>,
    removed: Vec<String>,
    /// Whether the staged files are no longer ours to remove.
    ended: bool,
}

/// A file of an update while it is being written.
#[derive(Debug)]
pub struct StagedFile {
    /// Its path once the update is committed.
    path: PathBuf,
    output: Digesting<BufWriter<File>>,
}

impl FolderUpdate {
    /// Begins an update of `folder`, creating it if missing. An interrupted update is finished first if it was committed, and removed
    /// otherwise.
    ///
    /// # Errors
    /// When the system refuses, or a file or folder that is not an update of Kokanee has its name.
    pub fn begin(folder: &Path) -> Result<Self, FileError> {
        fs::create_dir_all(folder).map_err(FileError::io(folder, "create the folder"))?;
        finish_before_writing(folder)?;
        remove_abandoned(folder);
        let io = |action| FileError::io(folder, action);
        let mut builder = tempfile::Builder::new();
        builder.prefix(STAGING_PREFIX);
        #[cfg(unix)]
        {
            // Permissions as for any new folder: readers without write permission may have to read from it.
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let staging = builder.tempdir_in(folder).map_err(io("write into the folder"))?.keep();
        let made = File::options().append(true).create_new(true).open(staging.join(MANIFEST_FILE));
        let manifest = made.map_err(|error| {
            let _ = fs::remove_dir(&staging);
            io("write into the folder")(error)
        })?;
        // Without locks an interrupted update cannot be distinguished from a live one, and is left to the next writer.
        let _ = manifest.try_lock();
        let mut update = Self {
            folder: folder.to_owned(),
            staging,
            manifest,
            files: Vec::new(),
            removed: Vec::new(),
            ended: false,
        };
        update.note(&Line::Begin(manifest::FORMAT))?;
        Ok(update)
    }

    /// Writes a file of the set and syncs it to disk. Files are moved into place in the order of these calls.
    ///
    /// # Errors
    /// The errors of `write`, and when the system refuses.
    ///
    /// # Panics
    /// When `name` is not a plain file name, or was written before.
    pub fn write<T, E: From<FileError>>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut StagedFile) -> Result<T, E>,
    ) -> Result<(T, FileDigest), E> {
        self.add(name)?;
        let path = self.folder.join(name);
        let file =
            File::create_new(self.staging.join(name)).map_err(FileError::io(&path, "create the file"))?;
        let output = Digesting::new(BufWriter::with_capacity(1 << 18, file));
        let mut staged = StagedFile { path: path.clone(), output };
        let value = write(&mut staged)?;
        let digest = staged.output.digest();
        let file = staged.output.into_inner().into_inner().map_err(io::IntoInnerError::into_error);
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(FileError::io(&path, "write the file"))?;
        Ok((value, digest))
    }

    /// Writes bytes as a file, as [`write`](Self::write) does.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<FileDigest, FileError> {
        let path = self.folder.join(name);
        let write =
            |file: &mut StagedFile| file.write_all(bytes).map_err(FileError::io(&path, "write the file"));
        self.write(name, write).map(|((), digest)| digest)
    }

    /// Lets `make` create a file of the set at a path, for example as a link; it must be on disk when `make` returns.
    ///
    /// # Errors
    /// The errors of `make`, and when the system refuses.
    ///
    /// # Panics
    /// As [`write`](Self::write).
    pub fn place<T, E: From<FileError>>(
        &mut self,
        name: &str,
        make: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, E> {
        self.add(name)?;
        make(&self.staging.join(name))
    }

    /// The path of a file of the set until the commit.
    pub fn staged(&self, name: &str) -> PathBuf {
        self.staging.join(name)
    }

    /// Removes, in the same step, a file of an earlier set that Kokanee wrote and the new set lacks.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&mut self, name: &str) -> Result<(), FileError> {
        self.note(&Line::Remove(name.to_owned()))?;
        self.removed.push(name.to_owned());
        Ok(())
    }

    /// Checks, as far as possible in advance, that [`commit`](Self::commit) can put every file into its place.
    ///
    /// # Errors
    /// When a folder has the name of a file.
    pub fn check(&self) -> Result<(), FileError> {
        for name in self.files.iter().chain(&self.removed) {
            let path = self.folder.join(name);
            if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                let problem = io::Error::new(
                    ErrorKind::IsADirectory,
                    "a folder has this name; move it away, or choose another place",
                );
                return Err(FileError::io(&path, "write the file")(problem));
            }
        }
        Ok(())
    }

    /// Replaces the old set.
    ///
    /// # Errors
    /// When the system refuses; the old set is then unchanged, unless the error says that the update is complete.
    pub fn commit(self) -> Result<(), FileError> {
        self.commit_while(&mut || true).map(|_| ())
    }

    /// As [`commit`](Self::commit), but stops as if killed when `lives` returns false; for tests.
    fn commit_while(mut self, lives: &mut dyn FnMut() -> bool) -> Result<bool, FileError> {
        self.check()?;
        self.complete()?;
        if !lives() {
            self.ended = true;
            return Ok(false);
        }
        let commit = self.folder.join(COMMIT_FOLDER);
        let begun = Instant::now();
        while let Err(error) = fs::rename(&self.staging, &commit) {
            let in_the_way = matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists);
            if !in_the_way || begun.elapsed() > LONGEST_WAIT {
                return Err(FileError::io(&commit, "rename the finished folder")(error));
            }
            finish_before_writing(&self.folder)?;
        }
        self.ended = true;
        sync_folder(&self.folder);
        let files = std::mem::take(&mut self.files);
        let manifest = Manifest { files, removed: std::mem::take(&mut self.removed), is_complete: true };
        put_in_place(&self.folder, &manifest, lives)
    }

    /// Turns the set into a separate folder in the folder, under a free name, instead of putting its files into the folder.
    ///
    /// # Errors
    /// When the system refuses; the folder then does not exist.
    pub fn commit_as(mut self, name: &str) -> Result<(), FileError> {
        self.complete()?;
        let place = self.folder.join(name);
        fs::rename(&self.staging, &place).map_err(FileError::io(&place, "rename the finished folder"))?;
        self.ended = true;
        sync_folder(&self.folder);
        // The folder is also complete with its list: a kill before this line does no harm.
        let _ = fs::remove_file(place.join(MANIFEST_FILE));
        Ok(())
    }

    fn add(&mut self, name: &str) -> Result<(), FileError> {
        assert!(
            manifest::is_plain(name) && !self.files.iter().any(|file| file == name),
            "file name {name:?}"
        );
        self.note(&Line::File(name.to_owned()))?;
        self.files.push(name.to_owned());
        Ok(())
    }

    /// Syncs the list of files to disk.
    fn complete(&mut self) -> Result<(), FileError> {
        self.note(&Line::Commit)?;
        self.manifest.sync_all().map_err(FileError::io(&self.folder, "write into the folder"))?;
        sync_folder(&self.staging);
        Ok(())
    }

    fn note(&mut self, line: &Line) -> Result<(), FileError> {
        let written = self.manifest.write_all(line.to_json().as_bytes());
        written.map_err(FileError::io(&self.folder, "write into the folder"))
    }
}

impl Drop for FolderUpdate {
    fn drop(&mut self) {
        if !self.ended {
            remove_staging(&self.staging, &self.files);
        }
    }
}

impl StagedFile {
    /// The path the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Whether a name refers to a file in the folder itself, and not elsewhere.
pub fn is_plain_name(name: &str) -> bool {
    manifest::is_plain(name)
}
