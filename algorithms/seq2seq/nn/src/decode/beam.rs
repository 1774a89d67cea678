//! Beam search for one sentence, by the two rules of Sockeye 1.x. The costs of words are computed elsewhere, for all sentences at
//! once.

use kokanee_contract::algorithms::seq2seq::BeamSearchRule;
use kokanee_contract::algorithms::seq2seq::special_ids::{BOS, EOS, PAD, UNK};
use kokanee_kernels::softmax::WordCost;

use super::{AttentionRow, Hypothesis, Search};

/// The search for one sentence.
pub(super) struct Beam {
    search: Search,
    /// The words that every hypothesis begins with.
    prefix: Vec<u32>,
    forbid_unk: bool,
    /// The largest number of words of a hypothesis, `</s>` included.
    limit: usize,
    entries: Vec<Entry>,
    nodes: Vec<Node>,
}

/// One word of a hypothesis; hypotheses share their beginnings.
struct Node {
    parent: Option<usize>,
    word: u32,
    attention: Vec<f32>,
}

/// A hypothesis on the beam.
#[derive(Clone, Copy)]
struct Entry {
    /// Its last word; none at the start.
    node: Option<usize>,
    /// Score by the current rule, lower is better.
    score: f64,
    /// Number of words, `</s>` included.
    length: usize,
    finished: bool,
    /// The index of the sentence's live hypothesis that it is or descends from.
    row: usize,
}

impl Beam {
    /// Begins a search, with `<s>` as the first word.
    pub(super) fn new(search: Search, prefix: Vec<u32>, forbid_unk: bool, limit: usize) -> Beam {
        let entries = vec![Entry { node: None, score: 0.0, length: 0, finished: false, row: 0 }];
        Beam { search, prefix, forbid_unk, limit, entries, nodes: Vec::new() }
    }

    /// The largest number of live hypotheses at a time.
    pub(super) fn size(&self) -> usize {
        self.search.beam_size
    }

    /// The number of unfinished hypotheses.
    pub(super) fn live(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.finished).count()
    }

    /// The last word of each live hypothesis, in order.
    pub(super) fn words(&self) -> impl Iterator<Item = u32> {
        let live = self.entries.iter().filter(|entry| !entry.finished);
        live.map(|entry| entry.node.map_or(BOS, |node| self.nodes[node].word))
    }

    /// The next word of all live hypotheses, if it is prescribed.
    pub(super) fn forced(&self) -> Option<u32> {
        // All of them have as many words as there were steps.
        let live = self.entries.iter().find(|entry| !entry.finished)?;
        self.prefix.get(live.length).copied()
    }

    /// How many of its cheapest words each live hypothesis needs.
    pub(super) fn words_wanted(&self) -> usize {
        self.search.beam_size.saturating_add(usize::from(self.forbid_unk))
    }

    /// Extends the live hypotheses by one word. `best` returns the cheapest words of the n-th of them, and `attention` its weights.
    pub(super) fn advance<'a>(
        &mut self,
        best: impl Fn(usize) -> &'a [WordCost],
        attention: impl Fn(usize) -> Vec<f32>,
    ) {
        let search = &self.search;
        let allowed = |choice: &&WordCost| !(self.forbid_unk && choice.word == UNK);
        let mut row = 0;
        // (score, index on the beam, word): ties go to the lower row, then to the lower word.
        let mut candidates: Vec<(f64, usize, Option<u32>)> = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.finished {
                candidates.push((entry.score, index, None));
                continue;
            }
            entry.row = row;
            row += 1;
            let forced = self.prefix.len() > entry.length;
            let words = best(entry.row).iter().filter(|choice| forced || allowed(choice));
            for choice in words.take(search.beam_size) {
                let cost = f64::from(choice.cost);
                let score = match search.rule {
                    BeamSearchRule::Sockeye1_12 => {
                        let before = entry.score * search.length_penalty(entry.length);
                        (cost + before) / search.length_penalty(entry.length + 1)
                    }
                    BeamSearchRule::Sockeye1_18 => cost + entry.score,
                };
                candidates.push((score, index, Some(choice.word)));
            }
        }
        candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        candidates.truncate(search.beam_size);
        self.entries = candidates
            .into_iter()
            .map(|(score, index, word)| {
                let old = self.entries[index];
                let Some(word) = word else { return old };
                let attention = if search.attention { attention(old.row) } else { Vec::new() };
                self.nodes.push(Node { parent: old.node, word, attention });
                let length = old.length + 1;
                let finished = word == EOS || word == PAD;
                let score = match search.rule {
                    // `</s>` itself is not counted, as in Sockeye 1.18, according to its recorded scores.
                    BeamSearchRule::Sockeye1_18 if finished => score / search.length_penalty(length - 1),
                    _ => score,
                };
                Entry { node: Some(self.nodes.len() - 1), score, length, finished, row: old.row }
            })
            .collect();
    }

    /// For each live hypothesis after the last step, the index of the one before the step that it descends from.
    pub(super) fn origins(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().filter(|entry| !entry.finished).map(|entry| entry.row)
    }

    /// Whether the search is over.
    pub(super) fn is_done(&self) -> bool {
        let longest = self.entries.iter().map(|e| e.length).max().unwrap_or(0);
        longest >= self.limit || self.entries.iter().all(|e| e.finished)
    }

    /// The hypotheses found, best first.
    pub(super) fn finish(mut self) -> Vec<Hypothesis> {
        // Hypotheses that the limit cut off keep their plain sums, and so come after the finished ones, as in Sockeye 1.18,
        // according to its recorded scores.
        if self.search.rule == BeamSearchRule::Sockeye1_18 {
            self.entries.sort_by(|a, b| a.score.total_cmp(&b.score));
        }
        self.entries.iter().take(self.search.nbest.max(1)).map(|entry| self.trace(entry)).collect()
    }

    fn trace(&self, entry: &Entry) -> Hypothesis {
        let mut words = Vec::new();
        let mut attention = Vec::new();
        let mut at = entry.node;
        while let Some(node) = at {
            let node = &self.nodes[node];
            if node.word != EOS && node.word != PAD {
                words.push(node.word);
            }
            if !node.attention.is_empty() {
                attention.push(AttentionRow { first: 0, weights: node.attention.clone() });
            }
            at = node.parent;
        }
        words.reverse();
        attention.reverse();
        Hypothesis { words, score: entry.score, scored_tokens: entry.length, attention }
    }
}
