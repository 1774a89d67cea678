//! A trial: its values, its curve, and its status.

use std::collections::BTreeMap;

use kokanee_tuner::Outcome;
use serde::{Deserialize, Serialize};

/// The status of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    /// Running, or interrupted with the tuning; it is run again.
    InProgress,
    /// It ended by itself.
    Completed,
    /// This tuning stopped it.
    Stopped,
    /// It failed.
    Failed,
}

/// A trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    /// Number of the trial, from 1.
    pub(super) number: u32,
    /// The tuned hyperparameters.
    pub(super) values: BTreeMap<String, String>,
    /// Its status.
    pub(super) status: Status,
    /// The last finite value of the objective.
    pub(super) objective: Option<f64>,
    /// The objective each time it was reported; `null` if it was not finite.
    #[serde(with = "curve")]
    pub(super) curve: Vec<f64>,
    /// Seconds that it ran, in all tries together.
    pub(super) seconds: f64,
    /// How often it failed through no fault of its own and was run again.
    pub(super) retries: u32,
    /// Its position in the order in which trials ended.
    pub(super) ended: Option<u32>,
    /// The reason why it failed or was stopped.
    pub(super) reason: Option<String>,
}

impl Trial {
    pub(super) fn new(number: u32, values: BTreeMap<String, String>) -> Self {
        Self {
            number,
            values,
            status: Status::InProgress,
            objective: None,
            curve: Vec::new(),
            seconds: 0.0,
            retries: 0,
            ended: None,
            reason: None,
        }
    }

    /// The value of a trial that completed or was stopped.
    pub(super) fn result(&self) -> Option<f64> {
        self.objective.filter(|_| matches!(self.status, Status::Completed | Status::Stopped))
    }

    /// The outcome of its values for the search.
    pub(super) fn outcome(&self) -> Outcome {
        match (self.status, self.objective) {
            (Status::InProgress, _) => Outcome::Running,
            (Status::Completed, Some(value)) => Outcome::Finished(value),
            (Status::Stopped, value) => Outcome::Stopped(value),
            (Status::Completed | Status::Failed, _) => Outcome::Failed,
        }
    }
}

/// Numbers in JSON, which has neither infinity nor NaN.
mod curve {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let finite = |value: &f64| value.is_finite().then_some(*value);
        values.iter().map(finite).collect::<Vec<Option<f64>>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn ended(number: u32, status: Status, objective: Option<f64>) -> Trial {
        let values = BTreeMap::from([("k".to_owned(), (number + 1).to_string())]);
        Trial { status, objective, ended: Some(number), ..Trial::new(number, values) }
    }
}
