//! Limits of the lengths of inputs and outputs.

use kokanee_contract::algorithms::seq2seq::BeamSearchRule;

use super::Request;
use crate::{LengthStatistics, ModelConfig};

/// The largest number of tokens of one output, `</s>` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit(pub usize);

/// The largest size of the answer to a request, known before decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Number of pieces that the source is cut into.
    pub pieces: usize,
    /// The largest number of words of a hypothesis.
    pub words: usize,
    /// The largest number of attention weights of a hypothesis: each word has those of its own piece.
    pub weights: usize,
}

impl LengthStatistics {
    /// The largest size of the answer to `request`.
    pub fn extent(&self, config: &ModelConfig, request: &Request) -> Extent {
        let longest = self.longest_piece(config, request.search.rule);
        let length = request.source.len();
        let mut extent = Extent::default();
        for start in (0..length).step_by(longest) {
            let words = longest.min(length - start);
            let prefix = if start == 0 { request.prefix.len() } else { 0 };
            let OutputLimit(limit) = self.piece_limit(config, words, prefix, request);
            extent.pieces += 1;
            extent.words += limit;
            extent.weights += limit * (words + usize::from(config.source_with_eos));
        }
        // The joined answer of the pieces is cut to this number of words.
        extent.words = extent.words.min(request.max_length.unwrap_or(usize::MAX));
        extent
    }

    /// The output limit for a piece of `words` words whose answer begins with `prefix` words.
    pub(super) fn piece_limit(
        &self,
        config: &ModelConfig,
        words: usize,
        prefix: usize,
        request: &Request,
    ) -> OutputLimit {
        let OutputLimit(limit) = self.output_limit(config, words, request.search.rule);
        // A prefix may be longer than the model's limit for the answer: then the answer has room for the prefix and `</s>`.
        let room = config.target_positions().unwrap_or(usize::MAX);
        let limit = if prefix == 0 { limit } else { limit.max((prefix + 1).min(room)) };
        OutputLimit(limit.min(request.max_length.unwrap_or(usize::MAX)))
    }

    /// Longest input that is decoded in one piece, in words.
    ///
    /// A recurrent encoder accepts lengths that it was trained on, a convolutional one as many tokens as positions have vectors.
    /// With a convolutional decoder the input must not be so long that the output could have more tokens than positions (the later
    /// rule leaves two of them free).
    pub(crate) fn longest_piece(&self, config: &ModelConfig, rule: BeamSearchRule) -> usize {
        let mut longest = self.longest_input(config);
        if let Some(positions) = config.target_positions() {
            let free = match rule {
                BeamSearchRule::Sockeye1_12 => 0,
                BeamSearchRule::Sockeye1_18 => 2,
            };
            let room = positions.saturating_sub(free) as f64;
            let factor = self.factor();
            if (factor * longest as f64).ceil() > room {
                longest = (room / factor) as usize;
            }
        }
        longest.saturating_sub(usize::from(config.source_with_eos)).max(1)
    }

    /// The same in source tokens, without regard to the output.
    fn longest_input(&self, config: &ModelConfig) -> usize {
        config.source_positions().unwrap_or(self.longest_source)
    }

    /// The number of target tokens that one source token can become: mean + 2 standard deviations of the length ratio.
    fn factor(&self) -> f64 {
        self.ratio_mean + 2.0 * self.ratio_std
    }

    /// The output limit for a source of `words` words.
    ///
    /// Sockeye's limit is `F B` with F = mean + 2 standard deviations of the length ratio and B the length of the source's bucket;
    /// later versions add 2; one place is taken by `<s>`. Sockeye uses the bucket of the longest sentence of a batch; here every
    /// sentence has its own, so that an answer does not depend on its neighbours.
    pub fn output_limit(&self, config: &ModelConfig, words: usize, rule: BeamSearchRule) -> OutputLimit {
        let length = words + usize::from(config.source_with_eos);
        let bucket = length.div_ceil(self.bucket_width) * self.bucket_width;
        let bucket = bucket.min(self.longest_input(config)).max(length);
        let limit = (self.factor() * bucket as f64).ceil() as usize;
        let limit = match rule {
            BeamSearchRule::Sockeye1_12 => limit,
            BeamSearchRule::Sockeye1_18 => limit + 2,
        };
        let limit = limit.saturating_sub(1).max(1);
        OutputLimit(config.target_positions().map_or(limit, |positions| limit.min(positions)))
    }
}
