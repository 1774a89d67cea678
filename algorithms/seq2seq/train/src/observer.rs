//! What a training job tells whoever watches it.

use crate::report::{CheckpointReport, Measures};
use crate::run_state::Outcome;
use crate::summary::Summary;

/// Watches a training job. Every method does nothing unless it is written.
pub trait Observer {
    /// Everything is read and built; training begins.
    fn started(&mut self, _summary: &Summary) {}
    /// An update was done.
    fn update(&mut self, _progress: &Progress) {}
    /// The updates between two checkpoints are done, and the model is being measured and saved, which may take long.
    fn checkpoint_begins(&mut self, _checkpoint: u64) {}
    /// A checkpoint was taken.
    fn checkpoint(&mut self, _report: &CheckpointReport) {}
    /// Something else that should be known.
    fn message(&mut self, _level: Level, _text: &str) {}
    /// Training ended, and everything is written.
    fn finished(&mut self, _outcome: &Outcome) {}
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the record.
    Info,
    /// Probably not what was meant.
    Warning,
}

/// Where training stands after an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Updates done.
    pub update: u64,
    /// Epoch of this update, from 0.
    pub epoch: u64,
    /// Number of the (last) batch of this update in its epoch, from 0.
    pub batch: u64,
    /// Batches of an epoch.
    pub batches_per_epoch: u64,
    /// Updates until the next checkpoint.
    pub updates_to_checkpoint: u64,
    /// Updates until a limit ends the run, where there is one.
    pub updates_to_limit: Option<u64>,
    /// Mean negative log-likelihood per target token of its batches, before the update, in nats.
    pub loss: f64,
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// What this update did.
    pub work: Throughput,
    /// What the last updates did, [`RECENT_UPDATES`] at most.
    pub recent: Throughput,
    /// Metrics of the batches since the last checkpoint.
    pub train: Measures,
}

/// Updates over which [`Progress::recent`] reaches; Sockeye writes a line every so many.
pub const RECENT_UPDATES: usize = 50;

/// Work in some time. Padding is never counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Throughput {
    /// Pairs trained on.
    pub sentences: u64,
    /// Target tokens, `</s>` included.
    pub target_tokens: u64,
    /// Seconds it took.
    pub seconds: f64,
}

impl Throughput {
    /// Pairs a second; 0 when no time was measured.
    pub fn sentences_per_second(&self) -> f64 {
        per_second(self.sentences, self.seconds)
    }

    /// Target tokens a second; 0 when no time was measured.
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
    /// Percent of the run that is done, if it runs to its limit; none where there is no limit.
    pub fn percent(&self) -> Option<f64> {
        let left = self.updates_to_limit?;
        Some(100.0 * self.update as f64 / (self.update + left) as f64)
    }
}

/// Watches nothing.
impl Observer for () {}

/// Several observers, told one after the other.
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
