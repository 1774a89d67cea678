//! A Python with protobuf, SageMaker's SDK and the AWS CLI, for the tests in which others read our files and talk to our server, and for the peer
//! of the benchmark `prepare`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::venv;

/// Where the interoperability tests look for their Python.
pub(crate) const VARIABLE: &str = "KOKANEE_PYTHON";

/// What is installed, a package and its version per line.
const REQUIREMENTS: &str = include_str!("../../python/requirements.txt");

/// Prints nothing, and fails where something is missing. The SDK itself takes seconds to import.
const PROBE: &str = "import google.protobuf.descriptor_pb2; from importlib.metadata import version; version('sagemaker'); \
                     version('awscli')";

/// The Python for the tests: `$KOKANEE_PYTHON`, else a virtual environment in the target folder that is
/// made when it is not there yet, else the machine's own Python when it has all.
///
/// `Ok(None)`, with a warning, when there is none; in CI that is an error, since a gate that skips what it
/// cannot do proves nothing.
pub(crate) fn for_tests(target_dir: &Path, is_ci: bool) -> Result<Option<OsString>> {
    if let Some(python) = env::var_os(VARIABLE) {
        if !is_complete(Path::new(&python)) {
            bail!(
                "{VARIABLE} names {}, which lacks protobuf, sagemaker or awscli: install xtask/python/requirements.txt there, or unset \
                 {VARIABLE} to have an environment made",
                Path::new(&python).display()
            );
        }
        return Ok(Some(python));
    }
    match in_target_folder(target_dir) {
        Ok(python) => Ok(Some(python.into())),
        Err(error) if is_ci => Err(error),
        Err(error) => {
            println!(
                "warning: the tests against Python's protobuf and SageMaker's SDK will be skipped: {error:#}"
            );
            Ok(None)
        }
    }
}

fn in_target_folder(target_dir: &Path) -> Result<PathBuf> {
    let dir = target_dir.join("python");
    let python = venv::interpreter(&dir);
    if is_complete(&python) {
        return Ok(python);
    }
    let system = Path::new("python3");
    if is_complete(system) {
        return Ok(system.to_path_buf());
    }
    venv::make(system, &dir, &packages()).with_context(|| {
        format!(
            "the packages of xtask/python/requirements.txt are needed: give pip a network, or set {VARIABLE} to a Python that \
             has them"
        )
    })?;
    if !is_complete(&python) {
        bail!("{} still lacks protobuf, sagemaker or awscli after pip installed them", python.display());
    }
    Ok(python)
}

fn packages() -> Vec<&'static str> {
    REQUIREMENTS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

fn is_complete(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", PROBE])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_not_there_is_not_complete() {
        assert!(!is_complete(Path::new("no/such/python3")));
    }

    #[test]
    fn every_package_is_pinned() {
        assert!(packages().len() > 2 && packages().iter().all(|package| package.contains("==")));
    }
}
