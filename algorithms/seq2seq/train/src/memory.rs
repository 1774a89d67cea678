//! The largest memory of a training, estimated before any of it is taken.

use std::fmt;

use kokanee_contract::algorithms::seq2seq::{Hyperparameters, InferencePrecision, Metric, NetworkType};
use kokanee_kernels::MemoryLimit;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_data::{Bucket, Corpus, assign};
use kokanee_seq2seq_nn::config::ConfigError;
use kokanee_seq2seq_nn::memory::BatchTokens;
use kokanee_seq2seq_nn::{ModelConfig, Parameters};

use crate::optim::state_tensors;
use crate::precision;

/// Number of pairs in one batch of validation, and of token positions that its longest sentences would span: enough to keep all
/// cores busy, and a limit on memory.
pub(crate) const VALIDATION_PAIRS: usize = 128;
pub(crate) const VALIDATION_POSITIONS: usize = 16_384;
/// The program itself, and the memory that the system and the runtime keep for it.
const PROGRAM_BYTES: u64 = 14 << 20;
/// The memory that each thread keeps for products and stacks.
const THREAD_BYTES: u64 = 1 << 20;
/// A word of a vocabulary: its text, its end offset, its slots in a table of which a third to two thirds are free, and what reading
/// it leaves in the heap.
const WORD_BYTES: u64 = 160;
/// Blocks of batches come in size classes, and each serves somewhat smaller requests: divisor of the values for the share that is
/// added.
const SPARE_DIVISOR: u64 = 8;
/// The most bytes that a thread keeps for their next use.
const KEPT_BYTES: u64 = 1 << 30;

/// The memory of a training by use, at the time of its peak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Largest first.
    items: Vec<MemoryItem>,
}

/// One use of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryItem {
    /// Its name.
    pub what: &'static str,
    /// Its size.
    pub bytes: u64,
    /// The hyperparameters that reduce it.
    pub remedy: &'static str,
}

/// An error for a training that needs more memory than it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    estimate: MemoryEstimate,
    limit: MemoryLimit,
}

/// The parts of a training, for an estimate.
pub struct Training<'a> {
    /// Its hyperparameters.
    pub hyperparameters: &'a Hyperparameters,
    /// Its model.
    pub config: &'a ModelConfig,
    /// Its buckets, including those without pairs.
    pub buckets: &'a [Bucket],
    /// Pairs for training and for validation, within the length limits.
    pub corpora: [&'a Corpus; 2],
    /// Number of threads that compute.
    pub threads: usize,
    /// The model that it starts from, which is kept in memory.
    pub initial: Option<&'a Parameters>,
    /// Whether it resumes from a state.
    pub resumes: bool,
}

