//! `kokanee shim`: the process that supervises a task of the local SageMaker.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use kokanee_control::engine::run_shim;

/// Options of `kokanee shim`.
#[derive(Debug, Args)]
pub(crate) struct ShimArgs {
    /// The task's folder
    folder: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the folder cannot be read or written.
pub(crate) fn run(args: &ShimArgs) -> Result<()> {
    Ok(run_shim(&args.folder)?)
}
