//! Tasks as processes of this machine, each kept by a shim.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, kill_process, kill_process_group};

use super::folder::{Kept, Order, TaskFolder};
use super::{Engine, EngineError, Signal, Task, TaskState, Usage, procfs};

/// The time between two looks at a shim that is starting.
const POLL: Duration = Duration::from_millis(2);
/// The argument that makes `kokanee` a shim; a folder follows it.
const SHIM: &str = "shim";

/// An engine that runs tasks as processes of this machine.
#[derive(Clone, Debug)]
pub struct Processes {
    /// The program that runs a task when it is called with `shim FOLDER`: `kokanee` itself.
    pub shim: PathBuf,
    /// Variables in every task's environment, which the task's own override: they make programs find this server instead of AWS.
    pub environment: BTreeMap<String, String>,
}

impl Engine for Processes {
    fn start(&self, folder: &Path, task: &Task) -> Result<(), EngineError> {
        let files = TaskFolder(folder);
        let (state, kept) = files.look()?;
        match (state, kept) {
            (TaskState::Running { .. }, _) => return Ok(()),
            // Its shim was killed, but the process may still live.
            (TaskState::Lost, Some(kept)) => send(&kept, Signal::Kill),
            _ => {}
        }
        let start = RandomState::new().hash_one(folder);
        let mut task = task.clone();
        for (name, value) in &self.environment {
            task.environment.entry(name.clone()).or_insert_with(|| value.clone());
        }
        files.write_order(&Order { start, task })?;
        let mut command = Command::new(&self.shim);
        command.arg(SHIM).arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let refused = |error: std::io::Error| EngineError::Shim {
            program: self.shim.clone(),
            reason: error.to_string(),
        };
        let mut shim = command.spawn().map_err(refused)?;
        loop {
            let exited = shim.try_wait().map_err(refused)?;
            let (state, kept) = files.look()?;
            if let Some(status) = exited {
                return match state {
                    // The state may be that of this start, or of another one a moment before.
                    TaskState::Running { .. } | TaskState::Ended(_) => Ok(()),
                    TaskState::NotStarted | TaskState::Lost => Err(EngineError::Shim {
                        program: self.shim.clone(),
                        reason: format!("it ended with {status}"),
                    }),
                };
            }
            if matches!(state, TaskState::Running { .. }) && kept.is_some_and(|kept| kept.start == start) {
                // The wait prevents a zombie. If the system refuses a thread, a zombie is the only consequence.
                let _ = thread::Builder::new().spawn(move || shim.wait());
                return Ok(());
            }
            thread::sleep(POLL);
        }
    }

    fn look(&self, folder: &Path) -> Result<TaskState, EngineError> {
        Ok(TaskFolder(folder).look()?.0)
    }

    fn settle(&self, folder: &Path) -> Result<TaskState, EngineError> {
        TaskFolder(folder).settle()
    }

    fn signal(&self, folder: &Path, signal: Signal) -> Result<(), EngineError> {
        if let (TaskState::Running { .. }, Some(kept)) = TaskFolder(folder).look()? {
            send(&kept, signal);
        }
        Ok(())
    }

    fn forget(&self, folder: &Path) -> Result<(), EngineError> {
        TaskFolder(folder).remove_files()
    }

    fn usage(&self, folder: &Path) -> Option<Usage> {
        match TaskFolder(folder).look().ok()? {
            (TaskState::Running { .. }, Some(kept)) => procfs::session_usage(kept.session),
            _ => None,
        }
    }
}

/// Sends a signal to the process of a shim, unless another process has its number now.
fn send(kept: &Kept, signal: Signal) {
    if kept.process_ticks != procfs::start_ticks(kept.process) {
        return;
    }
    let Some(process) = Pid::from_raw(kept.process) else { return };
    let sent = match signal {
        Signal::Terminate => kill_process(process, rustix::process::Signal::TERM),
        Signal::Kill => kill_process_group(process, rustix::process::Signal::KILL),
    };
    // The process may have ended meanwhile.
    if let Err(error) = sent
        && error != Errno::SRCH
    {
        tracing::warn!(process = kept.process, %error, "a signal cannot be sent");
    }
}
