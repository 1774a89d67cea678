//! A training job that a tuning job created.

use std::collections::BTreeMap;

use kokanee_tuner::Outcome;
use serde::{Deserialize, Serialize};

use crate::jobs::Status;
use crate::training::TrainingJob;

/// The settings and the state of a child. It outlives a deleted training job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Its number, counted from 1 in the order of creation.
    pub number: u32,
    /// The training job's name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The index of its definition.
    pub definition: usize,
    /// The names and values of its tuned hyperparameters.
    pub values: BTreeMap<String, String>,
    /// The number of the child that it retries, whose training failed because of the machine.
    pub retries: Option<u32>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When its machine became available.
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
    /// Updates the child from its training job. Returns whether anything changed.
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

    /// Ends a child whose training job no longer exists.
    pub(crate) fn lose(&mut self, now_ms: i64) {
        self.status = Status::Stopped;
        self.ended_ms = Some(now_ms);
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.status.is_final()
    }

    /// Whether it failed because of the machine rather than its author.
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

    /// The value of the objective, if the training completed or was stopped.
    pub fn result(&self) -> Option<f64> {
        self.objective.filter(|_| self.objective_status() == "Succeeded")
    }

    /// Its outcome for the search.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.status, self.objective) {
            (Status::InProgress | Status::Stopping, _) => Outcome::Running,
            (Status::Completed, Some(value)) => Outcome::Finished(value),
            (Status::Stopped, value) => Outcome::Stopped(value),
            // A failure of the machine says nothing about the values.
            (Status::Failed, _) if self.is_retryable() => Outcome::Stopped(None),
            (Status::Completed | Status::Failed, _) => Outcome::Failed,
        }
    }
}
