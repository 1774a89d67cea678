//! From source ids to target ids: beam search, length limits, inputs that are too long for one piece, and continuous batching.

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

/// How to search.
#[derive(Clone, Debug)]
pub struct Search {
    /// Hypotheses that stay alive at each step.
    pub beam_size: usize,
    /// How scores are compared; see [`BeamSearchRule`].
    pub rule: BeamSearchRule,
    /// Exponent of the length penalty.
    pub length_penalty_alpha: f64,
    /// Offset of the length penalty.
    pub length_penalty_beta: f64,
    /// Hypotheses to return, at most `beam_size`.
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
    /// The search that hyperparameters ask for: one hypothesis, no attention.
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
    /// Best first; one at least, unless the source was empty.
    pub hypotheses: Vec<Hypothesis>,
    /// Into how many pieces the source was cut: 1 unless it was too long for one, 0 where it was empty.
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
    /// Tokens that the score counts, `</s>` included.
    pub scored_tokens: usize,
    /// For each word, and for `</s>` where it was said, the weight of each source token (`</s>` included where the model reads
    /// one); empty unless asked for.
    pub attention: Vec<AttentionRow>,
}

/// The weights of one target word over the source tokens. Those that are not kept are 0: a source that was translated in pieces
/// has weights in the piece that the word belongs to, and nowhere else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionRow {
    /// The source token that the first weight belongs to.
    pub first: usize,
    /// The weights of the tokens from there on.
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

    /// The source token with the greatest weight; the first among equals, and 0 where there is none above 0.
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

/// Translates sentences; the order of the answers is that of the sources.
///
/// An empty source has no hypothesis. A source that is longer than any the model was trained on is cut into pieces of that
/// length, whose answers are put together: words one after the other, attention block by block, scores averaged by length; such
/// a source has one hypothesis.
///
/// It lays the weights out first; who has several such lists keeps a [`Decoding`].
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
