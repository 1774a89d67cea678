//! The composition of training batches and their order: a pure function of corpus, seed and epoch, so that a resumed run needs to
//! remember only the last two.

use kokanee_formats::random::SplitMix64;

use crate::buckets::{Bucket, assign};
use crate::corpus::Corpus;

/// The treatment of a bucket's last batch if its pairs do not fill it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LastBatch {
    /// Filled up with pairs drawn from the same bucket (with replacement), once for all epochs, as in Sockeye.
    #[default]
    Fill,
    /// Left short: every pair exactly once per epoch.
    Short,
}

/// The training batches of all epochs.
#[derive(Debug, Clone)]
pub struct BatchPlan {
    /// Rows of each non-empty bucket: its pairs in corpus order, then those that fill it up.
    rows: Vec<Vec<u32>>,
    batch_size: usize,
    seed: u64,
    without_bucket: usize,
}

/// The purpose of a random stream; part of its name.
const FILL: u64 = 1;
const ROW_ORDER: u64 = 2;
const BATCH_ORDER: u64 = 3;

impl BatchPlan {
    /// Deals the pairs into the buckets; last batches are filled. `batch_size` counts pairs, at least 1.
    pub fn new(corpus: &Corpus, buckets: &[Bucket], batch_size: usize, seed: u64) -> Self {
        Self::with_last_batch(corpus, buckets, batch_size, seed, LastBatch::default())
    }

    /// Creates the same plan with a choice for the last batches.
    pub fn with_last_batch(
        corpus: &Corpus,
        buckets: &[Bucket],
        batch_size: usize,
        seed: u64,
        last_batch: LastBatch,
    ) -> Self {
        let batch_size = batch_size.max(1);
        let mut rows = vec![Vec::new(); buckets.len()];
        let mut without_bucket = 0;
        for pair in 0..corpus.len() {
            match assign(buckets, corpus.source(pair).len(), corpus.target(pair).len()) {
                Some(bucket) => rows[bucket].push(pair as u32),
                None => without_bucket += 1,
            }
        }
        rows.retain(|rows| !rows.is_empty());
        if last_batch == LastBatch::Fill {
            for (bucket, rows) in rows.iter_mut().enumerate() {
                let mut random = SplitMix64::stream(seed, &[FILL, bucket as u64]);
                let pairs = rows.len();
                for _ in pairs..pairs.next_multiple_of(batch_size) {
                    rows.push(rows[random.below(pairs as u64) as usize]);
                }
            }
        }
        Self { rows, batch_size, seed, without_bucket }
    }

    /// Pairs that fit no bucket and so are never trained on; 0 after [`Corpus::apply_limits`] with the limits
    /// the buckets were made from.
    pub fn pairs_without_bucket(&self) -> usize {
        self.without_bucket
    }

    /// The number of batches, and so of updates, per epoch: the same for every epoch.
    pub fn batches_per_epoch(&self) -> usize {
        self.rows.iter().map(|rows| rows.len().div_ceil(self.batch_size)).sum()
    }

    /// The batches of an epoch, each a list of pair indices from one bucket: within every bucket the rows are
    /// permuted and cut into batches, then all batches are shuffled. Any epoch can be asked for at any time.
    pub fn epoch(&self, epoch: u64) -> Vec<Vec<u32>> {
        let mut batches = Vec::with_capacity(self.batches_per_epoch());
        for (bucket, rows) in self.rows.iter().enumerate() {
            let mut rows = rows.clone();
            SplitMix64::stream(self.seed, &[ROW_ORDER, epoch, bucket as u64]).shuffle(&mut rows);
            batches.extend(rows.chunks(self.batch_size).map(<[u32]>::to_vec));
        }
        SplitMix64::stream(self.seed, &[BATCH_ORDER, epoch]).shuffle(&mut batches);
        batches
    }
}

