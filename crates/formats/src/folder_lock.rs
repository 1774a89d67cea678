//! One command at a time writes into a folder.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::atomic_file::folder_of;
use crate::folder_update::is_same_file;
use crate::utc::utc;
use crate::{AtomicFile, FileError, OWN_PREFIX};

/// The file that is locked; it says who holds the lock, and goes with it.
pub const LOCK_FILE: &str = ".kokanee-lock";
/// Longest command line that is written down, in characters.
const LONGEST_COMMAND_CHARS: usize = 300;
/// A lock's file is no larger; a larger one is somebody else's.
const LARGEST_LOCK_BYTES: u64 = 1 << 16;
/// How often a lock is tried whose file another process removes at the same time.
const MOST_TRIES: usize = 100;

/// A folder that this process writes into, and no other command of Kokanee.
///
/// The system releases the lock when the process ends, however that happens; the file that a killed process leaves behind stops
/// nobody. Dropped, it removes its file, and the folders that it had to make if they are empty.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
    /// Folders that were made for it, outermost first.
    made: Vec<PathBuf>,
    warning: Option<String>,
}

/// Who writes into a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    kokanee_pid: u32,
    command: String,
    /// Seconds since 1970.
    since: u64,
}

/// A further line of a lock's file: a temporary file, by its path below the folder.
#[derive(Debug, Serialize, Deserialize)]
struct Temporary {
    temporary: String,
}

/// Another process writes into the folder.
#[derive(Debug, Error)]
#[error("{}: {holder} is writing into this folder; wait for it to end, or choose another folder", folder.display())]
pub struct Busy {
    /// The folder.
    pub folder: PathBuf,
    /// Process, command and since when.
    pub holder: String,
}

/// A folder that cannot be locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process writes into it.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The system refuses.
    #[error(transparent)]
    File(#[from] FileError),
}

impl FolderLock {
    /// Locks a folder, which is made where it is missing.
    ///
    /// # Errors
    /// At once when another process holds it, or when this one may not write there.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
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
                    let holder = holder.map_or("another process".to_owned(), |holder| holder.to_string());
                    return Err(Busy { folder: folder.to_owned(), holder }.into());
                }
                Err(TryLockError::Error(error)) => {
                    warning = Some(format!(
                        "{} cannot be locked ({error}): see to it that no other command writes into it",
                        folder.display()
                    ));
                }
            }
            // Whoever held the lock before removed its file at the end: a lock on a removed file protects nothing.
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
            // From here on the file goes with this value, also where the disk is full.
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

    /// Begins a file below the folder. Its temporary name is written down before, so that the next who locks the folder removes
    /// what a killed process leaves of it.
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

    /// What a user should know: the file system has no locks.
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
        // Still locked: whoever opened the file meanwhile finds, once it has the lock, that the path leads elsewhere.
        if is_same_file(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
        remove_empty(&self.made);
    }
}

impl Holder {
    fn this_process() -> Self {
        let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        let words = words.collect::<Vec<_>>().join(" ");
        let mut command: String = words.chars().take(LONGEST_COMMAND_CHARS).collect();
        if command.len() < words.len() {
            command.push('…');
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { kokanee_pid: std::process::id(), command, since }
    }

    /// What a lock's file says. It may be a moment before whoever has just locked it has written it.
    fn of(file: &mut File) -> Option<Self> {
        for _ in 0..20 {
            let mut text = String::new();
            file.rewind().ok()?;
            file.take(LARGEST_LOCK_BYTES).read_to_string(&mut text).ok()?;
            if let Some(first) = text.lines().next() {
                return serde_json::from_str(first).ok();
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kokanee_pid, command, since } = self;
        write!(f, "process {kokanee_pid} (`{command}`, since {} UTC)", utc(*since))
    }
}

fn foreign(path: &Path) -> FileError {
    let problem = format!("it is no lock of Kokanee, whose locks begin with {OWN_PREFIX}; move it away");
    FileError::io(path, "lock the folder")(io::Error::new(ErrorKind::AlreadyExists, problem))
}

/// Removes the temporary files that a killed process has written down, by the names that only such files have.
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

/// Makes a folder with those above it; returns those that were missing, outermost first.
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
mod tests {
    use super::*;

    #[test]
    fn the_second_learns_who_is_there_and_the_file_goes_with_the_lock() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        let lock = FolderLock::acquire(&folder).unwrap();
        assert_eq!((lock.warning(), lock.folder()), (None, &*folder));
        let error = FolderLock::acquire(&folder).unwrap_err();
        assert!(matches!(error, LockError::Busy(_)));
        let text = error.to_string();
        for part in [
            &format!("{}: process {} (`", folder.display(), std::process::id()),
            "`, since 20",
            " UTC) is writing into this folder; wait for it",
        ] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
        fs::write(folder.join("kept"), "").unwrap();
        drop(lock);
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["kept"]);
        FolderLock::acquire(&folder).unwrap();
    }

    #[test]
    fn folders_that_were_made_for_a_lock_go_with_it_when_they_are_empty() {
        let place = tempfile::tempdir().unwrap();
        drop(FolderLock::acquire(&place.path().join("a/b")).unwrap());
        assert!(!place.path().join("a").exists());
        fs::create_dir(place.path().join("a")).unwrap();
        drop(FolderLock::acquire(&place.path().join("a/b")).unwrap());
        assert!(place.path().join("a").exists() && !place.path().join("a/b").exists());
    }

    #[test]
    fn what_a_killed_process_left_stops_nobody_and_files_of_others_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(LOCK_FILE);
        let holder = Holder { kokanee_pid: 1, command: "kokanee train".to_owned(), since: 0 };
        for left in ["".to_owned(), serde_json::to_string(&holder).unwrap()] {
            fs::write(&path, left).unwrap();
            drop(FolderLock::acquire(place.path()).unwrap());
            assert!(!path.exists());
        }
        // The temporary files that it wrote down go, and no others.
        fs::create_dir(place.path().join("sub")).unwrap();
        for name in ["sub/notes.part", ".kokanee-b.part"] {
            fs::write(place.path().join(name), "x").unwrap();
        }
        let mut lock = FolderLock::acquire(place.path()).unwrap();
        let written = lock.begin_file(&place.path().join("sub/x")).unwrap();
        let left = fs::read_to_string(&path).unwrap()
            + "{\"temporary\":\"sub/notes.part\"}\n{\"temporary\":\"../x\"}\n";
        let named = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(OWN_PREFIX.as_bytes());
        let found =
            fs::read_dir(place.path().join("sub")).unwrap().flatten().find(|file| named(&file.file_name()));
        let kept = found.unwrap().path();
        // The process dies: neither cleans up.
        drop((lock, written));
        fs::write(&kept, "half").unwrap();
        fs::write(&path, left).unwrap();
        drop(FolderLock::acquire(place.path()).unwrap());
        let there = |name: &str| place.path().join(name).exists();
        assert!(!kept.exists() && there("sub/notes.part") && there(".kokanee-b.part"));
        fs::write(&path, "my own notes").unwrap();
        let error = FolderLock::acquire(place.path()).unwrap_err().to_string();
        assert!(error.contains("it is no lock of Kokanee"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"my own notes");
    }

    #[test]
    fn of_many_that_come_and_go_never_two_are_in() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let place = tempfile::tempdir().unwrap();
        let (inside, entries) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(lock) = FolderLock::acquire(place.path()) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            entries.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(entries.into_inner() > 0);
    }
}
