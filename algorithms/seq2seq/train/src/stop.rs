//! The reasons for the end of a training.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The allowed number of updates was reached.
    MaxUpdates,
    /// The allowed number of epochs was reached.
    MaxEpochs,
    /// The optimized metric stopped improving.
    NoImprovement {
        /// Number of checkpoints in a row without improvement.
        checkpoints: u64,
    },
    /// A stop was requested.
    Requested,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::MaxUpdates => write!(f, "the limit of updates is reached"),
            StopReason::MaxEpochs => write!(f, "the limit of epochs is reached"),
            StopReason::NoImprovement { checkpoints } => {
                write!(f, "the optimized metric has not improved for {checkpoints} checkpoint(s)")
            }
            StopReason::Requested => write!(f, "a stop was requested"),
        }
    }
}
