//! Warnings about settings that are valid but probably not intended.

use super::choices::{LrSchedulerType, Metric};
use super::table::Hyperparameters;

/// Warnings to show before training starts; one or two sentences each, without line breaks.
pub fn warnings(hyperparameters: &Hyperparameters) -> Vec<String> {
    CHECKS.iter().filter_map(|check| check(hyperparameters)).collect()
}

type Check = fn(&Hyperparameters) -> Option<String>;

static CHECKS: &[Check] = &[
    plateau_never_reduces,
    factor_never_reduces,
    whole_validation_set_decoded,
    epochs_override_early_stop,
    never_ends,
    no_room_for_target,
    warmup_never_ends,
];

fn reduces_on_plateau(h: &Hyperparameters) -> bool {
    h.lr_scheduler_type == LrSchedulerType::PlateauReduce && h.plateau_reduce_lr_factor < 1.0
}

fn plateau_never_reduces(h: &Hyperparameters) -> Option<String> {
    let stops_early = h.checkpoint_threshold >= 0 && h.max_num_epochs.is_none();
    let stop = u64::try_from(h.checkpoint_threshold).ok()?;
    (reduces_on_plateau(h) && stops_early && stop <= h.plateau_reduce_lr_threshold).then(|| {
        format!(
            "`checkpoint_threshold` ({stop}) is not above `plateau_reduce_lr_threshold` ({}): training stops before a \
             reduced learning rate can have an effect; set `checkpoint_threshold` to {} or more",
            h.plateau_reduce_lr_threshold,
            h.plateau_reduce_lr_threshold + 1
        )
    })
}

fn factor_never_reduces(h: &Hyperparameters) -> Option<String> {
    (h.lr_scheduler_type == LrSchedulerType::PlateauReduce && h.plateau_reduce_lr_factor == 1.0)
        .then(|| "`plateau_reduce_lr_factor` is 1: the learning rate never changes".to_owned())
}

fn whole_validation_set_decoded(h: &Hyperparameters) -> Option<String> {
    (h.optimized_metric == Metric::Bleu && h.bleu_sample_size == 0).then(|| {
        "`optimized_metric` is bleu and `bleu_sample_size` is 0: the whole validation set is decoded at every checkpoint, \
         which can take long; set `bleu_sample_size` to decode fewer pairs"
            .to_owned()
    })
}

fn epochs_override_early_stop(h: &Hyperparameters) -> Option<String> {
    let epochs = h.max_num_epochs?;
    (h.checkpoint_threshold >= 0).then(|| {
        format!(
            "`max_num_epochs` is {epochs}: training runs that many epochs even if nothing improves, as the SageMaker guide \
             says, so `checkpoint_threshold` and `min_num_epochs` have no effect"
        )
    })
}

fn never_ends(h: &Hyperparameters) -> Option<String> {
    (h.checkpoint_threshold < 0 && h.max_num_epochs.is_none() && h.max_num_batches < 0).then(|| {
        "`checkpoint_threshold`, `max_num_batches` and `max_num_epochs` set no limit: training goes on until it is stopped"
            .to_owned()
    })
}

fn no_room_for_target(h: &Hyperparameters) -> Option<String> {
    (h.max_seq_len_target == 1).then(|| {
        "`max_seq_len_target` is 1 and counts the `<s>` in front: no target token fits; use at least 2"
            .to_owned()
    })
}

fn warmup_never_ends(h: &Hyperparameters) -> Option<String> {
    let updates = u64::try_from(h.max_num_batches).ok()?;
    (h.learning_rate_warmup > updates).then(|| {
        format!(
            "`learning_rate_warmup` is {} and `max_num_batches` {updates}: training ends before the learning rate has risen \
             to `learning_rate`",
            h.learning_rate_warmup
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: fn(&mut Hyperparameters), expected: &[&str]) {
        // The base gives no warning, so that each case shows only its own.
        let mut h = Hyperparameters { checkpoint_threshold: 8, ..Hyperparameters::default() };
        change(&mut h);
        let found = warnings(&h);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} lacks {expected:?}");
        }
    }

    #[test]
    fn each_warning_has_its_cause() {
        check(|_| (), &[]);
        check(|h| h.checkpoint_threshold = 3, &["set `checkpoint_threshold` to 4 or more"]);
        check(|h| h.checkpoint_threshold = 4, &[]);
        check(|h| h.plateau_reduce_lr_factor = 1.0, &["never changes"]);
        check(|h| h.optimized_metric = Metric::Bleu, &["the whole validation set is decoded"]);
        check(
            |h| {
                h.optimized_metric = Metric::Bleu;
                h.bleu_sample_size = 100;
            },
            &[],
        );
        check(|h| h.max_num_epochs = Some(7), &["`max_num_epochs` is 7"]);
        check(|h| h.checkpoint_threshold = -1, &["until it is stopped"]);
        check(|h| h.max_seq_len_target = 1, &["no target token fits"]);
        check(|h| h.learning_rate_warmup = 50, &[]);
        check(
            |h| (h.learning_rate_warmup, h.max_num_batches) = (50, 49),
            &["`learning_rate_warmup` is 50 and `max_num_batches` 49"],
        );
    }

    #[test]
    fn the_defaults_warn_of_the_useless_scheduler() {
        let found = warnings(&Hyperparameters::default());
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("`checkpoint_threshold` (3) is not above `plateau_reduce_lr_threshold` (3)")
        );
    }
}
