//! The next configuration.

use kokanee_formats::random::SplitMix64;

use crate::quasi_random::Sobol;
use crate::space::{Space, Value, ValueError};
use crate::trial::{Goal, Source, Trial};
use crate::{bayesian, grid};

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
    /// What the trials of [`Source::Parent`] mean.
    pub warm_start: WarmStart,
    /// Quasi-random trials before the first of [`Strategy::Bayesian`] that a model chooses; nothing for one per dimension and
    /// two more, at most 10. Parents' trials count.
    pub initial_trials: Option<usize>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Suggestion {
    /// Try this configuration: one value per dimension.
    Configuration(Vec<Value>),
    /// Each of the space's configurations was tried or is being tried.
    Exhausted {
        /// How many there are.
        configurations: u64,
    },
}

/// A suggestion that cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SuggestError {
    /// An own trial is not of this space.
    #[error("trial {trial} of the history: {error}")]
    Trial {
        /// Its place in the history.
        trial: usize,
        /// What is wrong.
        error: ValueError,
    },
    /// A grid over a continuous range.
    #[error(
        "hyperparameter {name}: grid search needs values to go through, and it is continuous; make it categorical, or choose \
         another strategy"
    )]
    NoGrid {
        /// The dimension.
        name: String,
    },
    /// More combinations than can be counted.
    #[error("the grid has more than 2^64 configurations; leave out values, or choose another strategy")]
    HugeGrid,
}

/// Streams of random numbers, one per purpose.
const RANDOM_STREAM: u64 = 1;

/// Random configurations that are drawn before all of a discrete space are gone through for one that is new.
const DRAWS: usize = 100;

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

/// The next configuration to try: a pure function of its arguments. Ask again whenever a slot frees, with all trials in the order
/// in which they were suggested; running ones count as tried.
///
/// A configuration of the history is not suggested again, except where the space has a continuous dimension and rounding makes two
/// equal. Parents' trials that are not of this space tell nothing and are left out.
///
/// # Errors
///
/// An own trial whose values are not of the space, or a grid over a continuous range.
pub fn suggest(
    space: &Space,
    trials: &[Trial],
    options: &Options,
    seed: u64,
) -> Result<Suggestion, SuggestError> {
    for (place, trial) in trials.iter().enumerate() {
        if trial.source == Source::Own {
            space.check(&trial.values).map_err(|error| SuggestError::Trial { trial: place, error })?;
        }
    }
    let history = History::new(space, trials, seed);
    if options.strategy == Strategy::Grid {
        return grid::suggest(space, trials);
    }
    if let Some(exhausted) = history.exhausted() {
        return Ok(exhausted);
    }
    let values = match options.strategy {
        Strategy::Bayesian => bayesian::suggest(&history, options),
        _ => history.random(),
    };
    Ok(Suggestion::Configuration(values))
}

/// The trials that are of the space, and what every strategy asks of them.
pub(crate) struct History<'a> {
    pub(crate) space: &'a Space,
    pub(crate) trials: Vec<&'a Trial>,
    /// Trials of this tuning: the number of the suggestion.
    pub(crate) own: usize,
    pub(crate) seed: u64,
}

impl<'a> History<'a> {
    pub(crate) fn new(space: &'a Space, trials: &'a [Trial], seed: u64) -> Self {
        let own = trials.iter().filter(|trial| trial.source == Source::Own).count();
        let trials = trials.iter().filter(|trial| space.check(&trial.values).is_ok()).collect();
        Self { space, trials, own, seed }
    }

    /// Whether nothing is left to try, which only small spaces reach.
    fn exhausted(&self) -> Option<Suggestion> {
        let configurations = self.space.size().filter(|size| *size <= self.trials.len() as u64)?;
        let is_new = grid::configurations(self.space).any(|values| !self.has(&values));
        (!is_new).then_some(Suggestion::Exhausted { configurations })
    }

    /// Whether a configuration was tried or is being tried.
    pub(crate) fn has(&self, values: &[Value]) -> bool {
        self.trials.iter().any(|trial| trial.values == values)
    }

    /// A generator of this suggestion's own for each purpose.
    pub(crate) fn stream(&self, purpose: u64) -> SplitMix64 {
        SplitMix64::stream(self.seed, &[purpose, self.own as u64])
    }

    /// A configuration that is new, evenly over the scaled ranges.
    fn random(&self) -> Vec<Value> {
        let mut random = self.stream(RANDOM_STREAM);
        self.first_new((0..DRAWS).map(|_| {
            let point: Vec<f64> = self.space.dimensions().iter().map(|_| random.unit()).collect();
            self.space.decode(&point)
        }))
    }

    /// A configuration that is new, from the sequence that covers the space most evenly.
    pub(crate) fn quasi_random(&self) -> Vec<Value> {
        let sobol = Sobol::new(self.space.dimensions().len(), self.seed);
        self.first_new((self.own..self.own + DRAWS).map(|index| self.space.decode(&sobol.point(index))))
    }

    /// The first of `proposals` that is new, else the first of the grid, else the last proposal.
    pub(crate) fn first_new(&self, proposals: impl Iterator<Item = Vec<Value>>) -> Vec<Value> {
        let mut last = None;
        for values in proposals {
            if !self.has(&values) {
                return values;
            }
            last = Some(values);
        }
        let new = grid::configurations(self.space).find(|values| !self.has(values));
        new.or(last).unwrap_or_else(|| self.space.decode(&vec![0.5; self.space.dimensions().len()]))
    }
}

#[cfg(test)]
mod tests;
