//! `kokanee prepare`: parallel text in, vocabularies and RecordIO files out.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use indicatif::ProgressBar;
use kokanee_algorithm::human;
use kokanee_seq2seq_data::prepare::DEFAULT_MAX_SEQ_LEN;
use kokanee_seq2seq_data::pronunciations::{Entry, Pronunciations};
use kokanee_seq2seq_data::{PrepareOptions, Progress, VocabularyLimits};
use tempfile::TempDir;

use crate::folder_locks::FolderLocks;
use crate::output_file::{print, write_json};
use crate::{process, terminal};

const EXAMPLES: &str = "\
Examples:
  kokanee prepare --train-source train.de --train-target train.en \\
      --val-source val.de --val-target val.en
  kokanee prepare -ts train.de.gz -tt train.en.gz -vs val.de.gz -vt val.en.gz \\
      --output-dir data
  kokanee prepare -ts a.txt -tt b.txt -single-vocab --num-words-source 30000 \\
      --output-dir data
  kokanee prepare -ts test.de -tt test.en -to test.rec --output-dir test-data \\
      --vocab-source-json data/vocab.src.json \\
      --vocab-target-json data/vocab.trg.json
  kokanee prepare --train-pronunciations train.dict \\
      --val-pronunciations val.dict --output-dir g2p

Text is UTF-8, one sentence per line, tokens separated by whitespace, plain or gzip-compressed. Line N of the target \
is the translation of line N of the source; pairs with a blank side are left out. The option names of AWS's script \
work too: -ts -tt -vs -vt -to -vo -single-vocab.";

/// The spellings of AWS's create_vocab_proto.py that clap cannot parse, and their replacements.
const SHORT_SPELLINGS: [(&str, &str); 7] = [
    ("-ts", "--train-source"),
    ("-tt", "--train-target"),
    ("-vs", "--val-source"),
    ("-vt", "--val-target"),
    ("-to", "--train-output"),
    ("-vo", "--val-output"),
    ("-single-vocab", "--single-vocab"),
];

/// Options of `kokanee prepare`; names and defaults are those of AWS's script.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PrepareArgs {
    /// Training text, source side (-ts)
    #[arg(long, value_name = "FILE", required_unless_present = "train_pronunciations")]
    train_source: Option<PathBuf>,
    /// Training text, target side (-tt)
    #[arg(long, value_name = "FILE", required_unless_present = "train_pronunciations")]
    train_target: Option<PathBuf>,
    /// Validation text, source side (-vs)
    #[arg(long, value_name = "FILE")]
    val_source: Option<PathBuf>,
    /// Validation text, target side (-vt)
    #[arg(long, value_name = "FILE")]
    val_target: Option<PathBuf>,
    /// Train on a pronunciation dictionary instead of texts: each line has a word, white space and its phonemes, as in
    /// CMUdict. Letters become the source, phonemes the target; word(2) is another pronunciation of word
    #[arg(long, value_name = "FILE", conflicts_with_all = ["train_source", "train_target"])]
    train_pronunciations: Option<PathBuf>,
    /// The same for validation
    #[arg(long, value_name = "FILE", conflicts_with_all = ["val_source", "val_target"])]
    val_pronunciations: Option<PathBuf>,
    /// Training records to write (-to)
    #[arg(long, value_name = "FILE", default_value = "train.rec")]
    train_output: PathBuf,
    /// Validation records to write (-vo)
    #[arg(long, value_name = "FILE", default_value = "val.rec")]
    val_output: PathBuf,
    /// Output folder, created if missing [default: the current one]
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Build one vocabulary for both sides, limited by --num-words-source and --word-min-count-source (-single-vocab)
    #[arg(long)]
    single_vocab: bool,
    /// Use this source vocabulary instead of building one
    #[arg(long, value_name = "FILE")]
    vocab_source_json: Option<PathBuf>,
    /// Use this target vocabulary instead of building one
    #[arg(long, value_name = "FILE")]
    vocab_target_json: Option<PathBuf>,
    /// Maximum size of the source vocabulary, without the four special symbols
    #[arg(long, value_name = "N", default_value_t = VocabularyLimits::default().num_words)]
    num_words_source: usize,
    /// Maximum size of the target vocabulary, without the four special symbols
    #[arg(long, value_name = "N", default_value_t = VocabularyLimits::default().num_words)]
    num_words_target: usize,
    /// Minimum count for a word to enter the source vocabulary
    #[arg(long, value_name = "N", default_value_t = VocabularyLimits::default().min_count)]
    word_min_count_source: u64,
    /// Minimum count for a word to enter the target vocabulary
    #[arg(long, value_name = "N", default_value_t = VocabularyLimits::default().min_count)]
    word_min_count_target: u64,
    /// Source length, in tokens, above which the report counts a pair as too long; nothing is cut
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_SEQ_LEN)]
    max_seq_len_source: usize,
    /// The same for the target; the begin symbol counts
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_SEQ_LEN)]
    max_seq_len_target: usize,
    /// Also write the closing report as JSON
    #[arg(long, value_name = "FILE")]
    report_json: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// Rewrites AWS's one-dash spellings of `kokanee prepare`, which are not short options in clap's sense.
