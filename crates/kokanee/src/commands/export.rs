//! `kokanee export`: models of Kokanee in the formats of others.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use kokanee_contract::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_data::Vocabulary;
use kokanee_nn::Artifact;
use kokanee_nn::artifact::{OpenedFolder, sockeye};

use crate::output_file::print;

const EXAMPLES: &str = "\
Examples:
  kokanee export --model model --format sockeye --output sockeye-model
  python -m sockeye.translate --models sockeye-model --use-cpu < test.en
  kokanee export --model model.tar.gz --format safetensors --output plain";

/// Options of `kokanee export`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// A model's folder or its model.tar.gz
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = Format::Sockeye)]
    format: Format,
    /// Folder to write to
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
/// Whatever is wrong with the model, or with the place to write to.
pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let opened = OpenedFolder::open(&args.model)?;
    let artifact = Artifact::load(opened.path())?;
    let vocabulary = |file: &str| Vocabulary::read(&opened.path().join(file));
    let (source, target) = (vocabulary(VOCAB_SOURCE_FILE)?, vocabulary(VOCAB_TARGET_FILE)?);
    match args.format {
        Format::Sockeye => sockeye::export(&artifact, &words(&source), &words(&target), &args.output)?,
        Format::Safetensors => {
            std::fs::create_dir_all(&args.output)
                .with_context(|| format!("cannot create {}", args.output.display()))?;
            source.write(&args.output.join(VOCAB_SOURCE_FILE))?;
            target.write(&args.output.join(VOCAB_TARGET_FILE))?;
            Artifact::save(&artifact.model, &artifact.metadata, &args.output)?;
        }
    }
    print(&format!("wrote {}\n", said(&args.output, args.format)))
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
