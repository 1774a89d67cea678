//! A parallel corpus in memory, and its reading from a channel.

use std::path::{Path, PathBuf};

use kokanee_formats::random::{combine, mix};
use kokanee_formats::recordio::{RawRecord, RecordReader};
use rayon::prelude::*;
use serde::Serialize;

use crate::channel::ChannelFiles;
use crate::error::{ChannelFault, DataError, RecordFault};
use crate::record::{SOURCE, SequencePair, TARGET, TargetRule, decode_raw, located};
use crate::threads;
use crate::vocab::PAD_ID;

/// Pairs of sequences in flat arrays, without an allocation per sentence. Sequences hold neither `<s>` nor `</s>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    sources: Sequences,
    targets: Sequences,
    skipped: SkippedInput,
}

/// The input that reading a channel skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedInput {
    /// Records with an empty source or target, which SageMaker's algorithm and Sockeye (from 1.18.3) skip too.
    pub empty_sides: usize,
    /// Files among the data files that are not RecordIO.
    pub files: Vec<PathBuf>,
}

/// The number of ids in each side's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VocabularySizes {
    /// Source ids run from 0 to here, exclusive.
    pub source: usize,
    /// Target ids run from 0 to here, exclusive.
    pub target: usize,
}

/// The treatment of a pair that exceeds the length limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlongPolicy {
    /// Cut to the limit, as in SageMaker's documentation.
    Truncate,
    /// Dropped, as in Sockeye.
    Drop,
}

/// The result of [`Corpus::apply_limits`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LimitReport {
    /// Number of sources cut.
    pub truncated_source: usize,
    /// Number of targets cut.
    pub truncated_target: usize,
    /// Number of pairs dropped.
    pub dropped: usize,
}

/// Lengths over all pairs of a corpus (Sockeye 1.12, `LengthStatistics`, and more).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LengthStatistics {
    /// Number of pairs.
    pub pairs: usize,
    /// Number of source tokens.
    pub source_tokens: usize,
    /// Number of target tokens, counting neither `<s>` nor `</s>`.
    pub target_tokens: usize,
    /// Mean over pairs of (target tokens + 1 for `<s>`) / source tokens.
    pub ratio_mean: f64,
    /// Population standard deviation of that ratio.
    pub ratio_std: f64,
    /// The longest source, in tokens.
    pub longest_source: usize,
    /// The longest target, in tokens without `<s>`.
    pub longest_target: usize,
}

impl Default for Corpus {
    fn default() -> Self {
        Self::new()
    }
}

impl Corpus {
    /// The largest number of pairs, so that a `u32` can index each.
    pub const MAX_PAIRS: u64 = u32::MAX as u64;

    /// Creates a corpus without pairs.
    pub fn new() -> Self {
        Self { sources: Sequences::new(), targets: Sequences::new(), skipped: SkippedInput::default() }
    }

    /// Reads all records of a channel: a RecordIO file, or a folder of them ([`ChannelFiles`]). Records with an empty
    /// side are skipped and counted.
    ///
    /// Ids beyond the vocabularies, and `<pad>`, are errors, as is a channel without a record that has two sides.
    pub fn read(channel: &Path, sizes: VocabularySizes) -> Result<Self, DataError> {
        threads::start();
        let ChannelFiles { files, foreign } = ChannelFiles::find(channel)?;
        let mut corpus = Self::new();
        for file in &files {
            corpus.read_file(file, sizes)?;
        }
        if corpus.is_empty() {
            let fault = match corpus.skipped.empty_sides {
                0 => ChannelFault::NoRecords { files: files.len() },
                records => ChannelFault::EmptySides { records },
            };
            return Err(DataError::Channel { path: channel.to_owned(), fault });
        }
        corpus.skipped.files = foreign;
        Ok(corpus)
    }

