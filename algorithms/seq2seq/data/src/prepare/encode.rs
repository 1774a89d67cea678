//! The second pass: converts line pairs to records, and collects the statistics of the report.

use std::io::Write as _;
use std::path::Path;

use kokanee_formats::StagedFile;
use kokanee_formats::recordio::append_frame;
use kokanee_formats::text_lines::{Chunk, ChunkSize, TextFile, lines};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::report::{Histogram, Overlong, RatioSum, SharedPairs, SideReport, Skipped, SplitReport};
use super::{Progress, file_bytes};
use crate::error::DataError;
use crate::record::encode_pair;
use crate::text::tokens;
use crate::vocab::{UNK_ID, Vocabulary, special_id};
use crate::word_table::fold;

/// The data shared by training and validation text.
pub(super) struct Encoder<'a> {
    pub(super) source: &'a Vocabulary,
    pub(super) target: &'a Vocabulary,
    pub(super) max_seq_len_source: usize,
    pub(super) max_seq_len_target: usize,
    pub(super) chunk: ChunkSize,
    pub(super) progress: &'a dyn Progress,
}

impl Encoder<'_> {
    /// Writes the records of two texts to `output`, in the order of the lines.
    pub(super) fn run(
        &self,
        phase: &str,
        [source, target]: [&Path; 2],
        output: &mut StagedFile,
        mut overlap: OverlapRole<'_>,
    ) -> Result<SplitReport, DataError> {
        self.progress.begin(phase, file_bytes([source, target]));
        let mut pairs = PairFile { source: TextFile::open(source)?, target: TextFile::open(target)? };
        let mut totals = Totals::default();
        let slots = rayon::current_num_threads();
        let mut batch = pairs.read_batch(slots, self)?;
        while !batch.is_empty() {
            let known = overlap.known();
            let (next, encoded) = rayon::join(
                || pairs.read_batch(slots, self),
                || {
                    let encoded: Vec<_> =
                        batch.par_iter().map(|chunk| self.encode(chunk, [source, target], known)).collect();
                    encoded
                },
            );
            for chunk in encoded {
                let chunk = chunk?;
                output.write_all(&chunk.frames).map_err(DataError::io(output.path(), "write the file"))?;
                totals.merge(&chunk.totals);
                overlap.note(chunk.hashes);
            }
            batch = next?;
        }
        self.progress.finish();
        if totals.kept == 0 {
            let lines = pairs.source.lines();
            let (source_path, target_path) = (source.to_owned(), target.to_owned());
            return Err(DataError::NothingKept { source_path, target_path, lines });
        }
        Ok(totals.report())
    }

    fn encode(
        &self,
        chunk: &PairChunk,
        [source_path, target_path]: [&Path; 2],
        known: Option<&Overlap>,
    ) -> Result<EncodedChunk, DataError> {
        let source_text = chunk.source.text(source_path);
        // If both sides are faulty, the fault that comes first is reported.
        let (source_text, target_text) = (source_text?, chunk.target.text(target_path)?);
        let mut encoded = EncodedChunk::default();
        encoded.frames.reserve(chunk.source.len_bytes() + chunk.target.len_bytes());
        let totals = &mut encoded.totals;
        let (mut source, mut target) = (Vec::new(), Vec::new());
        for (source_line, target_line) in lines(source_text).zip(lines(target_text)) {
            let source_side = encode_line(self.source, source_line, &mut source);
            let target_side = encode_line(self.target, target_line, &mut target);
            match (source.is_empty(), target.is_empty()) {
                (true, true) => totals.skipped.blank_both += 1,
                (true, false) => totals.skipped.blank_source += 1,
                (false, true) => totals.skipped.blank_target += 1,
                (false, false) => {
                    append_frame(&mut encoded.frames, |out| encode_pair(&source, &target, out));
                    totals.kept += 1;
                    totals.source.add(&source_side, source.len());
                    totals.target.add(&target_side, target.len());
                    totals.ratio.add((target.len() + 1) as f64 / source.len() as f64);
                    let over_source = source.len() > self.max_seq_len_source;
                    let over_target = target.len() + 1 > self.max_seq_len_target;
                    totals.overlong.source += u64::from(over_source);
                    totals.overlong.target += u64::from(over_target);
                    totals.overlong.pairs += u64::from(over_source || over_target);
                    let hash = PairHash::new(source_side.hash, target_side.hash);
                    if known.is_none_or(|known| known.has_source(hash)) {
                        encoded.hashes.push(hash);
                    }
                }
            }
        }
        Ok(encoded)
    }
}

