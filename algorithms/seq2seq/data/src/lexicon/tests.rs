use proptest::prelude::*;

use super::*;
use crate::error::DataError;
use crate::vocab::VocabularyLimits;

fn vocabulary(words: &str) -> Vocabulary {
    Vocabulary::build(words.split(' ').zip((1..1000).rev()), VocabularyLimits::default())
}

/// A corpus with four nouns and an article before each of them; `<unk>` for words that the vocabularies lack.
fn toy(options: LexiconOptions) -> (Lexicon, Vocabulary, Vocabulary) {
    let source = vocabulary("das haus buch auto klein");
    let target = vocabulary("the house book car small");
    let mut corpus = Corpus::new();
    for (from, to) in [
        ("das haus", "the house"),
        ("das buch", "the book"),
        ("das auto", "the car"),
        ("das haus klein", "the small house"),
        ("klein buch", "small book"),
        ("fremd auto", "strange car"),
    ] {
        corpus.push(&source.encode(from), &target.encode(to));
    }
    (Lexicon::build(&corpus, &source, &target, options), source, target)
}

#[track_caller]
fn check(iterations: usize, source: &str, expected: &str, least: f32) {
    let (lexicon, sources, targets) = toy(LexiconOptions { words_per_source: 3, iterations });
    let (id, probability) = lexicon.translations(sources.id(source)).next().expect("a translation");
    assert!(targets.word(id) == Some(expected) && probability > least, "{source}: {id} {probability}");
}

#[test]
fn words_are_aligned_though_nothing_says_how() {
    for (source, target) in
        [("das", "the"), ("haus", "house"), ("buch", "book"), ("auto", "car"), ("klein", "small")]
    {
        check(30, source, target, 0.8);
        check(5, source, target, 0.4);
    }
    // After one round the likeliest translation is the word that it most often occurs with.
    check(1, "das", "the", 0.0);
}

#[test]
fn model_1_gives_what_is_computed_by_hand() {
    // Sentences "x" - "p" and "x y" - "p q", with the null word N. At first all are equal, so z is 2t and 3t, and t(p|x) : t(q|x) =
    // 1/2 + 1/3 : 1/3, t(p|y) : t(q|y) = 1 : 1; N has the same as x. After that z of "p" is 2 * 5/7 in the first sentence, and in
    // the second 10/7 + 1/2 for p, 4/7 + 1/2 for q.
    let (source, target) = (vocabulary("x y"), vocabulary("p q"));
    let mut corpus = Corpus::new();
    corpus.push(&[4], &[4]);
    corpus.push(&[4, 5], &[4, 5]);
    let check = |iterations, source_id, expected: [f32; 2]| {
        let options = LexiconOptions { words_per_source: 9, iterations };
        let lexicon = Lexicon::build(&corpus, &source, &target, options);
        let mut found: Vec<_> = lexicon.translations(source_id).collect();
        found.sort_by_key(|&(id, _)| id);
        assert_eq!([found[0].0, found[1].0], [4, 5]);
        for ((_, got), expected) in found.into_iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{iterations} {source_id}: {got}, expected {expected}");
        }
    };
    check(1, 4, [5.0 / 7.0, 2.0 / 7.0]);
    check(1, 5, [0.5, 0.5]);
    let (p_first, p_second, q) = (10.0 / 7.0, 10.0 / 7.0 + 0.5, 4.0 / 7.0 + 0.5);
    let (p, q_of_x) = (5.0 / 7.0 * (1.0 / p_first + 1.0 / p_second), 2.0 / 7.0 / q);
    check(2, 4, [p / (p + q_of_x), q_of_x / (p + q_of_x)]);
    let (p, q_of_y) = (0.5 / p_second, 0.5 / q);
    check(2, 5, [p / (p + q_of_y), q_of_y / (p + q_of_y)]);
}

