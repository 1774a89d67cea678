//! Tests of the wheel, in a Python environment without other packages.

use std::path::Path;
use std::process::Command;

use crate::workplace::{Said, Workplace, said};

/// A package that the program's users also have.
const BOTO3: &str = "boto3==1.44.8";

/// The file of the wheel, or a message on what is missing.
pub(crate) fn file() -> Result<String, String> {
    let variable = "KOKANEE_WHEEL";
    let file = std::env::var(variable)
        .map_err(|_| format!("{variable} names no wheel of the program; `cargo xtask ci` builds one"))?;
    if Path::new(&file).is_file() {
        Ok(file)
    } else {
        Err(format!("{file}, which {variable} names, is not there"))
    }
}

/// Runs `pip install` in an empty environment, and a script with boto3 beside the installed program.
pub(crate) fn installs_into_an_empty_environment(wheel: &str) {
    let work = Workplace::new();
    let environment = work.path("python").display().to_string();
    let bin = work.path("python/bin");
    run(&work, Path::new("python3"), &["-m", "venv", &environment]);
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", wheel, BOTO3];
    run(&work, &bin.join("pip"), &pip);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/python/wheel.py");
    let line = ["local", "run", "--data", "data", "--", "python", &script.display().to_string()];
    let ran = run(&work, &bin.join("kokanee"), &line);
    assert!(ran.stdout.contains("all as expected"), "{ran:#?}");
    let version = "import importlib.metadata as metadata; print('kokanee', metadata.version('kokanee'))";
    let of_wheel = run(&work, &bin.join("python"), &["-c", version]);
    assert_eq!(of_wheel.stdout, run(&work, &bin.join("kokanee"), &["--version"]).stdout);
}

/// Runs a program as in a terminal with the environment activated.
fn run(work: &Workplace, program: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.args(args).current_dir(work.path(""));
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", work.path("python/bin").display()));
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env_remove("AWS_PROFILE");
    said(command).well()
}
