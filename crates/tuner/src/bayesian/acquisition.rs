//! The acquisition function: the logarithm of expected improvement, weighted by the probability that a trial gives a value.

use super::model::{Losses, Model};
use crate::normal::{log_cumulative, log_improvement};

impl Model {
    /// ln (EI · P(value)^[`CAUTION`]) at a point of the space. EI is the geometric mean of the processes' expected improvements. The
    /// arithmetic mean would follow the most optimistic process, which keeps a search from converging to a minimum.
    pub(super) fn promise(&self, point: &[f64]) -> f64 {
        let asked = self.asked(point);
        let one = |Losses { posterior, best }: &Losses| {
            let (mean, variance) = posterior.predict(&asked);
            let deviation = variance.sqrt();
            deviation.ln() + log_improvement((best - mean) / deviation).0
        };
        let improvement = self.losses.iter().map(one).sum::<f64>() / self.losses.len() as f64;
        let feasible = self.feasibility.as_ref().map_or(0.0, |feasibility| {
            let (mean, variance) = feasibility.predict(&asked);
            CAUTION * log_cumulative(certainty(mean, variance).0).0
        });
        improvement + feasible
    }

    /// [`Model::promise`], with its derivative by each coordinate written to `slopes` \[d\].
    pub(super) fn promise_with_slopes(&self, point: &[f64], slopes: &mut [f64]) -> f64 {
        let asked = self.asked(point);
        let share = 1.0 / self.losses.len() as f64;
        let mut promise = 0.0;
        slopes.fill(0.0);
        for Losses { posterior, best } in &self.losses {
            let (mean, variance, mean_slopes, variance_slopes) = posterior.predict_with_slopes(&asked);
            let deviation = variance.sqrt();
            let u = (best - mean) / deviation;
            let (log, by_u) = log_improvement(u);
            promise += share * (deviation.ln() + log);
            for (j, slope) in slopes.iter_mut().enumerate() {
                let deviation_slope = 0.5 * variance_slopes[j] / deviation;
                let u_slope = -(mean_slopes[j] + u * deviation_slope) / deviation;
                *slope += share * (deviation_slope / deviation + by_u * u_slope);
            }
        }
        if let Some(feasibility) = &self.feasibility {
            let (mean, variance, mean_slopes, variance_slopes) = feasibility.predict_with_slopes(&asked);
            let (t, by_mean, by_variance) = certainty(mean, variance);
            let (log, by_t) = log_cumulative(t);
            promise += CAUTION * log;
            for (j, slope) in slopes.iter_mut().enumerate() {
                *slope += CAUTION * by_t * (by_mean * mean_slopes[j] + by_variance * variance_slopes[j]);
            }
        }
        promise
    }
}

/// The cost of a failed trial relative to a missed improvement. With 1, a search near a minimum, where little improvement is left, would
/// spend half of its trials where all fail.
const CAUTION: f64 = 4.0;

/// The steepness with which a label's expectation becomes a probability: an observed +1 gives a probability of 0.99997.
const STEEPNESS: f64 = 4.0;

/// The argument of Φ that turns a regression of labels into a probability, and its derivatives by mean and variance.
fn certainty(mean: f64, variance: f64) -> (f64, f64, f64) {
    let spread = 1.0 + STEEPNESS * STEEPNESS * variance;
    let root = spread.sqrt();
    (STEEPNESS * mean / root, STEEPNESS / root, -0.5 * STEEPNESS.powi(3) * mean / (root * spread))
}

#[cfg(test)]
mod tests {
    use crate::bayesian::model::Model;
    use crate::history::History;
    use crate::{Dimension, Goal, Options, Outcome, Scale, Space, Suggestion, Trial, Value};

    #[test]
    fn slopes_are_finite_differences() {
        let space = Space::new(vec![
            Dimension::continuous("a", 0.0, 1.0, Scale::Linear),
            Dimension::categorical("b", ["x", "y"]),
            Dimension::continuous("c", 1e-3, 1.0, Scale::Logarithmic),
        ])
        .unwrap();
        let options = Options { initial_trials: Some(20), ..Options::bayesian(Goal::Maximize) };
        let mut trials = Vec::new();
        while trials.len() < 14 {
            let Ok(Suggestion::Configuration(values)) = crate::suggest(&space, &trials, &options, 4) else {
                panic!("no suggestion")
            };
            let (Value::Real(a), Value::Real(c)) = (values[0], values[2]) else { panic!("{values:?}") };
            let outcome = match trials.len() {
                13 => Outcome::Running,
                _ if a > 0.7 => Outcome::Failed,
                _ => Outcome::Finished(a - c * a),
            };
            trials.push(Trial::new(values, outcome));
        }
        let history = History::new(&space, &trials, 4);
        let model = Model::new(&history, &options);
        assert!(model.feasibility.is_some());
        for point in [[0.3, 0.25, 0.4], [0.8, 0.75, 0.6], [0.05, 0.75, 0.9]] {
            let mut slopes = [0.0; 3];
            let promise = model.promise_with_slopes(&point, &mut slopes);
            assert!((promise - model.promise(&point)).abs() < 1e-7 * (1.0 + promise.abs()));
            for j in [0, 2] {
                let at = |shift: f64| {
                    let mut moved = point;
                    moved[j] += shift;
                    model.promise(&moved)
                };
                let want = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slopes[j] - want).abs() < 1e-4 * (1.0 + want.abs()), "{j}: {} {want}", slopes[j]);
            }
        }
    }
}
