//! Pythons for the tests in which other programs read our files and talk to our server, and for the peer of the benchmark `prepare`: one
//! with protobuf, SageMaker's SDK v2 and the AWS CLI, and one with SDK v3, whose package has the same name as v2's.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::venv;

/// A Python with packages.
pub(crate) struct Python {
    /// The variable in which tests look for its path.
    pub(crate) variable: &'static str,
    /// The folder of its virtual environment in the target folder.
    folder: &'static str,
    /// The file of the requirements.
    file: &'static str,
    /// The installed packages, one with its version per line.
    requirements: &'static str,
    /// What tests need it for, as text for a person.
    needs: &'static str,
    /// A program that prints nothing, and fails if a package is missing. Importing the SDKs would take seconds.
    probe: &'static str,
}

/// The Python for most tests.
pub(crate) const PYTHON: Python = Python {
    variable: "KOKANEE_PYTHON",
    folder: "python",
    file: "xtask/python/requirements.txt",
    requirements: include_str!("../../python/requirements.txt"),
    needs: "protobuf, sagemaker or awscli",
    probe: "import google.protobuf.descriptor_pb2; from importlib.metadata import version; version('sagemaker'); \
            version('awscli')",
};

/// The Python for the test of SDK v3.
pub(crate) const SDK_V3: Python = Python {
    variable: "KOKANEE_PYTHON_SDK_V3",
    folder: "python-sdk-v3",
    file: "xtask/python/requirements-sdk-v3.txt",
    requirements: include_str!("../../python/requirements-sdk-v3.txt"),
    needs: "sagemaker-core, sagemaker-train or sagemaker-serve",
    probe: "from importlib.metadata import version; version('sagemaker-core'); version('sagemaker-train'); \
            version('sagemaker-serve')",
};

impl Python {
    /// The interpreter: the one that the variable names; otherwise that of a virtual environment in the target folder, which is created if
    /// missing; otherwise the machine's own Python if it has all packages.
    ///
    /// `Ok(None)`, with a warning, when there is none; in CI that is an error, since a gate that skips tests proves nothing.
    pub(crate) fn for_tests(&self, target_dir: &Path, is_ci: bool) -> Result<Option<OsString>> {
        if let Some(python) = env::var_os(self.variable) {
            if !self.is_complete(Path::new(&python)) {
                bail!(
                    "{variable} names {}, which lacks {}: install {} there, or unset {variable} to have an environment made",
                    Path::new(&python).display(),
                    self.needs,
                    self.file,
                    variable = self.variable
                );
            }
            return Ok(Some(python));
        }
        match self.in_target_folder(target_dir) {
            Ok(python) => Ok(Some(python.into())),
            Err(error) if is_ci => Err(error),
            Err(error) => {
                println!("warning: the tests that need {} will be skipped: {error:#}", self.file);
                Ok(None)
            }
        }
    }

    fn in_target_folder(&self, target_dir: &Path) -> Result<PathBuf> {
        let dir = target_dir.join(self.folder);
        let python = venv::interpreter(&dir);
        if self.is_complete(&python) {
            return Ok(python);
        }
        let system = Path::new("python3");
        if self.is_complete(system) {
            return Ok(system.to_path_buf());
        }
        venv::make(system, &dir, &self.packages()).with_context(|| {
            format!(
                "the packages of {} are needed: give pip a network, or set {} to a Python that has them",
                self.file, self.variable
            )
        })?;
        if !self.is_complete(&python) {
            bail!("{} still lacks {} after pip installed them", python.display(), self.needs);
        }
        Ok(python)
    }

    fn packages(&self) -> Vec<&'static str> {
        let lines = self.requirements.lines().map(str::trim);
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
    }

    fn is_complete(&self, python: &Path) -> bool {
        Command::new(python)
            .args(["-c", self.probe])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_not_there_is_not_complete() {
        assert!(!PYTHON.is_complete(Path::new("no/such/python3")));
    }

    #[test]
    fn every_package_is_pinned() {
        for python in [PYTHON, SDK_V3] {
            let packages = python.packages();
            assert!(packages.len() > 2 && packages.iter().all(|package| package.contains("==")));
        }
    }
}
