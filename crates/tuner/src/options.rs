//! The options of a tuning.

use crate::trial::Goal;

/// How configurations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// By a Gaussian process of the results so far.
    Bayesian,
    /// Independently, evenly over the scaled ranges.
    Random,
    /// All combinations of categories and integers in the order of their lists, with the last dimension varying fastest.
    Grid,
    /// As [`Strategy::Random`]; [`crate::hyperband`] decides which trials continue.
    Hyperband,
}

/// The meaning of parents' trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmStart {
    /// The same data and algorithm: their values count like this tuning's own.
    IdenticalDataAndAlgorithm,
    /// Other data or another algorithm: values of each parent are standardised separately, and their relevance to this tuning is inferred.
    TransferLearning,
}

/// The options of a tuning.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How configurations are chosen.
    pub strategy: Strategy,
    /// Whether small or large values are better.
    pub goal: Goal,
    /// The meaning of the trials of [`crate::Source::Parent`].
    pub warm_start: WarmStart,
    /// Number of quasi-random trials before the first of [`Strategy::Bayesian`] that a model chooses. `None` means one per dimension and
    /// two more, at most 10. Parents' trials count.
    pub initial_trials: Option<usize>,
}

impl Options {
    /// The defaults: Bayesian, with parents' trials counted like the tuning's own.
    pub fn bayesian(goal: Goal) -> Self {
        Self {
            strategy: Strategy::Bayesian,
            goal,
            warm_start: WarmStart::IdenticalDataAndAlgorithm,
            initial_trials: None,
        }
    }

    /// These options with another strategy.
    pub fn with_strategy(self, strategy: Strategy) -> Self {
        Self { strategy, ..self }
    }
}
