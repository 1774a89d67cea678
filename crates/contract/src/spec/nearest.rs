//! "Did you mean …?": the known name closest to an unknown one.

/// Below this similarity a suggestion would confuse more than it helps (chosen by the cases in the test below).
const LEAST_SIMILARITY: f64 = 0.6;
/// Longer names are not typing errors; comparing them would only cost time.
const LONGEST_COMPARED_CHARS: usize = 100;

/// The candidate most similar to `name`, if one is similar enough to suggest.
///
/// Letter case and the difference between `-` and `_` are ignored. Similarity is the larger of Jaro-Winkler (typing errors) and the
/// Sørensen-Dice coefficient over letter pairs (a word too many or too few, as in `mini_batch_size`).
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.chars().count() > LONGEST_COMPARED_CHARS {
        return None;
    }
    let name = name.trim().to_lowercase().replace('-', "_");
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let dice = strsim::sorensen_dice(&name, candidate);
        // Jaro-Winkler rates even unrelated words near 0.6, so it needs a higher score.
        let winkler = strsim::jaro_winkler(&name, candidate) - 0.2;
        let similarity = dice.max(winkler);
        if similarity >= LEAST_SIMILARITY && best.is_none_or(|(so_far, _)| similarity > so_far) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::seq2seq::Hyperparameters;
    use crate::spec::Rows as _;

    fn check(typed: &str, expected: Option<&str>) {
        assert_eq!(
            nearest(typed, Hyperparameters::SPECS.iter().map(|spec| spec.name)),
            expected,
            "for {typed:?}"
        );
    }

    #[test]
    fn slips_find_their_name() {
        check("mini_batch_siz", Some("batch_size"));
        check("mini_batch_size", Some("batch_size"));
        check("batchsize", Some("batch_size"));
        check("lerning_rate", Some("learning_rate"));
        check("initial_learning_rate", Some("learning_rate"));
        check("num-layers-encoder", Some("num_layers_encoder"));
        check("RNN_Num_Hiden", Some("rnn_num_hidden"));
        check("optimizer", Some("optimizer_type"));
        check("max_num_epoch", Some("max_num_epochs"));
        check("num_epochs", Some("max_num_epochs"));
    }

    #[test]
    fn strangers_find_nothing() {
        check("", None);
        check("k", None);
        check("feature_dim", None);
        check("zzzzzzzz", None);
        check(&"batch_size".repeat(1000), None);
    }
}
