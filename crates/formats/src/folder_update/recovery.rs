//! Finishing interrupted updates, and removing abandoned ones.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::manifest::Manifest;
use super::{COMMIT_FOLDER, LONGEST_WAIT, MANIFEST_FILE, STAGING_PREFIX};
use crate::FileError;
use crate::atomic_file::sync_folder;

/// Finishes an interrupted update of `folder`, if there is one. Does nothing if this process may not write, or another process is finishing
/// it: [`path_of`](super::path_of) reads the new set in any case.
///
/// # Errors
/// When the system refuses otherwise, or a file or folder that is not an update of Kokanee has its name.
pub fn finish(folder: &Path) -> Result<(), FileError> {
    match recover(folder) {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(error.source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Finishes an update as [`finish`] does, for callers that then list the folder.
///
/// # Errors
/// As [`finish`], and when the update cannot be finished: a listing would mix both sets.
pub fn finish_before_listing(folder: &Path) -> Result<(), FileError> {
    if !folder.join(COMMIT_FOLDER).join(MANIFEST_FILE).exists() {
        return Ok(());
    }
    match recover(folder)? {
        Recovered::Live => finish_before_writing(folder),
        Recovered::Finished | Recovered::Nothing => Ok(()),
    }
}

/// The result of [`recover`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovered {
    Nothing,
    Finished,
    /// Another process is moving files into their places right now.
    Live,
}

pub(super) fn recover(folder: &Path) -> Result<Recovered, FileError> {
    let commit = folder.join(COMMIT_FOLDER);
    let path = commit.join(MANIFEST_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Recovered::Nothing);
        }
        Err(error) => return Err(FileError::io(&path, "open the file")(error)),
    };
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Ok(Recovered::Live);
    }
    if !is_same_file(&file, &path) {
        return Ok(Recovered::Nothing);
    }
    let text = fs::read(&path).map_err(FileError::io(&path, "read the file"))?;
    match Manifest::parse(&text) {
        Ok(Some(manifest)) if manifest.is_complete => {
            put_in_place(folder, &manifest, &mut || true).map(|_| Recovered::Finished)
        }
        Ok(_) => {
            let problem = "no update of Kokanee: move the folder away, if it is not needed";
            Err(FileError::io(&commit, "finish the update")(io::Error::new(ErrorKind::InvalidData, problem)))
        }
        Err(problem) => {
            Err(FileError::io(&commit, "finish the update")(io::Error::new(ErrorKind::InvalidData, problem)))
        }
    }
}

pub(super) fn finish_before_writing(folder: &Path) -> Result<(), FileError> {
    let begun = Instant::now();
    while recover(folder)? == Recovered::Live {
        if begun.elapsed() > LONGEST_WAIT {
            let problem = io::Error::new(ErrorKind::ResourceBusy, "another process is replacing files in it");
            return Err(FileError::io(folder, "write into the folder")(problem));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Performs step 3. May be repeated after any interruption. Returns false if `lives` returned false.
pub(super) fn put_in_place(
    folder: &Path,
    manifest: &Manifest,
    lives: &mut dyn FnMut() -> bool,
) -> Result<bool, FileError> {
    let commit = folder.join(COMMIT_FOLDER);
    let io = |path: &Path| {
        FileError::io(
            path,
            "put the finished file into its place (all are whole in .kokanee-commit, and the next command that may write there goes \
             on)",
        )
    };
    for name in &manifest.files {
        if !lives() {
            return Ok(false);
        }
        let place = folder.join(name);
        match fs::rename(commit.join(name), &place) {
            // Already moved before the interruption.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result.map_err(io(&place))?,
        }
    }
    for name in &manifest.removed {
        if !lives() {
            return Ok(false);
        }
        let place = folder.join(name);
        match fs::remove_file(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result.map_err(io(&place))?,
        }
    }
    sync_folder(folder);
    if !lives() {
        return Ok(false);
    }
    let path = commit.join(MANIFEST_FILE);
    match fs::remove_file(&path) {
        // Without locks in the file system, another process may have finished at the same time.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => result.map_err(io(&path))?,
    }
    if !lives() {
        return Ok(false);
    }
    // If someone put other files beside ours, the folder stays.
    let _ = fs::remove_dir(&commit);
    sync_folder(folder);
    Ok(true)
}

/// Removes what interrupted updates staged: folders with such a name and an unlocked list of Kokanee.
pub(super) fn remove_abandoned(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_named_so = entry.file_name().to_str().is_some_and(|name| name.starts_with(STAGING_PREFIX));
        if !is_named_so || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path().join(MANIFEST_FILE);
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok()
            && is_same_file(&file, &path)
            && let Ok(text) = fs::read(&path)
            && let Ok(Some(manifest)) = Manifest::parse(&text)
        {
            remove_staging(&entry.path(), &manifest.files);
        }
    }
}

/// Removes an update's folder with the files that it lists, and nothing else. The list is removed last, so that an interrupted removal can
/// be continued.
pub(super) fn remove_staging(staging: &Path, files: &[String]) {
    for name in files {
        let _ = fs::remove_file(staging.join(name));
    }
    let is_last = fs::read_dir(staging).is_ok_and(|entries| entries.count() == 1);
    if is_last && fs::remove_file(staging.join(MANIFEST_FILE)).is_ok() {
        let _ = fs::remove_dir(staging);
    }
}

/// Whether the path still refers to this file.
pub(crate) fn is_same_file(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let (Ok(own), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
        own.dev() == there.dev() && own.ino() == there.ino()
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}
