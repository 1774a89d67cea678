//! The run of one job, from its input to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kokanee_contract::channels::InputMode;
use kokanee_contract::container::layout::STOP_GRACE_SECONDS;

use super::artefacts::Artefacts;
use super::checkpoints::CheckpointCopier;
use super::job_folder::JobFolder;
use super::log::JobLog;
use super::pipe::Feeder;
use super::program::{hosts, program, training_message};
use super::{RunError, Runner};
use crate::engine::{Exit, Signal, TaskState};
use crate::images::Launched;
use crate::jobs::JobError;
use crate::metrics::{self, InstanceMeter};
use crate::store::now_ms;
use crate::training::{LOG_GROUP, Outcome, Secondary, TrainingJob, TrainingJobs, TrainingRequest};

/// The time between two looks at a task: short at first, so that short jobs are not delayed, and longer later.
const FIRST_POLL: Duration = Duration::from_millis(10);
const LAST_POLL: Duration = Duration::from_millis(250);
/// The pause between looks is this fraction of the time for which the task has been watched.
const POLL_PART: u32 = 50;
/// The most restarts of a task that dies with its keeper or with the machine.
const MOST_RESTARTS: u32 = 3;

/// The message for a job whose server ended while it fed channels to the program.
const FED_AGAIN: &str = "Restarting the training job from its checkpoint, since its channels in Pipe mode ended with the server that \
                         fed them";

/// The reason why a task was told to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// It was asked to stop.
    Stop,
    /// Its time was over.
    TimeOver,
    /// A channel can no longer be fed, for this reason.
    Fault(String),
}

