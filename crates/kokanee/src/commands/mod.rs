//! One file a command: what it is called with, and what it does.

pub(crate) mod algorithms;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod lexicon;
mod model;
mod parallel_input;
pub(crate) mod prepare;
pub(crate) mod score;
mod search_options;
pub(crate) mod serve;
pub(crate) mod train;
pub(crate) mod transform;
pub(crate) mod translate;

use anyhow::Result;

use crate::cli::Command;
use crate::process;

/// Runs a command.
///
/// # Errors
/// Whatever the command finds wrong.
pub(crate) fn run(command: Command) -> Result<()> {
    // A training says so where its caller looks for it.
    if !matches!(command, Command::Train(_)) {
        process::check_environment()?;
    }
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Prepare(args) => prepare::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Algorithms(args) => algorithms::run(&args),
        Command::Translate(args) => translate::run(&args),
        Command::Transform(args) => transform::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Lexicon(args) => lexicon::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    }
}