pub(crate) fn accept_short_spellings(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_none_or(|name| name != "prepare") {
        return args;
    }
    for arg in args.iter_mut().skip(2).take_while(|arg| *arg != "--") {
        // A file's name need not be UTF-8.
        let bytes = arg.as_bytes();
        let name_end = bytes.iter().position(|&byte| byte == b'=').unwrap_or(bytes.len());
        let known = SHORT_SPELLINGS.iter().find(|(short, _)| short.as_bytes() == &bytes[..name_end]);
        if let Some((_, long)) = known {
            let mut spelt = OsString::from(long);
            spelt.push(OsStr::from_bytes(&bytes[name_end..]));
            *arg = spelt;
        }
    }
    args
}

/// Runs the command.
///
/// # Errors
/// Errors of the texts, the given vocabularies, or the outputs.
pub(crate) fn run(args: &PrepareArgs) -> Result<()> {
    let started = Instant::now();
    let bars = Bars { quiet: args.quiet, bar: Mutex::new(None) };
    let texts = Texts::of(args)?;
    let options = args.options(&texts);
    let folders = options.output_folders();
    let _locks = FolderLocks::acquire(folders.iter().map(PathBuf::as_path))?;
    let report = kokanee_seq2seq_data::prepare(&options, &bars)?;
    if let Some(path) = &args.report_json {
        write_json(path, &report)?;
    }
    if args.quiet {
        return Ok(());
    }
    let mut text = report.to_string();
    text.push_str(&format!("took {}", human::duration(started.elapsed())));
    if let Some(bytes) = process::peak_memory_bytes() {
        text.push_str(&format!(", memory {}", human::bytes(bytes)));
    }
    text.push('\n');
    print(&text)
}

impl PrepareArgs {
    fn options(&self, texts: &Texts) -> PrepareOptions {
        let [train_source, train_target] = texts.train.clone();
        let (val_source, val_target) = texts.validation.clone();
        PrepareOptions {
            train_source,
            train_target,
            val_source,
            val_target,
            train_output: self.train_output.clone(),
            val_output: self.val_output.clone(),
            output_dir: self.output_dir.clone(),
            single_vocab: self.single_vocab,
            vocab_source_json: self.vocab_source_json.clone(),
            vocab_target_json: self.vocab_target_json.clone(),
            source_limits: VocabularyLimits {
                num_words: self.num_words_source,
                min_count: self.word_min_count_source,
            },
            target_limits: VocabularyLimits {
                num_words: self.num_words_target,
                min_count: self.word_min_count_target,
            },
            max_seq_len_source: self.max_seq_len_source,
            max_seq_len_target: self.max_seq_len_target,
        }
    }
}

/// The texts to prepare, source and target.
struct Texts {
    train: [PathBuf; 2],
    validation: (Option<PathBuf>, Option<PathBuf>),
    /// Keeps the texts of dictionaries while they are read.
    _written: Option<TempDir>,
}

