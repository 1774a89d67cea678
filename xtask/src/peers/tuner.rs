//! The tuners that ours is compared with.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::environment::{SYNE_TUNE, TUNER};
use crate::workspace::Workspace;

/// Creates both environments. Syne Tune needs a Python that few machines still have, so its absence is reported and not an error.
pub(super) fn set_up(workspace: &Workspace) -> Result<()> {
    let python = TUNER.set_up(&workspace.target_dir)?;
    println!("{} are ready: {}", TUNER.what, python.display());
    match SYNE_TUNE.set_up(&workspace.target_dir) {
        Ok(python) => println!("{} is ready: {}", SYNE_TUNE.what, python.display()),
        Err(fault) => println!("without {}, since {fault:#}", SYNE_TUNE.what),
    }
    Ok(())
}

/// The Python with Optuna, scikit-optimize and egobox, which must be set up.
pub(crate) fn python(workspace: &Workspace) -> Result<PathBuf> {
    TUNER.ready(&workspace.target_dir)
}

/// The Python with Syne Tune.
pub(crate) fn syne_tune(workspace: &Workspace) -> Result<PathBuf> {
    SYNE_TUNE.ready(&workspace.target_dir)
}

/// The command of the comparison with this Python.
pub(crate) fn program(workspace: &Workspace, python: PathBuf) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-W", "ignore"])
        .arg(workspace.root.join("xtask/peers/tuner_peers.py"))
        .stdin(Stdio::null());
    // A panic in egobox is counted, but not shown.
    command.env("RUST_BACKTRACE", "0");
    command
}
