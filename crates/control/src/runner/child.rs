//! A child process that trains.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kokanee_contract::container::layout::STOP_GRACE_SECONDS;
use rustix::process::{Pid, Signal, kill_process};

use super::RunError;
use super::job_folder::JobFolder;
use super::log::JobLog;

/// The longest line of a log; the rest of a longer one is a line of its own.
const LONGEST_LINE_BYTES: u64 = 256 << 10;

/// Why a child was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Somebody asked for it.
    Stopped,
    /// Its time was over.
    TimeOver,
}

/// A process.
pub(super) struct Child {
    process: process::Child,
    started: Instant,
    /// When it was asked to stop.
    asked: Option<Instant>,
    readers: Vec<JoinHandle<()>>,
}

impl Child {
    /// Starts `kokanee train` on a job's folder, in a process group of its own: a signal from the terminal is not meant for it.
    pub(super) fn start(
        program: &Path,
        algorithm: &str,
        job: &str,
        folder: &JobFolder,
        log: &JobLog,
    ) -> Result<Self, RunError> {
        let mut command = Command::new(program);
        command.args(["train", "--prefix"]).arg(folder.prefix());
        command.env("KOKANEE_ALGORITHM", algorithm).env("TRAINING_JOB_NAME", job);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let started = command.spawn();
        let mut process = started.map_err(|error| {
            RunError::Machine(format!("{} cannot be started: {error}", program.display()))
        })?;
        let mut readers = Vec::new();
        readers.extend(process.stdout.take().map(|out| read(out, log.clone())));
        readers.extend(process.stderr.take().map(|out| read(out, log.clone())));
        Ok(Self { process, started: Instant::now(), asked: None, readers })
    }

    /// How it ended, where it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, RunError> {
        self.process
            .try_wait()
            .map_err(|error| RunError::Machine(format!("the training cannot be waited for: {error}")))
    }

    /// How long it has run.
    pub(super) fn runtime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Asks it to stop; kills it where it was asked long ago.
    pub(super) fn stop(&mut self) {
        match self.asked {
            None => {
                self.asked = Some(Instant::now());
                if let Ok(Some(id)) = i32::try_from(self.process.id()).map(Pid::from_raw) {
                    // It may have ended meanwhile.
                    let _ = kill_process(id, Signal::TERM);
                }
            }
            Some(asked) if asked.elapsed() > Duration::from_secs(STOP_GRACE_SECONDS) => {
                let _ = self.process.kill();
            }
            Some(_) => {}
        }
    }

    /// Reads what is left of its output.
    pub(super) fn finish(&mut self) {
        for reader in self.readers.drain(..) {
            // A panic of a reader loses lines, not the job.
            let _ = reader.join();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Children do not outlive the server.
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn read(output: impl Read + Send + 'static, log: JobLog) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            match output.by_ref().take(LONGEST_LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => log.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])),
            }
        }
    })
}
