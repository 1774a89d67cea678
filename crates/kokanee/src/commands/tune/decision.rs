//! When a tuning ends, and which trials at work are stopped: functions of its history.

use kokanee_tuner::Goal;
use kokanee_tuner::early_stopping::MedianRule;
use kokanee_tuner::hyperband::{Curve, Decision, Hyperband};

use super::history::{History, Status, Trial};

/// So many trials that fail, and none with a result, end a tuning, as on AWS.
const MOST_FAILURES: usize = 5;

/// When to end, beside the number of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Trials.
    pub(super) trials: u32,
    /// A value of the objective that is good enough.
    pub(super) target: Option<f64>,
    /// Trials in a row that do not improve.
    pub(super) patience: Option<u32>,
    /// Seconds of all runs together.
    pub(super) seconds: Option<f64>,
}

/// Why a tuning begins no more trials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Closing {
    /// All were tried.
    Trials,
    /// The value was reached.
    Target,
    /// So many trials in a row did not improve.
    Patience,
    /// The time is over.
    Time,
    /// Nothing but failures.
    Failures,
    /// There are no other configurations.
    Exhausted,
}

impl Closing {
    /// Whether trials at work are stopped.
    pub(super) fn stops_trials(self) -> bool {
        matches!(self, Self::Target | Self::Patience | Self::Time)
    }

    /// What a person is told.
    pub(super) fn describe(self, limits: &Limits) -> String {
        match self {
            Self::Trials => "all trials were made".to_owned(),
            Self::Target => {
                format!(
                    "the target {} was reached",
                    limits.target.map_or(String::new(), |target| target.to_string())
                )
            }
            Self::Patience => {
                format!("{} trials in a row did not improve", limits.patience.unwrap_or_default())
            }
            Self::Time => "the time of --max-time is over".to_owned(),
            Self::Failures => format!("{MOST_FAILURES} trials failed and none had a result"),
            Self::Exhausted => "every configuration was tried".to_owned(),
        }
    }
}

/// A reason to begin no more trials.
pub(super) fn closing(history: &History, limits: &Limits, goal: Goal) -> Option<Closing> {
    if limits.seconds.is_some_and(|most| history.seconds >= most) {
        return Some(Closing::Time);
    }
    match history.best(goal).and_then(Trial::result) {
        None => {
            let failures = history.ended().iter().filter(|trial| trial.status != Status::Stopped).count();
            if failures >= MOST_FAILURES {
                return Some(Closing::Failures);
            }
        }
        Some(best) => {
            if limits.target.is_some_and(|target| !goal.prefers(target, best)) {
                return Some(Closing::Target);
            }
            if limits.patience.is_some_and(|most| history.not_improving(goal) >= most) {
                return Some(Closing::Patience);
            }
        }
    }
    (history.trials.len() >= limits.trials as usize).then_some(Closing::Trials)
}

/// Which rule stops trials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rule {
    /// The median rule.
    Median(MedianRule),
    /// Hyperband, with the seed that chooses brackets.
    Hyperband(Hyperband, u64),
}

impl Rule {
    /// Why a trial is to be stopped, if it is; `judged` values of its curve were judged before.
    pub(super) fn stops(self, history: &History, goal: Goal, trial: &Trial, judged: usize) -> Option<String> {
        let others = || history.trials.iter().filter(|other| other.number != trial.number);
        let curve = trial.curve.as_slice();
        match self {
            Self::Median(rule) => {
                let previous = || others().map(|other| other.curve.as_slice());
                (judged + 1..=curve.len())
                    .find(|reports| rule.stops(goal, &curve[..*reports], previous()))
                    .map(|reports| format!("worse than the median of others after {reports} reports"))
            }
            Self::Hyperband(hyperband, seed) => {
                let in_bracket =
                    |number: u32, values| Curve { bracket: hyperband.bracket(seed, number.into()), values };
                let rivals: Vec<Curve<'_>> =
                    others().map(|other| in_bracket(other.number, other.curve.as_slice())).collect();
                (judged + 1..=curve.len()).find_map(|reports| {
                    match hyperband.decide(goal, in_bracket(trial.number, &curve[..reports]), &rivals) {
                        Decision::Continue => None,
                        Decision::Stop { rung } => Some(format!("others were better after {rung} reports")),
                        Decision::Complete => Some(format!("it has used all of its {reports} reports")),
                    }
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{ended, request};
    use super::*;

    fn history(trials: &[(Status, Option<f64>)]) -> History {
        let mut history = History::new(request());
        for (number, (status, objective)) in (1..).zip(trials) {
            history.trials.push(ended(number, *status, *objective));
        }
        history
    }

    #[track_caller]
    fn check(trials: &[(Status, Option<f64>)], limits: Limits, want: Option<Closing>) {
        assert_eq!(closing(&history(trials), &limits, Goal::Minimize), want);
    }

    #[test]
    fn a_tuning_ends_by_each_of_its_limits() {
        use Status::{Completed, Failed, Stopped};
        let limits = Limits { trials: 9, ..Limits::default() };
        check(&[], limits, None);
        check(&[(Completed, Some(1.0)); 9], limits, Some(Closing::Trials));
        check(&[(Failed, None); 4], limits, None);
        check(&[(Failed, None); 5], limits, Some(Closing::Failures));
        check(&[(Completed, None); 5], limits, Some(Closing::Failures));
        check(&[(Stopped, None); 5], limits, None);
        let falling =
            [(Completed, Some(3.0)), (Completed, Some(2.0)), (Failed, None), (Completed, Some(2.0))];
        check(&falling, limits, None);
        check(&falling, Limits { target: Some(2.0), ..limits }, Some(Closing::Target));
        check(&falling, Limits { target: Some(1.9), ..limits }, None);
        check(&falling, Limits { patience: Some(2), ..limits }, Some(Closing::Patience));
        check(&falling, Limits { patience: Some(3), ..limits }, None);
        check(&falling, Limits { seconds: Some(0.0), ..limits }, Some(Closing::Time));
    }

    #[test]
    fn each_rule_stops_what_is_worse_than_others() {
        let mut history = history(&[(Status::Completed, Some(1.0)); 4]);
        for trial in &mut history.trials {
            trial.curve = vec![5.0, 4.0, 3.0];
        }
        let worse = Trial { curve: vec![9.0, 9.0], ..Trial::new(9, Default::default()) };
        let median = Rule::Median(MedianRule::default());
        assert!(median.stops(&history, Goal::Minimize, &worse, 0).unwrap().contains("after 2 reports"));
        assert_eq!(median.stops(&history, Goal::Minimize, &worse, 2), None);
        assert_eq!(median.stops(&history, Goal::Maximize, &worse, 0), None);
        let hyperband = Rule::Hyperband(Hyperband::new(1, 2).unwrap(), 0);
        assert!(hyperband.stops(&history, Goal::Maximize, &worse, 1).unwrap().contains("all of its 2"));
    }
}
