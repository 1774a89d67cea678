//! Early stopping, when nothing improves any more.

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use serde::{Deserialize, Serialize};

/// The rule: stop after a number of checkpoints in a row without improvement, but not before a number of epochs.
///
/// Sockeye 1.x, section "Learning-rate schedule and early stopping": below the least number of epochs training continues, the count
/// keeps growing, and the rule is applied again at each checkpoint. According to the SageMaker guide, `max_num_epochs` means that
/// training runs that long even without improvement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyStopping {
    /// The number of checkpoints without improvement after which to stop; none for never.
    threshold: Option<u64>,
    min_epochs: u64,
}

/// The current count of the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotImproved(pub u64);

impl NotImproved {
    /// Counts a checkpoint.
    pub fn checkpoint(&mut self, improved: bool) {
        self.0 = if improved { 0 } else { self.0 + 1 };
    }
}

impl EarlyStopping {
    /// The rule according to hyperparameters.
    pub fn new(h: &Hyperparameters) -> EarlyStopping {
        let threshold = u64::try_from(h.checkpoint_threshold).ok().filter(|_| h.max_num_epochs.is_none());
        EarlyStopping { threshold, min_epochs: h.min_num_epochs }
    }

    /// Whether to stop at a checkpoint, after `finished_epochs` whole epochs.
    pub fn says_stop(&self, count: NotImproved, finished_epochs: u64) -> bool {
        self.threshold.is_some_and(|threshold| count.0 >= threshold) && finished_epochs >= self.min_epochs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which checkpoint (from 1) is the last, with one checkpoint per epoch: `+` improved, `-` not.
    fn check(change: fn(&mut Hyperparameters), checkpoints: &str, last: Option<u64>) {
        let mut h = Hyperparameters::default();
        change(&mut h);
        let (rule, mut count) = (EarlyStopping::new(&h), NotImproved::default());
        let mut stopped = None;
        for (mark, epoch) in checkpoints.chars().zip(1..) {
            count.checkpoint(mark == '+');
            if rule.says_stop(count, epoch) {
                stopped = stopped.or(Some(epoch));
            }
        }
        assert_eq!(stopped, last, "{checkpoints}");
    }

    #[test]
    fn stops_after_enough_checkpoints_in_a_row() {
        check(|_| (), "+--+---+", Some(7));
        check(|_| (), "+--+--+", None);
        check(|h| h.checkpoint_threshold = 1, "++-", Some(3));
        check(|h| h.checkpoint_threshold = -1, "----------", None);
    }

    #[test]
    fn epochs_hold_it_off() {
        check(|h| h.min_num_epochs = 5, "+------", Some(5));
        // The count kept growing meanwhile, and an improvement still resets it.
        check(|h| h.min_num_epochs = 5, "+---+--", None);
        check(|h| h.max_num_epochs = Some(20), "----------", None);
    }
}
