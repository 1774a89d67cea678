//! The history of a tuning.

use std::cmp::Ordering;

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
        self.outcome.value()
    }

    /// Whether the trial showed that its configuration gives no value.
    pub(crate) fn has_failed(&self) -> bool {
        self.outcome.has_failed()
    }
}

impl Outcome {
    /// The value of the objective, where there is a finite one.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Finished(value) | Self::Stopped(Some(value)) if value.is_finite() => Some(value),
            _ => None,
        }
    }

    /// Whether it shows that a configuration gives no value. A trial that was stopped before its first value shows nothing.
    pub(crate) fn has_failed(self) -> bool {
        match self {
            Self::Failed => true,
            Self::Finished(value) | Self::Stopped(Some(value)) => !value.is_finite(),
            Self::Running | Self::Stopped(None) => false,
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

    /// Orders values, the better first. A NaN is worse than every number.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        let by_value = self.loss(a).partial_cmp(&self.loss(b));
        by_value.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }

    /// Whether `value` is better than `other`; a NaN is worse than every number.
    pub fn prefers(self, value: f64, other: f64) -> bool {
        self.compare(value, other).is_lt()
    }

    /// The best of some values; none of none.
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
