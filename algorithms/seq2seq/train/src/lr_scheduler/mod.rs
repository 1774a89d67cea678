//! Learning-rate schedules.

mod fixed_rate;
mod plateau_reduce;
mod warmup;

use kokanee_contract::algorithms::seq2seq::{Hyperparameters, LrSchedulerType};
use serde::{Deserialize, Serialize};

pub use fixed_rate::FixedRate;
pub use plateau_reduce::PlateauReduce;
pub use warmup::Warmup;

/// A schedule with its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrScheduler {
    /// Reduce when the optimized metric does not improve.
    PlateauReduce(PlateauReduce),
    /// Fall with time.
    FixedRateInvT(FixedRate),
    /// Fall with the square root of time.
    FixedRateInvSqrtT(FixedRate),
}

impl LrScheduler {
    /// The schedule according to hyperparameters, at its start.
    pub fn new(h: &Hyperparameters) -> LrScheduler {
        let warmup = Warmup(h.learning_rate_warmup);
        let fixed = || {
            let half_life = h.fixed_rate_lr_half_life.saturating_mul(h.checkpoint_frequency_num_batches);
            FixedRate::new(h.learning_rate, half_life, warmup)
        };
        match h.lr_scheduler_type {
            LrSchedulerType::PlateauReduce => LrScheduler::PlateauReduce(PlateauReduce::new(
                h.learning_rate,
                h.plateau_reduce_lr_factor,
                h.plateau_reduce_lr_threshold,
                warmup,
            )),
            LrSchedulerType::FixedRateInvT => LrScheduler::FixedRateInvT(fixed()),
            LrSchedulerType::FixedRateInvSqrtT => LrScheduler::FixedRateInvSqrtT(fixed()),
        }
    }

    /// The learning rate of an update, counted from 1.
    pub fn learning_rate(&self, update: u64) -> f64 {
        match self {
            LrScheduler::PlateauReduce(plateau) => plateau.learning_rate(update),
            LrScheduler::FixedRateInvT(fixed) => fixed.inv_t(update),
            LrScheduler::FixedRateInvSqrtT(fixed) => fixed.inv_sqrt_t(update),
        }
    }

    /// Records a checkpoint after `updates` updates. Returns whether this reduced the learning rate.
    pub fn checkpoint(&mut self, improved: bool, updates: u64) -> bool {
        match self {
            LrScheduler::PlateauReduce(plateau) => plateau.checkpoint(improved, updates),
            LrScheduler::FixedRateInvT(_) | LrScheduler::FixedRateInvSqrtT(_) => false,
        }
    }

    /// The rate that checkpoints reduce: without warm-up, and without the effect of time.
    pub fn base_rate(&self) -> f64 {
        match self {
            LrScheduler::PlateauReduce(plateau) => plateau.base_rate(),
            LrScheduler::FixedRateInvT(fixed) | LrScheduler::FixedRateInvSqrtT(fixed) => fixed.base_rate(),
        }
    }
}
