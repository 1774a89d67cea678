//! The process that keeps a task: it starts the program, writes its output to the log, and records how it ended.
//!
//! It outlives a killed server, so that no line and no exit code is lost.

use std::io::{self, PipeReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::folder::{Kept, Order, TaskFolder};
use super::log_file::LogWriter;
use super::{EngineError, Exit, Task, procfs};
use crate::store::now_ms;

/// The most bytes of output that are read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// How long output is read after the program has ended. A process that the program left behind may still hold the pipe.
const REST: Duration = Duration::from_secs(2);

/// Keeps the task of a folder until it ends. Does nothing if another shim keeps it.
///
/// # Errors
/// When the folder cannot be read or written.
pub fn run(folder: &Path) -> Result<(), EngineError> {
    // A session of its own shields it from a terminal's signals and identifies its processes. Only the leader of a group is refused.
    let session = setsid().unwrap_or_else(|_| getpid());
    let files = TaskFolder(folder);
    let Some(mut lock) = files.lock()? else { return Ok(()) };
    let Order { start, task } = files.order()?;
    let log = files.log();
    let log = LogWriter::open(&log).map_err(EngineError::io(&log))?;
    let started_ms = now_ms();
    let ended = start_program(&task).and_then(|(child, output)| {
        let process = i32::try_from(child.id()).unwrap_or_default();
        lock.say(&Kept {
            start,
            process,
            process_ticks: procfs::start_ticks(process),
            session: session.as_raw_pid(),
            started_ms,
        })?;
        keep(child, output, session, log)
    });
    let mut exit = Exit { started_ms, ended_ms: now_ms(), code: None, signal: None, not_started: None };
    match ended {
        Ok(status) => (exit.code, exit.signal) = (status.code(), status.signal()),
        Err(error) => {
            exit.not_started = Some(format!("{} cannot be started: {error}", task.program.display()));
        }
    }
    // A reader that finds the folder unlocked finds this file.
    files.write_exit(&exit)
}

/// Starts the program in its own process group. One pipe takes both its outputs, so that their order is kept.
fn start_program(task: &Task) -> io::Result<(Child, PipeReader)> {
    let (output, writer) = io::pipe()?;
    let mut command = Command::new(&task.program);
    command.args(&task.arguments).envs(&task.environment).process_group(0);
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    if let Some(directory) = &task.directory {
        command.current_dir(directory);
    }
    Ok((command.spawn()?, output))
}

/// Writes the program's output to the log until the program ends, and kills the processes that it left behind.
fn keep(mut child: Child, output: PipeReader, session: Pid, log: LogWriter) -> io::Result<ExitStatus> {
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let attended = pass_signals_on(process).and_then(|()| read(output, log));
    if attended.is_err() {
        let _ = process.map(|process| kill_process_group(process, Signal::KILL));
    }
    let status = child.wait()?;
    let _ = process.map(|process| kill_process_group(process, Signal::KILL));
    for left in procfs::members(session.as_raw_pid()) {
        let _ = Pid::from_raw(left).map(|left| kill_process(left, Signal::KILL));
    }
    // The sender is dropped when everything is written.
    let _ = attended?.recv_timeout(REST);
    Ok(status)
}

/// Passes the signals that ask the shim to end on to the program.
fn pass_signals_on(process: Option<Pid>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let pass = move || {
        for _ in signals.forever() {
            let _ = process.map(|process| kill_process(process, Signal::TERM));
        }
    };
    thread::Builder::new().spawn(pass).map(drop)
}

/// Writes output to a log in a thread; the receiver learns of its end.
fn read(mut output: PipeReader, mut log: LogWriter) -> io::Result<Receiver<()>> {
    let (done, ended) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match output.read(&mut chunk) {
                Ok(0) => break,
                // A full disk loses lines, but does not end the job.
                Ok(length) => drop(log.write(&chunk[..length])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        drop(log.finish());
        drop(done);
    })?;
    Ok(ended)
}
