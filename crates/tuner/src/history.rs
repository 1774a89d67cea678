//! Queries of all strategies about the trials so far.

use kokanee_formats::random::SplitMix64;

use crate::grid;
use crate::quasi_random::Sobol;
use crate::space::{Space, Value};
use crate::trial::{Source, Trial};

/// Streams of random numbers, one per purpose.
const RANDOM_STREAM: u64 = 1;

/// Maximum random configurations drawn before a discrete space is searched systematically for a new one.
const DRAWS: usize = 100;

/// The trials that belong to the space.
pub(crate) struct History<'a> {
    pub(crate) space: &'a Space,
    pub(crate) trials: Vec<&'a Trial>,
    /// Number of this tuning's trials, which is the number of the suggestion.
    pub(crate) own: usize,
    pub(crate) seed: u64,
}

impl<'a> History<'a> {
    pub(crate) fn new(space: &'a Space, trials: &'a [Trial], seed: u64) -> Self {
        let own = trials.iter().filter(|trial| trial.source == Source::Own).count();
        let trials = trials.iter().filter(|trial| space.check(&trial.values).is_ok()).collect();
        Self { space, trials, own, seed }
    }

    /// The number of configurations if all were tried, which happens only in small spaces.
    pub(crate) fn exhausted(&self) -> Option<u64> {
        let configurations = self.space.size().filter(|size| *size <= self.trials.len() as u64)?;
        let is_new = grid::configurations(self.space).any(|values| !self.has(&values));
        (!is_new).then_some(configurations)
    }

    /// Whether a configuration was tried or is running.
    pub(crate) fn has(&self, values: &[Value]) -> bool {
        self.trials.iter().any(|trial| trial.values == values)
    }

    /// A generator for this suggestion and purpose.
    pub(crate) fn stream(&self, purpose: u64) -> SplitMix64 {
        SplitMix64::stream(self.seed, &[purpose, self.own as u64])
    }

    /// A new configuration, drawn evenly over the scaled ranges.
    pub(crate) fn random(&self) -> Vec<Value> {
        let mut random = self.stream(RANDOM_STREAM);
        self.first_new((0..DRAWS).map(|_| {
            let point: Vec<f64> = self.space.dimensions().iter().map(|_| random.unit()).collect();
            self.space.decode(&point)
        }))
    }

    /// A new configuration, from the sequence that covers the space most evenly.
    pub(crate) fn quasi_random(&self) -> Vec<Value> {
        let sobol = Sobol::new(self.space.dimensions().len(), self.seed);
        self.first_new((self.own..self.own + DRAWS).map(|index| self.space.decode(&sobol.point(index))))
    }

    /// The first new configuration of `proposals`, otherwise the first of the grid, otherwise the last proposal.
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
