use proptest::prelude::*;

use super::*;

fn letters(word: &str) -> Vec<char> {
    word.chars().collect()
}

/// Checks the numbers of (substitutions, insertions, deletions) that turn `reference` into `hypothesis`.
fn check(hypothesis: &str, reference: &str, expected: (u64, u64, u64)) {
    let edits = Edits::between(&letters(hypothesis), &letters(reference));
    assert_eq!(
        (edits.substitutions, edits.insertions, edits.deletions),
        expected,
        "{hypothesis:?} for {reference:?}"
    );
}

#[test]
fn counts_each_kind_of_edit() {
    check("", "", (0, 0, 0));
    check("abc", "abc", (0, 0, 0));
    check("", "abc", (0, 0, 3));
    check("abc", "", (0, 3, 0));
    check("sitting", "kitten", (2, 1, 0));
    check("kitten", "sitting", (2, 0, 1));
    check("aXbc", "abc", (0, 1, 0));
    check("ac", "abc", (0, 0, 1));
    check("axc", "abc", (1, 0, 0));
    // Two edits either way: the alignment that keeps b is preferred to two substitutions.
    check("bc", "ab", (0, 1, 1));
}

#[test]
fn the_reference_with_fewest_edits_counts_then_the_longest_then_the_first() {
    let best = |hypothesis: &str, references: &[&str]| {
        let references: Vec<_> = references.iter().map(|reference| letters(reference)).collect();
        SourceErrors::of(&letters(hypothesis), &references)
            .map(|e| (e.reference, e.edits.total(), e.reference_tokens))
    };
    assert_eq!(best("abcd", &["xxxx", "abcx", "ab"]), Some((1, 1, 4)));
    assert_eq!(best("abcd", &["abc", "abcde"]), Some((1, 1, 5)));
    assert_eq!(best("abcd", &["abce", "abcf"]), Some((0, 1, 4)));
    assert_eq!(best("abcd", &["abc", "abcd"]), Some((1, 0, 4)));
    assert_eq!(best("abcd", &[]), None);
}

#[test]
fn rates_are_over_reference_tokens_and_over_sources() {
    let mut rates = ErrorRates::new();
    assert_eq!((rates.token_error_rate(), rates.sequence_error_rate()), (None, None));
    let mut add = |hypothesis: &str, references: &[&str]| {
        let references: Vec<_> = references.iter().map(|reference| letters(reference)).collect();
        rates.add(&letters(hypothesis), &references)
    };
    assert!(add("abcd", &["abcd"]).unwrap().is_exact());
    assert!(!add("abcx", &["abcd", "ab"]).unwrap().is_exact());
    assert!(add("cd", &["ab", "cd"]).unwrap().is_exact());
    assert_eq!(add("cd", &[]), Err(MetricError::NoReference(3)));
    assert_eq!(rates.edits(), Edits { substitutions: 1, insertions: 0, deletions: 0 });
    assert_eq!((rates.reference_tokens(), rates.sources(), rates.wrong()), (10, 3, 1));
    assert_eq!(rates.token_error_rate(), Some(0.1));
    assert_eq!(rates.sequence_error_rate(), Some(1.0 / 3.0));
}

#[test]
fn invented_words_for_nothing_have_no_token_rate_but_are_wrong() {
    let mut rates = ErrorRates::new();
    rates.add(&['a', 'b'], &[[]]).unwrap();
    assert_eq!(rates.token_error_rate(), None);
    assert_eq!(rates.sequence_error_rate(), Some(1.0));
    assert_eq!(rates.edits().insertions, 2);
}

/// Tries all alignments, following the definition: (edits, substitutions, insertions, deletions), least first.
fn exhaustive(hypothesis: &[u8], reference: &[u8]) -> (u64, u64, u64, u64) {
    let longer = |by: (u64, u64, u64), rest: (u64, u64, u64, u64)| {
        (rest.0 + by.0 + by.1 + by.2, rest.1 + by.0, rest.2 + by.1, rest.3 + by.2)
    };
    match (hypothesis.split_first(), reference.split_first()) {
        (None, None) => (0, 0, 0, 0),
        (Some((_, said)), None) => longer((0, 1, 0), exhaustive(said, reference)),
        (None, Some((_, meant))) => longer((0, 0, 1), exhaustive(hypothesis, meant)),
        (Some((a, said)), Some((b, meant))) => {
            let inserted = longer((0, 1, 0), exhaustive(said, reference));
            let deleted = longer((0, 0, 1), exhaustive(hypothesis, meant));
            let aligned = longer((u64::from(a != b), 0, 0), exhaustive(said, meant));
            aligned.min(inserted).min(deleted)
        }
    }
}

fn sequence(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..3, 0..=longest)
}

proptest! {
    #[test]
    fn equals_trying_every_alignment(hypothesis in sequence(6), reference in sequence(6)) {
        let edits = Edits::between(&hypothesis, &reference);
        let expected = exhaustive(&hypothesis, &reference);
        prop_assert_eq!((edits.total(), edits.substitutions, edits.insertions, edits.deletions), expected);
    }

    #[test]
    fn is_a_distance(a in sequence(20), b in sequence(20), c in sequence(20)) {
        let d = |x: &[u8], y: &[u8]| Edits::between(x, y).total();
        prop_assert_eq!(d(&a, &a), 0);
        prop_assert_eq!(d(&a, &b), d(&b, &a));
        prop_assert!(d(&a, &c) <= d(&a, &b) + d(&b, &c));
        let (there, back) = (Edits::between(&a, &b), Edits::between(&b, &a));
        prop_assert_eq!((there.insertions, there.deletions), (back.deletions, back.insertions));
    }

    #[test]
    fn the_order_of_a_corpus_and_how_it_is_split_do_not_matter(
        (ordered, shuffled) in prop::collection::vec((sequence(6), prop::collection::vec(sequence(6), 1..4)), 0..8)
            .prop_flat_map(|corpus| (Just(corpus.clone()), Just(corpus).prop_shuffle())),
    ) {
        let count = |corpus: &[(Vec<u8>, Vec<Vec<u8>>)]| {
            let mut rates = ErrorRates::new();
            for (hypothesis, references) in corpus {
                rates.add(hypothesis, references).unwrap();
            }
            rates
        };
        let whole = count(&ordered);
        prop_assert_eq!(count(&shuffled), whole);
        let (left, right) = ordered.split_at(ordered.len() / 2);
        let mut merged = count(left);
        merged.merge(&count(right));
        prop_assert_eq!(merged, whole);
    }
}
