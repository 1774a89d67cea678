//! The history of a tuning.

use crate::Value;

/// Whether small or great values of the objective are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Small values are good.
    Minimize,
    /// Great values are good.
    Maximize,
}

/// A configuration that was tried or is being tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// One value per dimension of the space.
    pub values: Vec<Value>,
    /// How it ended, if it has.
    pub outcome: Outcome,
    /// The tuning that ran it.
    pub source: Source,
}

/// How a trial ended. A value that is not finite counts as a failure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// It runs, or waits to.
    Running,
    /// It ended by itself with this value of the objective.
    Finished(f64),
    /// It ended without a value, through its own fault.
    Failed,
    /// It was stopped; with the last value of the objective, if it had reported one.
    Stopped(Option<f64>),
}

/// Whose trial it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This tuning's own.
    Own,
    /// A parent's, of a warm start; parents are counted from 0.
    Parent(usize),
}

impl Trial {
    /// A trial of this tuning's own.
    pub fn new(values: Vec<Value>, outcome: Outcome) -> Self {
        Self { values, outcome, source: Source::Own }
    }

    /// The value of the objective, where the trial gave a finite one.
    pub fn value(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Finished(value) | Outcome::Stopped(Some(value)) if value.is_finite() => Some(value),
            _ => None,
        }
    }

    /// Whether the trial showed that its configuration gives no value. One that was stopped before its first value shows nothing.
    pub(crate) fn has_failed(&self) -> bool {
        match self.outcome {
            Outcome::Failed => true,
            Outcome::Finished(value) | Outcome::Stopped(Some(value)) => !value.is_finite(),
            Outcome::Running | Outcome::Stopped(None) => false,
        }
    }
}

impl Goal {
    /// `value` as a loss: small is good.
    pub(crate) fn loss(self, value: f64) -> f64 {
        match self {
            Self::Minimize => value,
            Self::Maximize => -value,
        }
    }

    /// Whether `value` is better than `other`; a NaN is worse than every number.
    pub fn prefers(self, value: f64, other: f64) -> bool {
        self.loss(value) < self.loss(other) || (other.is_nan() && !value.is_nan())
    }
}
