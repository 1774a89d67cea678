//! The files in a task's folder that belong to its shim.
//!
//! | file | content |
//! |---|---|
//! | `task.json` | the task, as the server asked for it |
//! | `task.lock` | locked while the shim lives; says which process the shim runs |
//! | `ended.json` | how the task ended |
//! | `log` | the lines of its output |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kokanee_formats::write_atomically;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{EngineError, Exit, Task, TaskState};
use crate::folder_files::remove_file;

/// The lines of the task's output.
pub const LOG_FILE: &str = "log";
const TASK_FILE: &str = "task.json";
const LOCK_FILE: &str = "task.lock";
const ENDED_FILE: &str = "ended.json";
/// A look holds the lock for a moment, so a shim that finds it held retries for a while.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(4);
/// The longest time between a shim's lock and the start of its program.
const LONGEST_START: Duration = Duration::from_secs(10);

/// A task's folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskFolder<'a>(pub(super) &'a Path);

/// A shim's record of the process that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The start that the record belongs to. It distinguishes the shim that has the lock from one that could not take it.
    pub(super) start: u64,
    /// The process, which leads its own group.
    pub(super) process: i32,
    /// When the machine started the process, in the machine's ticks: process numbers are reused.
    pub(super) process_ticks: Option<u64>,
    /// The session of the process, led by the shim.
    pub(super) session: i32,
    /// When the process was started, in milliseconds since 1970.
    pub(super) started_ms: i64,
}

/// An order to a shim.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) start: u64,
    pub(super) task: Task,
}

/// The lock of a folder, held by its shim.
pub(super) struct ShimLock(File);

impl TaskFolder<'_> {
    fn path(self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn log(self) -> PathBuf {
        self.path(LOG_FILE)
    }

    pub(super) fn write_order(self, order: &Order) -> Result<(), EngineError> {
        write_json(&self.path(TASK_FILE), order)
    }

    pub(super) fn order(self) -> Result<Order, EngineError> {
        let path = self.path(TASK_FILE);
        let found = read_json(&path)?;
        found.ok_or_else(|| EngineError::io(&path)(ErrorKind::NotFound.into()))
    }

    pub(super) fn write_exit(self, exit: &Exit) -> Result<(), EngineError> {
        write_json(&self.path(ENDED_FILE), exit)
    }

    /// Takes the lock for a shim; none if another shim has it. The records of an earlier task are deleted.
    pub(super) fn lock(self) -> Result<Option<ShimLock>, EngineError> {
        let path = self.path(LOCK_FILE);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(EngineError::io(&path))?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0).map_err(EngineError::io(&path))?;
                    remove(&self.path(ENDED_FILE))?;
                    return Ok(Some(ShimLock(file)));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(EngineError::io(&path)(error)),
            }
        }
        Ok(None)
    }

    /// Returns the state once no shim is still starting. A shim that has not taken the lock yet finds no task; one that has the lock is
    /// waited for until it records its process.
    pub(super) fn settle(self) -> Result<TaskState, EngineError> {
        let path = self.path(LOCK_FILE);
        let begun = Instant::now();
        while self.path(TASK_FILE).exists() {
            let (state, _) = self.look()?;
            if matches!(state, TaskState::Running { .. }) || begun.elapsed() > LONGEST_START {
                return Ok(state);
            }
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            match file.map_err(EngineError::io(&path))?.try_lock() {
                Ok(()) => remove(&self.path(TASK_FILE))?,
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(EngineError::io(&path)(error)),
            }
        }
        Ok(self.look()?.0)
    }

    /// Removes all these files except the log.
    pub(super) fn remove_files(self) -> Result<(), EngineError> {
        [TASK_FILE, LOCK_FILE, ENDED_FILE].iter().try_for_each(|name| remove(&self.path(name)))
    }

    /// Returns the state of the task, and the record of its shim if there is one.
    pub(super) fn look(self) -> Result<(TaskState, Option<Kept>), EngineError> {
        let path = self.path(LOCK_FILE);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((TaskState::NotStarted, None)),
            file => file.map_err(EngineError::io(&path))?,
        };
        // The lock is shared, so that looks do not take each other for a shim.
        let is_held = match file.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(EngineError::io(&path)(error)),
        };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(EngineError::io(&path))?;
        let kept: Option<Kept> = serde_json::from_str(&text).ok();
        let state = if is_held {
            kept.map_or(TaskState::NotStarted, |kept| TaskState::Running { started_ms: kept.started_ms })
        } else if let Some(exit) = read_json(&self.path(ENDED_FILE))? {
            TaskState::Ended(exit)
        } else if kept.is_some() {
            TaskState::Lost
        } else {
            TaskState::NotStarted
        };
        Ok((state, kept))
    }
}

impl ShimLock {
    /// Records which process the shim runs.
    pub(super) fn say(&mut self, kept: &Kept) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(serde_json::to_string(kept)?.as_bytes())
    }
}

fn remove(path: &Path) -> Result<(), EngineError> {
    remove_file(path).map_err(EngineError::io(path))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), EngineError> {
    let text = serde_json::to_vec(value).map_err(|error| EngineError::io(path)(error.into()))?;
    write_atomically(path, &text)?;
    Ok(())
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(EngineError::io(path))?,
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| EngineError::io(path)(error.into()))
}
