//! The criteria that end a tuning.

use serde::{Deserialize, Serialize};

use crate::{Goal, Outcome};

/// The number of failed trials that ends a tuning without a result, as on AWS.
pub const MOST_FAILURES: usize = 5;
/// The minimum number of results before a tuning can converge.
const LEAST_RESULTS: usize = 20;
/// The minimum number of latest results that must have gained next to nothing; with more results, half of all.
const LEAST_CONVERGED: usize = 10;
/// A negligible gain, as a share of the distance between the quartiles of all results.
const NEGLIGIBLE: f64 = 0.01;

/// The criteria that end a tuning, besides its number of trials. The default ends it only after [`MOST_FAILURES`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Criteria {
    /// A value of the objective that is good enough.
    pub target: Option<f64>,
    /// The maximum number of consecutive trials without improvement, at least 1.
    pub patience: Option<u32>,
    /// The share of the best value by which another must be better to count as an improvement. It is at least 0, with which any better
    /// value counts.
    pub least_gain: f64,
    /// The maximum time of work, in seconds.
    pub seconds: Option<f64>,
    /// Whether a tuning ends when its results have converged.
    pub convergence: bool,
}

/// The reason why a tuning begins no more trials.
///
/// [`Criteria::met`] finds all except the last two, which the caller that begins trials must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closing {
    /// The target is reached.
    Target,
    /// Many trials in a row did not improve.
    NotImproving,
    /// More trials seem useless.
    Converged,
    /// The time limit is reached.
    Runtime,
    /// The first trials all failed.
    NoSuccess,
    /// No configurations are left.
    Exhausted,
    /// The requested number of trials has begun.
    Trials,
}

impl Closing {
    /// Whether running trials are stopped.
    pub const fn stops_trials(self) -> bool {
        matches!(self, Self::Target | Self::NotImproving | Self::Converged | Self::Runtime)
    }
}

impl Criteria {
    /// The first criterion that is met. `ended` has the tuning's trials in the order in which they ended, `seconds` is its time of work.
    pub fn met(&self, goal: Goal, ended: &[Outcome], seconds: f64) -> Option<Closing> {
        if self.seconds.is_some_and(|most| seconds >= most) {
            return Some(Closing::Runtime);
        }
        let results: Vec<f64> = ended.iter().filter_map(|outcome| outcome.value()).collect();
        let Some(best) = goal.best(&results) else {
            let failures = ended.iter().filter(|outcome| outcome.has_failed()).count();
            return (failures >= MOST_FAILURES).then_some(Closing::NoSuccess);
        };
        if self.target.is_some_and(|target| !goal.prefers(target, best)) {
            return Some(Closing::Target);
        }
        if self.patience.is_some_and(|most| not_improving(goal, ended, self.least_gain) >= most) {
            return Some(Closing::NotImproving);
        }
        (self.convergence && has_converged(goal, results)).then_some(Closing::Converged)
    }
}

/// The number of trials, in order of their end, since the last one that improved on the best before it by at least `least_gain` of that
/// best. A trial that was stopped before its first value does not count.
pub fn not_improving(goal: Goal, ended: &[Outcome], least_gain: f64) -> u32 {
    let (mut best, mut since) = (None, 0);
    for outcome in ended {
        let value = outcome.value();
        let gains =
            |best: f64| value.filter(|&value| goal.prefers(value, best)).map(|value| (value - best).abs());
        let has_improved = match best {
            None => value.is_some(),
            Some(best) => gains(best).is_some_and(|gain| gain >= least_gain * best.abs()),
        };
        if has_improved {
            since = 0;
        } else {
            since += u32::from(best.is_some() && (value.is_some() || outcome.has_failed()));
        }
        if best.is_none_or(|best| gains(best).is_some()) {
            best = value;
        }
    }
    since
}

