//! How long inputs and outputs may be.

use kokanee_contract::BeamSearchRule;

use crate::{LengthStatistics, ModelConfig};

/// Most tokens of one output, `</s>` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit(pub usize);

impl LengthStatistics {
    /// Longest input that is decoded in one piece, in words: the longest that was trained on; where positions have learned
    /// vectors also not longer than those, nor so long that its output would be.
    pub(crate) fn longest_piece(&self, config: &ModelConfig) -> usize {
        let mut longest = self.longest_source;
        if let Some(positions) = config.source_positions() {
            longest = longest.min(positions);
        }
        if let Some(positions) = config.target_positions() {
            let factor = self.factor();
            if factor * longest as f64 > positions as f64 {
                longest = (positions as f64 / factor) as usize;
            }
        }
        (longest - usize::from(config.source_with_eos && longest > 1)).max(1)
    }

    /// Target tokens that one source token can become: mean + 2 standard deviations of the length ratio.
    fn factor(&self) -> f64 {
        self.ratio_mean + 2.0 * self.ratio_std
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
        let limit = (self.factor() * bucket as f64).ceil() as usize;
        let limit = match rule {
            BeamSearchRule::Sockeye1_12 => limit,
            BeamSearchRule::Sockeye1_18 => limit + 2,
        };
        let limit = limit.saturating_sub(1).max(1);
        OutputLimit(config.target_positions().map_or(limit, |positions| limit.min(positions)))
    }
}