    /// The input that [`read`](Self::read) skipped.
    pub fn skipped(&self) -> &SkippedInput {
        &self.skipped
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Word ids of a source. Panics if there is no such pair.
    pub fn source(&self, pair: usize) -> &[u32] {
        self.sources.get(pair)
    }

    /// Word ids of a target. Panics if there is no such pair.
    pub fn target(&self, pair: usize) -> &[u32] {
        self.targets.get(pair)
    }

    /// Adds a pair.
    pub fn push(&mut self, source: &[u32], target: &[u32]) {
        self.sources.push(source);
        self.targets.push(target);
    }

    /// The number of source tokens of all pairs.
    pub fn source_tokens(&self) -> usize {
        self.sources.ids.len()
    }

    /// The number of target tokens of all pairs, counting neither `<s>` nor `</s>`.
    pub fn target_tokens(&self) -> usize {
        self.targets.ids.len()
    }

    /// A number that distinguishes this corpus from any other one: the same pairs in the same order give the same number, in every
    /// version of this program. It is for checks when a run is resumed; it does not protect against intent.
    pub fn fingerprint(&self) -> u64 {
        let pairs = (0..self.len()).map(|pair| {
            let hash = |ids: &[u32]| {
                ids.iter().fold(mix(ids.len() as u64), |state, &id| combine(state, u64::from(id)))
            };
            combine(hash(self.source(pair)), hash(self.target(pair)))
        });
        pairs.fold(mix(self.len() as u64), combine)
    }

    /// Statistics over all pairs; all zero for an empty corpus. Compute them before [`apply_limits`](Self::apply_limits).
    pub fn length_statistics(&self) -> LengthStatistics {
        let mut statistics = LengthStatistics {
            pairs: self.len(),
            source_tokens: self.source_tokens(),
            target_tokens: self.target_tokens(),
            ..LengthStatistics::default()
        };
        // A pair without source has no ratio; `read` admits none, but `push` does.
        let ratios = || {
            (0..self.len())
                .filter(|&pair| !self.source(pair).is_empty())
                .map(|pair| (self.target(pair).len() + 1) as f64 / self.source(pair).len() as f64)
        };
        let count = ratios().count().max(1) as f64;
        statistics.ratio_mean = ratios().sum::<f64>() / count;
        let deviation = |ratio: f64| (ratio - statistics.ratio_mean).powi(2);
        statistics.ratio_std = (ratios().map(deviation).sum::<f64>() / count).sqrt();
        statistics.longest_source = (0..self.len()).map(|pair| self.source(pair).len()).max().unwrap_or(0);
        statistics.longest_target = (0..self.len()).map(|pair| self.target(pair).len()).max().unwrap_or(0);
        statistics
    }

    /// Brings all pairs within the limits: at most `max_source` source tokens, and `max_target` target tokens including `<s>`. If a
    /// limit leaves no room for a single token, the pair is dropped under either policy.
    pub fn apply_limits(
        self,
        max_source: usize,
        max_target: usize,
        policy: OverlongPolicy,
    ) -> (Self, LimitReport) {
        let mut report = LimitReport::default();
        let target_room = max_target.saturating_sub(1);
        let fits = |pair| self.source(pair).len() <= max_source && self.target(pair).len() <= target_room;
        if (0..self.len()).all(fits) {
            return (self, report);
        }
        let policy = if max_source == 0 || target_room == 0 { OverlongPolicy::Drop } else { policy };
        let mut kept = Self { skipped: self.skipped.clone(), ..Self::new() };
        for pair in 0..self.len() {
            let (source, target) = (self.source(pair), self.target(pair));
            match policy {
                _ if fits(pair) => kept.push(source, target),
                OverlongPolicy::Drop => report.dropped += 1,
                OverlongPolicy::Truncate => {
                    report.truncated_source += usize::from(source.len() > max_source);
                    report.truncated_target += usize::from(target.len() > target_room);
                    kept.push(
                        &source[..source.len().min(max_source)],
                        &target[..target.len().min(target_room)],
                    );
                }
            }
        }
        (kept, report)
    }

    fn read_file(&mut self, path: &Path, sizes: VocabularySizes) -> Result<(), DataError> {
        /// Number of records decoded at a time; their order is kept.
        const BATCH: usize = 8192;
        let mut records = RecordReader::open(path)?;
        loop {
            // A faulty frame is reported only after the records before it, as if they were read one by one.
            let mut raw = Vec::with_capacity(BATCH);
            let mut end: Result<bool, DataError> = Ok(false);
            while raw.len() < BATCH {
                match records.next() {
                    Some(Ok(record)) => raw.push(record),
                    Some(Err(error)) => end = Err(error.into()),
                    None => end = Ok(true),
                }
                if !matches!(end, Ok(false)) {
                    break;
                }
            }
            let pairs: Vec<_> = raw.par_iter().map(|raw| decode_checked(raw, path, sizes)).collect();
            for pair in pairs {
                let Some(pair) = pair? else {
                    self.skipped.empty_sides += 1;
                    continue;
                };
                if self.len() as u64 == Self::MAX_PAIRS {
                    let fault = ChannelFault::TooMany { limit: Self::MAX_PAIRS };
                    return Err(DataError::Channel { path: path.to_owned(), fault });
                }
                self.push(&pair.source, &pair.target);
            }
            if end? {
                return Ok(());
            }
        }
    }
}

/// Decodes the pair of a record; none if a side is empty.
fn decode_checked(
    raw: &RawRecord,
    path: &Path,
    sizes: VocabularySizes,
) -> Result<Option<SequencePair>, DataError> {
    let pair = match decode_raw(raw, path, TargetRule::Required) {
        Err(DataError::Record { fault: RecordFault::Empty { .. }, .. }) => return Ok(None),
        pair => pair?,
    };
    for (field, ids, size) in [(SOURCE, &pair.source, sizes.source), (TARGET, &pair.target, sizes.target)] {
        let outside = |id: u32| id == PAD_ID || id as usize >= size;
        if let Some(index) = ids.iter().position(|&id| outside(id)) {
            let expected = if ids[index] == PAD_ID {
                "a word's id; 0 is <pad>, which fills up rows and stands for no word".to_owned()
            } else {
                format!(
                    "an id below the vocabulary's size {size}; is this the vocabulary the records were made with?"
                )
            };
            let fault =
                RecordFault::Value { field, position: index + 1, got: ids[index].to_string(), expected };
            return Err(located(raw, path, fault));
        }
    }
    Ok(Some(pair))
}

/// Sequences one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sequences {
    ids: Vec<u32>,
    /// Where each begins, and the end of the last.
    offsets: Vec<usize>,
}

impl Sequences {
    fn new() -> Self {
        Self { ids: Vec::new(), offsets: vec![0] }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn get(&self, index: usize) -> &[u32] {
        &self.ids[self.offsets[index]..self.offsets[index + 1]]
    }

    fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.offsets.push(self.ids.len());
    }
}

#[cfg(test)]
mod tests;
