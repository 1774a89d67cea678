//! The summary of a job, reported before it begins.

use std::fmt::Write as _;

use kokanee_contract::algorithms::seq2seq::special_ids;
use kokanee_seq2seq_data::{Bucket, Corpus, LengthStatistics, LimitReport, SkippedInput, assign};

use crate::initial::InitialReport;
use crate::memory::MemoryEstimate;
use crate::word_vectors::VectorsReport;

/// The data, the model and the resources of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The training data.
    pub train: DataSummary,
    /// The validation data.
    pub validation: DataSummary,
    /// Number of source and target words, special symbols included.
    pub vocabularies: [usize; 2],
    /// Buckets that hold training pairs, with the number of pairs in each.
    pub buckets: Vec<(Bucket, usize)>,
    /// Number of pairs per batch.
    pub batch_size: usize,
    /// Number of batches per epoch.
    pub batches_per_epoch: u64,
    /// Number of updates per epoch.
    pub updates_per_epoch: u64,
    /// Number of learned values.
    pub parameters: usize,
    /// An estimate of the run's peak memory.
    pub memory: MemoryEstimate,
    /// Number of threads that compute.
    pub threads: usize,
    /// Number of validation pairs that are decoded for BLEU at each checkpoint.
    pub decoded_pairs: usize,
    /// Number of updates of the earlier run, if this one resumes it.
    pub resumed_from: Option<u64>,
    /// The report on the model to start from, if there is one.
    pub initial: Option<InitialReport>,
    /// Pretrained word vectors from which embeddings start.
    pub vectors: Vec<VectorsReport>,
    /// Probable mistakes.
    pub warnings: Vec<String>,
}

/// Statistics of a corpus.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSummary {
    /// Lengths before the length limits.
    pub lengths: LengthStatistics,
    /// The effect of the limits.
    pub limits: LimitReport,
    /// Number of remaining pairs.
    pub pairs: usize,
    /// Input that was skipped.
    pub skipped: SkippedInput,
    /// Share of source and of target tokens that are unknown words, 0 to 1.
    pub unknown: [f64; 2],
}

impl DataSummary {
    pub(crate) fn new(lengths: LengthStatistics, limits: LimitReport, corpus: &Corpus) -> DataSummary {
        let share = |total: usize, side: fn(&Corpus, usize) -> &[u32]| {
            let unknown = |pair| side(corpus, pair).iter().filter(|&&id| id == special_ids::UNK).count();
            (0..corpus.len()).map(unknown).sum::<usize>() as f64 / total.max(1) as f64
        };
        let unknown =
            [share(corpus.source_tokens(), Corpus::source), share(corpus.target_tokens(), Corpus::target)];
        DataSummary { lengths, limits, pairs: corpus.len(), skipped: corpus.skipped().clone(), unknown }
    }

    /// Warnings about the data called `what`.
    pub(crate) fn warnings(&self, what: &str) -> Vec<String> {
        let SkippedInput { empty_sides, files } = &self.skipped;
        let mut warnings = Vec::new();
        if *empty_sides > 0 {
            warnings.push(format!(
                "{what}: {empty_sides} records with an empty source or an empty target were skipped"
            ));
        }
        if !files.is_empty() {
            /// A folder may hold thousands.
            const NAMED: usize = 5;
            let names: Vec<String> =
                files.iter().take(NAMED).map(|file| file.display().to_string()).collect();
            let more = match files.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            warnings.push(format!("{what}: passed over, since not RecordIO: {}{more}", names.join(", ")));
        }
        warnings
    }
}

/// The number of pairs in each bucket; buckets without pairs are left out.
pub(crate) fn populate(buckets: &[Bucket], corpus: &Corpus) -> Vec<(Bucket, usize)> {
    let mut counts = vec![0; buckets.len()];
    for pair in 0..corpus.len() {
        if let Some(bucket) = assign(buckets, corpus.source(pair).len(), corpus.target(pair).len()) {
            counts[bucket] += 1;
        }
    }
    buckets.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect()
}

impl Summary {
    /// The summary as lines of text, for logs, without the warnings.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, data) in [("training data", &self.train), ("validation data", &self.validation)] {
            let DataSummary { lengths, pairs, unknown: [source, target], .. } = data;
            lines.push(format!(
                "{what}: {pairs} pairs, {} source and {} target tokens before length limits (longest {} and {}), unknown {:.2}% and {:.2}%",
                lengths.source_tokens,
                lengths.target_tokens,
                lengths.longest_source,
                lengths.longest_target,
                100.0 * source,
                100.0 * target,
            ));
            let LimitReport { truncated_source, truncated_target, dropped } = data.limits;
            if truncated_source + truncated_target + dropped > 0 {
                lines.push(format!(
                    "{what}: {truncated_source} sources and {truncated_target} targets cut to the length limits, {dropped} \
                     pairs left out"
                ));
            }
        }
        let lengths = &self.train.lengths;
        lines.push(format!(
            "target/source length ratio: mean {:.4}, standard deviation {:.4}",
            lengths.ratio_mean, lengths.ratio_std
        ));
        let mut buckets = String::new();
        for (bucket, pairs) in &self.buckets {
            let _ = write!(buckets, " ({},{}):{pairs}", bucket.source, bucket.target);
        }
        lines.push(format!(
            "buckets (source,target):pairs{buckets}; batches of {}, {} updates an epoch",
            self.batch_size, self.updates_per_epoch
        ));
        let [source, target] = self.vocabularies;
        lines.push(format!("vocabularies: {source} source and {target} target words with special symbols"));
        lines.push(format!("model: {} parameters; {} threads", self.parameters, self.threads));
        lines.push(format!("memory: about {} MiB at most ({})", self.memory.total() >> 20, self.memory));
        if self.decoded_pairs > 0 {
            lines.push(format!(
                "BLEU: {} validation pairs are decoded at each checkpoint",
                self.decoded_pairs
            ));
        }
        lines.extend(self.vectors.iter().map(ToString::to_string));
        if let Some(initial) = &self.initial {
            lines.push(initial.to_string());
        }
        if let Some(update) = self.resumed_from {
            lines.push(format!("resumed after update {update}"));
        }
        lines
    }
}
