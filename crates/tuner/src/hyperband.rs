//! Hyperband with asynchronous stopping: many trials begin, and at each rung only the best third continues.
//!
//! Li et al. 2018, "Hyperband", for the brackets; Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA), for
//! decisions without waiting, in the variant that stops a running trial instead of resuming a paused one. A resource is an epoch; the
//! objective is known after each.

use kokanee_formats::random::SplitMix64;

use crate::Goal;

/// One of so many trials continues at a rung, with so many times the resource.
const REDUCTION: u64 = 3;

/// A separate stream of random numbers.
const BRACKET_STREAM: u64 = 0x6272_6163;

/// The settings of `HyperbandStrategyConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hyperband {
    min_resource: u64,
    max_resource: u64,
}

/// The error for resources that allow no rung.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "MinResource is {min_resource} and MaxResource {max_resource}: expected 1 <= MinResource < MaxResource"
)]
pub struct HyperbandError {
    min_resource: u64,
    max_resource: u64,
}

/// A trial's bracket and its reported values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve<'a> {
    /// From [`Hyperband::bracket`].
    pub bracket: usize,
    /// The objective after each unit of resource, in order.
    pub values: &'a [f64],
}

/// The decision about a running trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The trial continues.
    Continue,
    /// The trial is stopped: others are better at this rung.
    Stop {
        /// The resource at which it was judged.
        rung: u64,
    },
    /// The trial has used the greatest resource.
    Complete,
}

impl Hyperband {
    /// Trials run at least `min_resource` and at most `max_resource` epochs.
    ///
    /// # Errors
    ///
    /// Unless 1 <= `min_resource` < `max_resource`.
    pub fn new(min_resource: u64, max_resource: u64) -> Result<Self, HyperbandError> {
        if min_resource == 0 || min_resource >= max_resource {
            return Err(HyperbandError { min_resource, max_resource });
        }
        Ok(Self { min_resource, max_resource })
    }

    /// The resources at which trials of a bracket are judged, ascending; each is below the greatest resource. Bracket 0 stops earliest, the
    /// last one never.
    pub fn rungs(&self, bracket: usize) -> Vec<u64> {
        self.all_rungs().skip(bracket).collect()
    }

    /// The number of brackets.
    pub fn brackets(&self) -> usize {
        self.all_rungs().count() + 1
    }

    fn all_rungs(&self) -> impl Iterator<Item = u64> {
        let max = self.max_resource;
        std::iter::successors(Some(self.min_resource), |rung| rung.checked_mul(REDUCTION))
            .take_while(move |rung| *rung < max)
    }

    /// The bracket of the tuning's `trial`-th trial, counted from 0. Trials are distributed at random in Hyperband's proportions: of s + 1
    /// brackets, bracket b gets (s + 1) / (s - b + 1) · 3^(s - b) parts.
    pub fn bracket(&self, seed: u64, trial: u64) -> usize {
        let brackets = self.brackets();
        let part = |bracket: usize| {
            let later = brackets - 1 - bracket;
            brackets as f64 / (later + 1) as f64 * (REDUCTION as f64).powi(later as i32)
        };
        let total: f64 = (0..brackets).map(part).sum();
        let mut left = SplitMix64::stream(seed, &[BRACKET_STREAM, trial]).unit() * total;
        for bracket in 0..brackets {
            left -= part(bracket);
            if left < 0.0 {
                return bracket;
            }
        }
        brackets - 1
    }

