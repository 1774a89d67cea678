//! Why training ends, and how it is asked to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// A request to stop, shared with a signal handler or another thread. The update at work is finished first.
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
