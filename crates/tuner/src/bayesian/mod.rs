//! Bayesian optimisation: the configuration from which a Gaussian process of the history expects most.

mod acquisition;
mod candidates;
mod evidence;
mod model;

use self::model::Model;
use crate::history::History;
use crate::options::Options;
use crate::space::Value;

/// The maximum of the default number of quasi-random trials before the model is used.
const MOST_INITIAL: usize = 10;

/// The interval of random suggestions while the model regards most of the variation as noise. It then trusts slopes that arose by chance,
/// and would try the same corner of the space for ever.
const RANDOM_TURN: usize = 2;

/// The next configuration: quasi-random at first, then the most promising one.
pub(crate) fn suggest(history: &History<'_>, options: &Options) -> Vec<Value> {
    let default = (history.space.dimensions().len() + 2).min(MOST_INITIAL);
    let initial = options.initial_trials.unwrap_or(default);
    let measured = history.trials.iter().filter(|trial| trial.value().is_some()).count();
    let parents = history.trials.len() - history.own.min(history.trials.len());
    // A single value has no scale.
    if history.own + parents < initial || measured < 2 {
        return history.quasi_random();
    }
    let model = Model::new(history, options);
    if model.is_noise && history.own.is_multiple_of(RANDOM_TURN) {
        return history.random();
    }
    let ranked = candidates::ranked(history, &model);
    history.first_new(ranked.into_iter().map(|point| history.space.decode(&point)))
}

#[cfg(test)]
mod tests {
    use kokanee_formats::random::SplitMix64;

    use super::*;
    use crate::{Dimension, Goal, Outcome, Scale, Space, Trial};

    /// Whether the suggestion after so many trials is the random one, and whether the model regards the variation as noise. As in a search,
    /// trials have neighbours: every second one is close to the one before it.
    fn is_random(trials: usize, loss: impl Fn(f64, &mut SplitMix64) -> f64) -> (bool, bool) {
        let dimension = |name: &str| Dimension::continuous(name, 0.0, 1.0, Scale::Linear);
        let space = Space::new(vec![dimension("a"), dimension("b"), dimension("c")]).unwrap();
        let mut random = SplitMix64::from_state(8);
        let mut point = [0.0; 3];
        let trial = |index| {
            if index % 2 == 0 {
                point = std::array::from_fn(|_| random.unit());
            } else {
                point.iter_mut().for_each(|x| *x = (*x + 0.02 * random.unit()).min(1.0));
            }
            Trial::new(point.map(Value::Real).to_vec(), Outcome::Finished(loss(point[0], &mut random)))
        };
        let trials: Vec<Trial> = (0..trials).map(trial).collect();
        let history = History::new(&space, &trials, 3);
        let options = Options::bayesian(Goal::Minimize);
        (suggest(&history, &options) == history.random(), Model::new(&history, &options).is_noise)
    }

    #[test]
    fn noise_alone_does_not_decide_every_suggestion() {
        assert_eq!(is_random(60, |_, random| random.unit()), (true, true));
        assert_eq!(is_random(61, |_, random| random.unit()), (false, true));
        assert_eq!(is_random(30, |a, random| (a - 0.3).powi(2) + 0.05 * random.unit()), (false, false));
    }
}
