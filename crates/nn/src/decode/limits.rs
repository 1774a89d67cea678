//! How long inputs and outputs may be.

use kokanee_contract::BeamSearchRule;

use crate::{LengthStatistics, ModelConfig};

/// Most tokens of one output, `</s>` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit(pub usize);

impl LengthStatistics {
    /// Longest input that is decoded in one piece, in words.
    pub(crate) fn longest_piece(&self, config: &ModelConfig) -> usize {
        (self.longest_source - usize::from(config.source_with_eos && self.longest_source > 1)).max(1)
    }

    /// The output limit for a source of `words` words.
    ///
    /// Sockeye takes `F B` with F = mean + 2 standard deviations of the length ratio and B the length of the source's bucket;
    /// later versions add 2; one place is taken by `<s>`. It uses the bucket of the longest sentence of a batch; here every
    /// sentence has its own, so that an answer does not depend on its neighbours.
    pub fn output_limit(&self, config: &ModelConfig, words: usize, rule: BeamSearchRule) -> OutputLimit {
        let length = words + usize::from(config.source_with_eos);
        let bucket = length.div_ceil(self.bucket_width) * self.bucket_width;
        let bucket = bucket.min(self.longest_source).max(length);
        let factor = self.ratio_mean + 2.0 * self.ratio_std;
        let limit = (factor * bucket as f64).ceil() as usize;
        let limit = match rule {
            BeamSearchRule::Sockeye1_12 => limit,
            BeamSearchRule::Sockeye1_18 => limit + 2,
        };
        OutputLimit(limit.saturating_sub(1).max(1))
    }
}
