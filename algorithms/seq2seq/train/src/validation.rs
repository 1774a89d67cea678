//! The measurement of a model on the validation data.

use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::{Hyperparameters, Metric};
use kokanee_kernels::Team;
use kokanee_kernels::cross_entropy::TokenLoss;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_data::{Corpus, sequential_batches};
use kokanee_seq2seq_nn::decode::{Decoding, Request, Search};
use kokanee_seq2seq_nn::random::Stream;
use kokanee_seq2seq_nn::{LengthStatistics, Model};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::memory::{VALIDATION_PAIRS, VALIDATION_POSITIONS};
use crate::metrics::{Accuracy, BleuCounts, Perplexity, TRAINING_SMOOTHING, floored_nll};
use crate::report::Measures;

/// Number of sentences decoded between two checks whether to continue.
const DECODED_TOGETHER: usize = 128;

/// The validation data with the plan of its measurement.
pub struct Validation {
    corpus: Corpus,
    batches: Vec<Vec<u32>>,
    /// Indices of the pairs that are decoded for BLEU, ascending; none without BLEU.
    decoded: Vec<usize>,
    search: Search,
    lengths: LengthStatistics,
}

/// The extent of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All requested metrics.
    Full,
    /// Only the metrics without decoding.
    WithoutBleu,
}

impl Validation {
    /// The plan for `corpus`, whose length limits were applied. The pairs for BLEU are drawn once, from the seed: with
    /// `bleu_sample_size` 0 none, or all if BLEU is the optimized metric; with -1 all.
    pub fn new(corpus: Corpus, h: &Hyperparameters, lengths: LengthStatistics) -> Validation {
        let count = match usize::try_from(h.bleu_sample_size) {
            Ok(0) if h.optimized_metric != Metric::Bleu => 0,
            Ok(0) | Err(_) => corpus.len(),
            Ok(count) => count,
        };
        let decoded = Stream::new(h.seed, "validation sample").sample(corpus.len(), count);
        let batches = sequential_batches(&corpus, VALIDATION_PAIRS, VALIDATION_POSITIONS);
        Validation { corpus, batches, decoded, search: Search::new(h), lengths }
    }

    /// The pairs.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// The number of pairs that are decoded for BLEU.
    pub fn decoded_pairs(&self) -> usize {
        self.decoded.len()
    }

    /// Measures the model: perplexity and accuracy over every pair once, BLEU over the sample. `None` when `go_on` returned false
    /// meanwhile; it is called between batches.
    ///
    /// # Errors
    /// No data and no model causes an error.
    pub fn measure(
        &self,
        model: &Model,
        team: &Arc<Team>,
        extent: Extent,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Measures>, TrainError> {
        let mut sums = TokenSums::default();
        for batch in &self.batches {
            if !go_on() {
                return Ok(None);
            }
            let pairs = batch.iter().map(|&pair| pair as usize);
            let batch = model.batch(pairs.map(|pair| (self.corpus.source(pair), self.corpus.target(pair))));
            sums.add(&model.loss(team, &batch).tokens);
        }
        let mut measures = sums.measures();
        if extent == Extent::Full && !self.decoded.is_empty() {
            let Some(bleu) = self.bleu(model, team, go_on)? else { return Ok(None) };
            measures.bleu = Some(bleu);
        }
        Ok(Some(measures))
    }

    /// Corpus BLEU of the best hypotheses on ids, 0 to 1; a word outside the vocabulary equals any other such word.
    fn bleu(
        &self,
        model: &Model,
        team: &Arc<Team>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<f64>, TrainError> {
        // Similar lengths are decoded together; the counts do not depend on the order.
        let mut order = self.decoded.clone();
        order.sort_by_key(|&pair| self.corpus.source(pair).len());
        let mut counts = BleuCounts::new();
        let mut decoding = Decoding::new(model, &self.lengths, team, Format::F32);
        for pairs in order.chunks(DECODED_TOGETHER) {
            if !go_on() {
                return Ok(None);
            }
            let requests = pairs
                .iter()
                .map(|&pair| Request::new(self.corpus.source(pair).to_vec(), self.search.clone()));
            let translations = decoding.translate(requests);
            for (&pair, translation) in pairs.iter().zip(&translations) {
                let words = translation.hypotheses.first().map_or(&[][..], |best| &best.words);
                counts.add(words, &[self.corpus.target(pair)])?;
            }
        }
        Ok(Some(counts.score(TRAINING_SMOOTHING).value))
    }
}

/// The sums over target tokens from which perplexity and accuracy are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenSums {
    /// Sum of the floored negative log-likelihoods, in nats.
    nll: f64,
    correct: u64,
    tokens: u64,
}

impl TokenSums {
    /// Adds tokens.
    pub fn add(&mut self, tokens: &[TokenLoss]) {
        self.nll += tokens.iter().map(|t| floored_nll(-f64::from(t.nll))).sum::<f64>();
        self.correct += tokens.iter().filter(|t| t.correct).count() as u64;
        self.tokens += tokens.len() as u64;
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.nll.is_finite() && self.correct <= self.tokens
    }

    /// Number of target tokens seen.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The metrics of the tokens seen.
    pub fn measures(&self) -> Measures {
        let (mut perplexity, mut accuracy) = (Perplexity::new(), Accuracy::new());
        perplexity.add(self.nll, self.tokens);
        accuracy.add(self.correct, self.tokens);
        Measures {
            perplexity: perplexity.value().filter(|value| value.is_finite()),
            accuracy: accuracy.value(),
            bleu: None,
            target_tokens: self.tokens,
        }
    }
}

#[cfg(test)]
mod tests;
