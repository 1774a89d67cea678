//! One job at work, from its input to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kokanee_contract::container::layout::STOP_GRACE_SECONDS;

use super::job_folder::{JobFolder, JobInput};
use super::log::JobLog;
use super::{RunError, Runner};
use crate::engine::{Exit, Signal, TaskState};
use crate::metrics::{self, InstanceMeter};
use crate::store::now_ms;
use crate::training::{JobError, LOG_GROUP, Outcome, Secondary, TrainingJob, TrainingJobs};

/// Between two looks at a task: short for one that has just begun, so that short jobs are short, and longer later.
const FIRST_POLL: Duration = Duration::from_millis(10);
const LAST_POLL: Duration = Duration::from_millis(250);
/// A look waits this part of the time that the task has been looked at.
const POLL_PART: u32 = 50;
/// A task that dies with its keeper, or with the machine, is started again so many times.
const MOST_RESTARTS: u32 = 3;

/// Why a task was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Somebody asked for it.
    Stop,
    /// Its time was over.
    TimeOver,
}

/// A job at work.
pub(super) struct Work<'a> {
    runner: &'a Runner,
    job: &'a TrainingJob,
    folder: JobFolder,
    input: JobInput,
    log: JobLog,
    meter: InstanceMeter,
    is_ending: &'a AtomicBool,
    told: Option<Told>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        runner: &'a Runner,
        job: &'a TrainingJob,
        is_ending: &'a AtomicBool,
    ) -> Result<Self, RunError> {
        let folder = JobFolder::new(&runner.folder, job);
        let input = JobInput::parse(&job.request)?;
        let log = JobLog::new(folder.log(), job.state.log_offset, &input.metrics)?;
        let host = format!("{}/algo-1", job.name);
        let meter = InstanceMeter::new(&job.region, metrics::TRAINING_JOBS, &[("Host", &host)]);
        Ok(Self { runner, job, folder, input, log, meter, is_ending, told: None })
    }

    /// Runs the job to its end, from wherever an earlier server left it. None if it is left to go on without this server.
    pub(super) fn run(&mut self) -> Result<Option<Outcome>, RunError> {
        let mut restarts = 0;
        loop {
            match self.runner.engine.look(self.folder.path())? {
                TaskState::Running { .. } => {}
                TaskState::Ended(exit) => return self.end(&exit).map(Some),
                TaskState::NotStarted | TaskState::Lost if self.is_told()? => {
                    return self.stopped().map(Some);
                }
                TaskState::NotStarted => self.start(Secondary::Downloading)?,
                TaskState::Lost if restarts < MOST_RESTARTS => {
                    restarts += 1;
                    self.jobs().enter(self.job.id, Secondary::Interrupted, None)?;
                    self.start(Secondary::Restarting)?;
                }
                TaskState::Lost => {
                    return Err(RunError::Machine(format!(
                        "the training was killed together with the process that keeps it, {restarts} times"
                    )));
                }
            }
            if !self.watch()? {
                return Ok(None);
            }
        }
    }

    fn jobs(&self) -> &TrainingJobs {
        &self.runner.control.training_jobs
    }

    fn start(&self, first: Secondary) -> Result<(), RunError> {
        // Clients look for the stream as soon as the job is not starting any more.
        let (stream, path) = (self.job.log_stream(), self.job.log_path());
        let logs = &self.runner.control.logs;
        logs.add_stream(&self.job.region, LOG_GROUP, &stream, &path).map_err(JobError::from)?;
        self.jobs().enter(self.job.id, first, None)?;
        self.folder.prepare(&self.input, &self.runner.objects)?;
        let task = self.folder.task(&self.runner.program, self.job)?;
        self.jobs().enter(self.job.id, Secondary::Training, None)?;
        Ok(self.runner.engine.start(self.folder.path(), &task)?)
    }

    /// Watches the task until it does not run any more; false if it is left to itself.
    fn watch(&mut self) -> Result<bool, RunError> {
        let begin = Instant::now();
        let mut asked: Option<Instant> = None;
        let mut is_killed = false;
        while let TaskState::Running { started_ms } = self.runner.engine.look(self.folder.path())? {
            self.read_log()?;
            self.meter.look(&*self.runner.engine, self.folder.path(), &self.runner.control.metrics);
            if self.is_ending.load(Ordering::SeqCst) && self.runner.keeps_jobs {
                return Ok(false);
            }
            if !self.is_told()? && self.is_over(now_ms() - started_ms) {
                self.told = Some(Told::TimeOver);
            }
            if self.told.is_some() {
                let signal = match asked {
                    None => Some(Signal::Terminate),
                    Some(asked)
                        if !is_killed && asked.elapsed() > Duration::from_secs(STOP_GRACE_SECONDS) =>
                    {
                        is_killed = true;
                        Some(Signal::Kill)
                    }
                    Some(_) => None,
                };
                asked.get_or_insert_with(Instant::now);
                if let Some(signal) = signal {
                    self.runner.engine.signal(self.folder.path(), signal)?;
                }
            }
            std::thread::sleep((begin.elapsed() / POLL_PART).clamp(FIRST_POLL, LAST_POLL));
        }
        Ok(true)
    }

    /// Whether the job was told to stop, now or by an earlier server.
    fn is_told(&mut self) -> Result<bool, RunError> {
        if self.told.is_none()
            && (self.is_ending.load(Ordering::SeqCst) || self.jobs().is_stopping(self.job.id)?)
        {
            self.told = Some(Told::Stop);
        }
        Ok(self.told.is_some())
    }

    /// Whether a run of so many milliseconds is longer than the job may run.
    fn is_over(&self, runtime_ms: i64) -> bool {
        Duration::from_millis(u64::try_from(runtime_ms).unwrap_or_default()) > self.input.max_runtime
    }

    fn read_log(&mut self) -> Result<bool, RunError> {
        let Some(metrics) = self.log.read()? else { return Ok(false) };
        if !metrics.is_empty() {
            self.jobs().measured(self.job.id, metrics, self.log.offset())?;
        }
        Ok(true)
    }

    fn end(&mut self, exit: &Exit) -> Result<Outcome, RunError> {
        while self.read_log()? {}
        // It may be an earlier server that told it.
        if !self.is_told()? && self.is_over(exit.ended_ms - exit.started_ms) {
            self.told = Some(Told::TimeOver);
        }
        if self.told.is_none() && !exit.is_success() {
            return Ok(Outcome::Failed { reason: self.folder.failure(exit) });
        }
        let artefacts = self.upload()?;
        Ok(match (self.told, artefacts) {
            (None, Some(artefacts)) => Outcome::Completed { artefacts },
            (None, None) => {
                Outcome::Failed { reason: "AlgorithmError: the training left no model".to_owned() }
            }
            (Some(Told::Stop), artefacts) => Outcome::Stopped { artefacts },
            (Some(Told::TimeOver), artefacts) => Outcome::MaxRuntimeExceeded { artefacts },
        })
    }

    /// A job that is told to stop while its task does not run; an earlier run may have left a model.
    fn stopped(&mut self) -> Result<Outcome, RunError> {
        Ok(Outcome::Stopped { artefacts: self.upload()? })
    }

    fn upload(&self) -> Result<Option<String>, RunError> {
        self.jobs().enter(self.job.id, Secondary::Uploading, None)?;
        self.folder.upload(&self.input.output, &self.job.name, &self.runner.objects)
    }
}
