//! A Python that has Sockeye, in versions that work together.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::venv;

/// Names a Python that has Sockeye already; then none is set up.
const VARIABLE: &str = "KOKANEE_PEERS_PYTHON";

pub(super) const WHAT: &str = "Sockeye 1.18.106 on MXNet 1.9.1";

/// Everything that Sockeye's training and translation import, installed as it stands here: Sockeye itself asks for MXNet 1.4.1,
/// which no Python of today runs; MXNet 1.9.1 is the last there is, and NumPy 1.23 the last that it works with.
const PACKAGES: &[&str] = &[
    "sockeye==1.18.106",
    "mxnet==1.9.1",
    "numpy==1.23.5",
    "PyYAML==6.0.3",
    "portalocker==2.10.1",
    "sacrebleu==1.4.3",
    // What MXNet imports to download models.
    "requests==2.32.3",
    "certifi==2024.8.30",
    "charset-normalizer==3.4.0",
    "idna==3.10",
    "urllib3==2.2.3",
];

/// Imports what is used (Sockeye must come before MXNet) and prints versions.
const PROBE: &str = "import sockeye.train, sockeye.translate, sockeye, mxnet, numpy\n\
                     print(sockeye.__version__, mxnet.__version__, numpy.__version__)";
const PROBE_SAYS: &str = "1.18.106 1.9.1 1.23.5";

/// Minor versions of Python 3 for which there are wheels of that NumPy.
const PYTHONS: std::ops::RangeInclusive<u32> = 8..=11;

/// What may be called `python3` on a machine, the likeliest first.
const NAMES: [&str; 5] = ["python3", "python3.11", "python3.10", "python3.9", "python3.8"];

/// The Python with Sockeye: `$KOKANEE_PEERS_PYTHON`, else the one of the target folder, which is made where it is missing or
/// does not work.
pub(super) fn set_up(target_dir: &Path) -> Result<PathBuf> {
    let (python, is_named) = place(target_dir);
    let Err(fault) = probe(&python) else { return Ok(python) };
    ensure!(
        !is_named,
        "{VARIABLE} names {}, which has no {WHAT}: {fault}\ninstall {} there, or unset {VARIABLE} to have an \
         environment made",
        python.display(),
        PACKAGES.join(" "),
    );
    let dir = folder(target_dir);
    venv::make(&base()?, &dir, PACKAGES).with_context(|| {
        format!("{WHAT} could not be installed; MXNet has wheels for x86-64 (Linux and macOS) only")
    })?;
    match probe(&python) {
        Ok(()) => Ok(python),
        Err(fault) => bail!("{WHAT} was installed in {} and does not work: {fault}", dir.display()),
    }
}

/// The Python with Sockeye, which must be there.
pub(super) fn ready(target_dir: &Path) -> Result<PathBuf> {
    let (python, is_named) = place(target_dir);
    match probe(&python) {
        Ok(()) => Ok(python),
        Err(fault) if is_named => {
            bail!("{VARIABLE} names {}, which has no {WHAT}: {fault}", python.display())
        }
        Err(fault) => bail!("{WHAT} is not there: {fault}\n`cargo xtask peers setup` installs it"),
    }
}

fn folder(target_dir: &Path) -> PathBuf {
    target_dir.join("peers")
}

/// Where the Python should be, and whether the user said so.
fn place(target_dir: &Path) -> (PathBuf, bool) {
    match env::var_os(VARIABLE) {
        Some(python) => (python.into(), true),
        None => (venv::interpreter(&folder(target_dir)), false),
    }
}

/// Whether `python` has Sockeye; if not, why.
fn probe(python: &Path) -> Result<(), String> {
    let said = says(python, PROBE)?;
    if said == PROBE_SAYS {
        return Ok(());
    }
    Err(format!("it has Sockeye, MXNet and NumPy in the versions {said}, and {PROBE_SAYS} are meant"))
}

/// A Python to make the environment with.
fn base() -> Result<PathBuf> {
    let mut found = Vec::new();
    for name in NAMES {
        match says(Path::new(name), "import sys; print(*sys.version_info[:2])") {
            Ok(version) if is_suitable(&version) => return Ok(name.into()),
            Ok(version) => found.push(format!("{name} is {}", version.replace(' ', "."))),
            Err(_) => {}
        }
    }
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    bail!(
        "{WHAT} needs Python 3.{} to 3.{} with its module venv, and found {found}: install one as {}, or set {VARIABLE} to \
         a Python that has Sockeye",
        PYTHONS.start(),
        PYTHONS.end(),
        NAMES[1..].join(", ")
    );
}

/// `3 11`
fn is_suitable(version: &str) -> bool {
    let minor = version.strip_prefix("3 ").and_then(|minor| minor.parse().ok());
    minor.is_some_and(|minor| PYTHONS.contains(&minor))
}

/// What a program in Python prints; or why it does not run, in its last words.
fn says(python: &Path, program: &str) -> Result<String, String> {
    let output = Command::new(python)
        .args(["-W", "ignore", "-c", program])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} cannot be started: {error}", python.display()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.trim_end().lines().next_back().unwrap_or("it says nothing");
        return Err(format!("{last} ({})", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pythons_with_wheels_are_suitable() {
        let cases =
            [("3 7", false), ("3 8", true), ("3 11", true), ("3 12", false), ("2 7", false), ("", false)];
        for (version, want) in cases {
            assert_eq!(is_suitable(version), want, "{version:?}");
        }
    }

    #[test]
    fn a_python_that_is_not_there_is_named() {
        let fault = probe(Path::new("no/such/python3")).unwrap_err();
        assert!(fault.starts_with("no/such/python3 cannot be started: "), "{fault}");
    }

    #[test]
    fn every_package_is_pinned_and_the_probe_asks_for_the_same_versions() {
        let versions: Vec<&str> =
            PACKAGES.iter().map(|package| package.split_once("==").expect(package).1).collect();
        assert_eq!(PROBE_SAYS, versions[..3].join(" "));
    }
}
