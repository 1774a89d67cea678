//! Statuses of jobs.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `TrainingJobStatus`, `TransformJobStatus` and similar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Waiting or running.
    InProgress,
    /// Ended successfully.
    Completed,
    /// Ended by an error.
    Failed,
    /// Asked to stop.
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

    /// Whether the status is final.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

/// The error for a change that a job's status no longer allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("The request was rejected because the {noun} is in status {}.", .status.as_str())]
pub struct Refused {
    /// The kind of the job.
    pub noun: &'static str,
    /// Its status.
    pub status: Status,
}
