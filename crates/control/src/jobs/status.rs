//! Statuses of jobs.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `TrainingJobStatus`, `TransformJobStatus` and their like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Waits or runs.
    InProgress,
    /// Done.
    Completed,
    /// Ended by an error.
    Failed,
    /// Told to stop.
    Stopping,
    /// Stopped before its end.
    Stopped,
}

impl Status {
    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
        }
    }

    /// Whether nothing changes any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

/// Something that cannot happen to a job any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("The request was rejected because the {noun} is in status {}.", .status.as_str())]
pub struct Refused {
    /// What the job is called.
    pub noun: &'static str,
    /// Its status.
    pub status: Status,
}
