//! A training job as requested, and the flag that stops it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kokanee_contract::InputChannels;

/// A training job of any algorithm, however it was requested.
#[derive(Clone, Debug)]
pub struct TrainingJob {
    /// Names and values as they were given.
    pub hyperparameters: BTreeMap<String, String>,
    /// The input channels, checked against the algorithm's.
    pub channels: InputChannels,
    /// Where the results go.
    pub files: JobFiles,
    /// How to treat a state that an earlier run left.
    pub resume: Resume,
    /// This machine's name in SageMaker's log lines, `algo-1` where there is one machine.
    pub host: String,
    /// Number of machines given to the job; this one does the work of all.
    pub hosts: usize,
    /// Set when the job is to stop early.
    pub stop: StopFlag,
    /// Notes to write at the beginning of the log.
    pub notes: Vec<String>,
}

/// The places of a job's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFiles {
    /// Folder of the model.
    pub model: PathBuf,
    /// Folder of the state to resume from.
    pub checkpoints: PathBuf,
    /// Path of the `.tar.gz` that the model is packed into at the end; none where the container's caller packs it.
    pub archive: Option<PathBuf>,
}

/// How to treat a state that an earlier run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Starts from scratch; the first checkpoint replaces the state.
    Never,
    /// Resumes from the state if there is one.
    IfPresent,
    /// Resumes from the state if there is one, and first reports its checkpoints again, so that this run's log covers the whole training.
    Retell,
    /// Resumes from the state; it is an error if there is none.
    Required,
}

/// A request to stop, shared with a signal handler or another thread. The current step is finished first.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Requests the stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the stop was requested.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for signal handlers: true requests the stop.
    pub fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// The options for loading a model.
pub struct LoadOptions<'a> {
    /// Threads to compute with; 0 for as many as the machine has cores.
    pub threads: usize,
    /// The maximum number of waiting instances, where there is a queue.
    pub queue: usize,
    /// Whether texts of requests and responses are written to the log.
    pub log_text: bool,
    /// Gives the memory in bytes for all requests, from the size of the largest body that the model accepts by default.
    pub memory_bytes: &'a dyn Fn(usize) -> usize,
    /// Options of the algorithm by their names on the command line, without dashes: `beam-size`.
    pub settings: BTreeMap<&'static str, String>,
    /// Receives a note about each part of the model that this version does not know.
    pub tell: &'a dyn Fn(&str),
}

impl LoadOptions<'_> {
    /// Refuses every algorithm option, for algorithms that have none.
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
