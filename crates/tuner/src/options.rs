//! What a tuning is asked for.

use crate::trial::Goal;

/// How configurations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// By a Gaussian process of what was measured.
    Bayesian,
    /// Each alone, evenly over the scaled ranges.
    Random,
    /// All combinations of categories and integers in the order of their lists, the last dimension fastest.
    Grid,
    /// As [`Strategy::Random`]; [`crate::hyperband`] decides which trials go on.
    Hyperband,
}

/// What parents' trials mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmStart {
    /// The same data and algorithm: their values are as good as own ones.
    IdenticalDataAndAlgorithm,
    /// Other data or another algorithm: values of each parent are standardised on their own, and how far they tell about this
    /// tuning is inferred.
    TransferLearning,
}

/// What a tuning is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How configurations are chosen.
    pub strategy: Strategy,
    /// Which values are good.
    pub goal: Goal,
    /// What the trials of [`crate::Source::Parent`] mean.
    pub warm_start: WarmStart,
    /// Quasi-random trials before the first of [`Strategy::Bayesian`] that a model chooses; nothing for one per dimension and
    /// two more, at most 10. Parents' trials count.
    pub initial_trials: Option<usize>,
}

impl Options {
    /// The defaults: Bayesian, with parents' trials taken as own ones.
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