/// A line's contribution to the totals besides its length.
struct LineFigures {
    unknown: u64,
    special: u64,
    hash: u64,
}

fn encode_line(vocabulary: &Vocabulary, line: &str, ids: &mut Vec<u32>) -> LineFigures {
    ids.clear();
    let mut figures = LineFigures { unknown: 0, special: 0, hash: 0 };
    for token in tokens(line) {
        let (id, hash) = vocabulary.hashed_text_id(token);
        if id == UNK_ID {
            figures.unknown += 1;
            figures.special += u64::from(special_id(token).is_some());
        }
        ids.push(id);
        // Order counts: the sum so far is mixed before the next token is added.
        figures.hash = fold(figures.hash ^ 0xE703_7ED1_A0B4_28DB, 0x8EBC_6AF0_9C88_C6E3).wrapping_add(hash);
    }
    figures
}

#[derive(Default)]
struct EncodedChunk {
    frames: Vec<u8>,
    totals: Totals,
    /// Hashes of all pairs, or of those whose source the other split has too.
    hashes: Vec<PairHash>,
}

/// Both sides of the same lines.
struct PairChunk {
    source: Chunk,
    target: Chunk,
}

struct PairFile {
    source: TextFile,
    target: TextFile,
}

impl PairFile {
    fn read_batch(&mut self, slots: usize, encoder: &Encoder<'_>) -> Result<Vec<PairChunk>, DataError> {
        let mut batch = Vec::with_capacity(slots);
        while batch.len() < slots {
            match self.read_chunk(encoder.chunk)? {
                Some(chunk) => batch.push(chunk),
                None => break,
            }
            encoder.progress.advance(self.source.newly_consumed() + self.target.newly_consumed());
        }
        Ok(batch)
    }

    fn read_chunk(&mut self, size: ChunkSize) -> Result<Option<PairChunk>, DataError> {
        /// Number of lines taken from one side before the other side follows, so that neither can grow far beyond the limit.
        const STEP: usize = 64;
        let mut chunk = PairChunk { source: self.source.begin_chunk(), target: self.target.begin_chunk() };
        let mut lines = 0;
        while lines < size.lines && chunk.source.len_bytes().max(chunk.target.len_bytes()) < size.bytes {
            let step = ChunkSize { lines: STEP.min(size.lines - lines), bytes: size.bytes };
            let taken = self.source.append_lines(&mut chunk.source, step)?;
            // At the end of the source, the target must have no more lines either.
            let same = ChunkSize { lines: taken.max(1), bytes: usize::MAX };
            if self.target.append_lines(&mut chunk.target, same)? != taken {
                return self.unequal();
            }
            if taken == 0 {
                break;
            }
            lines += taken;
        }
        Ok((lines > 0).then_some(chunk))
    }

    /// Counts the longer file to its end, for the error message.
    fn unequal<T>(&mut self) -> Result<Option<T>, DataError> {
        let rest = ChunkSize { lines: 1024, bytes: 1 << 20 };
        while self.source.read_chunk(rest)?.is_some() {}
        while self.target.read_chunk(rest)?.is_some() {}
        let lines = [self.source.lines(), self.target.lines()];
        check_line_counts([self.source.path(), self.target.path()], lines)?;
        Ok(None)
    }
}

/// Returns an error if source and target have different line counts.
pub(super) fn check_line_counts(
    [source, target]: [&Path; 2],
    [source_lines, target_lines]: [u64; 2],
) -> Result<(), DataError> {
    let (shorter, shorter_lines, longer, longer_lines) = match source_lines.cmp(&target_lines) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => (source, source_lines, target, target_lines),
        std::cmp::Ordering::Greater => (target, target_lines, source, source_lines),
    };
    let (shorter, longer) = (shorter.to_owned(), longer.to_owned());
    Err(DataError::UnequalLines { shorter, shorter_lines, longer, longer_lines })
}

