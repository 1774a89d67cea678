//! Batches of sentences without padding.
//!
//! The tokens of a batch stand one sentence after the other ("token order"). A recurrence visits them step by step: its steps take
//! the sentences by decreasing length ("rank order"), so that at step t the first ranks are those that are still running, and a
//! state shrinks by dropping its last rows.

use std::ops::Range;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::special_ids::{BOS, EOS};
use kokanee_tensor::Rows;

/// Pairs of sentences to learn from or to score.
pub struct Batch {
    /// Source ids.
    pub source: Sequences,
    /// The decoder's input: `<s>` and the words.
    pub target: Sequences,
    /// The decoder's expected output, in the token order of `target`: the words and `</s>`.
    pub labels: Vec<u32>,
}

impl Batch {
    /// A batch of (source, target) pairs of ids without `<s>` and `</s>`; `source_with_eos` as in the model's configuration.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a [u32], &'a [u32])>, source_with_eos: bool) -> Batch {
        let (mut source, mut target, mut labels) = (Sequences::default(), Sequences::default(), Vec::new());
        for (source_words, target_words) in pairs {
            source.push(source_words.iter().copied().chain(source_with_eos.then_some(EOS)));
            target.push(std::iter::once(BOS).chain(target_words.iter().copied()));
            labels.extend(target_words.iter().copied().chain([EOS]));
        }
        Batch { source, target, labels }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Sentences of ids, one after the other.
#[derive(Clone, Debug)]
pub struct Sequences {
    ids: Vec<u32>,
    /// Start of each sentence, and the end of the last.
    starts: Vec<u32>,
}

impl Default for Sequences {
    fn default() -> Self {
        Sequences { ids: Vec::new(), starts: vec![0] }
    }
}

impl Sequences {
    /// Adds a sentence of at least one id.
    pub fn push(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.ids.extend(ids);
        assert!(
            self.ids.len() > self.starts[self.len()] as usize,
            "an empty sentence cannot be computed with"
        );
        self.starts.push(u32::try_from(self.ids.len()).expect("a batch of less than 4 billion tokens"));
    }

    /// Number of sentences.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are no sentences.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All ids in token order.
    pub fn words(&self) -> &[u32] {
        &self.ids
    }

    /// The same ids, shared.
    pub fn ids(&self) -> Rows {
        self.ids.as_slice().into()
    }

    /// The rows of one sentence in token order.
    pub fn span(&self, sentence: usize) -> Range<u32> {
        self.starts[sentence]..self.starts[sentence + 1]
    }

    /// The rows of every sentence.
    pub fn spans(&self) -> Arc<[Range<u32>]> {
        (0..self.len()).map(|sentence| self.span(sentence)).collect()
    }

    /// The sentence of every token.
    pub fn sentences(&self) -> Rows {
        (0..self.len()).flat_map(|sentence| self.span(sentence).map(move |_| sentence as u32)).collect()
    }

    /// The position of every token in its sentence, from 0.
    pub fn positions(&self) -> Rows {
        (0..self.len()).flat_map(|sentence| 0..self.span(sentence).len() as u32).collect()
    }

    /// The steps of a recurrence over these sentences.
    pub fn timeline(&self, direction: Direction) -> Timeline {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&sentence| std::cmp::Reverse(self.span(sentence).len()));
        let longest = order.first().map_or(0, |&sentence| self.span(sentence).len());
        let steps = (0..longest as u32)
            .map(|t| {
                let running = order.iter().map(|&s| self.span(s)).take_while(|span| t < span.len() as u32);
                match direction {
                    Direction::Forward => running.map(|span| span.start + t).collect(),
                    Direction::Reverse => running.map(|span| span.end - 1 - t).collect(),
                }
            })
            .collect();
        Timeline { order, steps }
    }
}

/// The end from which a recurrence starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first token.
    Forward,
    /// From the last token.
    Reverse,
}

/// The order in which a recurrence visits tokens.
pub struct Timeline {
    /// The sentence of each rank.
    pub order: Vec<usize>,
    /// For each step, the token of each rank that is still running.
    pub steps: Vec<Rows>,
}

impl Timeline {
    /// The sentences of the first `count` ranks.
    pub(crate) fn sentences(&self, count: usize) -> Rows {
        self.order[..count].iter().map(|&sentence| sentence as u32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_visit_every_token_once_in_each_direction() {
        let mut sequences = Sequences::default();
        for ids in [vec![7, 8], vec![4, 5, 6], vec![9]] {
            sequences.push(ids);
        }
        let forward = sequences.timeline(Direction::Forward);
        assert_eq!(forward.order, [1, 0, 2]);
        let rows: Vec<Vec<u32>> = forward.steps.iter().map(|rows| rows.to_vec()).collect();
        assert_eq!(rows, [vec![2, 0, 5], vec![3, 1], vec![4]]);
        let reverse = sequences.timeline(Direction::Reverse);
        let rows: Vec<Vec<u32>> = reverse.steps.iter().map(|rows| rows.to_vec()).collect();
        assert_eq!(rows, [vec![4, 1, 5], vec![3, 0], vec![2]]);
    }

    #[test]
    fn a_batch_adds_the_special_symbols() {
        let batch = Batch::new([(&[5u32, 6][..], &[7u32][..])], true);
        assert_eq!(&*batch.source.ids(), [5, 6, EOS]);
        assert_eq!(&*batch.target.ids(), [BOS, 7]);
        assert_eq!(batch.labels, [7, EOS]);
    }
}
