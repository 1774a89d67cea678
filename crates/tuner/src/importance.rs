//! The importance of each hyperparameter: functional analysis of variance over a random forest (Hutter, Hoos, Leyton-Brown 2014, "An
//! Efficient Approach for Assessing Hyperparameter Importance").

mod forest;

use self::forest::{Kind, Tree};
use crate::gp::Normalized;
use crate::{Goal, Range, Space, Trial, Value};

/// Shares of the variance of the objective over the whole space; they sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// The share that each dimension explains alone, in the order of the space.
    pub dimensions: Vec<f64>,
    /// The share that only combinations of dimensions explain.
    pub interactions: f64,
}

impl Importance {
    /// The shares by the names of the space's dimensions, and the share of the interactions as `together`.
    pub fn named(&self, space: &Space) -> Vec<(String, f64)> {
        let names = space.dimensions().iter().map(|dimension| dimension.name().to_owned());
        let alone = names.zip(self.dimensions.iter().copied());
        alone.chain([("together".to_owned(), self.interactions)]).collect()
    }
}

/// Trees of the forest; with more, shares change little.
const TREES: usize = 64;

/// The minimum number of trials with values; with fewer, shares are mere chance.
const LEAST_TRIALS: usize = 4;

/// The importance of each dimension, from all trials of the space that have values. Extremely bad values are limited, so that one diverged
/// training does not explain everything. `None` if fewer than four trials have values, or all values are equal.
pub fn importance(space: &Space, trials: &[Trial], goal: Goal, seed: u64) -> Option<Importance> {
    let (points, losses): (Vec<Vec<f64>>, Vec<f64>) = trials
        .iter()
        .filter(|trial| space.check(&trial.values).is_ok())
        .filter_map(|trial| Some((point(space, &trial.values), goal.loss(trial.value()?))))
        .unzip();
    if points.len() < LEAST_TRIALS {
        return None;
    }
    let targets = Normalized::new(&losses, 1.0).values;
    let kinds: Vec<Kind> = space
        .dimensions()
        .iter()
        .map(|dimension| match dimension.range() {
            Range::Categorical { values } => Kind::Category(values.len()),
            _ => Kind::Number,
        })
        .collect();
    let mut sums = vec![0.0; space.dimensions().len()];
    let mut explained = 0;
    for tree in 0..TREES {
        let tree = Tree::grow(&kinds, &points, &targets, seed, tree as u64);
        let total = tree.variance();
        if total > 0.0 {
            explained += 1;
            sums.iter_mut().enumerate().for_each(|(j, sum)| *sum += tree.variance_of(j) / total);
        }
    }
    if explained == 0 {
        return None;
    }
    let dimensions: Vec<f64> = sums.iter().map(|sum| sum / f64::from(explained)).collect();
    let interactions = (1.0 - dimensions.iter().sum::<f64>()).max(0.0);
    Some(Importance { dimensions, interactions })
}

/// A configuration in the form that trees use.
fn point(space: &Space, values: &[Value]) -> Vec<f64> {
    let one = |(unit, value): (f64, &Value)| match value {
        Value::Category(place) => *place as f64,
        _ => unit,
    };
    space.encode(values).into_iter().zip(values).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dimension, Options, Outcome, Scale, Strategy, Suggestion, suggest};

    fn space() -> Space {
        Space::new(vec![
            Dimension::continuous("a", 0.0, 1.0, Scale::Linear),
            Dimension::integer("b", 1, 4, Scale::Linear),
            Dimension::categorical("c", ["x", "y", "z"]),
            Dimension::continuous("d", 0.0, 1.0, Scale::Linear),
        ])
        .unwrap()
    }

    fn trials(objective: impl Fn(f64, i64, usize) -> f64) -> Vec<Trial> {
        let options = Options::bayesian(Goal::Minimize).with_strategy(Strategy::Random);
        let mut trials = Vec::new();
        while trials.len() < 150 {
            let Ok(Suggestion::Configuration(values)) = suggest(&space(), &trials, &options, 3) else {
                panic!("no suggestion")
            };
            let (Value::Real(a), Value::Integer(b), Value::Category(c)) = (values[0], values[1], values[2])
            else {
                panic!("{values:?}")
            };
            trials.push(Trial::new(values, Outcome::Finished(objective(a, b, c))));
        }
        trials
    }

    #[test]
    fn shares_are_those_of_an_additive_function() {
        // The variances are 1/12 of a; 1.25 · 0.04 of b; 2/9 · 0.25 of c.
        let trials = trials(|a, b, c| a + 0.2 * b as f64 + if c == 1 { 0.5 } else { 0.0 });
        let found = importance(&space(), &trials, Goal::Minimize, 1).unwrap();
        let parts = [1.0 / 12.0, 0.05, 0.25 * 2.0 / 9.0, 0.0];
        let total: f64 = parts.iter().sum();
        for (share, part) in found.dimensions.iter().zip(parts) {
            assert!((share - part / total).abs() < 0.1, "{found:?}");
        }
        let sum = found.dimensions.iter().sum::<f64>() + found.interactions;
        assert!((sum - 1.0).abs() < 1e-9 && found.interactions < 0.15);
        assert_eq!(importance(&space(), &trials, Goal::Minimize, 1), Some(found));
    }

    #[test]
    fn what_only_a_combination_explains_is_an_interaction() {
        let trials = trials(|a, b, _| if (a > 0.5) == (b > 2) { 1.0 } else { -1.0 });
        let found = importance(&space(), &trials, Goal::Maximize, 1).unwrap();
        assert!(found.interactions > 0.6, "{found:?}");
    }

    #[test]
    fn nothing_is_said_without_values() {
        let same = trials(|_, _, _| 3.0);
        assert_eq!(importance(&space(), &same, Goal::Minimize, 1), None);
        assert_eq!(importance(&space(), &same[..2], Goal::Minimize, 1), None);
    }
}
