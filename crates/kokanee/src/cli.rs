//! The command line.

use std::ffi::OsString;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::{
    algorithms, demo, evaluate, export, import, inspect, lexicon, local, prepare, score, serve, shim, train,
    transform, translate, tune,
};
use crate::{process, terminal};

/// SageMaker's built-in algorithms on your own machine.
#[derive(Debug, Parser)]
#[command(
    name = "kokanee",
    version,
    propagate_version = true,
    after_help = "Start with `kokanee demo`. Exit codes: 0 success, 1 an error in the input or its environment, \
                  2 an invalid command line, 70 a bug in Kokanee."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a small model that pronounces English words, on built-in data, in about three minutes.
    Demo(demo::DemoArgs),
    /// Turn parallel text into vocabularies and RecordIO files, as AWS's create_vocab_proto.py does.
    Prepare(prepare::PrepareArgs),
    /// Train a model, from the command line or as a SageMaker training container.
    Train(train::TrainArgs),
    /// Tune hyperparameters by training many models.
    Tune(tune::TuneArgs),
    /// List the algorithms, with their channels, formats and metrics.
    Algorithms(algorithms::AlgorithmsArgs),
    /// Translate text, line by line.
    Translate(translate::TranslateArgs),
    /// Run a model over files of records, as SageMaker batch transform does.
    Transform(transform::TransformArgs),
    /// Serve a model over HTTP, from the command line or as a SageMaker inference container.
    Serve(serve::ServeArgs),
    /// Run a local SageMaker for boto3, the SageMaker SDKs and the AWS CLI.
    Local(local::LocalArgs),
    /// Keep a task of the local SageMaker; it starts this itself
    #[command(hide = true)]
    Shim(shim::ShimArgs),
    /// Score given translations by their log-probability.
    Score(score::ScoreArgs),
    /// Evaluate a model: perplexity, accuracy, BLEU, error rates.
    Evaluate(evaluate::EvaluateArgs),
    /// Import a model of Sockeye 1.x or SageMaker.
    Import(import::ImportArgs),
    /// Export a model to a folder for Sockeye 1.18, or to plain files.
    Export(export::ExportArgs),
    /// Learn likely translations of each source word, for vocabulary selection in decoding.
    Lexicon(lexicon::LexiconArgs),
    /// Show what a .rec file, vocabulary, model or checkpoint contains.
    Inspect(inspect::InspectArgs),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of the command.
    pub(crate) fn run(self) -> Result<()> {
        // A training reports it where its caller looks.
        if !matches!(self, Self::Train(_)) {
            process::check_environment()?;
        }
        match self {
            Self::Demo(args) => demo::run(&args),
            Self::Prepare(args) => prepare::run(&args),
            Self::Train(args) => train::run(&args),
            Self::Tune(args) => tune::run(&args),
            Self::Algorithms(args) => algorithms::run(&args),
            Self::Translate(args) => translate::run(&args),
            Self::Transform(args) => transform::run(&args),
            Self::Serve(args) => serve::run(&args),
            Self::Score(args) => score::run(&args),
            Self::Evaluate(args) => evaluate::run(&args),
            Self::Import(args) => import::run(&args),
            Self::Export(args) => export::run(&args),
            Self::Lexicon(args) => lexicon::run(&args),
            Self::Local(args) => local::run(&args),
            Self::Shim(args) => shim::run(&args),
            Self::Inspect(args) => inspect::run(&args),
        }
    }
}

/// Parses the arguments, the program's name first. If they are wrong, or help is requested, it prints the message and ends the
/// program.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Command {
    let mut command = Cli::command();
    // The table of hyperparameters is long: it is formatted only when it is shown.
    let args = prepare::accept_short_spellings(args.into_iter().collect());
    if args.get(1).is_some_and(|name| name == "train" || name == "help") {
        command = command
            .mut_subcommand("train", |train| train::with_hyperparameters(train, &args, terminal::columns()));
    }
    let matches = command.get_matches_from(args);
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli.command,
        Err(error) => error.exit(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
