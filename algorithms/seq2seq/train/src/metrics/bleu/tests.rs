use proptest::prelude::*;

use super::*;

const RECORDED: &str = include_str!("sacrebleu.tsv");

fn words(sentence: &str) -> Vec<&str> {
    sentence.split_whitespace().collect()
}

fn numbers<T: std::str::FromStr<Err: std::fmt::Debug>>(field: &str) -> Vec<T> {
    field.split(' ').map(|number| number.parse().unwrap()).collect()
}

fn counted(corpus: &[(Vec<u8>, Vec<Vec<u8>>)]) -> BleuCounts {
    let mut counts = BleuCounts::new();
    for (hypothesis, references) in corpus {
        counts.add(hypothesis, references).unwrap();
    }
    counts
}

fn near(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() < 1e-12, "{what}: {got}, but sacrebleu says {want}");
}

/// Checks one line of the recorded values, on the scale of 100 as sacrebleu prints them.
fn check(line: &str) {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, smoothing, hypotheses, references, value, precisions, penalty, matches, totals, printed] =
        fields[..]
    else {
        panic!("10 columns expected in {line:?}");
    };
    let sets: Vec<Vec<&str>> = references.split("||").map(|set| set.split('|').collect()).collect();
    let mut counts = BleuCounts::new();
    for (index, hypothesis) in hypotheses.split('|').enumerate() {
        let references: Vec<Vec<&str>> = sets.iter().map(|set| words(set[index])).collect();
        counts.add(&words(hypothesis), &references).unwrap();
    }
    let smoothing_rule = match smoothing {
        "floor" => TRAINING_SMOOTHING,
        "none" => Smoothing::None,
        "exp" => Smoothing::Exp,
        other => panic!("unknown smoothing {other}"),
    };
    let score = counts.score(smoothing_rule);
    let name = format!("{name}, {smoothing}");
    near(score.value, value.parse::<f64>().unwrap() / 100.0, &name);
    for (got, want) in score.precisions.iter().zip(numbers::<f64>(precisions)) {
        near(*got, want / 100.0, &name);
    }
    near(score.brevity_penalty, penalty.parse().unwrap(), &name);
    assert_eq!(score.matches.to_vec(), numbers::<u64>(matches), "{name}");
    assert_eq!(score.totals.to_vec(), numbers::<u64>(totals), "{name}");
    assert_eq!(score.to_string(), printed, "{name}");
}

#[test]
fn equals_the_recorded_values_of_sacrebleu() {
    let lines: Vec<&str> = RECORDED.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 57, "19 corpora in three smoothings");
    lines.into_iter().for_each(check);
}

#[test]
fn refuses_a_hypothesis_without_reference_and_counts_nothing() {
    let mut counts = BleuCounts::new();
    counts.add(&["a"], &[["a"]]).unwrap();
    let before = counts;
    let none: [[&str; 0]; 0] = [];
    let error = counts.add(&["a", "b"], &none).unwrap_err();
    assert_eq!(error, MetricError::NoReference(1));
    assert!(error.to_string().starts_with("output 1 (counted from 0) has no reference"), "{error}");
    assert_eq!(counts, before);
}

fn sentence() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..4, 0..12)
}

fn corpus() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<Vec<u8>>)>> {
    prop::collection::vec((sentence(), prop::collection::vec(sentence(), 1..4)), 1..8)
}

proptest! {
    #[test]
    fn a_corpus_against_itself_scores_exactly_one(
        mut sentences in prop::collection::vec(sentence(), 0..6),
        long in prop::collection::vec(0u8..4, 4..12),
    ) {
        sentences.push(long);
        let identical: Vec<_> = sentences.into_iter().map(|s| (s.clone(), vec![s])).collect();
        for smoothing in [TRAINING_SMOOTHING, Smoothing::None, Smoothing::Exp] {
            prop_assert_eq!(counted(&identical).score(smoothing).value, 1.0);
        }
    }

    #[test]
    fn the_order_of_a_corpus_and_how_it_is_split_do_not_matter(
        (ordered, shuffled) in corpus().prop_flat_map(|c| (Just(c.clone()), Just(c).prop_shuffle())),
        cut in 0usize..8,
    ) {
        let whole = counted(&ordered);
        prop_assert_eq!(counted(&shuffled), whole);
        let (left, right) = ordered.split_at(cut.min(ordered.len()));
        let mut merged = counted(left);
        merged.merge(&counted(right));
        prop_assert_eq!(merged, whole);
    }

    #[test]
    fn the_order_of_references_does_not_matter_and_the_score_stays_between_0_and_1(corpus in corpus()) {
        let mut reversed = corpus.clone();
        reversed.iter_mut().for_each(|(_, references)| references.reverse());
        prop_assert_eq!(counted(&corpus), counted(&reversed));
        for smoothing in [TRAINING_SMOOTHING, Smoothing::None, Smoothing::Exp] {
            let score = counted(&corpus).score(smoothing);
            prop_assert!((0.0..=1.0).contains(&score.value), "{}", score);
        }
    }

    #[test]
    fn ids_and_words_score_alike(corpus in corpus()) {
        let name = |sentence: &[u8]| sentence.iter().map(|id| format!("w{id}")).collect::<Vec<_>>();
        let mut spelled = BleuCounts::new();
        for (hypothesis, references) in &corpus {
            let references: Vec<_> = references.iter().map(|reference| name(reference)).collect();
            spelled.add(&name(hypothesis), &references).unwrap();
        }
        prop_assert_eq!(spelled, counted(&corpus));
    }
}
