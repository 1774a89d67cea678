//! A training job that a tuning job created.

use std::collections::BTreeMap;

use kokanee_tuner::Outcome;
use serde::{Deserialize, Serialize};

use crate::jobs::Status;
use crate::training::TrainingJob;

/// What a child was given, and what is known of it. It stays when the training job is deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Counted from 1, in the order of creation.
    pub number: u32,
    /// The training job's name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its place among the definitions.
    pub definition: usize,
    /// Names and values of what is tuned.
    pub values: BTreeMap<String, String>,
    /// The child that it tries again, since the machine failed that one.
    pub retries: Option<u32>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it got its machine.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// The status of the training job.
    pub status: Status,
    /// The last value of the objective.
    pub objective: Option<f64>,
    /// Why it failed.
    pub failure_reason: Option<String>,
}

impl Child {
    /// Takes over how its training job gets on. Whether anything changed.
    pub(crate) fn update(&mut self, job: &TrainingJob, metric: &str) -> bool {
        let state = &job.state;
        let known = state.metrics.iter().find(|known| known.name == metric).map(|known| known.value);
        let now = Self {
            started_ms: state.started_ms,
            ended_ms: state.ended_ms,
            status: state.status,
            objective: known.or(self.objective),
            failure_reason: state.failure_reason.clone(),
            ..self.clone()
        };
        let is_new = now != *self;
        *self = now;
        is_new
    }

    /// Its training job is gone; a row without one ends.
    pub(crate) fn lose(&mut self, now_ms: i64) {
        self.status = Status::Stopped;
        self.ended_ms = Some(now_ms);
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.status.is_final()
    }

    /// Whether the machine failed it, and not its author.
    pub fn is_retryable(&self) -> bool {
        let reason = self.failure_reason.as_deref().unwrap_or_default();
        self.status == Status::Failed && reason.starts_with("InternalServerError")
    }

    /// `ObjectiveStatus`.
    pub fn objective_status(&self) -> &'static str {
        match (self.has_ended(), self.objective) {
            (false, _) => "Pending",
            (true, Some(_)) if self.status != Status::Failed => "Succeeded",
            _ => "Failed",
        }
    }

    /// The value of the objective of a training that has ended well or was stopped.
    pub fn result(&self) -> Option<f64> {
        self.objective.filter(|_| self.objective_status() == "Succeeded")
    }

    /// What it says about its values.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.status, self.objective) {
            (Status::InProgress | Status::Stopping, _) => Outcome::Running,
            (Status::Completed, Some(value)) => Outcome::Finished(value),
            (Status::Stopped, value) => Outcome::Stopped(value),
            // The machine's faults say nothing about values.
            (Status::Failed, _) if self.is_retryable() => Outcome::Stopped(None),
            (Status::Completed | Status::Failed, _) => Outcome::Failed,
        }
    }
}
