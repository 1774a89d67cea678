//! The tuners that ours is compared with.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::environment::{SYNE_TUNE, TUNER};
use crate::workspace::Workspace;

/// Makes both environments. Syne Tune wants a Python that few machines still have, so its absence is said and no error.
pub(super) fn set_up(workspace: &Workspace) -> Result<()> {
    let python = TUNER.set_up(&workspace.target_dir)?;
    println!("{} are ready: {}", TUNER.what, python.display());
    match SYNE_TUNE.set_up(&workspace.target_dir) {
        Ok(python) => println!("{} is ready: {}", SYNE_TUNE.what, python.display()),
        Err(fault) => println!("without {}, since {fault:#}", SYNE_TUNE.what),
    }
    Ok(())
}

/// The Python that has Optuna, scikit-optimize and egobox, which must be set up.
pub(crate) fn python(workspace: &Workspace) -> Result<PathBuf> {
    TUNER.ready(&workspace.target_dir)
}

/// The Python that has Syne Tune.
pub(crate) fn syne_tune(workspace: &Workspace) -> Result<PathBuf> {
    SYNE_TUNE.ready(&workspace.target_dir)
}

/// The comparison with this Python.
pub(crate) fn program(workspace: &Workspace, python: PathBuf) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-W", "ignore"])
        .arg(workspace.root.join("xtask/peers/tuner_peers.py"))
        .stdin(Stdio::null());
    // A panic in egobox is counted, not shown.
    command.env("RUST_BACKTRACE", "0");
    command
}
