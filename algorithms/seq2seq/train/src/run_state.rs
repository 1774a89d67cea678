//! The state of a run, and its outcome.

use kokanee_contract::algorithms::seq2seq::Metric;
use serde::{Deserialize, Serialize};

use crate::StopReason;
use crate::early_stopping::NotImproved;
use crate::lr_scheduler::LrScheduler;
use crate::report::{AverageReport, Best, CheckpointReport};
use crate::validation::TokenSums;

/// Everything of a run that changes, except parameters and the optimizer's tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Number of updates done.
    pub updates: u64,
    /// Number of pairs trained on.
    pub samples: u64,
    /// Number of updates at the last checkpoint; 0 before the first.
    pub checkpoint_update: u64,
    /// Metrics of the batches since then.
    pub sums: TokenSums,
    /// Pairs and seconds of training since then.
    pub sentences: u64,
    /// Seconds of training since the last checkpoint.
    pub train_seconds: f64,
    /// The schedule with its learning rate.
    pub scheduler: LrScheduler,
    /// Number of checkpoints without improvement.
    pub not_improved: NotImproved,
    /// Best value of the optimized metric so far; none before the first improvement.
    pub best_value: Option<f64>,
    /// The checkpoint whose model is kept.
    pub best: Option<Best>,
    /// Seconds since the run began, interruptions not counted.
    pub elapsed_seconds: f64,
    /// Every checkpoint so far.
    pub history: Vec<CheckpointReport>,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The reason for its end.
    pub reason: StopReason,
    /// Number of updates done.
    pub updates: u64,
    /// The checkpoint whose model is kept, or the last of the averaged ones; none when training was stopped before the first
    /// update.
    pub best: Option<Best>,
    /// The result of averaging checkpoints, if that was asked for.
    pub average: Option<AverageReport>,
    /// Metric that decided which checkpoint is best.
    pub metric: Metric,
    /// Seconds since the run began, interruptions not counted.
    pub elapsed_seconds: f64,
    /// Whether another run can resume from here.
    pub resumable: bool,
}

impl RunState {
    /// Checks that these numbers can be the state of a run; they may come from a damaged file.
    pub(crate) fn check(&self) -> Result<(), String> {
        /// Above every count of a real run, and far from overflow.
        const MOST: u64 = 1 << 53;
        let counts = [self.updates, self.samples, self.sentences, self.not_improved.0, self.sums.tokens()];
        if counts.iter().any(|&count| count > MOST) || !self.sums.is_sound() {
            return Err("its counts are impossible".to_owned());
        }
        if self.checkpoint_update > self.updates {
            let (last, updates) = (self.checkpoint_update, self.updates);
            return Err(format!(
                "its last checkpoint (update {last}) lies after its last update ({updates})"
            ));
        }
        Ok(())
    }
}
