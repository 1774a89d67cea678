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
    after_help = "Start with `kokanee demo`. Exit codes: 0 done, 1 something in the input or its surroundings is wrong, \
                  2 a wrong command line, 70 a fault of Kokanee."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Learn to pronounce English words, on data that is built in, in about three minutes.
    Demo(demo::DemoArgs),
    /// Turn parallel text into vocabularies and RecordIO files, as AWS's create_vocab_proto.py does.
    Prepare(prepare::PrepareArgs),
    /// Train a model, as a SageMaker training container or from the command line.
    Train(train::TrainArgs),
    /// Find good hyperparameters by many trainings.
    Tune(tune::TuneArgs),
    /// List the algorithms, with their channels, formats and metrics.
    Algorithms(algorithms::AlgorithmsArgs),
    /// Translate text, line by line.
    Translate(translate::TranslateArgs),
    /// Answer files of records, as SageMaker's batch transform does.
    Transform(transform::TransformArgs),
    /// Answer over HTTP, as a SageMaker inference container or from the command line.
    Serve(serve::ServeArgs),
    /// Be a SageMaker for boto3, SageMaker's SDKs and the AWS CLI on this machine.
    Local(local::LocalArgs),
    /// Keep a task of the local SageMaker; it starts this itself
    #[command(hide = true)]
    Shim(shim::ShimArgs),
    /// Say how probable given translations are.
    Score(score::ScoreArgs),
    /// Measure a model: perplexity, accuracy, BLEU, error rates.
    Evaluate(evaluate::EvaluateArgs),
    /// Take over a model of Sockeye 1.x or of SageMaker.
    Import(import::ImportArgs),
    /// Write a model for others: as a folder of Sockeye 1.18, or as plain files.
    Export(export::ExportArgs),
    /// Learn which target words translate a source word, for shortlists in decoding.
    Lexicon(lexicon::LexiconArgs),
    /// Show what a .rec file, vocabulary, model or checkpoint contains.
    Inspect(inspect::InspectArgs),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever the command finds wrong.
    pub(crate) fn run(self) -> Result<()> {
        // A training says so where its caller looks for it.
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

/// Parses the arguments, the program's name first. Where they are wrong, or help is asked for, it says so and ends the
/// program.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Command {
    let mut command = Cli::command();
    // The table of hyperparameters is long: it is laid out only where it is shown.
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
