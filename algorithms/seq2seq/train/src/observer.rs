//! The events of a training job for its observers.

use crate::report::{CheckpointReport, Measures};
use crate::run_state::Outcome;
use crate::summary::Summary;

/// Observes a training job. Every method does nothing by default.
pub trait Observer {
    /// All data is read and the model is built; training begins.
    fn started(&mut self, _summary: &Summary) {}
    /// An update was done.
    fn update(&mut self, _progress: &Progress) {}
    /// The updates between two checkpoints are done, and the model is being measured and saved, which may take long.
    fn checkpoint_begins(&mut self, _checkpoint: u64) {}
    /// A checkpoint was taken.
    fn checkpoint(&mut self, _report: &CheckpointReport) {}
    /// Another event that should be known.
    fn message(&mut self, _level: Level, _text: &str) {}
    /// Training ended, and everything is written.
    fn finished(&mut self, _outcome: &Outcome) {}
}

/// The importance of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the record.
    Info,
    /// Probably a mistake.
    Warning,
}

/// The progress of training after an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Number of updates done.
    pub update: u64,
    /// Epoch of this update, from 0.
    pub epoch: u64,
    /// Number of the (last) batch of this update in its epoch, from 0.
    pub batch: u64,
    /// Number of batches per epoch.
    pub batches_per_epoch: u64,
    /// Number of updates until the next checkpoint.
    pub updates_to_checkpoint: u64,
    /// Number of updates until a limit ends the run, if there is one.
    pub updates_to_limit: Option<u64>,
    /// Mean negative log-likelihood per target token of its batches, before the update, in nats.
    pub loss: f64,
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// The work of this update.
    pub work: Throughput,
    /// The work of the last updates, at most [`RECENT_UPDATES`].
    pub recent: Throughput,
    /// Metrics of the batches since the last checkpoint.
    pub train: Measures,
}

/// Number of updates covered by [`Progress::recent`]; Sockeye writes a line for every so many.
pub const RECENT_UPDATES: usize = 50;

/// An amount of work, and its time. Padding is never counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Throughput {
    /// Number of pairs trained on.
    pub sentences: u64,
    /// Number of target tokens, `</s>` included.
    pub target_tokens: u64,
    /// Seconds it took.
    pub seconds: f64,
}

impl Throughput {
    /// Pairs per second; 0 when no time was measured.
    pub fn sentences_per_second(&self) -> f64 {
        per_second(self.sentences, self.seconds)
    }

    /// Target tokens per second; 0 when no time was measured.
    pub fn target_tokens_per_second(&self) -> f64 {
        per_second(self.target_tokens, self.seconds)
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

impl std::ops::AddAssign for Throughput {
    fn add_assign(&mut self, other: Throughput) {
        self.sentences += other.sentences;
        self.target_tokens += other.target_tokens;
        self.seconds += other.seconds;
    }
}

impl Progress {
    /// Percentage of the run that is done, if it runs to its limit; none without a limit.
    pub fn percent(&self) -> Option<f64> {
        let left = self.updates_to_limit?;
        Some(100.0 * self.update as f64 / (self.update + left) as f64)
    }
}

/// An observer that does nothing.
impl Observer for () {}

/// Several observers, called one after the other.
impl Observer for Vec<Box<dyn Observer + '_>> {
    fn started(&mut self, summary: &Summary) {
        self.iter_mut().for_each(|o| o.started(summary));
    }
    fn update(&mut self, progress: &Progress) {
        self.iter_mut().for_each(|o| o.update(progress));
    }
    fn checkpoint_begins(&mut self, checkpoint: u64) {
        self.iter_mut().for_each(|o| o.checkpoint_begins(checkpoint));
    }
    fn checkpoint(&mut self, report: &CheckpointReport) {
        self.iter_mut().for_each(|o| o.checkpoint(report));
    }
    fn message(&mut self, level: Level, text: &str) {
        self.iter_mut().for_each(|o| o.message(level, text));
    }
    fn finished(&mut self, outcome: &Outcome) {
        self.iter_mut().for_each(|o| o.finished(outcome));
    }
}
