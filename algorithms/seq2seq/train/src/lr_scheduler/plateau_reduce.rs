//! Reduction of the learning rate when the optimized metric does not improve.

use serde::{Deserialize, Serialize};

use super::Warmup;

/// Multiplies the learning rate by `factor` after `threshold` checkpoints in a row without improvement, and restarts the count.
/// Parameters and optimizer are not rolled back, and nothing is reduced before a warm-up is over (Sockeye 1.x,
/// `LearningRateSchedulerPlateauReduce`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateauReduce {
    learning_rate: f64,
    factor: f64,
    threshold: u64,
    not_improved: u64,
    #[serde(default)]
    warmup: Warmup,
}

impl PlateauReduce {
    /// Starts at `learning_rate`; `factor` is in (0, 1], where 1 never reduces.
    pub fn new(learning_rate: f64, factor: f64, threshold: u64, warmup: Warmup) -> PlateauReduce {
        PlateauReduce { learning_rate, factor, threshold, not_improved: 0, warmup }
    }

    /// The learning rate of an update, counted from 1.
    pub fn learning_rate(&self, update: u64) -> f64 {
        self.learning_rate.min(self.warmup.limit(self.learning_rate, update))
    }

    /// The learning rate after the warm-up.
    pub fn base_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Records a checkpoint after `updates` updates. Returns whether the learning rate was reduced.
    pub fn checkpoint(&mut self, improved: bool, updates: u64) -> bool {
        if improved {
            self.not_improved = 0;
            return false;
        }
        self.not_improved += 1;
        if self.not_improved < self.threshold || !self.warmup.is_over(updates) {
            return false;
        }
        self.not_improved = 0;
        self.learning_rate *= self.factor;
        self.factor < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the learning rate after each checkpoint: `+` improved, `-` not, a checkpoint after every update.
    fn check(factor: f64, threshold: u64, checkpoints: &str, want: &[f64]) {
        check_warmed(0, factor, threshold, checkpoints, want);
    }

    fn check_warmed(warmup: u64, factor: f64, threshold: u64, checkpoints: &str, want: &[f64]) {
        let mut plateau = PlateauReduce::new(1.0, factor, threshold, Warmup(warmup));
        for ((mark, &want), update) in checkpoints.chars().zip(want).zip(1..) {
            let before = plateau.base_rate();
            let reduced = plateau.checkpoint(mark == '+', update);
            assert_eq!(plateau.learning_rate(update + 1), want, "{checkpoints} at {mark}");
            assert_eq!(reduced, plateau.base_rate() < before, "{checkpoints}");
            // A state that was written and read continues unchanged.
            let text = serde_json::to_string(&plateau).unwrap();
            plateau = serde_json::from_str(&text).unwrap();
        }
    }

    #[test]
    fn the_rate_falls_after_enough_checkpoints_in_a_row() {
        check(0.5, 3, "+---+--", &[1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
        check(0.5, 3, "--+---", &[1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
        check(0.5, 3, "------", &[1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
        check(0.1, 1, "-+-", &[0.1, 0.1, 0.1 * 0.1]);
        check(1.0, 1, "---", &[1.0, 1.0, 1.0]);
    }

    #[test]
    fn nothing_is_reduced_before_the_warmup_is_over() {
        // Rates of updates 2 to 6. The count continues meanwhile, so that the first checkpoint after the rise may reduce.
        check_warmed(3, 0.5, 1, "-----", &[0.75, 1.0, 0.5, 0.25, 0.125]);
        check_warmed(3, 0.5, 3, "-+---", &[0.75, 1.0, 1.0, 1.0, 0.5]);
    }
}
