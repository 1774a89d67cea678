//! `kokanee demo`: learns to pronounce English words, on built-in data.
//!
//! It is AWS's word-pronunciation sample end to end, through the same code as the other commands: text files, records and
//! vocabularies, a model trained on them, its error rates on words it never saw, and the pronunciation of any word.

mod data;
mod results;
mod training;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use kokanee_algorithm::human;
use kokanee_contract::algorithms::seq2seq::channels::{TRAIN_FILE, VALIDATION_FILE};

use super::train::stop_on_signals;
use crate::cmudict::Part;
use crate::folder_locks::FolderLocks;
use crate::output_file::print;
use crate::process;

const EXAMPLES: &str = "\
Examples:
  kokanee demo
  kokanee demo kokanee salmon lake
  kokanee demo --minutes 10 --retrain

The second run finds the model of the first and pronounces at once; --retrain trains again. Everything is written to \
the folder kokanee-demo: texts, .rec files, vocabularies, the model, pictures. The commands to try next are printed at \
the end.";

/// Options of `kokanee demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Words to pronounce, in the letters a to z
    #[arg(value_name = "WORD", value_parser = word)]
    words: Vec<String>,
    /// Output folder
    #[arg(long, value_name = "FOLDER", default_value = "kokanee-demo")]
    output: PathBuf,
    /// Training time in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 3.0, value_parser = minutes)]
    minutes: f64,
    /// Train again even if there is a trained model
    #[arg(long)]
    retrain: bool,
    /// Number of threads, 0 for one per core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1024))]
    threads: u16,
}

/// Longest word that is pronounced; the longest in the dictionary has 28 letters.
const LONGEST_WORD: usize = 60;

fn word(text: &str) -> Result<String, String> {
    let word = text.to_ascii_lowercase();
    if let Some(odd) = word.chars().find(|c| !c.is_ascii_lowercase()) {
        return Err(format!(
            "expected the letters a to z only, got {odd:?}; the model knows no other characters"
        ));
    }
    match word.len() {
        0 => Err("expected at least one letter".to_owned()),
        1..=LONGEST_WORD => Ok(word),
        length => Err(format!("expected at most {LONGEST_WORD} letters, got {length}")),
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes.is_finite() && minutes > 0.0 && minutes <= 10_000.0 => Ok(minutes),
        _ => Err("expected a number above 0 and up to 10000".to_owned()),
    }
}

/// The demo's folder and its files.
pub(super) struct DemoFolder(PathBuf);

impl DemoFolder {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The licence of the data, which is written first: a folder that contains it is the demo's.
    fn licence(&self) -> PathBuf {
        self.0.join("LICENSE-CMUDICT")
    }

    /// Refuses a folder with files of others: they could have the same names as the demo's.
    fn check_replaceable(&self) -> Result<()> {
        let entries =
            std::fs::read_dir(&self.0).with_context(|| format!("cannot list {}", self.0.display()))?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.retain(|name| !name.as_encoded_bytes().starts_with(b".") && name != "model");
        names.sort_unstable();
        match names.first() {
            Some(first) if !self.licence().exists() => bail!(
                "{} holds {}, which the demo has not written, so it writes nothing there; choose another --output",
                self.0.display(),
                first.display()
            ),
            _ => Ok(()),
        }
    }

    fn graphemes(&self, part: Part) -> PathBuf {
        self.0.join(format!("{}.graphemes", part_name(part)))
    }

    fn phonemes(&self, part: Part) -> PathBuf {
        self.0.join(format!("{}.phonemes", part_name(part)))
    }

    fn train_records(&self) -> PathBuf {
        self.0.join(TRAIN_FILE)
    }

    fn validation_records(&self) -> PathBuf {
        self.0.join(VALIDATION_FILE)
    }

    fn hyperparameters(&self) -> PathBuf {
        self.0.join("hyperparameters.json")
    }

    fn model(&self) -> PathBuf {
        self.0.join("model")
    }

    /// The folder that `kokanee train --output MODEL` uses by default, so that it can resume from here.
    fn checkpoints(&self) -> PathBuf {
        self.model().join("checkpoints")
    }

    /// A file that exists once the model is trained.
    fn finished_mark(&self) -> PathBuf {
        self.0.join("demo.json")
    }

    fn attention_picture(&self) -> PathBuf {
        self.0.join("attention.svg")
    }

    fn curve_picture(&self) -> PathBuf {
        self.0.join("learning-curve.svg")
    }
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Validation => "val",
        Part::Test => "test",
    }
}

/// Runs the command.
///
/// # Errors
/// When files cannot be written, or the content of the folder cannot be used.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    let started = Instant::now();
    let folder = DemoFolder(args.output.clone());
    let stop = stop_on_signals()?;
    let _locks = FolderLocks::acquire([folder.path(), &folder.model(), &folder.checkpoints()])?;
    folder.check_replaceable()?;
    data::write(&folder)?;
    let budget = Duration::from_secs_f64(60.0 * args.minutes);
    let settings = training::Settings {
        budget,
        threads: usize::from(args.threads),
        retrain: args.retrain,
        words: &args.words,
    };
    if !training::run(&folder, &settings, &stop)? {
        return print("stopped; the same command goes on from here\n");
    }
    results::show(&folder, &args.words, process::team(settings.threads)?)?;
    let memory = process::peak_memory_bytes()
        .map_or_else(String::new, |bytes| format!(", at most {} of memory", human::bytes(bytes)));
    print(&format!("\ntook {} in all{memory}\n", human::duration(started.elapsed())))
}
