//! What a training job is asked to do, and how it is asked to stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kokanee_contract::InputChannels;

/// A training job of any algorithm, wherever it was asked for.
#[derive(Clone, Debug)]
pub struct TrainingJob {
    /// Names and values as they were given.
    pub hyperparameters: BTreeMap<String, String>,
    /// Where the input lies, checked against the algorithm's channels.
    pub channels: InputChannels,
    /// Where the results go.
    pub files: JobFiles,
    /// What to do about a state that an earlier run left.
    pub resume: Resume,
    /// This machine's name in SageMaker's log lines, `algo-1` where there is one machine.
    pub host: String,
    /// Machines that the job was given; this one does the work of all.
    pub hosts: usize,
    /// Raised when the job is to end early.
    pub stop: StopFlag,
    /// What the log should say first.
    pub notes: Vec<String>,
}

/// Where a job leaves what it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFiles {
    /// Folder of the model.
    pub model: PathBuf,
    /// Folder of the state to resume from.
    pub checkpoints: PathBuf,
    /// Where the model is packed to at the end, as a `.tar.gz`; nowhere where the container's caller does it.
    pub archive: Option<PathBuf>,
}

/// What to do about a state that an earlier run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Begin anew; the first checkpoint replaces the state.
    Never,
    /// Go on from it where there is one.
    IfPresent,
    /// Go on from it where there is one, and begin with reporting its checkpoints again, so that what this run logs tells of the
    /// whole training.
    Retell,
    /// Go on from it; an error where there is none.
    Required,
}

/// A request to stop, shared with a signal handler or another thread. The step at work is finished first.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks for the stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked for.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for signal handlers: true asks for the stop.
    pub fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// How a model is to be loaded.
pub struct LoadOptions<'a> {
    /// Threads to compute with; 0 for as many as the machine has cores.
    pub threads: usize,
    /// The most instances that wait, where there is a queue.
    pub queue: usize,
    /// Whether texts of requests and answers are written to the log.
    pub log_text: bool,
    /// Memory in bytes for all requests, by the size of the largest body that the model takes by default.
    pub memory_bytes: &'a dyn Fn(usize) -> usize,
    /// Options of the algorithm by their names on the command line, without dashes: `beam-size`.
    pub settings: BTreeMap<&'static str, String>,
    /// Told what of the model this version does not know.
    pub tell: &'a dyn Fn(&str),
}

impl LoadOptions<'_> {
    /// Refuses every option of an algorithm, for those that have none.
    ///
    /// # Errors
    /// Names the first option.
    pub fn expect_no_settings(&self, algorithm: &str) -> Result<(), String> {
        match self.settings.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("--{name} has no meaning for a model of {algorithm}; leave it out")),
        }
    }
}
