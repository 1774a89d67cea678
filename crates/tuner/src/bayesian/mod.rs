//! Bayesian optimisation: what a Gaussian process of the history expects most of.

mod acquisition;
mod candidates;
mod evidence;
mod model;

use self::model::Model;
use crate::history::History;
use crate::options::Options;
use crate::space::Value;

/// At most so many quasi-random trials before a model has its say.
const MOST_INITIAL: usize = 10;

/// The next configuration: quasi-random at first, then what promises most.
pub(crate) fn suggest(history: &History<'_>, options: &Options) -> Vec<Value> {
    let default = (history.space.dimensions().len() + 2).min(MOST_INITIAL);
    let initial = options.initial_trials.unwrap_or(default);
    let measured = history.trials.iter().filter(|trial| trial.value().is_some()).count();
    let parents = history.trials.len() - history.own.min(history.trials.len());
    // Two values at least: one has no scale.
    if history.own + parents < initial || measured < 2 {
        return history.quasi_random();
    }
    let model = Model::new(history, options);
    let ranked = candidates::ranked(history, &model);
    history.first_new(ranked.into_iter().map(|point| history.space.decode(&point)))
}
