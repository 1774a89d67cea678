//! Kokanee: SageMaker's built-in algorithms on your own machine.
//!
//! One file a command in `commands`; what several of them need stands beside it. This file only dispatches; what a fault
//! becomes on its way out is said in `exit`.

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