impl Texts {
    /// The given texts. Dictionaries are written out as texts.
    fn of(args: &PrepareArgs) -> Result<Self> {
        let dictionaries = [&args.train_pronunciations, &args.val_pronunciations];
        let written = dictionaries.iter().any(|given| given.is_some()).then(tempfile::tempdir).transpose();
        let written = written.context("cannot make a temporary folder for the entries of the dictionary")?;
        let texts = |name, dictionary: &Option<PathBuf>| match (dictionary, &written) {
            (Some(dictionary), Some(folder)) => write_texts(dictionary, folder.path(), name).map(Some),
            _ => Ok(None),
        };
        let train =
            match (texts("train", &args.train_pronunciations)?, &args.train_source, &args.train_target) {
                (Some(texts), ..) => texts,
                (None, Some(source), Some(target)) => [source.clone(), target.clone()],
                _ => bail!("give --train-source and --train-target, or --train-pronunciations"),
            };
        let validation = match texts("validation", &args.val_pronunciations)? {
            Some([source, target]) => (Some(source), Some(target)),
            None => (args.val_source.clone(), args.val_target.clone()),
        };
        Ok(Self { train, validation, _written: written })
    }
}

/// The letters and the sounds of a dictionary's entries as two texts.
fn write_texts(dictionary: &Path, folder: &Path, name: &str) -> Result<[PathBuf; 2]> {
    let read = Pronunciations::read(dictionary)?;
    let text = |side: fn(&Entry) -> &str| -> String {
        read.entries().iter().flat_map(|entry| [side(entry), "\n"]).collect()
    };
    let texts = [text(|entry| &entry.letters), text(|entry| &entry.sounds)];
    let paths = ["letters", "sounds"].map(|side| folder.join(format!("{name}.{side}")));
    for (path, text) in paths.iter().zip(texts) {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(paths)
}

/// Progress on stderr: one bar per phase.
struct Bars {
    quiet: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bars {
    fn with(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        if let Ok(mut bar) = self.bar.lock() {
            act(&mut bar);
        }
    }
}

impl Progress for Bars {
    fn begin(&self, phase: &str, total_bytes: u64) {
        if self.quiet {
            return;
        }
        let bar = terminal::progress_bar(
            total_bytes,
            "{msg:26} {bar:30} {percent:>3}% {bytes_per_sec}, {eta} left",
        );
        bar.set_message(phase.to_owned());
        self.with(|current| *current = Some(bar));
    }

    fn advance(&self, bytes: u64) {
        self.with(|bar| {
            if let Some(bar) = bar {
                bar.inc(bytes);
            }
        });
    }

    fn finish(&self) {
        self.with(|bar| {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, expected: &str) {
        let args = args.split(' ').map(OsString::from).collect();
        let rewritten: Vec<String> =
            accept_short_spellings(args).into_iter().map(|arg| arg.into_string().unwrap()).collect();
        assert_eq!(rewritten.join(" "), expected);
    }

    #[test]
    fn only_the_spellings_of_the_script_are_rewritten() {
        check(
            "kokanee prepare -ts a -tt b -single-vocab --num-words-source 5",
            "kokanee prepare --train-source a --train-target b --single-vocab --num-words-source 5",
        );
        check(
            "kokanee prepare -vs=a -vt b -to c -vo d",
            "kokanee prepare --val-source=a --val-target b --train-output c --val-output d",
        );
        check("kokanee prepare -tsx -s -- -ts", "kokanee prepare -tsx -s -- -ts");
        check("kokanee translate -ts a", "kokanee translate -ts a");
        check("kokanee", "kokanee");
        let file = OsStr::from_bytes(b"-ts=caf\xe9").to_owned();
        let rewritten = accept_short_spellings(vec!["kokanee".into(), "prepare".into(), file]);
        assert_eq!(rewritten[2].as_bytes(), b"--train-source=caf\xe9");
    }
}