/// Batches for validation and scoring: each pair exactly once, similar lengths together, longest last.
///
/// A batch holds at most `max_pairs` pairs, and at most `max_padded_tokens` positions when all its sources are
/// padded to the longest one and all its targets (with `<s>`) likewise; but always at least one pair.
pub fn sequential_batches(corpus: &Corpus, max_pairs: usize, max_padded_tokens: usize) -> Vec<Vec<u32>> {
    let lengths = |pair: u32| {
        let pair = pair as usize;
        (corpus.target(pair).len() + 1, corpus.source(pair).len())
    };
    let mut order: Vec<u32> = (0..corpus.len() as u32).collect();
    order.sort_by_key(|&pair| lengths(pair));
    let mut batches: Vec<Vec<u32>> = Vec::new();
    let (mut longest_source, mut longest_target) = (0, 0);
    for pair in order {
        let (target, source) = lengths(pair);
        let (wider_source, wider_target) = (longest_source.max(source), longest_target.max(target));
        let open = batches.last_mut().filter(|batch| {
            let padded = (batch.len() + 1).saturating_mul(wider_source + wider_target);
            batch.len() < max_pairs && padded <= max_padded_tokens
        });
        match open {
            Some(batch) => {
                batch.push(pair);
                (longest_source, longest_target) = (wider_source, wider_target);
            }
            None => {
                batches.push(vec![pair]);
                (longest_source, longest_target) = (source, target);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets::define_buckets;

    /// Pairs of many lengths, the same for every call.
    fn corpus(pairs: usize) -> Corpus {
        let mut random = SplitMix64::stream(99, &[]);
        let mut corpus = Corpus::new();
        for _ in 0..pairs {
            let mut sequence = || vec![4; 1 + random.below(29) as usize];
            let (source, target) = (sequence(), sequence());
            corpus.push(&source, &target);
        }
        corpus
    }

    fn counts(batches: &[Vec<u32>], pairs: usize) -> Vec<usize> {
        let mut counts = vec![0; pairs];
        for &pair in batches.iter().flatten() {
            counts[pair as usize] += 1;
        }
        counts
    }

    fn check_plan(pairs: usize, batch_size: usize, last_batch: LastBatch) {
        let corpus = corpus(pairs);
        let buckets = define_buckets(30, 30, 10, 1.0);
        let of = |pair: u32| {
            assign(&buckets, corpus.source(pair as usize).len(), corpus.target(pair as usize).len())
        };
        let plan = BatchPlan::with_last_batch(&corpus, &buckets, batch_size, 7, last_batch);
        let mut in_bucket = vec![0; buckets.len()];
        for pair in 0..pairs {
            in_bucket[of(pair as u32).expect("all fit")] += 1;
        }
        let expected: usize = in_bucket.iter().map(|&count: &usize| count.div_ceil(batch_size)).sum();
        assert_eq!(plan.pairs_without_bucket(), 0);
        assert_eq!(plan.batches_per_epoch(), expected);
        for epoch in 0..3 {
            let batches = plan.epoch(epoch);
            assert_eq!(batches.len(), expected);
            assert_eq!(batches, plan.epoch(epoch), "an epoch is a pure function");
            for batch in &batches {
                assert!(batch.iter().all(|&pair| of(pair) == of(batch[0])), "one bucket a batch");
            }
            let counts = counts(&batches, pairs);
            match last_batch {
                LastBatch::Fill => {
                    assert!(batches.iter().all(|batch| batch.len() == batch_size));
                    assert!(counts.iter().all(|&count| count >= 1));
                }
                LastBatch::Short => assert!(counts.iter().all(|&count| count == 1)),
            }
        }
        // The rows that fill up a bucket are drawn once for all epochs.
        assert_eq!(counts(&plan.epoch(0), pairs), counts(&plan.epoch(5), pairs));
    }

    #[test]
    fn hold_every_pair_in_full_batches_of_one_bucket() {
        for (pairs, batch_size) in [(1, 64), (64, 64), (500, 64), (333, 1), (100, 7)] {
            check_plan(pairs, batch_size, LastBatch::Fill);
            check_plan(pairs, batch_size, LastBatch::Short);
        }
    }

    #[test]
    fn differ_by_epoch_and_seed() {
        let (corpus, buckets) = (corpus(300), define_buckets(30, 30, 10, 1.0));
        let plan = |seed| BatchPlan::new(&corpus, &buckets, 16, seed);
        assert_ne!(plan(1).epoch(0), plan(1).epoch(1));
        assert_ne!(plan(1).epoch(0), plan(2).epoch(0));
        assert_eq!(plan(1).epoch(4), plan(1).epoch(4));
    }

    /// The order is part of a training run's identity: a change here breaks resuming older runs.
    #[test]
    fn keep_their_order_between_versions() {
        let mut corpus = Corpus::new();
        for length in [1, 2, 3, 12, 4, 13, 5] {
            corpus.push(&vec![4; length], &vec![4; length]);
        }
        let plan = BatchPlan::new(&corpus, &define_buckets(20, 20, 10, 1.0), 2, 13);
        assert_eq!(format!("{:?}", plan.epoch(0)), "[[5, 3], [4, 1], [6, 2], [0, 4]]");
    }

    #[test]
    fn count_pairs_that_fit_nowhere() {
        let corpus = corpus(100);
        let plan = BatchPlan::new(&corpus, &define_buckets(10, 10, 10, 1.0), 8, 1);
        let fitting =
            (0..100).filter(|&i| corpus.source(i).len() <= 10 && corpus.target(i).len() < 10).count();
        assert_eq!(plan.pairs_without_bucket(), 100 - fitting);
        let none = BatchPlan::new(&Corpus::new(), &[], 8, 1);
        assert_eq!((none.batches_per_epoch(), none.epoch(0)), (0, Vec::new()));
    }

    #[test]
    fn in_sequence_hold_each_pair_once_within_the_limits() {
        let corpus = corpus(500);
        for (max_pairs, max_padded) in [(64, usize::MAX), (64, 640), (1, 10), (0, 0)] {
            let batches = sequential_batches(&corpus, max_pairs, max_padded);
            assert!(counts(&batches, 500).iter().all(|&count| count == 1));
            let longest = |batch: &[u32], length: &dyn Fn(usize) -> usize| {
                batch.iter().map(|&pair| length(pair as usize)).max().unwrap_or(0)
            };
            for batch in &batches {
                let source = longest(batch, &|pair| corpus.source(pair).len());
                let target = longest(batch, &|pair| corpus.target(pair).len() + 1);
                assert!(batch.len() <= max_pairs.max(1));
                assert!(batch.len() == 1 || batch.len() * (source + target) <= max_padded);
            }
        }
    }
}
