//! The demo's data: the pronunciations of more than 100 thousand English words.
//!
//! It is the CMU Pronouncing Dictionary as contained in the crate `cmudict-fast`, reduced by the build script to the first
//! pronunciation of each word of plain letters. A hash assigns the words to fixed parts, so that a model of the demo can be tested
//! on words it never saw.

use std::sync::OnceLock;

use kokanee_formats::fnv1a;

/// One word per line, sorted: the word, a blank, its phonemes separated by blanks.
const DICTIONARY: &str = include_str!(concat!(env!("OUT_DIR"), "/cmudict.txt"));

/// The dictionary's licence, which must accompany files made from it.
pub(crate) const LICENSE: &str = include_str!(concat!(env!("OUT_DIR"), "/cmudict-license.txt"));

/// Words of AWS's word-pronunciation sample. The demo shows them, so no model of the demo may have been trained on them.
pub(crate) const DEMO_WORDS: [&str; 6] =
    ["car", "cat", "tapeworm", "tapdance", "supercalifragilistic", "expialidocious"];

/// A word and its pronunciation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// One or more letters a to z.
    pub(crate) word: &'static str,
    /// Target tokens: ARPAbet phonemes with the stress of vowels (0 none, 1 primary, 2 secondary), separated by a blank, as in
    /// `K AA1 R`.
    pub(crate) phonemes: &'static str,
}

/// The part of the data that a word belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// For training: about 90 in 100 words.
    Train,
    /// For monitoring the training: about 5 in 100.
    Validation,
    /// For the final figures: about 5 in 100, and [`DEMO_WORDS`].
    Test,
}

/// All words, sorted.
pub(crate) fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let split =
            |line: &'static str| line.split_once(' ').map(|(word, phonemes)| Entry { word, phonemes });
        DICTIONARY.lines().filter_map(split).collect()
    })
}

/// Source tokens of a word: its letters separated by a blank, as in `c a r`.
pub(crate) fn letters(word: &str) -> String {
    let mut tokens = String::with_capacity(2 * word.len());
    for letter in word.chars() {
        if !tokens.is_empty() {
            tokens.push(' ');
        }
        tokens.push(letter);
    }
    tokens
}

/// The part of a word. It depends on the word alone and never changes.
pub(crate) fn split(word: &str) -> Part {
    if DEMO_WORDS.contains(&word) {
        return Part::Test;
    }
    match fnv1a(word.bytes().map(u64::from)) % 20 {
        0 => Part::Test,
        1 => Part::Validation,
        _ => Part::Train,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;

    fn check_word(word: &str, part: Part, phonemes: Option<&str>) {
        assert_eq!(split(word), part, "{word}");
        let found =
            entries().binary_search_by_key(&word, |entry| entry.word).ok().map(|at| entries()[at].phonemes);
        assert_eq!(found, phonemes, "{word}");
    }

    #[test]
    fn the_data_and_its_split_never_change() {
        let mut sizes: HashMap<Part, usize> = HashMap::new();
        for entry in entries() {
            *sizes.entry(split(entry.word)).or_default() += 1;
        }
        assert_eq!(entries().len(), 117_389);
        assert_eq!(
            [Part::Train, Part::Validation, Part::Test].map(|part| sizes[&part]),
            [105_565, 5_879, 5_945]
        );
        let text: Vec<u8> =
            entries().iter().flat_map(|e| format!("{} {}\n", e.word, e.phonemes).into_bytes()).collect();
        assert_eq!(
            fnv1a(text.into_iter().map(u64::from)),
            0xc9e8_5241_1304_c134,
            "the dictionary has other words or pronunciations than before"
        );
    }

    #[test]
    fn known_words() {
        check_word("car", Part::Test, Some("K AA1 R"));
        check_word("tapeworm", Part::Test, None);
        check_word("zebra", Part::Train, Some("Z IY1 B R AH0"));
        check_word("through", Part::Train, Some("TH R UW1"));
        // The first of two pronunciations.
        check_word("read", Part::Validation, Some("R EH1 D"));
        check_word("amazon", Part::Validation, Some("AE1 M AH0 Z AA2 N"));
        check_word("kokanee", Part::Train, None);
    }

    #[test]
    fn no_demo_word_is_trained_on() {
        for word in DEMO_WORDS {
            assert_eq!(split(word), Part::Test);
        }
    }

    #[test]
    fn every_word_and_phoneme_is_valid_and_no_word_stands_twice() {
        const CONSONANTS: &str = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH";
        const VOWELS: &str = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW";
        let consonants: BTreeSet<&str> = CONSONANTS.split(' ').collect();
        let vowels: BTreeSet<&str> = VOWELS.split(' ').collect();
        for entry in entries() {
            assert!(
                !entry.word.is_empty() && entry.word.bytes().all(|b| b.is_ascii_lowercase()),
                "{entry:?}"
            );
            assert!(!entry.phonemes.is_empty(), "{entry:?}");
            for phoneme in entry.phonemes.split(' ') {
                let vowel = phoneme.strip_suffix(['0', '1', '2']);
                let known = vowel.map_or(consonants.contains(phoneme), |vowel| vowels.contains(vowel));
                assert!(known, "{phoneme:?} in {entry:?}");
            }
        }
        // Strictly ascending: sorted, and no word in two parts or twice in one.
        assert!(entries().windows(2).all(|pair| pair[0].word < pair[1].word));
        assert_eq!(DICTIONARY.lines().count(), entries().len());
    }

    #[test]
    fn letters_are_tokens() {
        assert_eq!(letters("car"), "c a r");
        assert_eq!(letters("a"), "a");
        assert_eq!(letters(""), "");
        assert!(LICENSE.contains("Carnegie Mellon University"));
    }
}