    /// The decision about a trial after the last value of its curve; call it after each value. At a rung the trial continues if it is among
    /// the best third of the trials of its bracket that have reached the rung, itself included, or if fewer than three have. `others` are
    /// the known other trials. A NaN is worse than every number.
    pub fn decide(&self, goal: Goal, trial: Curve<'_>, others: &[Curve<'_>]) -> Decision {
        let resource = trial.values.len() as u64;
        if resource >= self.max_resource {
            return Decision::Complete;
        }
        let Some(value) = trial.values.last().filter(|_| self.rungs(trial.bracket).contains(&resource))
        else {
            return Decision::Continue;
        };
        let at_rung = |curve: &Curve<'_>| {
            let is_peer = curve.bracket == trial.bracket;
            curve.values.get(trial.values.len() - 1).copied().filter(|_| is_peer)
        };
        let rivals: Vec<f64> = others.iter().filter_map(at_rung).collect();
        let reached = rivals.len() as u64 + 1;
        let better = rivals.iter().filter(|rival| goal.prefers(**rival, *value)).count() as u64;
        if reached < REDUCTION || better < reached / REDUCTION {
            Decision::Continue
        } else {
            Decision::Stop { rung: resource }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_grow_by_three_below_the_greatest_resource() {
        let hyperband = Hyperband::new(1, 27).unwrap();
        assert_eq!(hyperband.rungs(0), [1, 3, 9]);
        assert_eq!(hyperband.rungs(2), [9]);
        assert_eq!(hyperband.rungs(3), [] as [u64; 0]);
        assert_eq!(hyperband.brackets(), 4);
        assert_eq!(Hyperband::new(u64::MAX / 2, u64::MAX).unwrap().brackets(), 2);
        let error = Hyperband::new(5, 5).unwrap_err().to_string();
        assert_eq!(error, "MinResource is 5 and MaxResource 5: expected 1 <= MinResource < MaxResource");
        assert!(Hyperband::new(0, 5).is_err());
    }

    #[test]
    fn brackets_have_their_shares() {
        // For 1 to 27: 27, 12, 6 and 4 of 49 parts.
        let hyperband = Hyperband::new(1, 27).unwrap();
        let mut counts = [0.0f64; 4];
        for trial in 0..4900 {
            counts[hyperband.bracket(7, trial)] += 1.0;
        }
        for (count, share) in counts.iter().zip([27.0, 12.0, 6.0, 4.0]) {
            assert!((count / 100.0 - share).abs() < 2.5, "{counts:?}");
        }
    }

    #[track_caller]
    fn check(curve: &[f64], others: &[(usize, &[f64])], want: Decision) {
        let hyperband = Hyperband::new(1, 9).unwrap();
        let signs = [(Goal::Minimize, 1.0), (Goal::Maximize, -1.0)];
        for (goal, sign) in signs {
            let turned = |values: &[f64]| values.iter().map(|v| v * sign).collect::<Vec<f64>>();
            let curve = turned(curve);
            let held: Vec<(usize, Vec<f64>)> =
                others.iter().map(|(b, values)| (*b, turned(values))).collect();
            let others: Vec<Curve<'_>> =
                held.iter().map(|(bracket, values)| Curve { bracket: *bracket, values }).collect();
            assert_eq!(hyperband.decide(goal, Curve { bracket: 0, values: &curve }, &others), want);
        }
    }

    #[test]
    fn the_best_third_of_a_rung_goes_on() {
        let stop = Decision::Stop { rung: 1 };
        check(&[5.0], &[], Decision::Continue);
        check(&[5.0], &[(0, &[1.0])], Decision::Continue);
        check(&[5.0], &[(0, &[1.0]), (0, &[9.0])], stop);
        check(&[5.0], &[(0, &[6.0]), (0, &[9.0, 1.0])], Decision::Continue);
        // Other brackets and shorter curves do not count.
        check(&[5.0], &[(1, &[1.0]), (1, &[1.0]), (0, &[])], Decision::Continue);
        // Two of six continue.
        let five: [(usize, &[f64]); 5] = [(0, &[1.0]), (0, &[6.0]), (0, &[7.0]), (0, &[8.0]), (0, &[9.0])];
        check(&[5.0], &five, Decision::Continue);
        check(&[6.5], &five, stop);
        check(&[f64::NAN], &five, stop);
    }

    #[test]
    fn between_rungs_a_trial_goes_on_and_ends_at_the_greatest_resource() {
        let rivals: [(usize, &[f64]); 3] = [(0, &[0.0; 8]), (0, &[0.0; 8]), (0, &[0.0; 8])];
        check(&[5.0; 2], &rivals, Decision::Continue);
        check(&[5.0; 3], &rivals, Decision::Stop { rung: 3 });
        check(&[5.0; 9], &rivals, Decision::Complete);
        check(&[], &rivals, Decision::Continue);
    }
}
