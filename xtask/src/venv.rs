//! Virtual environments of Python in the target folder, for packages that only Python has and the build never needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::workspace::run;

/// The interpreter of the environment in `dir`.
pub(crate) fn interpreter(dir: &Path) -> PathBuf {
    dir.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python3" })
}

/// Creates the environment in `dir` again with the interpreter `base` and installs exactly `packages`, as wheels and without their declared
/// dependencies.
pub(crate) fn make(base: &Path, dir: &Path, packages: &[&str]) -> Result<()> {
    println!("making a Python environment in {} with {}", dir.display(), packages.join(", "));
    run(Command::new(base).args(["-m", "venv", "--clear"]).arg(dir).stdin(Stdio::null())).with_context(
        || {
            format!(
                "{} with its module venv is needed (on Debian and Ubuntu: apt-get install python3 python3-venv)",
                base.display()
            )
        },
    )?;
    run(Command::new(interpreter(dir))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:"])
        .args(packages)
        .stdin(Stdio::null()))
    .context("pip could not install them; it needs a network, and wheels for this machine")
}
