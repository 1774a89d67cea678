//! `kokanee export`: writes models of Kokanee in other formats.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_formats::FolderUpdate;
use kokanee_seq2seq_data::Vocabulary;
use kokanee_seq2seq_nn::Artifact;
use kokanee_seq2seq_nn::artifact::{CONFIG_FILE, OpenedFolder, PARAMETERS_FILE, check_replaceable, sockeye};
use kokanee_seq2seq_train::Report;
use kokanee_seq2seq_train::model_folder::METRICS_FILE;

use crate::exit::say;
use crate::folder_locks::FolderLocks;
use crate::output_file::print;

const EXAMPLES: &str = "\
Examples:
  kokanee export --model model --format sockeye --output exported
  python -m sockeye.translate --models exported --use-cpu < test.en
  kokanee export --model model.tar.gz --format safetensors --output plain";

/// Options of `kokanee export`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Model folder or model.tar.gz
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Sockeye)]
    format: Format,
    /// Output folder
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
}

/// Formats that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A model folder that Sockeye 1.18 loads
    Sockeye,
    /// Kokanee's own: model.safetensors and config.json, with the vocabularies
    Safetensors,
}

/// Runs the command.
///
/// # Errors
/// Errors of the model or the output.
pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let opened = OpenedFolder::open(&args.model)?;
    let artifact = opened.load()?;
    let vocabulary = |file: &str| -> Result<Vocabulary> {
        let bytes = opened.read(file)?.with_context(|| format!("{} has no {file}", args.model.display()))?;
        Ok(Vocabulary::from_bytes(bytes, &opened.shown(file))?)
    };
    let (source, target) = (vocabulary(VOCAB_SOURCE_FILE)?, vocabulary(VOCAB_TARGET_FILE)?);
    let _locks = FolderLocks::acquire([args.output.as_path()])?;
    match args.format {
        Format::Sockeye => {
            for note in sockeye::export(&artifact, &words(&source), &words(&target), &args.output)? {
                say(&format!("note: {note}"));
            }
        }
        Format::Safetensors => write_model(&artifact, [&source, &target], &args.output)?,
    }
    print(&format!("wrote {}\n", said(&args.output, args.format)))
}

/// Writes a model of Kokanee with its vocabularies, source and target, and replaces an earlier one. Its history is not known, so
/// that of an earlier model is removed.
///
/// # Errors
/// When files of others would be overwritten, or the system returns an error.
pub(super) fn write_model(artifact: &Artifact, vocabularies: [&Vocabulary; 2], folder: &Path) -> Result<()> {
    let [source, target] = vocabularies.map(Vocabulary::to_json);
    let companions = [(VOCAB_SOURCE_FILE, source.as_bytes()), (VOCAB_TARGET_FILE, target.as_bytes())];
    check_replaceable(folder, &[PARAMETERS_FILE, CONFIG_FILE, VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE])?;
    let mut update = FolderUpdate::begin(folder)?;
    Artifact::stage(&artifact.model, &artifact.metadata, &companions, &mut update)?;
    if is_history(&folder.join(METRICS_FILE)) {
        update.remove(METRICS_FILE)?;
    }
    Ok(update.commit()?)
}

fn is_history(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|text| serde_json::from_slice::<Report>(&text).is_ok())
}

fn words(vocabulary: &Vocabulary) -> Vec<String> {
    (0..vocabulary.len() as u32).filter_map(|id| vocabulary.word(id)).map(str::to_owned).collect()
}

fn said(folder: &Path, format: Format) -> String {
    let what = match format {
        Format::Sockeye => "a model folder of Sockeye",
        Format::Safetensors => "model.safetensors, config.json and the vocabularies",
    };
    format!("{what} to {}", folder.display())
}
