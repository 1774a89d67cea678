//! The end of a tuning, and of single trials: the rules of the crate `tuner` applied to a history.

use kokanee_tuner::Goal;
use kokanee_tuner::closing::{Closing, Criteria, MOST_FAILURES};
use kokanee_tuner::stopping::{Reports, Stop, StoppingRule};

use super::history::History;
use super::trial::Trial;

/// The limits of a tuning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Number of trials.
    pub(super) trials: u32,
    /// The other criteria for the end; seconds are those of all runs together.
    pub(super) criteria: Criteria,
}

impl Limits {
    /// The reason for the end, for people.
    pub(super) fn describe(&self, why: Closing) -> String {
        let Criteria { target, patience, .. } = self.criteria;
        match why {
            Closing::Trials => "all trials have run".to_owned(),
            Closing::Target => {
                format!(
                    "the target {} was reached",
                    target.map_or(String::new(), |target| target.to_string())
                )
            }
            Closing::NotImproving => {
                format!("{} trials in a row did not improve", patience.unwrap_or_default())
            }
            Closing::Converged => "the results have converged".to_owned(),
            Closing::Runtime => "the time limit of --max-time has passed".to_owned(),
            Closing::NoSuccess => format!("{MOST_FAILURES} trials failed and none had a result"),
            Closing::Exhausted => "every configuration was tried".to_owned(),
        }
    }
}

/// The reason to begin no more trials, if there is one.
pub(super) fn closing(history: &History, limits: &Limits, goal: Goal) -> Option<Closing> {
    let ended: Vec<_> = history.ended().into_iter().map(Trial::outcome).collect();
    let all_have_begun = history.trials.len() >= limits.trials as usize;
    limits.criteria.met(goal, &ended, history.seconds).or(all_have_begun.then_some(Closing::Trials))
}

/// The reason to stop a trial, if there is one; the first `judged` values of its curve were judged before.
pub(super) fn stop(
    rule: StoppingRule,
    history: &History,
    goal: Goal,
    trial: &Trial,
    judged: usize,
) -> Option<Stop> {
    let others = history.trials.iter().filter(|other| other.number != trial.number);
    let others: Vec<Reports<'_>> = others.map(reports).collect();
    rule.judge(goal, reports(trial), judged, &others)
}

fn reports(trial: &Trial) -> Reports<'_> {
    Reports { number: trial.number, values: &trial.curve }
}

#[cfg(test)]
mod tests {
    use kokanee_tuner::early_stopping::MedianRule;

    use super::super::request::tests::request;
    use super::super::trial::Status;
    use super::super::trial::tests::ended;
    use super::*;

    fn history(trials: &[(Status, Option<f64>)]) -> History {
        let mut history = History::new(request());
        for (number, (status, objective)) in (1..).zip(trials) {
            history.trials.push(ended(number, *status, *objective));
        }
        history
    }

    #[track_caller]
    fn check(trials: &[(Status, Option<f64>)], criteria: Criteria, want: Option<Closing>) {
        let limits = Limits { trials: 9, criteria };
        assert_eq!(closing(&history(trials), &limits, Goal::Minimize), want);
    }

    #[test]
    fn a_tuning_ends_by_its_number_of_trials_and_by_what_its_history_says() {
        use Status::{Completed, Failed, Stopped};
        let none = Criteria::default();
        check(&[], none, None);
        check(&[(Completed, Some(1.0)); 8], none, None);
        check(&[(Completed, Some(1.0)); 9], none, Some(Closing::Trials));
        check(&[(Failed, None); 5], none, Some(Closing::NoSuccess));
        check(&[(Completed, None); 5], none, Some(Closing::NoSuccess));
        check(&[(Stopped, None); 5], none, None);
        check(&[(Failed, Some(1.0)); 5], none, Some(Closing::NoSuccess));
        // A reason that stops trials takes precedence over their number.
        let target = Criteria { target: Some(1.0), ..none };
        check(&[(Stopped, Some(1.0)); 9], target, Some(Closing::Target));
    }

    #[test]
    fn patience_follows_the_order_of_ends() {
        let mut history = history(&[(Status::Completed, Some(3.0)); 3]);
        let limits = |patience| Limits {
            trials: 9,
            criteria: Criteria { patience: Some(patience), ..Criteria::default() },
        };
        // The best of the numbers ended last.
        (history.trials[0].ended, history.trials[2].ended) = (Some(3), Some(1));
        history.trials[0].objective = Some(2.0);
        assert_eq!(closing(&history, &limits(1), Goal::Minimize), None);
        history.trials[0].ended = Some(0);
        assert_eq!(closing(&history, &limits(2), Goal::Minimize), Some(Closing::NotImproving));
        assert_eq!(closing(&history, &limits(3), Goal::Minimize), None);
    }

    #[test]
    fn a_trial_is_compared_with_the_others_and_not_with_itself() {
        let mut history = history(&[(Status::Completed, Some(1.0)); 3]);
        let rule = StoppingRule::Median(MedianRule { least_epochs: 1, least_curves: 3 });
        for trial in &mut history.trials {
            trial.curve = vec![5.0];
        }
        let worse = Trial { curve: vec![9.0], ..Trial::new(9, Default::default()) };
        history.trials.push(worse.clone());
        assert_eq!(stop(rule, &history, Goal::Minimize, &worse, 0), Some(Stop::Median(1)));
        history.trials.remove(0);
        assert_eq!(stop(rule, &history, Goal::Minimize, &worse, 0), None);
    }

    #[test]
    fn an_end_is_described_with_what_was_asked_for() {
        let criteria = Criteria { target: Some(0.5), patience: Some(3), ..Criteria::default() };
        let limits = Limits { trials: 9, criteria };
        assert_eq!(limits.describe(Closing::Target), "the target 0.5 was reached");
        assert_eq!(limits.describe(Closing::NotImproving), "3 trials in a row did not improve");
        assert_eq!(limits.describe(Closing::NoSuccess), "5 trials failed and none had a result");
    }
}
