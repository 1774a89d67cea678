//! A Python that can `import google.protobuf`, for the test that reads our files with somebody else's reader, and for the peer of
//! the benchmark `prepare`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::venv;

/// Where the interoperability test looks for its Python.
pub(crate) const VARIABLE: &str = "KOKANEE_PYTHON";

/// Pinned, so that the test means the same thing next year; its wheels run on every Python 3.9 or later.
const PROTOBUF: &str = "protobuf==6.33.0";

/// The Python for the tests: `$KOKANEE_PYTHON`, else a virtual environment in the target folder that is
/// made when it is not there yet, else the machine's own Python when it has protobuf.
///
/// `Ok(None)`, with a warning, when there is none; in CI that is an error, since a gate that skips what it
/// cannot do proves nothing.
pub(crate) fn with_protobuf(target_dir: &Path, is_ci: bool) -> Result<Option<OsString>> {
    if let Some(python) = env::var_os(VARIABLE) {
        if !has_protobuf(Path::new(&python)) {
            bail!(
                "{VARIABLE} names {}, which cannot `import google.protobuf`: install {PROTOBUF} there, or unset \
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
            println!("warning: the test against Python's protobuf will be skipped: {error:#}");
            Ok(None)
        }
    }
}

fn in_target_folder(target_dir: &Path) -> Result<PathBuf> {
    let dir = target_dir.join("python");
    let python = venv::interpreter(&dir);
    if has_protobuf(&python) {
        return Ok(python);
    }
    let system = Path::new("python3");
    if has_protobuf(system) {
        return Ok(system.to_path_buf());
    }
    venv::make(system, &dir, &[PROTOBUF]).with_context(|| {
        format!("{PROTOBUF} is needed: give pip a network, or set {VARIABLE} to a Python that has it")
    })?;
    if !has_protobuf(&python) {
        bail!("{} still cannot `import google.protobuf` after pip installed {PROTOBUF}", python.display());
    }
    Ok(python)
}

fn has_protobuf(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import google.protobuf.descriptor_pb2"])
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
    fn a_python_that_is_not_there_has_no_protobuf() {
        assert!(!has_protobuf(Path::new("no/such/python3")));
    }
}
