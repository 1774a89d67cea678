//! The history of a tuning.

use std::cmp::Ordering;

use crate::Value;

/// Whether small or large values of the objective are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Small values are better.
    Minimize,
    /// Large values are better.
    Maximize,
}

/// A configuration that was tried or is running.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// One value per dimension of the space.
    pub values: Vec<Value>,
    /// Its outcome so far.
    pub outcome: Outcome,
    /// The tuning that ran it.
    pub source: Source,
}

/// The outcome of a trial. A value that is not finite counts as a failure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// The trial runs, or waits to run.
    Running,
    /// The trial ended by itself with this value of the objective.
    Finished(f64),
    /// The trial failed without a value.
    Failed,
    /// The trial was stopped; with the last value of the objective, if it had reported one.
    Stopped(Option<f64>),
}

/// The tuning that ran a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This tuning.
    Own,
    /// A parent tuning of a warm start; parents are counted from 0.
    Parent(usize),
}

impl Trial {
    /// A trial of this tuning.
    pub fn new(values: Vec<Value>, outcome: Outcome) -> Self {
        Self { values, outcome, source: Source::Own }
    }

    /// The value of the objective, if the trial gave a finite one.
    pub fn value(&self) -> Option<f64> {
        self.outcome.value()
    }

    /// Whether the trial showed that its configuration fails.
    pub(crate) fn has_failed(&self) -> bool {
        self.outcome.has_failed()
    }
}

impl Outcome {
    /// The value of the objective, if there is a finite one.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Finished(value) | Self::Stopped(Some(value)) if value.is_finite() => Some(value),
            _ => None,
        }
    }

    /// Whether it shows that a configuration fails. A trial that was stopped before its first value shows nothing.
    pub(crate) fn has_failed(self) -> bool {
        match self {
            Self::Failed => true,
            Self::Finished(value) | Self::Stopped(Some(value)) => !value.is_finite(),
            Self::Running | Self::Stopped(None) => false,
        }
    }
}

impl Goal {
    /// `value` as a loss: smaller is better.
    pub(crate) fn loss(self, value: f64) -> f64 {
        match self {
            Self::Minimize => value,
            Self::Maximize => -value,
        }
    }

    /// Orders values from better to worse. A NaN is worse than every number.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        let by_value = self.loss(a).partial_cmp(&self.loss(b));
        by_value.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }

    /// Whether `value` is better than `other`; a NaN is worse than every number.
    pub fn prefers(self, value: f64, other: f64) -> bool {
        self.compare(value, other).is_lt()
    }

    /// The best value; `None` if there are no values.
    pub(crate) fn best(self, values: &[f64]) -> Option<f64> {
        values.iter().copied().min_by(|a, b| self.compare(*a, *b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_values_come_first_and_a_nan_last() {
        for (goal, want) in [(Goal::Minimize, [-2.0, 0.0, 3.0]), (Goal::Maximize, [3.0, 0.0, -2.0])] {
            let mut values = [0.0, f64::NAN, 3.0, -2.0];
            values.sort_by(|a, b| goal.compare(*a, *b));
            assert!(values[..3] == want && values[3].is_nan(), "{values:?}");
            assert_eq!(goal.best(&values), Some(want[0]));
            assert!(goal.prefers(want[0], want[1]) && !goal.prefers(want[1], want[0]));
            assert!(goal.prefers(0.0, f64::NAN) && !goal.prefers(f64::NAN, 0.0));
            assert!(!goal.prefers(0.0, 0.0) && !goal.prefers(f64::NAN, f64::NAN) && !goal.prefers(-0.0, 0.0));
        }
        assert_eq!(Goal::Minimize.best(&[]), None);
    }
}
