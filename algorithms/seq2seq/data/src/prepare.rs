//! The engine of `kokanee prepare`: parallel text in, vocabularies and RecordIO files out.
//!
//! It does what AWS's `create_vocab_proto.py` does (amazon-sagemaker-examples, seq2seq_translation_en-de): counts the words of the
//! training text, ranks them, writes `vocab.src.json` and `vocab.trg.json`, and turns every line pair into a record of ids; pairs
//! with a blank side are skipped.
//!
//! These differences are intended: records keep the order of the lines, so the same input gives the same bytes on any number of
//! threads; files of unequal length and text that is not UTF-8 are errors (the script cuts the longer file short and replaces the
//! bytes); a special symbol such as `<s>` in the text becomes an unknown word (the script gives it the symbol's id, which later
//! reads as the end of a sentence); one vocabulary may be given and the other built (the script then builds both and overwrites the
//! given one).

mod count;
mod encode;
mod options;
mod outputs;
mod report;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use kokanee_formats::text_lines::ChunkSize;
pub use options::{DEFAULT_MAX_SEQ_LEN, PrepareOptions};
pub use report::{
    LengthRatio, Lengths, Overlong, PrepareReport, SharedPairs, SideReport, Skipped, SplitReport,
    VocabularyReport, WrittenFile,
};

use crate::error::DataError;
use crate::threads;
use crate::vocab::Vocabulary;
use count::WordCounts;
use encode::{Encoder, Overlap};
use options::Plan;
use outputs::Outputs;

/// The part of each file that one task works on. It is fixed instead of derived from the number of threads, because sums of floats
/// in the report are taken chunk by chunk.
const CHUNK: ChunkSize = ChunkSize { lines: 8192, bytes: 1 << 20 };

/// An observer of the progress. All methods do nothing by default.
pub trait Progress: Sync {
    /// A phase begins, which will read `total_bytes` of files (as stored on disk). Phases do not overlap.
    fn begin(&self, phase: &str, total_bytes: u64) {
        let _ = (phase, total_bytes);
    }

    /// `bytes` more bytes of files were read. May be called from any thread.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// The phase is over.
    fn finish(&self) {}
}

/// An observer that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Reads the texts, writes the vocabularies and records, and returns statistics of the data.
///
/// All files of a folder appear at the end, together; after an error none was touched.
pub fn prepare(options: &PrepareOptions, progress: &dyn Progress) -> Result<PrepareReport, DataError> {
    prepare_in_chunks(options, progress, CHUNK)
}

fn prepare_in_chunks(
    options: &PrepareOptions,
    progress: &dyn Progress,
    chunk: ChunkSize,
) -> Result<PrepareReport, DataError> {
    threads::start();
    let plan = Plan::new(options)?;
    let (source, target) = vocabularies(options, progress, chunk)?;
    let mut outputs = Outputs::begin(&plan)?;

    let encoder = Encoder {
        source: &source.vocabulary,
        target: &target.vocabulary,
        max_seq_len_source: options.max_seq_len_source,
        max_seq_len_target: options.max_seq_len_target,
        chunk,
        progress,
    };
    // Validation comes first: its pairs are remembered (they are few) and looked up among the training pairs.
    let mut overlap = Overlap::default();
    let validation = match &plan.validation {
        Some((source, target, output)) => {
            let texts = [source.as_path(), target];
            let encode =
                |file: &mut _| encoder.run("encoding validation text", texts, file, overlap.collect());
            Some(outputs.write(output, encode)?)
        }
        None => None,
    };
    let inputs = [options.train_source.as_path(), options.train_target.as_path()];
    let encode = |file: &mut _| encoder.run("encoding training text", inputs, file, overlap.look_up());
    let train = outputs.write(&plan.train_output, encode)?;

    for (path, built) in [(&plan.vocab_source, &source), (&plan.vocab_target, &target)] {
        if let Some(path) = path {
            let json = built.vocabulary.to_json();
            outputs.write(path, |file| {
                file.write_all(json.as_bytes()).map_err(DataError::io(path, "write the file"))
            })?;
        }
    }
    let shared = validation.as_ref().map(|_| overlap.count());
    Ok(PrepareReport {
        train,
        validation,
        source_vocabulary: source.report(),
        target_vocabulary: target.report(),
        shared,
        max_seq_len_source: options.max_seq_len_source,
        max_seq_len_target: options.max_seq_len_target,
        files: outputs.commit(&plan)?,
    })
}

