//! The life of a transform job: `InProgress` goes to `Completed`, `Failed`, or by `Stopping` to `Stopped`.

use kokanee_contract::container::failure::failure_reason;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::hosting::Container;
use crate::jobs::{JobState, Refused, Status, Times};

/// The changing part of a transform job, and its model as of creation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransformState {
    /// The container that its instance runs; the model may be deleted meanwhile.
    pub container: Container,
    /// The status.
    pub status: Status,
    /// Time of creation, in milliseconds since 1970.
    pub created_ms: i64,
    /// Time of the last change.
    pub modified_ms: i64,
    /// Time when it got its machine.
    pub started_ms: Option<i64>,
    /// Time of its end.
    pub ended_ms: Option<i64>,
    /// The failure reason.
    pub failure_reason: Option<String>,
}

/// The outcome of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of its input was answered.
    Completed,
    /// It ended with an error.
    Failed {
        /// `ClientError: …`; only its first 1024 characters are kept.
        reason: String,
    },
    /// It was stopped on request.
    Stopped,
}

impl TransformState {
    /// A job created now.
    pub fn new(container: Container, now_ms: i64) -> Self {
        Self {
            container,
            status: Status::InProgress,
            created_ms: now_ms,
            modified_ms: now_ms,
            started_ms: None,
            ended_ms: None,
            failure_reason: None,
        }
    }

    /// Records that the job has its machine.
    ///
    /// # Errors
    /// If it has ended.
    pub fn begin(&mut self, now_ms: i64) -> Result<(), Refused> {
        self.check_open()?;
        self.touch(now_ms);
        self.started_ms.get_or_insert(self.modified_ms);
        Ok(())
    }

    /// Ends the job.
    ///
    /// # Errors
    /// If it has ended.
    pub fn finish(&mut self, outcome: Outcome, now_ms: i64) -> Result<(), Refused> {
        self.check_open()?;
        self.touch(now_ms);
        self.status = match outcome {
            Outcome::Completed => Status::Completed,
            Outcome::Failed { reason } => {
                self.failure_reason = Some(failure_reason(&reason).to_owned());
                Status::Failed
            }
            Outcome::Stopped => Status::Stopped,
        };
        self.started_ms.get_or_insert(self.modified_ms);
        self.ended_ms = Some(self.modified_ms);
        Ok(())
    }

    /// Adds this state to a response of `DescribeTransformJob`.
    pub fn describe(&self, answer: &mut Map<String, Value>) {
        let seconds = |ms: i64| json!(ms as f64 / 1000.0);
        let mut set = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        set("TransformJobStatus", json!(self.status.as_str()));
        set("CreationTime", seconds(self.created_ms));
        if let Some(started_ms) = self.started_ms {
            set("TransformStartTime", seconds(started_ms));
        }
        if let Some(ended_ms) = self.ended_ms {
            set("TransformEndTime", seconds(ended_ms));
        }
        if let Some(reason) = &self.failure_reason {
            set("FailureReason", json!(reason));
        }
    }
}

impl JobState for TransformState {
    const NOUN: &'static str = "transform job";

    fn status(&self) -> Status {
        self.status
    }

    fn times(&self) -> Times {
        Times { created_ms: self.created_ms, modified_ms: self.modified_ms, ended_ms: self.ended_ms }
    }

    fn begin_stopping(&mut self, now_ms: i64) {
        self.touch(now_ms);
        self.status = Status::Stopping;
    }

    fn end_unstarted(&mut self, now_ms: i64) -> Result<(), Refused> {
        self.finish(Outcome::Stopped, now_ms)
    }

    fn touch(&mut self, now_ms: i64) {
        // The clock may have been set back.
        self.modified_ms = self.modified_ms.max(now_ms);
    }
}