impl Training<'_> {
    /// Estimates the memory that the training will hold.
    ///
    /// # Errors
    /// When its model is invalid.
    pub fn memory(&self) -> Result<MemoryEstimate, ConfigError> {
        let (h, config) = (self.hyperparameters, self.config);
        let precision = precision::usable(h);
        let batches = self.batches();
        let weights = sum(config.parameter_bytes()?.iter().map(|(_, _, bytes)| *bytes));
        let mut items = Items::default();
        let network = match (h.encoder_type, h.decoder_type) {
            (NetworkType::Rnn, NetworkType::Rnn) => {
                "rnn_num_hidden, num_layers_encoder, num_layers_decoder, num_embed_source, num_embed_target or the vocabularies"
            }
            _ => {
                "cnn_num_hidden, the kernel widths, rnn_num_hidden, num_layers_encoder, num_layers_decoder, num_embed_source, \
                 num_embed_target or the vocabularies"
            }
        };
        let sentences =
            "batch_size (with a higher gradient_accumulation), max_seq_len_source or max_seq_len_target";
        items.add("weights", weights, network);
        items.add(
            "optimizer state",
            weights.saturating_mul(state_tensors(h) as u64),
            "optimizer_type, or as for weights",
        );
        self.add_surroundings(&mut items);

        // There are several times of a possible peak; the largest counts.
        let mut update = Items::default();
        let largest = batches.iter().map(|batch| config.update_bytes(*batch, precision));
        let largest = largest.collect::<Result<Vec<_>, _>>()?.into_iter().max_by_key(|bytes| bytes.values);
        let bytes = largest.unwrap_or_default();
        let spared = |bytes: u64| bytes.saturating_add(bytes / SPARE_DIVISOR);
        let sums = if h.gradient_accumulation > 1 { 2 } else { 1 };
        update.add("gradients of weights", bytes.gradients.saturating_mul(sums), network);
        update.add("values of a batch", spared(bytes.values), sentences);
        update.add("gradients of a batch's logits", bytes.logits, "the target vocabulary or batch_size");
        update.add("weights laid out for recurrences", spared(bytes.recurrences), network);
        update.add("operands of convolutions", spared(bytes.convolutions), network);
        // Buffers of updates are kept up to a limit, and reused.
        let kept = update.total().min(KEPT_BYTES);

        let mut measuring = Items::default();
        // These have other sizes than those of updates.
        measuring.add(
            "values of validation batches",
            self.measuring_bytes(),
            "max_seq_len_source or max_seq_len_target",
        );
        if h.bleu_sample_size != 0 || h.optimized_metric == Metric::Bleu {
            let decoder = config.decoder_bytes(Format::F32)?.weights;
            measuring.add(
                "weights laid out for decoding",
                decoder,
                "bleu_sample_size and optimized_metric (no BLEU)",
            );
        }
        let mut averaging = Items::default();
        if h.checkpoint_averaging > 1 {
            averaging.add("checkpoints that are averaged", weights.saturating_mul(3), "checkpoint_averaging");
        }
        for mut other in [measuring, averaging] {
            if kept.saturating_add(other.total()) > update.total() {
                other.add("memory of updates, kept for the next", kept, sentences);
                update = other;
            }
        }
        if self.resumes {
            let mut resuming = Items::default();
            let tensors = 2 + state_tensors(h) as u64;
            resuming.add("the state to go on from", weights.saturating_mul(tensors), network);
            if resuming.total() > update.total() {
                update = resuming;
            }
        }
        items.0.append(&mut update.0);
        Ok(items.into_estimate())
    }

    /// Adds the memory that is held from beginning to end besides the model.
    fn add_surroundings(&self, items: &mut Items) {
        let ids = |corpus: &Corpus| 4 * (corpus.source_tokens() + corpus.target_tokens()) as u64;
        // The end of each sentence, and the batch of each pair.
        let places = |corpus: &Corpus| 32 * corpus.len() as u64;
        let words = (self.config.source_vocabulary + self.config.target_vocabulary) as u64;
        let data = sum(self.corpora.iter().map(|corpus| ids(corpus) + places(corpus)));
        items.add("sentences and words", data + words * WORD_BYTES, "the number of pairs or of words");
        items.add("program and threads", PROGRAM_BYTES + self.threads as u64 * THREAD_BYTES, "num_threads");
        if let Some(initial) = self.initial {
            items.add("the model to start from", 4 * initial.size() as u64, "the initial model");
        }
    }

    /// A batch of each bucket that has pairs: a last batch is filled up, so all batches of a bucket are about the same.
    fn batches(&self) -> Vec<BatchTokens> {
        let corpus = self.corpora[0];
        // Pairs, and tokens of both sides.
        let mut sums = vec![[0u64; 3]; self.buckets.len()];
        for pair in 0..corpus.len() {
            let [source, target] = [corpus.source(pair).len(), corpus.target(pair).len()];
            if let Some(bucket) = assign(self.buckets, source, target) {
                sums[bucket] = [
                    sums[bucket][0] + 1,
                    sums[bucket][1] + source as u64,
                    sums[bucket][2] + target as u64 + 1,
                ];
            }
        }
        let sentences = self.hyperparameters.batch_size as u64;
        let filled = sums.into_iter().filter(|[pairs, ..]| *pairs > 0);
        let batch = |[pairs, source, target]: [u64; 3]| BatchTokens {
            source: sentences * source.div_ceil(pairs),
            target: sentences * target.div_ceil(pairs),
            source_length: source.div_ceil(pairs),
        };
        filled.map(batch).collect()
    }

    /// The values of the longest validation sentences, without gradients.
    fn measuring_bytes(&self) -> u64 {
        let corpus = self.corpora[1];
        let mut lengths: Vec<[u64; 2]> = (0..corpus.len())
            .map(|pair| [corpus.target(pair).len() as u64 + 1, corpus.source(pair).len() as u64])
            .collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.truncate(VALIDATION_PAIRS);
        let tokens =
            |side: usize| sum(lengths.iter().map(|pair| pair[side])).min(VALIDATION_POSITIONS as u64);
        self.config.measuring_bytes(BatchTokens { source: tokens(1), target: tokens(0), source_length: 0 })
    }
}

