//! Reduce the learning rate when the optimized metric stands still.

use serde::{Deserialize, Serialize};

/// Multiplies the learning rate by `factor` after `threshold` checkpoints in a row without improvement, and begins to count
/// anew. Parameters and optimizer are not rolled back (Sockeye 1.x, `LearningRateSchedulerPlateauReduce`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateauReduce {
    learning_rate: f64,
    factor: f64,
    threshold: u64,
    not_improved: u64,
}

impl PlateauReduce {
    /// Starts at `learning_rate`; `factor` is in (0, 1], where 1 never reduces.
    pub fn new(learning_rate: f64, factor: f64, threshold: u64) -> PlateauReduce {
        PlateauReduce { learning_rate, factor, threshold, not_improved: 0 }
    }

    /// The learning rate in force.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Takes note of a checkpoint; returns whether the learning rate was reduced.
    pub fn checkpoint(&mut self, improved: bool) -> bool {
        if improved {
            self.not_improved = 0;
            return false;
        }
        self.not_improved += 1;
        if self.not_improved < self.threshold {
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

    /// `+` improved, `-` not; the learning rate after each checkpoint.
    fn check(factor: f64, threshold: u64, checkpoints: &str, want: &[f64]) {
        let mut plateau = PlateauReduce::new(1.0, factor, threshold);
        let mut before = 1.0;
        for (mark, &want) in checkpoints.chars().zip(want) {
            let reduced = plateau.checkpoint(mark == '+');
            assert_eq!(plateau.learning_rate(), want, "{checkpoints} at {mark}");
            assert_eq!(reduced, want < before, "{checkpoints}");
            before = want;
            // A state that was written and read goes on as if nothing had happened.
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
}
