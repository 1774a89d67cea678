//! AWS's SDK for JavaScript, for the test that uses it with the local SageMaker.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::workspace::run;

/// The variable in which the test finds the folder that has `node_modules`.
pub(crate) const VARIABLE: &str = "KOKANEE_JAVASCRIPT";

/// The installed packages and all their dependencies, with digests.
const PACKAGE: &str = include_str!("../../javascript/package.json");
const LOCK: &str = include_str!("../../javascript/package-lock.json");

/// The folder with the packages: `$KOKANEE_JAVASCRIPT`, or else one in the target folder, which is filled again when the lock file has
/// changed.
///
/// `Ok(None)`, with a warning, when npm cannot install them; in CI that is an error.
pub(crate) fn for_tests(target_dir: &Path, is_ci: bool) -> Result<Option<OsString>> {
    if let Some(folder) = std::env::var_os(VARIABLE) {
        return Ok(Some(folder));
    }
    match in_target_folder(target_dir) {
        Ok(folder) => Ok(Some(folder.into())),
        Err(error) if is_ci => Err(error),
        Err(error) => {
            println!("warning: the test of AWS's SDK for JavaScript will be skipped: {error:#}");
            Ok(None)
        }
    }
}

fn in_target_folder(target_dir: &Path) -> Result<PathBuf> {
    let folder = target_dir.join("javascript");
    // Written last, so that an incompletely filled folder is filled again.
    let filled = folder.join("filled");
    if fs::read_to_string(&filled).is_ok_and(|lock| lock == LOCK) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), PACKAGE)?;
    fs::write(folder.join("package-lock.json"), LOCK)?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run(Command::new(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder)
        .stdin(Stdio::null()))
    .context("npm could not install xtask/javascript/package-lock.json; it comes with Node.js 20 or newer, and needs a network")?;
    fs::write(&filled, LOCK)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        let json = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let (package, lock) = (json(PACKAGE), json(LOCK));
        assert_eq!(package["dependencies"], lock["packages"][""]["dependencies"]);
        let versions = package["dependencies"].as_object().unwrap().values();
        assert!(versions.clone().count() > 5);
        for version in versions {
            assert!(version.as_str().unwrap().starts_with(|first: char| first.is_ascii_digit()), "{version}");
        }
    }
}
