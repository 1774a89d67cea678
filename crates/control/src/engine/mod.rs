//! What runs programs: those that train and those that serve.
//!
//! Nothing above knows that they are processes here. A program runs as a *task* of a folder, and everything about the task is found
//! again by its folder: a server that starts after another was killed asks [`Engine::look`] what became of it.

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
    /// Starts a task in `folder`, which exists. One that runs there already is left alone. When this returns, a later server finds
    /// the task by its folder. A program that cannot be started is a task that has ended, see [`Exit::not_started`].
    ///
    /// # Errors
    /// When the machine refuses.
    fn start(&self, folder: &Path, task: &Task) -> Result<(), EngineError>;

    /// What became of the task of `folder`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn look(&self, folder: &Path) -> Result<TaskState, EngineError>;

    /// As [`look`](Self::look), after which nothing that an earlier server began is on its way any more: a task that it was about to
    /// start has started, or never will. To be called before the folder is laid out for a start.
    ///
    /// # Errors
    /// When the folder cannot be read or changed.
    fn settle(&self, folder: &Path) -> Result<TaskState, EngineError> {
        self.look(folder)
    }

    /// Sends a signal to the task of `folder`; none where it does not run.
    ///
    /// # Errors
    /// When the folder cannot be read or the machine refuses.
    fn signal(&self, folder: &Path, signal: Signal) -> Result<(), EngineError>;

    /// Removes what is known of the task of `folder`, which does not run, but for its log.
    ///
    /// # Errors
    /// When the folder cannot be changed.
    fn forget(&self, folder: &Path) -> Result<(), EngineError>;

    /// What the task of `folder` uses of the machine; none where it does not run, or where the machine does not tell.
    fn usage(&self, folder: &Path) -> Option<Usage>;
}

/// A program, and what it is started with. It gets the server's environment and, over it, `environment`; its output goes to the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// The folder that it starts in; the server's own if none.
    pub directory: Option<PathBuf>,
}

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// None was started.
    NotStarted,
    /// It runs.
    Running {
        /// When it was started, in milliseconds since 1970.
        started_ms: i64,
    },
    /// It has ended, and its log is whole.
    Ended(Exit),
    /// It ended unseen, with the machine for instance.
    Lost,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When it was started, in milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// Its exit code, where it exited.
    pub code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// Why it could not be started.
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

/// What can be sent to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Please end: SIGTERM to the program.
    Terminate,
    /// End: SIGKILL to the program and everything that it started.
    Kill,
}

/// What a task uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time since its start, in seconds; of all its processes together.
    pub cpu_seconds: f64,
    /// Memory that it holds, in bytes.
    pub memory_bytes: u64,
}

/// Why a task cannot be started or asked.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A file of the task's folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The same, where only the system has a reason.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The keeper of tasks did not start.
    #[error("{} did not start the task: {reason}", program.display())]
    Shim {
        /// The program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
}

impl EngineError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
