//! `kokanee lexicon`: learns the target words that translate a source word from parallel text.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Args;
use kokanee_algorithm::human;
use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_seq2seq_data::corpus::VocabularySizes;
use kokanee_seq2seq_data::{Corpus, Lexicon, LexiconOptions, Vocabulary};

use super::parallel_input::ParallelInput;
use crate::output_file::print;
use crate::process;

/// Number of lines encoded together.
const CHUNK_PAIRS: usize = 8192;

const EXAMPLES: &str = "\
Examples:
  kokanee lexicon --model model --train data/train.rec --output lexicon.bin
  kokanee lexicon --source train.de --target train.en \\
      --val-source val.de --val-target val.en --output lexicon.bin \\
      --vocab-source-json data/vocab.src.json \\
      --vocab-target-json data/vocab.trg.json

With a lexicon, a decoder considers only likely target words. With validation data, the report says how many of the \
reference words remain.";

/// Options of `kokanee lexicon`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LexiconArgs {
    /// Training text, source side, plain or .gz
    #[arg(
        long,
        value_name = "FILE",
        requires = "target",
        required_unless_present = "train",
        conflicts_with = "train"
    )]
    source: Option<PathBuf>,
    /// Training text, target side
    #[arg(long, value_name = "FILE", requires = "source")]
    target: Option<PathBuf>,
    /// Training records: a RecordIO file, or a folder of them
    #[arg(long, value_name = "PATH")]
    train: Option<PathBuf>,
    /// Folder with the vocabularies, such as a model folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["vocab_source_json", "vocab_target_json"])]
    model: Option<PathBuf>,
    /// Source vocabulary
    #[arg(long, value_name = "FILE", required_unless_present = "model", requires = "vocab_target_json")]
    vocab_source_json: Option<PathBuf>,
    /// Target vocabulary
    #[arg(long, value_name = "FILE", required_unless_present = "model", requires = "vocab_source_json")]
    vocab_target_json: Option<PathBuf>,
    /// Output file
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Maximum number of translations kept per source word
    #[arg(long, value_name = "N", default_value_t = LexiconOptions::default().words_per_source, value_parser = at_least_one)]
    words_per_source: usize,
    /// Number of training iterations
    #[arg(long, value_name = "N", default_value_t = LexiconOptions::default().iterations, value_parser = at_least_one)]
    iterations: usize,
    /// Validation text, source side, to measure how many reference words the lexicon covers
    #[arg(long, value_name = "FILE", requires = "val_target", conflicts_with = "validation")]
    val_source: Option<PathBuf>,
    /// Validation text, target side
    #[arg(long, value_name = "FILE", requires = "val_source")]
    val_target: Option<PathBuf>,
    /// Validation records
    #[arg(long, value_name = "PATH")]
    validation: Option<PathBuf>,
    /// Number of most frequent target words that validation adds to each sentence's list; may be repeated
    #[arg(long, value_name = "N", default_values_t = [0, 100, 1000])]
    frequent: Vec<usize>,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number from 1".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// Errors of the texts, the records, the vocabularies, or the output.
pub(crate) fn run(args: &LexiconArgs) -> Result<()> {
    let started = Instant::now();
    let (source, target) = args.vocabularies()?;
    let read = |texts: (Option<&PathBuf>, Option<&PathBuf>), records: Option<&PathBuf>| {
        Ok(match (texts, records) {
            ((Some(from), Some(to)), _) => Some(read_texts(from, to, &source, &target)?),
            (_, Some(records)) => {
                let sizes = VocabularySizes { source: source.len(), target: target.len() };
                Some(Corpus::read(records, sizes)?)
            }
            _ => None,
        })
    };
    let Some(corpus) = read((args.source.as_ref(), args.target.as_ref()), args.train.as_ref())? else {
        bail!("give --source and --target, or --train");
    };
    let validation: Result<_> =
        read((args.val_source.as_ref(), args.val_target.as_ref()), args.validation.as_ref());
    let validation = validation?;
    let options = LexiconOptions { words_per_source: args.words_per_source, iterations: args.iterations };
    let lexicon = Lexicon::build(&corpus, &source, &target, options);
    ensure!(!lexicon.is_empty(), "the training data has no pair with known words on both sides");
    let bytes = lexicon.write(&args.output)?;
    if args.quiet {
        return Ok(());
    }
    let mut text = format!(
        "{} pairs; {} translations of {} source words; wrote {} ({}); took {}",
        human::count(corpus.len() as u64),
        human::count(lexicon.len() as u64),
        human::count(source.len() as u64),
        args.output.display(),
        human::bytes(bytes),
        human::duration(started.elapsed()),
    );
    if let Some(bytes) = process::peak_memory_bytes() {
        text.push_str(&format!(", memory {}", human::bytes(bytes)));
    }
    text.push('\n');
    if let Some(validation) = validation {
        for &frequent in &args.frequent {
            text.push_str(&validated(&lexicon, &validation, frequent));
        }
    }
    print(&text)
}

impl LexiconArgs {
    fn vocabularies(&self) -> Result<(Vocabulary, Vocabulary)> {
        let in_model = |name| self.model.as_ref().map(|model| model.join(name));
        let source = in_model(VOCAB_SOURCE_FILE).or_else(|| self.vocab_source_json.clone());
        let target = in_model(VOCAB_TARGET_FILE).or_else(|| self.vocab_target_json.clone());
        match (source, target) {
            (Some(source), Some(target)) => Ok((Vocabulary::read(&source)?, Vocabulary::read(&target)?)),
            _ => bail!("give --model, or --vocab-source-json and --vocab-target-json"),
        }
    }
}

fn read_texts(from: &Path, to: &Path, source: &Vocabulary, target: &Vocabulary) -> Result<Corpus> {
    let mut input = ParallelInput::open(from, to)?;
    let mut corpus = Corpus::new();
    loop {
        let pairs = input.next_chunk(CHUNK_PAIRS)?;
        if pairs.is_empty() {
            return Ok(corpus);
        }
        for (from, to) in pairs {
            ensure!(
                (corpus.len() as u64) < Corpus::MAX_PAIRS,
                "more than {} pairs; take a part of the text",
                Corpus::MAX_PAIRS
            );
            corpus.push(&source.encode(&from), &target.encode(&to));
        }
    }
}

fn validated(lexicon: &Lexicon, validation: &Corpus, frequent: usize) -> String {
    let coverage = lexicon.coverage(validation, frequent);
    let share = |part: u64, whole: u64| format!("{:.2}%", 100.0 * part as f64 / whole.max(1) as f64);
    format!(
        "with the {frequent} most frequent words: {} of the reference's tokens and {} of its sentences are left, lists have {:.0} \
         of {} words\n",
        share(coverage.covered, coverage.tokens),
        share(coverage.whole_sentences, coverage.sentences),
        coverage.words as f64 / coverage.sentences.max(1) as f64,
        human::count(lexicon.target_size() as u64),
    )
}
