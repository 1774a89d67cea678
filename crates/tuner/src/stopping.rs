//! Stopping running trials: the rules, applied to curves as they grow.

use std::fmt;

use crate::Goal;
use crate::early_stopping::MedianRule;
use crate::hyperband::{Curve, Decision, Hyperband};

/// The rule that stops trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppingRule {
    /// The median rule.
    Median(MedianRule),
    /// Hyperband.
    Hyperband {
        /// The settings of Hyperband.
        hyperband: Hyperband,
        /// The seed for drawing brackets.
        seed: u64,
    },
}

/// A trial's number in its tuning and its reported values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reports<'a> {
    /// The trial.
    pub number: u32,
    /// The reported objective values, in order.
    pub values: &'a [f64],
}

/// The reason why a trial is stopped, and after how many reports of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It is worse than the median of the others.
    Median(usize),
    /// Others are better at this rung of Hyperband.
    Rung(usize),
    /// It has used Hyperband's greatest resource.
    Complete(usize),
}

impl StoppingRule {
    /// The reason to stop a trial, if there is one; the first `judged` values of its curve were judged before. `others` has the other known
    /// trials of the tuning.
    pub fn judge(
        &self,
        goal: Goal,
        trial: Reports<'_>,
        judged: usize,
        others: &[Reports<'_>],
    ) -> Option<Stop> {
        let mut lengths = judged + 1..=trial.values.len();
        match *self {
            Self::Median(rule) => {
                let is_worse = |count: &usize| {
                    rule.stops(goal, &trial.values[..*count], others.iter().map(|other| other.values))
                };
                lengths.find(is_worse).map(Stop::Median)
            }
            Self::Hyperband { hyperband, seed } => {
                let curve =
                    |number: u32, values| Curve { bracket: hyperband.bracket(seed, number.into()), values };
                let others: Vec<Curve<'_>> =
                    others.iter().map(|other| curve(other.number, other.values)).collect();
                lengths.find_map(|count| {
                    match hyperband.decide(goal, curve(trial.number, &trial.values[..count]), &others) {
                        Decision::Continue => None,
                        Decision::Stop { .. } => Some(Stop::Rung(count)),
                        Decision::Complete => Some(Stop::Complete(count)),
                    }
                })
            }
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Median(reports) => write!(f, "worse than the median of others after {reports} reports"),
            Self::Rung(reports) => write!(f, "others were better after {reports} reports"),
            Self::Complete(reports) => write!(f, "it has used all of its {reports} reports"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_rule_judges_each_value_once() {
        let rule = StoppingRule::Median(MedianRule::default());
        let others = [1, 2, 3, 4].map(|number| Reports { number, values: &[5.0, 4.0, 3.0] });
        let judge =
            |goal, values: &[f64], judged| rule.judge(goal, Reports { number: 9, values }, judged, &others);
        assert_eq!(judge(Goal::Minimize, &[9.0, 9.0], 0), Some(Stop::Median(2)));
        // Several values may arrive at once: the middle one is judged too.
        assert_eq!(judge(Goal::Minimize, &[9.0, 9.0, 1.0], 1), Some(Stop::Median(2)));
        assert_eq!(judge(Goal::Minimize, &[9.0, 9.0, 1.0], 2), None);
        assert_eq!(judge(Goal::Minimize, &[9.0, 9.0], 2), None);
        assert_eq!(judge(Goal::Maximize, &[9.0, 9.0], 0), None);
    }

    #[test]
    fn hyperband_compares_the_trials_of_a_bracket() {
        let hyperband = Hyperband::new(1, 9).unwrap();
        let seed = 3;
        let rule = StoppingRule::Hyperband { hyperband, seed };
        let of_bracket =
            |wanted| (1..).filter(move |&number| hyperband.bracket(seed, u64::from(number)) == wanted);
        let numbers: Vec<u32> = of_bracket(0).take(4).collect();
        let judge = |goal, number, values: &[f64], judged| {
            let others: Vec<Reports<'_>> =
                numbers[..3].iter().map(|&number| Reports { number, values: &[1.0; 9] }).collect();
            rule.judge(goal, Reports { number, values }, judged, &others)
        };
        let number = numbers[3];
        assert_eq!(judge(Goal::Minimize, number, &[5.0], 0), Some(Stop::Rung(1)));
        assert_eq!(judge(Goal::Maximize, number, &[5.0], 0), None);
        assert_eq!(judge(Goal::Minimize, number, &[0.5, 5.0, 5.0], 0), Some(Stop::Rung(3)));
        assert_eq!(judge(Goal::Minimize, number, &[0.5, 5.0, 5.0], 3), None);
        assert_eq!(judge(Goal::Maximize, number, &[5.0; 9], 8), Some(Stop::Complete(9)));
        // The last bracket stops no trial before its end.
        let last = of_bracket(hyperband.brackets() - 1).next().unwrap();
        assert_eq!(judge(Goal::Minimize, last, &[5.0; 8], 0), None);
        assert_eq!(judge(Goal::Minimize, last, &[5.0; 9], 0), Some(Stop::Complete(9)));
    }

    #[test]
    fn reasons_name_the_reports() {
        assert_eq!(Stop::Median(2).to_string(), "worse than the median of others after 2 reports");
        assert_eq!(Stop::Rung(3).to_string(), "others were better after 3 reports");
        assert_eq!(Stop::Complete(9).to_string(), "it has used all of its 9 reports");
    }
}