/// Sums over the pairs of a chunk or of a whole text.
#[derive(Default)]
struct Totals {
    kept: u64,
    skipped: Skipped,
    source: SideTotals,
    target: SideTotals,
    overlong: Overlong,
    ratio: RatioSum,
}

impl Totals {
    fn merge(&mut self, other: &Self) {
        self.kept += other.kept;
        self.skipped.merge(&other.skipped);
        self.source.merge(&other.source);
        self.target.merge(&other.target);
        self.overlong.merge(&other.overlong);
        self.ratio.merge(&other.ratio);
    }

    fn report(&self) -> SplitReport {
        SplitReport {
            pairs_kept: self.kept,
            skipped: self.skipped,
            source: self.source.report(),
            target: self.target.report(),
            overlong: self.overlong,
            length_ratio: self.ratio.ratio(),
        }
    }
}

#[derive(Default)]
struct SideTotals {
    tokens: u64,
    unknown: u64,
    special: u64,
    lengths: Histogram,
}

impl SideTotals {
    fn add(&mut self, figures: &LineFigures, length: usize) {
        self.tokens += length as u64;
        self.unknown += figures.unknown;
        self.special += figures.special;
        self.lengths.add(length);
    }

    fn merge(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.unknown += other.unknown;
        self.special += other.special;
        self.lengths.merge(&other.lengths);
    }

    fn report(&self) -> SideReport {
        SideReport {
            tokens: self.tokens,
            unknown: self.unknown,
            unknown_rate: self.unknown as f64 / self.tokens.max(1) as f64,
            special_symbols: self.special,
            lengths: self.lengths.lengths(),
        }
    }
}

/// Hashes of a pair's tokens. Two different sentences share one of 64 bits so rarely that the counts are reliable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PairHash {
    source: u64,
    pair: u64,
}

impl PairHash {
    fn new(source: u64, target: u64) -> Self {
        // The combination is not symmetric, so a pair differs from itself translated backwards.
        Self { source, pair: source.rotate_left(23).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ target }
    }
}

/// Finds validation pairs that are also training pairs. Memory depends on the validation text alone.
#[derive(Default)]
pub(super) struct Overlap {
    /// The numbers of validation pairs with this source, and with this source and target.
    sources: FxHashMap<u64, u64>,
    pairs: FxHashMap<u64, u64>,
    seen_sources: FxHashSet<u64>,
    seen_pairs: FxHashSet<u64>,
    train_pairs: u64,
}

impl Overlap {
    pub(super) fn collect(&mut self) -> OverlapRole<'_> {
        OverlapRole::Collect(self)
    }

    pub(super) fn look_up(&mut self) -> OverlapRole<'_> {
        OverlapRole::LookUp(self)
    }

    pub(super) fn count(&self) -> SharedPairs {
        let sum = |seen: &FxHashSet<u64>, counts: &FxHashMap<u64, u64>| {
            seen.iter().filter_map(|hash| counts.get(hash)).sum()
        };
        SharedPairs {
            validation_pairs_in_train: sum(&self.seen_pairs, &self.pairs),
            validation_sources_in_train: sum(&self.seen_sources, &self.sources),
            train_pairs_in_validation: self.train_pairs,
        }
    }

    fn has_source(&self, hash: PairHash) -> bool {
        self.sources.contains_key(&hash.source)
    }
}

/// The role for [`Overlap`] of the text being encoded.
pub(super) enum OverlapRole<'a> {
    /// Validation text.
    Collect(&'a mut Overlap),
    /// Training text.
    LookUp(&'a mut Overlap),
}

impl OverlapRole<'_> {
    fn known(&self) -> Option<&Overlap> {
        match self {
            Self::Collect(_) => None,
            Self::LookUp(overlap) => Some(overlap),
        }
    }

    fn note(&mut self, hashes: Vec<PairHash>) {
        match self {
            Self::Collect(overlap) => {
                for hash in hashes {
                    *overlap.sources.entry(hash.source).or_default() += 1;
                    *overlap.pairs.entry(hash.pair).or_default() += 1;
                }
            }
            Self::LookUp(overlap) => {
                for hash in hashes {
                    overlap.seen_sources.insert(hash.source);
                    if overlap.pairs.contains_key(&hash.pair) {
                        overlap.seen_pairs.insert(hash.pair);
                        overlap.train_pairs += 1;
                    }
                }
            }
        }
    }
}
