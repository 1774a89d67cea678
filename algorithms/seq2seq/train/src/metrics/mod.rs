//! Quality measures of a model over a corpus, each an accumulator that can be merged.
//!
//! | measure | what is counted | best |
//! |---|---|---|
//! | [`Perplexity`] | -ln p of every target token, `</s>` included | 1 |
//! | [`Accuracy`] | target tokens whose most probable word is correct, `</s>` included | 1 |
//! | [`BleuCounts`] | n-grams shared with the references | 1 |
//! | [`ErrorRates`] | token edits, and outputs that equal no reference | 0 |
//!
//! A measure of nothing has no value: every accumulator that has seen no token returns `None` (BLEU, which sacrebleu defines as 0
//! there, returns 0), so that an empty validation set can never pass for a perfect one.

mod accuracy;
mod bleu;
mod edit_distance;
mod perplexity;

pub use accuracy::Accuracy;
pub use bleu::{BLEU_ORDER, BleuCounts, BleuScore, Smoothing, TRAINING_SMOOTHING};
pub use edit_distance::{Edits, ErrorRates, SourceErrors};
pub use perplexity::{PROBABILITY_FLOOR, Perplexity, floored_nll};

/// An error for an output that could not be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The output at this position (from 0, in the order of the calls) has no reference.
    #[error(
        "output {0} (counted from 0) has no reference to be compared with: give at least one reference for each output, an empty one if nothing was to be said"
    )]
    NoReference(u64),
}
