//! Kokanee: SageMaker's built-in algorithms on your own machine.
//!
//! `commands` has one file per command; code that several of them need is beside it. This file only dispatches; `exit` documents
//! how errors end the program.

mod algorithms;
mod cli;
mod cmudict;
mod commands;
mod console;
mod evaluation;
mod exit;
mod folder_locks;
mod learning_curve;
mod output_file;
mod process;
mod terminal;
mod text_input;

use std::process::ExitCode;

use kokanee::render;

fn main() -> ExitCode {
    exit::report(exit::guarded(|| cli::parse(std::env::args_os()).run()))
}
