//! `cargo xtask wheel`: a wheel with the program, built by maturin from `pyproject.toml`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{fs, io};

use anyhow::{Context as _, Result, bail, ensure};

use crate::venv;
use crate::workspace::{Workspace, run as run_command};

const MATURIN: &str = "maturin==1.16.0";

const USAGE: &str = "\
usage: cargo xtask wheel [--profile release|dev]

Builds the program and a wheel that carries it, in the folder wheels of the target folder. `pip install` of the wheel puts `kokanee` beside
Python; it depends on no package. --profile dev is for trying: it is built sooner and runs slower.";

pub(crate) fn run(args: &[&str]) -> Result<ExitCode> {
    let profile = match args {
        [] => "release",
        ["--profile", profile @ ("release" | "dev")] => profile,
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return Ok(ExitCode::SUCCESS);
        }
        unknown => bail!("not understood: {}\n\n{USAGE}", unknown.join(" ")),
    };
    let wheel = build(&Workspace::load()?, profile, &[])?;
    println!("built {}; to install it: pip install {}", wheel.display(), wheel.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds the wheel for tests from the binaries that `cargo test --workspace` has compiled.
pub(crate) fn build_for_tests(workspace: &Workspace) -> Result<PathBuf> {
    build(workspace, "dev", &["--features", "features-of-tests"])
}

/// Builds the wheel and returns its file, the only one in its folder.
fn build(workspace: &Workspace, profile: &str, options: &[&str]) -> Result<PathBuf> {
    let maturin = maturin(&workspace.target_dir)?;
    let folder = workspace.target_dir.join("wheels").join(profile);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    run_command(
        Command::new(maturin)
            .args(["build", "--profile", profile, "--out"])
            .arg(&folder)
            .args(options)
            .current_dir(&workspace.root)
            .stdin(Stdio::null()),
    )?;
    let wheels: Vec<_> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, io::Error>>()?;
    let [wheel] = &wheels[..] else {
        bail!("{} should hold one wheel, and holds {}", folder.display(), wheels.len());
    };
    Ok(wheel.clone())
}

/// The program maturin, in its own environment, which is created if missing.
fn maturin(target_dir: &Path) -> Result<PathBuf> {
    let folder = target_dir.join("maturin");
    let program =
        venv::interpreter(&folder).with_file_name(if cfg!(windows) { "maturin.exe" } else { "maturin" });
    let version = MATURIN.replace("==", " ");
    let is_there = || {
        let output = Command::new(&program).arg("--version").stdin(Stdio::null()).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == version)
    };
    if !is_there() {
        venv::make(Path::new("python3"), &folder, &[MATURIN]).context("wheels are built by maturin")?;
        ensure!(is_there(), "{} is not {version} after pip installed it", program.display());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused_with_the_usage() {
        for args in [&["--profile", "fast"][..], &["--release"]] {
            let error = run(args).expect_err("must be refused").to_string();
            assert!(error.contains("usage: cargo xtask wheel"), "{args:?}: {error}");
        }
    }
}
