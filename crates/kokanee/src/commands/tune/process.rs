//! A running trial: `kokanee train` as a child process, with its own folder and log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kokanee_algorithm::StopFlag;
use kokanee_contract::container::failure::ExitCode;
use kokanee_formats::{FolderLock, LockError};

use super::log::LogReader;
use super::progress::Progress;
use super::request::Request;
use super::trial::Trial;

/// The time in which a training that a killed tuning left behind must stop. It stops by itself, but an update of a large model
/// takes minutes, and so does packing it.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The time after which a person is told of the wait.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// The interval of checks for such a training.
const LOOK: Duration = Duration::from_millis(50);

/// The files of a trial.
pub(super) struct TrialFiles {
    folder: PathBuf,
}

impl TrialFiles {
    /// The files of the trial with this number in the folder of a tuning.
    pub(super) fn new(output: &Path, number: u32) -> Self {
        Self { folder: output.join("trials").join(format!("{number:03}")) }
    }

    /// The folder of the model.
    pub(super) fn model(&self) -> PathBuf {
        self.folder.join("model")
    }

    /// The log.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("train.log")
    }

    fn checkpoints(&self) -> PathBuf {
        self.folder.join("checkpoints")
    }
}

/// The settings for running all trials.
pub(super) struct Launch<'a> {
    /// The request of the tuning.
    pub(super) request: &'a Request,
    /// The folder of the tuning.
    pub(super) output: &'a Path,
    /// Hyperparameters of this run only: threads.
    pub(super) of_machine: Vec<(String, String)>,
    /// Whether the algorithm keeps a state from which it can resume.
    pub(super) resumes: bool,
    /// The pattern that finds the objective.
    pub(super) pattern: &'static str,
}

/// The outcome of a child process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It succeeded.
    Done,
    /// It failed because of its input: data, hyperparameters.
    Failed,
    /// It was killed from outside, as the system does when memory runs out, or by a fault of Kokanee.
    Broken,
}

/// A running trial. Dropping it requests its process to stop.
pub(super) struct RunningTrial {
    pub(super) number: u32,
    /// The reason why it was requested to stop.
    pub(super) stopped: Option<String>,
    /// Number of values of its curve that were judged.
    pub(super) judged: usize,
    pub(super) begun: Instant,
    child: Child,
    /// Its stdin: the process stops when that ends, so also when this process is killed.
    lifeline: Option<ChildStdin>,
    log: LogReader,
}

impl Launch<'_> {
    /// Starts a trial, whose values are those of an earlier try if there was one. None if a stop was requested before it could
    /// begin.
    ///
    /// # Errors
    /// When the folder stays in use, or the process cannot be started.
    pub(super) fn start(
        &self,
        trial: &Trial,
        stop: &StopFlag,
        progress: &Progress,
    ) -> Result<Option<RunningTrial>> {
        let files = TrialFiles::new(self.output, trial.number);
        let model = files.model();
        let note = |holder: &str| {
            progress.note(&format!(
                "trial {} waits for {holder}, which still writes into its folder",
                trial.number
            ));
        };
        if !wait_until_free(&model, stop, &note)? {
            return Ok(None);
        }
        // Created only now: a process that wrote there before removes the folders that it created and left empty.
        fs::create_dir_all(&files.folder)
            .with_context(|| format!("cannot create {}", files.folder.display()))?;
        // A resumed training continues its log, and reports its earlier values there again.
        let log_path = files.log();
        let goes_on = self.resumes && files.checkpoints().is_dir();
        let log = if goes_on {
            File::options().append(true).create(true).open(&log_path)
        } else {
            File::create(&log_path).and_then(|_| File::options().append(true).open(&log_path))
        };
        let log = log.with_context(|| format!("cannot write {}", log_path.display()))?;
        let reader = LogReader::new(&log_path, self.pattern)?;
        let errors = log.try_clone().with_context(|| format!("cannot write {}", log_path.display()))?;
        let mut command = self.command(trial, &files)?;
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        #[cfg(unix)]
        {
            // Ctrl-C goes to this process, which then stops its trials.
            use std::os::unix::process::CommandExt as _;
            command.process_group(0);
        }
        let mut child = command.spawn().context("a trial cannot be started")?;
        let lifeline = child.stdin.take();
        Ok(Some(RunningTrial {
            number: trial.number,
            stopped: None,
            judged: 0,
            begun: Instant::now(),
            child,
            lifeline,
            log: reader,
        }))
    }

    fn command(&self, trial: &Trial, files: &TrialFiles) -> Result<Command> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let mut command = Command::new(program);
        command.args(["train", "--trial"]);
        command.args(training_options(self.request));
        command.arg("--output").arg(files.model());
        if self.resumes {
            command.arg("--checkpoints").arg(files.checkpoints());
        }
        let shared = self.request.hyperparameters.iter().chain(&trial.values);
        let own = self.of_machine.iter().map(|(name, value)| (name, value));
        for (name, value) in shared.chain(own) {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        Ok(command)
    }
}

/// The options of `kokanee train` that all trials share, without hyperparameters.
pub(super) fn training_options(request: &Request) -> Vec<std::ffi::OsString> {
    let mut options = vec!["--algorithm".into(), request.algorithm.clone().into()];
    for (option, path) in &request.data {
        options.extend([option.into(), path.into()]);
    }
    for content_type in &request.content_types {
        options.extend(["--content-type".into(), content_type.into()]);
    }
    options
}

impl RunningTrial {
    /// The values of the objective since the last call.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) fn new_values(&mut self) -> Result<Vec<f64>> {
        self.log.new_values()
    }

    /// Requests it to stop in good order, which keeps its model.
    pub(super) fn stop(&mut self, reason: &str) {
        self.stopped.get_or_insert_with(|| reason.to_owned());
        self.lifeline = None;
    }

    /// Its outcome, if it has ended.
    ///
    /// # Errors
    /// When the system does not report it.
    pub(super) fn poll(&mut self) -> Result<Option<End>> {
        let status = self.child.try_wait().context("a trial cannot be watched")?;
        Ok(status.map(end))
    }
}

impl Drop for RunningTrial {
    fn drop(&mut self) {
        self.lifeline = None;
        // If this process continues after a failure, its children must not outlive it.
        let _ = self.child.wait();
    }
}

fn end(status: ExitStatus) -> End {
    match status.code().map(ExitCode::from_number) {
        Some(Some(ExitCode::Done)) => End::Done,
        Some(Some(ExitCode::OurFault)) | None => End::Broken,
        Some(_) => End::Failed,
    }
}

/// Waits for a training of a killed tuning that still uses the folder; false if a stop was requested meanwhile. `note` is called
/// once with the holder of the folder if this takes long.
fn wait_until_free(folder: &Path, stop: &StopFlag, note: &dyn Fn(&str)) -> Result<bool> {
    let begun = Instant::now();
    let mut is_told = false;
    while !stop.is_requested() {
        match FolderLock::acquire(folder) {
            Ok(_) => return Ok(true),
            Err(LockError::Busy(busy)) if begun.elapsed() < LONGEST_WAIT => {
                if !is_told && begun.elapsed() >= SHORT_WAIT {
                    note(&busy.holder);
                    is_told = true;
                }
                sleep(LOOK);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}
