//! A lock that lets only one command at a time write into a folder.

mod holder;

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::holder::Holder;
use crate::atomic_file::folder_of;
use crate::folder_update::is_same_file;
use crate::{AtomicFile, FileError, OWN_PREFIX};

/// The file that is locked; it names the holder, and is removed with the lock.
pub const LOCK_FILE: &str = ".kokanee-lock";
/// The maximum size of a lock's file; a larger file is not one.
const LARGEST_LOCK_BYTES: u64 = 1 << 16;
/// How often locking is retried while another process removes the file.
const MOST_TRIES: usize = 100;
/// How long a killed process may still hold a lock.
const LONGEST_END: Duration = Duration::from_secs(10);
/// How long holders may keep removing a folder that they had created.
const LONGEST_REMOVAL: Duration = Duration::from_secs(2);
/// Time between two checks of such a process.
const LOOK: Duration = Duration::from_millis(10);

/// A folder that only this command of Kokanee writes into.
///
/// The system releases the lock when the process ends for any reason; a file left by a killed process blocks nobody. When dropped, the lock
/// removes its file, and the folders that it created if they are empty.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
    /// Folders created for the lock, outermost first.
    made: Vec<PathBuf>,
    warning: Option<String>,
}

/// A further line of a lock's file: the path of a temporary file below the folder.
#[derive(Debug, Serialize, Deserialize)]
struct Temporary {
    temporary: String,
}

/// The error if another process writes into the folder.
#[derive(Debug, Error)]
#[error("{}: {holder} is writing into this folder; wait for it to end, or choose another folder", folder.display())]
pub struct Busy {
    /// The folder.
    pub folder: PathBuf,
    /// The process, its command and its start time.
    pub holder: String,
    /// Whether that process has ended or was killed, so that the lock will soon be released.
    pub holder_has_ended: bool,
}

/// An error in locking a folder.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process writes into it.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl FolderLock {
    /// Locks a folder, creating it if missing. A killed holder is given a moment to end.
    ///
    /// # Errors
    /// When another process holds the lock (at once if it is alive), or when this process may not write there.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let begun = Instant::now();
        loop {
            match Self::make_and_acquire(folder) {
                Err(LockError::Busy(busy)) if busy.holder_has_ended && begun.elapsed() < LONGEST_END => {
                    thread::sleep(LOOK);
                }
                // The previous holder removed the folder that it had created and left empty.
                Err(LockError::File(FileError { source, .. }))
                    if source.kind() == ErrorKind::NotFound && begun.elapsed() < LONGEST_REMOVAL =>
                {
                    thread::yield_now();
                }
                result => return result,
            }
        }
    }

    fn make_and_acquire(folder: &Path) -> Result<Self, LockError> {
        let made = make(folder)?;
        match Self::acquire_existing(folder) {
            Ok(mut lock) => {
                lock.made = made;
                Ok(lock)
            }
            Err(error) => {
                remove_empty(&made);
                Err(error)
            }
        }
    }

    fn acquire_existing(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(LOCK_FILE);
        let io = |action| FileError::io(&path, action);
        for _ in 0..MOST_TRIES {
            if fs::symlink_metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
                return Err(foreign(&path).into());
            }
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = file.map_err(io("write into the folder"))?;
            let mut warning = None;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = Holder::of(&mut file);
                    let holder_has_ended = holder.as_ref().is_some_and(Holder::has_ended);
                    let holder = holder.map_or("another process".to_owned(), |holder| holder.to_string());
                    return Err(Busy { folder: folder.to_owned(), holder, holder_has_ended }.into());
                }
                Err(TryLockError::Error(error)) => {
                    warning = Some(format!(
                        "{} cannot be locked ({error}): see to it that no other command writes into it",
                        folder.display()
                    ));
                }
            }
            // The previous holder removed its file at the end: a lock on a removed file protects nothing.
            if !is_same_file(&file, &path) {
                continue;
            }
            if file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
                if Holder::of(&mut file).is_none() {
                    return Err(foreign(&path).into());
                }
                remove_temporaries(folder, &mut file);
            }
            let holder =
                serde_json::to_string(&Holder::this_process()).expect("a holder is plain data") + "\n";
            // From here on the file is removed with this value, even if the disk is full.
            let mut lock = Self { file, path: path.clone(), made: Vec::new(), warning };
            lock.file
                .set_len(0)
                .and_then(|()| lock.file.rewind())
                .and_then(|()| lock.file.write_all(holder.as_bytes()))
                .map_err(io("write into the folder"))?;
            return Ok(lock);
        }
        let busy =
            io::Error::new(ErrorKind::ResourceBusy, "other processes lock and release it all the time");
        Err(io("lock")(busy).into())
    }

    /// Begins a file below the folder. Its temporary name is recorded first, so that the next process that locks the folder removes what a
    /// killed process left.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn begin_file(&mut self, path: &Path) -> Result<AtomicFile, FileError> {
        let below = folder_of(path).strip_prefix(self.folder()).map(Path::to_owned);
        AtomicFile::create_after(path, |temporary| {
            let name = temporary.file_name().unwrap_or_default();
            let Some(temporary) =
                below.as_ref().ok().and_then(|below| below.join(name).to_str().map(str::to_owned))
            else {
                return Ok(());
            };
            let line = serde_json::to_string(&Temporary { temporary })? + "\n";
            self.file.write_all(line.as_bytes())
        })
    }

    /// A warning for the user: the file system has no locks.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The lock is still held: a process that opened the file meanwhile notices, once it has the lock, that the path leads elsewhere.
        if is_same_file(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
        remove_empty(&self.made);
    }
}

fn foreign(path: &Path) -> FileError {
    let problem = format!("it is no lock of Kokanee, whose locks begin with {OWN_PREFIX}; move it away");
    FileError::io(path, "lock the folder")(io::Error::new(ErrorKind::AlreadyExists, problem))
}

/// Removes the temporary files that a killed process recorded, if they have names of temporary files.
fn remove_temporaries(folder: &Path, file: &mut File) {
    let mut text = String::new();
    if file.rewind().is_err() || file.take(LARGEST_LOCK_BYTES).read_to_string(&mut text).is_err() {
        return;
    }
    for line in text.lines().skip(1) {
        let Ok(Temporary { temporary }) = serde_json::from_str(line) else { continue };
        let path = Path::new(&temporary);
        let is_below = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let is_ours =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(OWN_PREFIX.as_bytes()));
        if is_below && is_ours {
            let _ = fs::remove_file(folder.join(path));
        }
    }
}

/// Creates a folder and its parents; returns the created ones, outermost first.
fn make(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    let mut made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    made.reverse();
    fs::create_dir_all(folder).map_err(FileError::io(folder, "create the folder"))?;
    Ok(made)
}

fn remove_empty(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
