//! The likely target words of each source word: a lexicon for vocabulary shortlists.
//!
//! A decoder that computes the probability of every word of its vocabulary spends most of its time on words that cannot occur. From
//! the source sentence a [`Lexicon`] derives the words that can: the likeliest translations of each source word, by IBM Model 1
//! (Brown et al. 1993), and the most frequent target words.

mod file;
mod model1;

use std::cmp::Reverse;

use kokanee_formats::crc32;

use crate::corpus::{Corpus, VocabularySizes};
use crate::vocab::{EOS_ID, SPECIAL_SYMBOLS, UNK_ID, Vocabulary};

/// Probable translations of each source word, and the target words by frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct Lexicon {
    target_size: u32,
    /// CRC-32 of the source and target vocabulary as JSON: a lexicon refers to ids, and means nothing with other vocabularies.
    vocabulary_sums: [u32; 2],
    /// Target words that occur, the most frequent first; no special symbols.
    frequent: Vec<u32>,
    /// Where the translations of each source word begin, and the end of the last.
    offsets: Vec<usize>,
    /// Target words, the most probable first; no special symbols.
    ids: Vec<u32>,
    /// The probability of each, given the source word.
    probabilities: Vec<f32>,
}

/// The options for building a lexicon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LexiconOptions {
    /// The largest number of translations kept of each source word: 100 by default, as measured in docs/batch-transform.md.
    pub words_per_source: usize,
    /// Rounds of expectation and maximisation. More than 5 change little.
    pub iterations: usize,
}

impl Default for LexiconOptions {
    fn default() -> Self {
        Self { words_per_source: 100, iterations: 5 }
    }
}

/// The share of a corpus that shortlists would cover.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Coverage {
    /// Number of target tokens.
    pub tokens: u64,
    /// Number of target tokens that are in the shortlist of their sentence.
    pub covered: u64,
    /// Number of sentences.
    pub sentences: u64,
    /// Number of sentences all of whose target tokens are in the shortlist.
    pub whole_sentences: u64,
    /// Number of words in all shortlists together.
    pub words: u64,
}

impl Lexicon {
    /// Learns a lexicon from pairs of sentences. Its words do not depend on the number of threads.
    ///
    /// Memory is 8 bytes for each different pair of a source word and a target word that occur in the same pair of sentences, and 4
    /// bytes per token. Panics if the corpus has ids beyond the vocabularies.
    pub fn build(corpus: &Corpus, source: &Vocabulary, target: &Vocabulary, options: LexiconOptions) -> Self {
        crate::threads::start();
        let sizes = VocabularySizes { source: source.len(), target: target.len() };
        let rows = model1::train(corpus, sizes, options.iterations);
        let (mut offsets, mut ids, mut probabilities) = (vec![0], Vec::new(), Vec::new());
        for row in rows {
            let mut best: Vec<(u32, f32)> = row.into_iter().filter(|&(id, _)| !is_special(id)).collect();
            best.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            best.truncate(options.words_per_source);
            ids.extend(best.iter().map(|&(id, _)| id));
            probabilities.extend(best.iter().map(|&(_, probability)| probability));
            offsets.push(ids.len());
        }
        Self {
            target_size: target.len() as u32,
            vocabulary_sums: [checksum(source), checksum(target)],
            frequent: by_frequency(corpus, target.len()),
            offsets,
            ids,
            probabilities,
        }
    }

    /// The words that may occur in the translation of a sentence: `<unk>`, `</s>`, the `frequent` most frequent target words, and
    /// the translations of each source word. Sorted, each once. Source ids that the lexicon does not have add nothing.
    pub fn targets(&self, source_ids: &[u32], frequent: usize) -> Vec<u32> {
        let mut targets = vec![UNK_ID, EOS_ID];
        targets.extend_from_slice(&self.frequent[..frequent.min(self.frequent.len())]);
        for &source in source_ids {
            targets.extend_from_slice(&self.ids[self.row(source)]);
        }
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// The translations of a source word with their probabilities, the most probable first; none for a word that the lexicon
    /// does not have.
    pub fn translations(&self, source: u32) -> impl Iterator<Item = (u32, f32)> {
        let row = self.row(source);
        self.ids[row.clone()].iter().copied().zip(self.probabilities[row].iter().copied())
    }

    /// The number of source words: the size of the vocabulary.
    pub fn source_size(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The number of words in the target vocabulary.
    pub fn target_size(&self) -> usize {
        self.target_size as usize
    }

    /// The number of translations of all source words together.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no source word has a translation.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether the lexicon was built with these vocabularies. With others its ids mean other words.
    pub fn belongs_to(&self, source: &Vocabulary, target: &Vocabulary) -> bool {
        self.vocabulary_sums == [checksum(source), checksum(target)]
    }

    /// The coverage of the targets of a corpus by shortlists with the `frequent` most frequent words.
    pub fn coverage(&self, corpus: &Corpus, frequent: usize) -> Coverage {
        let mut coverage = Coverage::default();
        for pair in 0..corpus.len() {
            let shortlist = self.targets(corpus.source(pair), frequent);
            let target = corpus.target(pair);
            let covered = target.iter().filter(|id| shortlist.binary_search(id).is_ok()).count();
            coverage.tokens += target.len() as u64;
            coverage.covered += covered as u64;
            coverage.sentences += 1;
            coverage.whole_sentences += u64::from(covered == target.len());
            coverage.words += shortlist.len() as u64;
        }
        coverage
    }

    fn row(&self, source: u32) -> std::ops::Range<usize> {
        match self.offsets.get(source as usize..) {
            Some(&[begin, end, ..]) => begin..end,
            _ => 0..0,
        }
    }
}

/// Target words that occur, the most frequent first, then by id; without special symbols.
fn by_frequency(corpus: &Corpus, target_size: usize) -> Vec<u32> {
    let mut counts = vec![0_u64; target_size];
    for pair in 0..corpus.len() {
        corpus.target(pair).iter().for_each(|&id| counts[id as usize] += 1);
    }
    let mut ids: Vec<u32> =
        (0..target_size as u32).filter(|&id| !is_special(id) && counts[id as usize] > 0).collect();
    ids.sort_by_key(|&id| Reverse(counts[id as usize]));
    ids
}

fn is_special(id: u32) -> bool {
    (id as usize) < SPECIAL_SYMBOLS.len()
}

fn checksum(vocabulary: &Vocabulary) -> u32 {
    crc32(vocabulary.to_json().as_bytes())
}

#[cfg(test)]
mod tests;