/// Whether the latest half of the results, and at least ten, gained next to nothing. AWS does not document how it detects convergence.
fn has_converged(goal: Goal, mut results: Vec<f64>) -> bool {
    if results.len() < LEAST_RESULTS {
        return false;
    }
    let before = results.len() - LEAST_CONVERGED.max(results.len() / 2);
    let (Some(then), Some(now)) = (goal.best(&results[..before]), goal.best(&results)) else { return false };
    results.sort_by(f64::total_cmp);
    let quartile = |part: usize| results[(results.len() - 1) * part / 4];
    (now - then).abs() <= NEGLIGIBLE * (quartile(3) - quartile(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Outcome = Outcome::Failed;
    const UNKNOWN: Outcome = Outcome::Stopped(None);

    /// Checks the outcomes with small values better, and their negatives with large values better.
    #[track_caller]
    fn check(criteria: Criteria, ended: &[Outcome], seconds: f64, want: Option<Closing>) {
        let turned = |outcome: &Outcome| match *outcome {
            Outcome::Finished(value) => Outcome::Finished(-value),
            Outcome::Stopped(Some(value)) => Outcome::Stopped(Some(-value)),
            other => other,
        };
        assert_eq!(criteria.met(Goal::Minimize, ended, seconds), want, "{ended:?}");
        let criteria = Criteria { target: criteria.target.map(|target| -target), ..criteria };
        let ended: Vec<Outcome> = ended.iter().map(turned).collect();
        assert_eq!(criteria.met(Goal::Maximize, &ended, seconds), want, "{ended:?}");
    }

    fn done(values: &[f64]) -> Vec<Outcome> {
        values.iter().copied().map(Outcome::Finished).collect()
    }

    #[test]
    fn a_target_is_reached_by_a_value_that_is_as_good() {
        let criteria = Criteria { target: Some(2.0), ..Criteria::default() };
        check(criteria, &[], 0.0, None);
        check(criteria, &done(&[3.0, 2.1]), 0.0, None);
        check(criteria, &done(&[3.0, 2.0, 9.0]), 0.0, Some(Closing::Target));
        check(criteria, &[Outcome::Stopped(Some(1.0))], 0.0, Some(Closing::Target));
        check(criteria, &[FAILED, UNKNOWN, Outcome::Finished(f64::NAN)], 0.0, None);
    }

    #[test]
    fn patience_counts_the_trials_since_the_best_was_found() {
        let criteria = Criteria { patience: Some(3), ..Criteria::default() };
        let ended = [&done(&[5.0, 2.0, 2.0])[..], &[FAILED, UNKNOWN]].concat();
        assert_eq!(not_improving(Goal::Minimize, &ended, 0.0), 2);
        assert_eq!(not_improving(Goal::Maximize, &ended, 0.0), 3);
        check(criteria, &ended, 0.0, None);
        check(
            criteria,
            &[&ended[..], &[Outcome::Stopped(Some(3.0))]].concat(),
            0.0,
            Some(Closing::NotImproving),
        );
        check(criteria, &[&ended[..], &done(&[1.0])].concat(), 0.0, None);
        // Without a best value, nothing is counted.
        assert_eq!(not_improving(Goal::Minimize, &[FAILED; 4], 0.0), 0);
        check(criteria, &[FAILED; 4], 0.0, None);
    }

    #[test]
    fn a_gain_that_is_too_small_is_no_improvement() {
        let least = |values: &[f64]| not_improving(Goal::Minimize, &done(values), 0.01);
        assert_eq!(least(&[100.0, 99.1]), 1);
        assert_eq!(least(&[100.0, 99.0]), 0);
        // Each value is compared with the best of all before it.
        assert_eq!(least(&[100.0, 99.1, 98.2]), 2);
        assert_eq!(least(&[100.0, 200.0, 99.5]), 2);
        assert_eq!(least(&[-100.0, -100.5, -102.0]), 0);
        assert_eq!(not_improving(Goal::Maximize, &done(&[0.5, 0.504, 0.51]), 0.01), 0);
        let criteria = Criteria { patience: Some(2), least_gain: 0.01, ..Criteria::default() };
        check(criteria, &done(&[100.0, 99.1, 98.2]), 0.0, Some(Closing::NotImproving));
    }

    #[test]
    fn five_failures_without_a_result_are_enough() {
        let none = Criteria::default();
        check(none, &[FAILED; 4], 0.0, None);
        check(none, &[FAILED; 5], 0.0, Some(Closing::NoSuccess));
        check(none, &[Outcome::Finished(f64::NAN); 5], 0.0, Some(Closing::NoSuccess));
        check(none, &[UNKNOWN; 9], 0.0, None);
        check(none, &[&[FAILED; 9][..], &done(&[1.0])].concat(), 0.0, None);
    }

    #[test]
    fn time_goes_before_all_else() {
        let criteria = Criteria { seconds: Some(10.0), target: Some(5.0), ..Criteria::default() };
        check(criteria, &[], 9.9, None);
        check(criteria, &done(&[1.0]), 9.9, Some(Closing::Target));
        check(criteria, &done(&[1.0]), 10.0, Some(Closing::Runtime));
        check(criteria, &[FAILED; 5], 10.0, Some(Closing::Runtime));
    }

    #[test]
    fn results_that_stay_where_they_are_have_converged() {
        let criteria = Criteria { convergence: true, ..Criteria::default() };
        let falling = |count: usize, until: usize| -> Vec<Outcome> {
            (0..count).map(|index| Outcome::Finished(100.0 - index.min(until) as f64)).collect()
        };
        check(criteria, &falling(24, 10), 0.0, Some(Closing::Converged));
        check(Criteria::default(), &falling(24, 10), 0.0, None);
        check(criteria, &falling(24, 20), 0.0, None);
        check(criteria, &falling(19, 5), 0.0, None);
        // With 40 results the latest 20 count, not ten.
        check(criteria, &falling(40, 25), 0.0, None);
    }

    #[test]
    fn what_stops_trials_is_what_makes_them_useless() {
        use Closing::{Converged, Exhausted, NoSuccess, NotImproving, Runtime, Target, Trials};
        assert!([Target, NotImproving, Converged, Runtime].into_iter().all(Closing::stops_trials));
        assert!(![NoSuccess, Exhausted, Trials].into_iter().any(Closing::stops_trials));
    }

    #[test]
    fn histories_on_the_disk_keep_their_words() {
        for (closing, word) in [
            (Closing::Target, "Target"),
            (Closing::NotImproving, "NotImproving"),
            (Closing::Converged, "Converged"),
            (Closing::Runtime, "Runtime"),
            (Closing::NoSuccess, "NoSuccess"),
            (Closing::Exhausted, "Exhausted"),
            (Closing::Trials, "Trials"),
        ] {
            assert_eq!(serde_json::to_value(closing).unwrap(), word);
            assert_eq!(serde_json::from_value::<Closing>(word.into()).unwrap(), closing);
        }
    }
}
