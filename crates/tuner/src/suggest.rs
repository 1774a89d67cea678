//! The next configuration.

use crate::history::History;
use crate::options::{Options, Strategy};
use crate::space::{Space, Value, ValueError};
use crate::trial::{Source, Trial};
use crate::{bayesian, grid};

/// The result of [`suggest()`].
#[derive(Debug, Clone, PartialEq)]
pub enum Suggestion {
    /// A configuration to try: one value per dimension.
    Configuration(Vec<Value>),
    /// All configurations of the space were tried or are running.
    Exhausted {
        /// Their number.
        configurations: u64,
    },
}

/// The reason why no suggestion can be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SuggestError {
    /// A trial of this tuning does not belong to the space.
    #[error("trial {trial} of the history: {error}")]
    Trial {
        /// Its index in the history.
        trial: usize,
        /// The fault.
        error: ValueError,
    },
    /// A grid search over a continuous range.
    #[error(
        "hyperparameter {name}: grid search needs values to go through, and it is continuous; make it categorical, or choose \
         another strategy"
    )]
    NoGrid {
        /// The dimension.
        name: String,
    },
    /// The combinations are too many to count.
    #[error("the grid has more than 2^64 configurations; leave out values, or choose another strategy")]
    HugeGrid,
}

/// The next configuration to try: a pure function of its arguments. Call it whenever a slot becomes free, with all trials in the order in
/// which they were suggested; running ones count as tried.
///
/// A configuration of the history is not suggested again, except where the space has a continuous dimension and rounding makes two equal.
/// Parents' trials that do not belong to this space are ignored.
///
/// # Errors
///
/// A trial of this tuning whose values do not belong to the space, or a grid over a continuous range.
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
        return next_of_grid(&history);
    }
    if let Some(configurations) = history.exhausted() {
        return Ok(Suggestion::Exhausted { configurations });
    }
    let values = match options.strategy {
        Strategy::Bayesian => bayesian::suggest(&history, options),
        _ => history.random(),
    };
    Ok(Suggestion::Configuration(values))
}

/// The first combination that is not in the history.
fn next_of_grid(history: &History<'_>) -> Result<Suggestion, SuggestError> {
    let space = history.space;
    if let Some(dimension) = space.dimensions().iter().find(|dimension| dimension.size().is_none()) {
        return Err(SuggestError::NoGrid { name: dimension.name().to_owned() });
    }
    let size = space.size().ok_or(SuggestError::HugeGrid)?;
    let new = grid::configurations(space).find(|values| !history.has(values));
    Ok(new.map_or(Suggestion::Exhausted { configurations: size }, Suggestion::Configuration))
}

#[cfg(test)]
mod tests;