/// A vocabulary and its origin.
struct Built {
    vocabulary: Vocabulary,
    given: Option<PathBuf>,
    /// Number of distinct words of the training text, if they were counted.
    types: Option<u64>,
}

impl Built {
    fn given(path: &Path) -> Result<Self, DataError> {
        Ok(Self { vocabulary: Vocabulary::read(path)?, given: Some(path.to_owned()), types: None })
    }

    fn counted(counts: &WordCounts, limits: crate::vocab::VocabularyLimits) -> Self {
        let vocabulary = Vocabulary::build(counts.iter(), limits);
        Self { vocabulary, given: None, types: Some(counts.types()) }
    }

    fn report(&self) -> VocabularyReport {
        VocabularyReport {
            given: self.given.clone(),
            entries: self.vocabulary.len(),
            types_in_training: self.types,
        }
    }

    fn same_for_target(&self) -> Self {
        Self { vocabulary: self.vocabulary.clone(), given: self.given.clone(), types: self.types }
    }
}

fn vocabularies(
    options: &PrepareOptions,
    progress: &dyn Progress,
    chunk: ChunkSize,
) -> Result<(Built, Built), DataError> {
    let source = options.vocab_source_json.as_deref().map(Built::given).transpose()?;
    let target = options.vocab_target_json.as_deref().map(Built::given).transpose()?;
    if options.single_vocab {
        return match (source, target) {
            (Some(source), Some(target)) if source.vocabulary != target.vocabulary => {
                Err(DataError::Options {
                    option: "-single-vocab",
                    problem:
                        "the two vocabularies given differ; give one of them, or leave out -single-vocab"
                            .to_owned(),
                })
            }
            (Some(source), Some(target)) => Ok((source, target)),
            (Some(one), None) | (None, Some(one)) => Ok((one.same_for_target(), one)),
            (None, None) => {
                let (mut counts, other) = count_both(options, progress, chunk)?;
                counts.merge(&other);
                let one = Built::counted(&counts, options.source_limits);
                Ok((one.same_for_target(), one))
            }
        };
    }
    match (source, target) {
        (Some(source), Some(target)) => Ok((source, target)),
        (source, target) => {
            let (source_counts, target_counts) = count_both(options, progress, chunk)?;
            let source = source.unwrap_or_else(|| Built::counted(&source_counts, options.source_limits));
            let target = target.unwrap_or_else(|| Built::counted(&target_counts, options.target_limits));
            Ok((source, target))
        }
    }
}

/// Counts both training files at once, which already detects whether their lines can be pairs.
fn count_both(
    options: &PrepareOptions,
    progress: &dyn Progress,
    chunk: ChunkSize,
) -> Result<(WordCounts, WordCounts), DataError> {
    let (source, target) = (options.train_source.as_path(), options.train_target.as_path());
    for path in [source, target] {
        check_can_be_read_twice(path)?;
    }
    progress.begin("counting words", file_bytes([source, target]));
    let (source_counts, target_counts) = rayon::join(
        || count::count_words(source, progress, chunk),
        || count::count_words(target, progress, chunk),
    );
    let (source_counts, target_counts) = (source_counts?, target_counts?);
    progress.finish();
    encode::check_line_counts([source, target], [source_counts.lines, target_counts.lines])?;
    Ok((source_counts, target_counts))
}

/// A pipe would be empty the second time. A missing path or a folder is detected when it is opened.
fn check_can_be_read_twice(path: &Path) -> Result<(), DataError> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    if metadata.is_file() || metadata.is_dir() {
        return Ok(());
    }
    #[cfg(unix)]
    let is_pipe = std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type());
    #[cfg(not(unix))]
    let is_pipe = false;
    let kind = if is_pipe { "pipe" } else { "device or socket" };
    Err(DataError::ReadTwice { path: path.to_owned(), kind })
}

fn file_bytes<'a>(paths: impl IntoIterator<Item = &'a Path>) -> u64 {
    paths.into_iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}
