//! Why training ends.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// As many updates as allowed.
    MaxUpdates,
    /// As many epochs as allowed.
    MaxEpochs,
    /// The optimized metric stopped improving.
    NoImprovement {
        /// Checkpoints in a row without improvement.
        checkpoints: u64,
    },
    /// Somebody asked for it.
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
