//! A linear rise of the learning rate at the start.

use serde::{Deserialize, Serialize};

/// Number of updates of the rise; 0 for none.
///
/// Sockeye 1.18, `--learning-rate-warmup`: update t of W (from 1) has the share (t + 1) / (W + 1) of the learning rate, so that the
/// rise begins above 0 and ends with update W.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warmup(pub u64);

impl Warmup {
    /// Whether the rise is over after `updates` updates.
    pub fn is_over(self, updates: u64) -> bool {
        updates >= self.0
    }

    /// The largest rate of an update if the schedule starts at `learning_rate`; infinite when the rise is over.
    pub fn limit(self, learning_rate: f64, update: u64) -> f64 {
        if update > self.0 {
            return f64::INFINITY;
        }
        learning_rate * (update as f64 + 1.0) / (self.0 as f64 + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rise_is_linear_and_ends_at_the_rate() {
        let shares = |warmup: u64| (1..=5).map(|t| Warmup(warmup).limit(8.0, t)).collect::<Vec<_>>();
        let none = f64::INFINITY;
        assert_eq!(shares(0), [none; 5]);
        assert_eq!(shares(1), [8.0, none, none, none, none]);
        assert_eq!(shares(3), [4.0, 6.0, 8.0, none, none]);
        assert!(!Warmup(3).is_over(2) && Warmup(3).is_over(3) && Warmup(0).is_over(0));
    }
}