/// A running job.
pub(super) struct Work<'a> {
    runner: &'a Runner,
    job: &'a TrainingJob,
    folder: JobFolder,
    request: TrainingRequest,
    log: JobLog,
    meter: InstanceMeter,
    is_ending: &'a AtomicBool,
    told: Option<Told>,
    /// The feeders of this server, which write the program's channels.
    feeders: Vec<Feeder>,
    checkpoints: Option<CheckpointCopier>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        runner: &'a Runner,
        job: &'a TrainingJob,
        is_ending: &'a AtomicBool,
    ) -> Result<Self, RunError> {
        let folder = JobFolder::new(&runner.folder, job);
        let request =
            TrainingRequest::parse(&job.request).map_err(|error| RunError::Client(error.to_string()))?;
        let log = JobLog::new(folder.log(), job.state.log_offset, &request.metrics)?;
        let host = format!("{}/algo-1", job.name);
        let meter = InstanceMeter::new(&job.region, metrics::TRAINING_JOBS, &[("Host", &host)]);
        let (feeders, checkpoints) = (Vec::new(), None);
        Ok(Self { runner, job, folder, request, log, meter, is_ending, told: None, feeders, checkpoints })
    }

    /// Runs the job to its end, from the state in which an earlier server left it. None if the job is left to run without this server.
    pub(super) fn run(&mut self) -> Result<Option<Outcome>, RunError> {
        let mut restarts = 0;
        // A killed server may have begun a start; that program must not see its data while they are laid out again.
        self.runner.engine.settle(self.folder.path())?;
        if self.is_cut_off()? {
            self.kill()?;
            self.jobs().enter(self.job.id, Secondary::Interrupted, None)?;
            self.start(Secondary::Restarting, Some(FED_AGAIN))?;
        }
        loop {
            match self.runner.engine.look(self.folder.path())? {
                TaskState::Running { .. } => {}
                TaskState::Ended(exit) => return self.end(&exit).map(Some),
                TaskState::NotStarted | TaskState::Lost if self.is_left() => return Ok(None),
                TaskState::NotStarted | TaskState::Lost if self.is_told()? => {
                    return self.stopped().map(Some);
                }
                TaskState::NotStarted => self.start(Secondary::Downloading, None)?,
                TaskState::Lost if restarts < MOST_RESTARTS => {
                    restarts += 1;
                    self.jobs().enter(self.job.id, Secondary::Interrupted, None)?;
                    self.start(Secondary::Restarting, None)?;
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

    /// Whether the program may have seen a premature end of its data, because the server that fed it was killed.
    fn is_cut_off(&mut self) -> Result<bool, RunError> {
        let is_fed = self.request.channels.iter().any(|channel| channel.mode == InputMode::Pipe);
        // The earlier server saw the program end before it uploaded anything.
        if !is_fed || self.job.state.secondary == Secondary::Uploading || self.is_told()? {
            return Ok(false);
        }
        let state = self.runner.engine.look(self.folder.path())?;
        Ok(matches!(state, TaskState::Running { .. } | TaskState::Ended(_)))
    }

    /// Starts the task, unless the job is told to stop meanwhile.
    fn start(&mut self, first: Secondary, message: Option<&str>) -> Result<(), RunError> {
        self.feeders.clear();
        // Clients look for the stream as soon as the job is no longer starting.
        let (stream, path) = (self.job.log_stream(), self.job.log_path());
        let logs = &self.runner.control.logs;
        logs.add_stream(&self.job.region, LOG_GROUP, &stream, &path).map_err(JobError::from)?;
        self.jobs().enter(self.job.id, first, message)?;
        let objects = &self.runner.objects;
        let launched = self.program()?;
        launched.clean_up();
        let is_own = self.job.state.algorithm.is_none();
        self.folder.configure(&self.request, &hosts(self.job, &self.request), is_own)?;
        if let Some(checkpoints) = self.folder.checkpoints(&self.request, objects) {
            let is_restored = checkpoints.restore()?;
            self.checkpoints = Some(CheckpointCopier::start(checkpoints, is_restored)?);
        }
        let goes_on = || {
            let is_stopping = || self.jobs().is_stopping(self.job.id).unwrap_or(false);
            !self.is_ending.load(Ordering::SeqCst) && !is_stopping()
        };
        if !self.folder.fill(&self.request, &**objects, &goes_on)? {
            return Ok(());
        }
        self.feeders = self.folder.feed(&self.request, objects)?;
        self.jobs().enter(self.job.id, Secondary::Training, training_message(&self.request).as_deref())?;
        Ok(self.runner.engine.start(self.folder.path(), &launched.task)?)
    }

    fn program(&self) -> Result<Launched, RunError> {
        program(self.runner, self.job, &self.request, &self.folder)
    }

    /// Ends the remains of a killed program: its container would continue without it.
    fn clean_up(&self) {
        if self.job.state.algorithm.is_none()
            && let Ok(launched) = self.program()
        {
            launched.clean_up();
        }
    }

    /// Kills the task at once, with all its processes.
    fn kill(&self) -> Result<(), RunError> {
        self.runner.engine.signal(self.folder.path(), Signal::Kill)?;
        self.clean_up();
        while matches!(self.runner.engine.look(self.folder.path())?, TaskState::Running { .. }) {
            std::thread::sleep(FIRST_POLL);
        }
        Ok(())
    }

    /// Watches the task until it no longer runs; false if it is left to run on its own.
    fn watch(&mut self) -> Result<bool, RunError> {
        let begin = Instant::now();
        let mut asked: Option<Instant> = None;
        self.copy_checkpoints()?;
        while let TaskState::Running { started_ms } = self.runner.engine.look(self.folder.path())? {
            self.read_log()?;
            self.meter.look(&*self.runner.engine, self.folder.path(), &self.runner.control.metrics);
            if self.is_left() {
                if !self.feeders.is_empty() {
                    // Nothing would feed it, so the next server starts it again.
                    self.kill()?;
                }
                return Ok(false);
            }
            if !self.is_told()? && self.is_over(now_ms() - started_ms) {
                self.told = Some(Told::TimeOver);
            }
            if let Some(fault) = self.feeders.iter().find_map(Feeder::fault) {
                self.told = Some(Told::Fault(fault.to_owned()));
                self.kill()?;
            } else if self.told.is_some() {
                match asked {
                    None => self.runner.engine.signal(self.folder.path(), Signal::Terminate)?,
                    Some(asked) if asked.elapsed() > Duration::from_secs(STOP_GRACE_SECONDS) => {
                        self.kill()?
                    }
                    Some(_) => {}
                }
                asked.get_or_insert_with(Instant::now);
            }
            std::thread::sleep((begin.elapsed() / POLL_PART).clamp(FIRST_POLL, LAST_POLL));
        }
        Ok(true)
    }

    /// Whether the server is ending and leaves the job to the next one.
    fn is_left(&self) -> bool {
        self.runner.keeps_jobs && self.is_ending.load(Ordering::SeqCst)
    }

    /// Whether the job was told to stop, now or by an earlier server.
    fn is_told(&mut self) -> Result<bool, RunError> {
        let is_ending = self.is_ending.load(Ordering::SeqCst) && !self.runner.keeps_jobs;
        if self.told.is_none() && (is_ending || self.jobs().is_stopping(self.job.id)?) {
            self.told = Some(Told::Stop);
        }
        Ok(self.told.is_some())
    }

    /// Whether a run of so many milliseconds exceeds the job's time limit.
    fn is_over(&self, runtime_ms: i64) -> bool {
        Duration::from_millis(u64::try_from(runtime_ms).unwrap_or_default()) > self.request.max_runtime
    }

    fn read_log(&mut self) -> Result<bool, RunError> {
        let Some(metrics) = self.log.read()? else { return Ok(false) };
        if !metrics.is_empty() {
            self.jobs().measured(self.job.id, metrics, self.log.offset())?;
        }
        Ok(true)
    }

    /// Starts to copy checkpoints, if the job has some and an earlier server started its task.
    fn copy_checkpoints(&mut self) -> Result<(), RunError> {
        if self.checkpoints.is_none() {
            let checkpoints = self.folder.checkpoints(&self.request, &self.runner.objects);
            self.checkpoints =
                checkpoints.map(|checkpoints| CheckpointCopier::start(checkpoints, false)).transpose()?;
        }
        Ok(())
    }

    /// Copies the last checkpoints to S3.
    fn finish_checkpoints(&mut self) -> Result<(), RunError> {
        self.copy_checkpoints()?;
        self.checkpoints.take().map_or(Ok(()), CheckpointCopier::finish)
    }

    fn end(&mut self, exit: &Exit) -> Result<Outcome, RunError> {
        let fault = self.feeders.iter().find_map(Feeder::fault).map(str::to_owned);
        self.feeders.clear();
        if exit.signal.is_some() {
            self.clean_up();
        }
        while self.read_log()? {}
        // An earlier server may have told it to stop.
        if !self.is_told()? && self.is_over(exit.ended_ms - exit.started_ms) {
            self.told = Some(Told::TimeOver);
        }
        let failure = match (&self.told, fault) {
            (Some(Told::Fault(reason)), _) => Some(reason.clone()),
            (None, Some(reason)) => Some(reason),
            (None, None) if !exit.is_success() => Some(self.folder.failure(exit)),
            _ => None,
        };
        if let Some(reason) = failure {
            let left = self.finish_checkpoints().and_then(|()| self.folder.put_output(&self.artefacts()));
            if let Err(error) = left {
                tracing::warn!(job = self.job.name, %error, "what a job that failed has left is not in S3");
            }
            return Ok(Outcome::Failed { reason });
        }
        let artefacts = self.upload()?;
        Ok(match (&self.told, artefacts) {
            (None, Some(artefacts)) => Outcome::Completed { artefacts },
            (None, None) => {
                Outcome::Failed { reason: "AlgorithmError: the training left no model".to_owned() }
            }
            (Some(Told::TimeOver), artefacts) => Outcome::MaxRuntimeExceeded { artefacts },
            (Some(Told::Stop | Told::Fault(_)), artefacts) => Outcome::Stopped { artefacts },
        })
    }

    /// Ends a job that was told to stop while its task did not run. An earlier run may have left a model.
    fn stopped(&mut self) -> Result<Outcome, RunError> {
        Ok(Outcome::Stopped { artefacts: self.upload()? })
    }

    fn upload(&mut self) -> Result<Option<String>, RunError> {
        self.jobs().enter(self.job.id, Secondary::Uploading, None)?;
        self.finish_checkpoints()?;
        let may_be_empty = self.job.state.algorithm.is_none() && self.told.is_none();
        self.folder.put_model(&self.artefacts(), may_be_empty)
    }

    fn artefacts(&self) -> Artefacts<'_> {
        Artefacts {
            objects: &*self.runner.objects,
            address: self.request.output.below(&format!("{}/output", self.job.name)),
            packing: self.request.packing,
            scratch: self.folder.path(),
        }
    }
}