/// The number format in which the trained model will answer.
pub(crate) fn inference_format(h: &Hyperparameters) -> Format {
    match h.inference_precision {
        InferencePrecision::F32 => Format::F32,
        InferencePrecision::Bf16 => Format::Bf16,
        InferencePrecision::Int8 => Format::Int8,
    }
}

fn sum(bytes: impl IntoIterator<Item = u64>) -> u64 {
    bytes.into_iter().fold(0, u64::saturating_add)
}

#[derive(Default)]
struct Items(Vec<MemoryItem>);

impl Items {
    fn add(&mut self, what: &'static str, bytes: u64, remedy: &'static str) {
        if bytes > 0 {
            self.0.push(MemoryItem { what, bytes, remedy });
        }
    }

    fn total(&self) -> u64 {
        sum(self.0.iter().map(|item| item.bytes))
    }

    fn into_estimate(mut self) -> MemoryEstimate {
        self.0.sort_by_key(|item| std::cmp::Reverse(item.bytes));
        MemoryEstimate { items: self.0 }
    }
}

/// Number of items named in a message.
const NAMED: usize = 3;

impl MemoryEstimate {
    /// The total, in bytes.
    pub fn total(&self) -> u64 {
        sum(self.items.iter().map(|item| item.bytes))
    }

    /// The items, the largest first.
    pub fn items(&self) -> &[MemoryItem] {
        &self.items
    }

    /// Checks that the total is within a limit.
    ///
    /// # Errors
    /// When more is needed.
    pub fn check(&self, limit: Option<MemoryLimit>) -> Result<(), TooLarge> {
        match limit {
            Some(limit) if self.total() > limit.bytes => Err(TooLarge { estimate: self.clone(), limit }),
            _ => Ok(()),
        }
    }
}

/// The three largest items: `weights 375 MiB, optimizer state 750 MiB, …`.
impl fmt::Display for MemoryEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, item) in self.items.iter().take(NAMED).enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", item.what, Size(item.bytes))?;
        }
        Ok(())
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (needed, limit) = (Size(self.estimate.total()), self.limit);
        write!(
            f,
            "this training needs about {needed} of memory, and {} {}; the largest items are ",
            limit.origin,
            Size(limit.bytes)
        )?;
        for (number, item) in self.estimate.items.iter().take(NAMED).enumerate() {
            let comma = if number > 0 { "; " } else { "" };
            write!(f, "{comma}{}: {} (change {})", item.what, Size(item.bytes), item.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for TooLarge {}

/// Bytes for people.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIB: u64 = 1 << 30;
        match self.0 {
            bytes if bytes >= GIB << 20 => f.write_str("more than a million GiB"),
            bytes if bytes >= GIB => write!(f, "{:.1} GiB", bytes as f64 / GIB as f64),
            bytes => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

#[cfg(test)]
mod tests;
