//! Decoding of source ids to target ids: beam search, length limits, inputs that are too long for one piece, and continuous
//! batching.

mod beam;
mod decoding;
mod job;
mod limits;
mod memory;
mod output;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::{BeamSearchRule, Hyperparameters};
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;

pub use decoding::{Decoding, Work};
pub use limits::{Extent, OutputLimit};
pub use request::{Request, RequestError, Ticket};

use crate::{LengthStatistics, Model};

/// The options of a search.
#[derive(Clone, Debug)]
pub struct Search {
    /// Number of hypotheses that stay alive at each step.
    pub beam_size: usize,
    /// The rule for comparing scores; see [`BeamSearchRule`].
    pub rule: BeamSearchRule,
    /// Exponent of the length penalty.
    pub length_penalty_alpha: f64,
    /// Offset of the length penalty.
    pub length_penalty_beta: f64,
    /// Number of hypotheses to return, at most `beam_size`.
    pub nbest: usize,
    /// Whether to return attention weights.
    pub attention: bool,
}

impl Default for Search {
    /// The search of SageMaker's defaults.
    fn default() -> Search {
        Search::new(&Hyperparameters::default())
    }
}

impl Search {
    /// The search according to hyperparameters: one hypothesis, no attention.
    pub fn new(h: &Hyperparameters) -> Search {
        Search {
            beam_size: h.beam_size,
            rule: h.beam_search_rule,
            length_penalty_alpha: h.length_penalty_alpha,
            length_penalty_beta: h.length_penalty_beta,
            nbest: 1,
            attention: false,
        }
    }

    /// `((beta + n) / (beta + 1)) ^ alpha`.
    pub(crate) fn length_penalty(&self, length: usize) -> f64 {
        if self.length_penalty_alpha == 0.0 {
            return 1.0;
        }
        let (alpha, beta) = (self.length_penalty_alpha, self.length_penalty_beta);
        ((beta + length as f64) / (beta + 1.0)).powf(alpha)
    }
}

/// The answers for one source sentence.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// Best first; at least one, unless the source was empty.
    pub hypotheses: Vec<Hypothesis>,
    /// Number of pieces into which the source was cut: 1 unless it was too long for one, 0 if it was empty.
    pub pieces: usize,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Target ids without `<s>` and `</s>`.
    pub words: Vec<u32>,
    /// Negative log-probability over the length penalty (with the default penalty: the mean per token, `</s>` included);
    /// lower is better.
    pub score: f64,
    /// Number of tokens in the score, `</s>` included.
    pub scored_tokens: usize,
    /// For each word, and for `</s>` if it was emitted, the weight of each source token (`</s>` included if the model reads one);
    /// empty unless asked for.
    pub attention: Vec<AttentionRow>,
}

/// The weights of one target word over the source tokens. Those that are not kept are 0: in a source that was translated in pieces,
/// a word has weights only in its own piece.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionRow {
    /// Index of the source token of the first weight.
    pub first: usize,
    /// The weights of the tokens from that one on.
    pub weights: Vec<f32>,
}

impl AttentionRow {
    /// The weights of the first `columns` source tokens, zeros included.
    pub fn dense(&self, columns: usize) -> impl ExactSizeIterator<Item = f32> {
        (0..columns).map(|column| {
            let at = column.checked_sub(self.first);
            at.and_then(|at| self.weights.get(at)).copied().unwrap_or(0.0)
        })
    }

    /// The source token with the greatest weight; the first among equals, and 0 if none is above 0.
    pub fn strongest(&self) -> usize {
        let mut best = (0, 0.0);
        for (index, &weight) in self.weights.iter().enumerate() {
            if weight > best.1 {
                best = (self.first + index, weight);
            }
        }
        best.0
    }
}

/// Translates sentences and returns the answers in the order of the sources.
///
/// An empty source has no hypothesis. A source that is longer than any the model was trained on is cut into pieces of that length,
/// whose answers are joined: words one after the other, attention block by block, scores averaged by length; such a source has one
/// hypothesis.
///
/// It lays the weights out first; for several such lists, keep a [`Decoding`].
///
/// # Panics
/// When [`Request::check`] would refuse a source or the search.
pub fn translate(
    model: &Model,
    lengths: &LengthStatistics,
    team: &Arc<Team>,
    sources: &[&[u32]],
    search: &Search,
) -> Vec<Translation> {
    let requests = sources.iter().map(|source| Request::new(source.to_vec(), search.clone()));
    Decoding::new(model, lengths, team, Format::F32).translate(requests)
}
