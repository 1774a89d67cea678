//! Learning rates that fall with time only.

use serde::{Deserialize, Serialize};

use super::Warmup;

/// A learning rate with a half-life (Sockeye 1.x, `LearningRateSchedulerInvT` and `LearningRateSchedulerInvSqrtT`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FixedRate {
    learning_rate: f64,
    half_life: u64,
    warmup: Warmup,
}

impl FixedRate {
    /// Starts at `learning_rate`, and falls to half of it after `half_life` updates, at least 1.
    pub fn new(learning_rate: f64, half_life: u64, warmup: Warmup) -> FixedRate {
        FixedRate { learning_rate, half_life: half_life.max(1), warmup }
    }

    /// The rate at the start.
    pub fn base_rate(&self) -> f64 {
        self.learning_rate
    }

    /// `lr / (1 + t / T)` with half-life T.
    pub fn inv_t(&self, update: u64) -> f64 {
        self.warmed(update, self.learning_rate / (1.0 + self.half_lives(update)))
    }

    /// `lr / sqrt(1 + 3 t / T)` with half-life T.
    pub fn inv_sqrt_t(&self, update: u64) -> f64 {
        self.warmed(update, self.learning_rate / (1.0 + 3.0 * self.half_lives(update)).sqrt())
    }

    fn half_lives(&self, update: u64) -> f64 {
        update as f64 / self.half_life.max(1) as f64
    }

    /// As in Sockeye, the fall continues during the rise.
    fn warmed(&self, update: u64, rate: f64) -> f64 {
        rate.min(self.warmup.limit(self.learning_rate, update))
    }
}

#[cfg(test)]
mod tests {
    use kokanee_contract::algorithms::seq2seq::{Hyperparameters, LrSchedulerType};

    use crate::lr_scheduler::LrScheduler;

    /// Checks the rates of some updates, with the defaults changed by `change`.
    #[track_caller]
    fn check(kind: LrSchedulerType, change: fn(&mut Hyperparameters), want: &[(u64, f64)]) {
        let mut h = Hyperparameters { lr_scheduler_type: kind, ..Hyperparameters::default() };
        change(&mut h);
        let mut schedule = LrScheduler::new(&h);
        for &(update, want) in want {
            let got = schedule.learning_rate(update);
            assert!((got / want - 1.0).abs() < 1e-12, "update {update}: {got} for {want}");
            // Checkpoints change nothing, and neither does writing and reading the state.
            assert!(!schedule.checkpoint(false, update));
            schedule = serde_json::from_str(&serde_json::to_string(&schedule).unwrap()).unwrap();
        }
        assert_eq!(schedule.base_rate(), h.learning_rate);
    }

    #[test]
    fn rates_fall_as_the_table_says() {
        use LrSchedulerType::{FixedRateInvSqrtT, FixedRateInvT};
        // Half of 3e-4 after 10 checkpoints of 1000 updates.
        let defaults = [(1, 3e-4 / 1.0001), (5000, 2e-4), (10_000, 1.5e-4), (20_000, 1e-4), (30_000, 7.5e-5)];
        check(FixedRateInvT, |_| (), &defaults);
        let defaults = [(1, 3e-4 / 1.0003f64.sqrt()), (10_000, 1.5e-4), (50_000, 7.5e-5), (210_000, 3.75e-5)];
        check(FixedRateInvSqrtT, |_| (), &defaults);
        let other = |h: &mut Hyperparameters| {
            h.learning_rate = 1.0;
            h.fixed_rate_lr_half_life = 2;
            h.checkpoint_frequency_num_batches = 3;
        };
        check(FixedRateInvT, other, &[(3, 2.0 / 3.0), (6, 0.5), (12, 1.0 / 3.0), (18, 0.25)]);
        check(FixedRateInvSqrtT, other, &[(2, 0.5f64.sqrt()), (6, 0.5), (16, 1.0 / 3.0), (30, 0.25)]);
    }

    #[test]
    fn a_rise_holds_the_fall_down() {
        let rise = |h: &mut Hyperparameters| {
            h.learning_rate = 1.0;
            h.fixed_rate_lr_half_life = 1;
            h.checkpoint_frequency_num_batches = 10;
            h.learning_rate_warmup = 9;
        };
        let want = [(1, 0.2), (2, 0.3), (6, 1.0 / 1.6), (9, 1.0 / 1.9), (10, 0.5), (30, 0.25)];
        check(LrSchedulerType::FixedRateInvT, rise, &want);
        check(LrSchedulerType::FixedRateInvSqrtT, rise, &[(1, 0.2), (9, 1.0 / 3.7f64.sqrt()), (10, 0.5)]);
    }
}
