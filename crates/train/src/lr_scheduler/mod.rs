//! Learning-rate schedules.

mod plateau_reduce;

use kokanee_contract::{Hyperparameters, LrSchedulerType};
use serde::{Deserialize, Serialize};

use crate::TrainError;
pub use plateau_reduce::PlateauReduce;

/// A schedule with its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrScheduler {
    /// Reduce when the optimized metric does not improve.
    PlateauReduce(PlateauReduce),
}

impl LrScheduler {
    /// The schedule that hyperparameters ask for, at its start.
    ///
    /// # Errors
    /// When it is not built.
    pub fn new(h: &Hyperparameters) -> Result<LrScheduler, TrainError> {
        match h.lr_scheduler_type {
            LrSchedulerType::PlateauReduce => Ok(LrScheduler::PlateauReduce(PlateauReduce::new(
                h.learning_rate,
                h.plateau_reduce_lr_factor,
                h.plateau_reduce_lr_threshold,
            ))),
            other => Err(TrainError::NotBuilt(format!(
                "this version of Kokanee has no learning rate schedule `{other}`: use plateau_reduce"
            ))),
        }
    }

    /// The learning rate of an update, counted from 1.
    pub fn learning_rate(&self, _update: u64) -> f64 {
        match self {
            LrScheduler::PlateauReduce(plateau) => plateau.learning_rate(),
        }
    }

    /// Takes note of a checkpoint; returns whether the learning rate was reduced for that reason.
    pub fn checkpoint(&mut self, improved: bool) -> bool {
        match self {
            LrScheduler::PlateauReduce(plateau) => plateau.checkpoint(improved),
        }
    }
}
