//! Automatic early stopping: the median rule of SageMaker's `TrainingJobEarlyStoppingType` Auto.
//!
//! "Worse than the median of the running averages of previous jobs up to the same epoch" (SageMaker's developer guide, "Stop Training Jobs
//! Early"). A curve is the objective after each epoch, in order.

use crate::Goal;

/// The conditions under which the rule applies; SageMaker does not document its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MedianRule {
    /// The minimum number of epochs of every trial, at least 1.
    pub least_epochs: usize,
    /// The minimum number of curves that must have reached an epoch before another is judged by them, at least 1.
    pub least_curves: usize,
}

impl Default for MedianRule {
    /// Two epochs, since the first says more about the initialisation than about the training; three curves, since a median of fewer means
    /// little.
    fn default() -> Self {
        Self { least_epochs: 2, least_curves: 3 }
    }
}

impl MedianRule {
    /// Whether the trial with this curve should be stopped after its last epoch. `previous` has the known curves of other trials, including
    /// stopped ones; those shorter than `curve` are ignored.
    pub fn stops<'a>(
        &self,
        goal: Goal,
        curve: &[f64],
        previous: impl IntoIterator<Item = &'a [f64]>,
    ) -> bool {
        let epochs = curve.len();
        let Some(last) = curve.last().filter(|_| epochs >= self.least_epochs) else { return false };
        // A NaN counts as the worst value, and so does an average over one.
        let loss = |value: f64| if value.is_nan() { f64::INFINITY } else { goal.loss(value) };
        let mut averages: Vec<f64> = previous
            .into_iter()
            .filter_map(|curve| curve.get(..epochs))
            .map(|curve| curve.iter().map(|value| loss(*value)).sum::<f64>() / epochs as f64)
            .collect();
        averages.len() >= self.least_curves.max(1) && loss(*last) > median(&mut averages)
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    if low == high { low } else { low + (high - low) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREVIOUS: [&[f64]; 4] = [&[9.0, 3.0, 3.0], &[8.0, 4.0], &[7.0, 7.0], &[1.0]];

    #[track_caller]
    fn check(goal: Goal, curve: &[f64], want: bool) {
        let sign = if goal == Goal::Minimize { 1.0 } else { -1.0 };
        let previous: Vec<Vec<f64>> =
            PREVIOUS.iter().map(|curve| curve.iter().map(|v| sign * v).collect()).collect();
        let curve: Vec<f64> = curve.iter().map(|v| sign * v).collect();
        let stops = MedianRule::default().stops(goal, &curve, previous.iter().map(Vec::as_slice));
        assert_eq!(stops, want, "{curve:?}");
    }

    #[test]
    fn a_value_worse_than_the_median_of_averages_stops() {
        // The averages over two epochs are 6, 6 and 7.
        for goal in [Goal::Minimize, Goal::Maximize] {
            check(goal, &[5.0, 6.1], true);
            check(goal, &[99.0, 6.0], false);
            check(goal, &[5.0, f64::NAN], true);
            // The first epoch is not judged, and only one curve reached the third.
            check(goal, &[99.0], false);
            check(goal, &[99.0, 5.0, 99.0], false);
            check(goal, &[], false);
        }
    }

    #[test]
    fn an_even_number_of_curves_has_the_mean_of_two_as_median() {
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 9.0]), 3.0);
        assert_eq!(median(&mut [f64::INFINITY, f64::INFINITY]), f64::INFINITY);
        assert_eq!(median(&mut [5.0]), 5.0);
    }
}