#[test]
fn a_shortlist_has_specials_frequent_words_and_translations_once_and_sorted() {
    let (lexicon, sources, targets) = toy(LexiconOptions { words_per_source: 1, iterations: 10 });
    let check = |source: &str, frequent, expected: &str| {
        let words: Vec<&str> = lexicon
            .targets(&sources.encode(source), frequent)
            .into_iter()
            .map(|id| targets.word(id).unwrap())
            .collect();
        assert_eq!(words.join(" "), expected);
    };
    check("", 0, "<unk> </s>");
    check("", 1, "<unk> </s> the");
    check("", 99, "<unk> </s> the house book car small");
    check("haus haus", 0, "<unk> </s> house");
    check("auto das buch", 1, "<unk> </s> the book car");
    assert_eq!(lexicon.targets(&[4, u32::MAX, 0], 0).len(), 3);
    assert_eq!(lexicon.translations(u32::MAX).count(), 0);
    assert_eq!((lexicon.source_size(), lexicon.target_size()), (9, 9));
    assert!(lexicon.belongs_to(&sources, &targets) && !lexicon.belongs_to(&targets, &sources));
}

#[test]
fn coverage_counts_tokens_and_whole_sentences() {
    let (lexicon, sources, targets) = toy(LexiconOptions { words_per_source: 1, iterations: 10 });
    let mut corpus = Corpus::new();
    corpus.push(&sources.encode("haus"), &targets.encode("the house"));
    corpus.push(&sources.encode("das haus"), &targets.encode("the house unheard"));
    let expected = Coverage { tokens: 5, covered: 4, sentences: 2, whole_sentences: 1, words: 7 };
    assert_eq!(lexicon.coverage(&corpus, 0), expected);
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lexicon.bin");
    let (lexicon, ..) = toy(LexiconOptions::default());
    assert_eq!(lexicon.write(&path).unwrap(), lexicon.to_bytes().len() as u64);
    assert_eq!(Lexicon::read(&path).unwrap(), lexicon);
    let (source, target) = (vocabulary("a"), vocabulary("b"));
    let empty = Lexicon::build(&Corpus::new(), &source, &target, LexiconOptions::default());
    assert!(empty.is_empty() && empty.targets(&[4], 5) == [UNK_ID, EOS_ID]);
    assert_eq!(Lexicon::from_bytes(&empty.to_bytes()), Ok(empty));
    let missing = Lexicon::read(&folder.path().join("no")).unwrap_err();
    assert!(matches!(missing, DataError::Io { .. }));
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Vec<u8>), seal: bool, part: &str) {
    let (lexicon, ..) = toy(LexiconOptions::default());
    let mut bytes = lexicon.to_bytes();
    change(&mut bytes);
    if seal {
        let end = bytes.len() - 4;
        let crc = crc32(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
    }
    let fault = Lexicon::from_bytes(&bytes).expect_err(part).to_string();
    assert!(fault.contains(part), "{fault} lacks {part}");
}

#[test]
fn damage_is_told() {
    check_refused(Vec::clear, false, "no lexicon");
    check_refused(|bytes| bytes[0] = b'X', false, "no lexicon");
    check_refused(|bytes| bytes.truncate(20), false, "expected 44 bytes");
    check_refused(|bytes| bytes[8] = 2, false, "format 2, and only format 1");
    check_refused(|bytes| bytes.truncate(bytes.len() - 1), false, "copy or make the file again");
    check_refused(|bytes| bytes.push(0), false, "copy or make the file again");
    check_refused(|bytes| bytes[32..40].fill(0xff), false, "copy or make the file again");
    check_refused(|bytes| bytes[50] ^= 1, false, "its checksum is");
    check_refused(|bytes| bytes[40] = 3, true, "the target word 3, expected an id from 4 to 9");
    check_refused(|bytes| bytes[40] = 9, true, "the target word 9");
    check_refused(|bytes| bytes[60] += 1, true, "its words claim");
    let nan = f32::NAN.to_le_bytes();
    check_refused(
        |bytes| {
            let at = bytes.len() - 8;
            bytes[at..at + 4].copy_from_slice(&nan)
        },
        true,
        "the probability NaN",
    );
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(at in 0_usize..300, byte in any::<u8>(), length in 0_usize..400) {
        let (lexicon, ..) = toy(LexiconOptions { words_per_source: 2, iterations: 1 });
        let mut bytes = lexicon.to_bytes();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(length);
        if let Ok(read) = Lexicon::from_bytes(&bytes) {
            prop_assert_eq!(read, lexicon);
        }
    }
}
