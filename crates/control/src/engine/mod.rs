//! The engine that runs programs for training and for serving.
//!
//! Modules that use the engine do not know that programs are processes here. A program runs as a *task* of a folder, and the folder
//! suffices to find everything about the task again: a server that starts after another was killed calls [`Engine::look`] for its state.

mod folder;
pub mod log_file;
mod processes;
mod procfs;
mod shim;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use kokanee_formats::FileError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::folder::LOG_FILE;
pub use self::processes::Processes;
pub use self::shim::run as run_shim;

/// Runs programs.
pub trait Engine: Send + Sync + fmt::Debug + 'static {
    /// Starts a task in `folder`, which must exist. A task that already runs there is left alone. When this returns, a later server finds
    /// the task by its folder. A program that cannot be started is a task that has ended, see [`Exit::not_started`].
    ///
    /// # Errors
    /// When the machine refuses.
    fn start(&self, folder: &Path, task: &Task) -> Result<(), EngineError>;

    /// Returns the state of the task of `folder`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn look(&self, folder: &Path) -> Result<TaskState, EngineError>;

    /// Returns the same as [`look`](Self::look), but only once no start of an earlier server is still under way: such a task has started,
    /// or never will. Must be called before the folder is laid out for a start.
    ///
    /// # Errors
    /// When the folder cannot be read or changed.
    fn settle(&self, folder: &Path) -> Result<TaskState, EngineError> {
        self.look(folder)
    }

    /// Sends a signal to the task of `folder`, unless it does not run.
    ///
    /// # Errors
    /// When the folder cannot be read or the machine refuses.
    fn signal(&self, folder: &Path, signal: Signal) -> Result<(), EngineError>;

    /// Removes the files of the task of `folder`, which must not run. Its log stays.
    ///
    /// # Errors
    /// When the folder cannot be changed.
    fn forget(&self, folder: &Path) -> Result<(), EngineError>;

    /// The resources that the task of `folder` uses; none if it does not run, or if the machine does not report them.
    fn usage(&self, folder: &Path) -> Option<Usage>;
}

/// A program and its settings. It gets the server's environment, overridden by `environment`; its output goes to the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// The folder that it starts in; the server's own if none is given.
    pub directory: Option<PathBuf>,
}

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// No task was started.
    NotStarted,
    /// It runs.
    Running {
        /// When it was started, in milliseconds since 1970.
        started_ms: i64,
    },
    /// It has ended, and its log is complete.
    Ended(Exit),
    /// It ended without a record, for instance with the machine.
    Lost,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When it was started, in milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// The reason why it could not be started.
    pub not_started: Option<String>,
}

impl Exit {
    /// Whether it exited with code 0.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.not_started, self.code, self.signal) {
            (Some(reason), ..) => write!(f, "{reason}"),
            (None, Some(code), _) => write!(f, "exit code {code}"),
            (None, None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None, None) => write!(f, "an unknown status"),
        }
    }
}

/// A signal to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Asks the program to end: SIGTERM to the program.
    Terminate,
    /// Ends it at once: SIGKILL to the program and everything that it started.
    Kill,
}

/// The resources that a task uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time since its start, in seconds, summed over all its processes.
    pub cpu_seconds: f64,
    /// The memory that it occupies, in bytes.
    pub memory_bytes: u64,
}

/// An error in starting or querying a task.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A file of the task's folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The same, with a reason from the system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The shim that keeps tasks did not start.
    #[error("{} did not start the task: {reason}", program.display())]
    Shim {
        /// The program.
        program: PathBuf,
        /// The reason.
        reason: String,
    },
}

impl EngineError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
