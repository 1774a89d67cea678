//! `kokanee import`: converts models of Sockeye 1.x and of SageMaker to models of Kokanee.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use kokanee_algorithm::human;
use kokanee_contract::algorithms::seq2seq::BeamSearchRule;
use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_seq2seq_data::Vocabulary;
use kokanee_seq2seq_nn::artifact::sockeye::{self, ImportOptions};

use super::export::write_model;
use crate::exit::say;
use crate::folder_locks::FolderLocks;
use crate::output_file::print;

const EXAMPLES: &str = "\
Examples:
  kokanee import sagemaker-model.tar.gz --output model
  kokanee import sockeye-model --output model --params params.00042
  kokanee translate --model model --input test.en

Import reads a configuration (config or config.yaml, as data: nothing in it is executed), MXNet parameters \
(params.best, or the params.NNNNN with the highest number) and vocabularies (vocab.src.json or vocab.src.0.json, and \
the same for trg) of Sockeye 1.0 to 1.18. A model that needs a setting which Kokanee lacks is refused; the error names \
every such setting.";

/// Options of `kokanee import`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Model folder or .tar.gz
    #[arg(value_name = "PATH")]
    model: PathBuf,
    /// Folder for the imported model
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// Parameter file, by its name in the folder or by its path [default: params.best, else the latest]
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
    /// When to divide scores by the length penalty [default: as in the Sockeye version that wrote the model]
    #[arg(long, value_name = "RULE", value_parser = PossibleValuesParser::new(BeamSearchRule::NAMES))]
    beam_search_rule: Option<String>,
    /// Folder of the vocabularies, if they are not in the model folder
    #[arg(long, value_name = "FOLDER")]
    vocab: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the model or the output.
pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let options = ImportOptions {
        parameters: args.params.as_deref(),
        vocabularies: args.vocab.as_deref(),
        beam_search_rule: args.beam_search_rule.as_deref().and_then(BeamSearchRule::from_name),
    };
    let imported = sockeye::import(&args.model, &options)?;
    let model = &imported.artifact.model;
    let _locks = FolderLocks::acquire([args.output.as_path()])?;
    let source = vocabulary(&args.output.join(VOCAB_SOURCE_FILE), &imported.source_vocabulary)?;
    let target = vocabulary(&args.output.join(VOCAB_TARGET_FILE), &imported.target_vocabulary)?;
    write_model(&imported.artifact, [&source, &target], &args.output)?;
    for note in &imported.notes {
        say(&format!("note: {note}"));
    }
    print(&format!(
        "imported a model of {} parameters, {} source and {} target words, into {}\n",
        human::count(model.parameters().size() as u64),
        human::count(imported.source_vocabulary.len() as u64),
        human::count(imported.target_vocabulary.len() as u64),
        args.output.display()
    ))
}

fn vocabulary(path: &Path, words: &[String]) -> Result<Vocabulary> {
    let ids: BTreeMap<&str, usize> = words.iter().enumerate().map(|(id, word)| (&**word, id)).collect();
    let json = serde_json::to_string(&ids).context("a vocabulary is plain data")?;
    Ok(Vocabulary::from_json_str(&json, &path.display().to_string())?)
}
