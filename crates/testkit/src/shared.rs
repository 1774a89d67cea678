//! Where the shared material (golden cases, corpora) lies, and what happens when it does not.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The shared material's folder: `$KOKANEE_SHARED`, or `shared` beside the repository.
///
/// `None`, with a line on stderr, where the material is not there: the calling test then returns at
/// once and counts as passed. A missing folder must not hide in CI, nor one that was asked for by name.
///
/// # Panics
/// When the folder is missing and either `CI` is `true` or `KOKANEE_SHARED` is set.
pub fn shared_dir() -> Option<PathBuf> {
    let ci = env::var_os("CI").is_some_and(|value| value == "true");
    match locate(env::var_os("KOKANEE_SHARED"), &beside_the_repository(), ci) {
        Ok(dir) => Some(dir),
        Err(Missing::Skip(message)) => {
            eprintln!("{message}");
            None
        }
        Err(Missing::Fail(message)) => panic!("{message}"),
    }
}

/// The folder of one golden case (`golden/<case>` in the shared material), `None` as in [`shared_dir`].
///
/// # Panics
/// As [`shared_dir`]; and when the material is there but the case is not, naming the cases that are.
pub fn golden(case: &str) -> Option<PathBuf> {
    let root = shared_dir()?.join("golden");
    let dir = root.join(case);
    if dir.is_dir() {
        return Some(dir);
    }
    panic!("no golden case {case:?} in {}: there are {}", root.display(), subfolders(&root).join(", "));
}

/// Why there is no shared material, and what that means for the test.
#[derive(Debug, PartialEq)]
enum Missing {
    Skip(String),
    Fail(String),
}

fn locate(named: Option<OsString>, beside: &Path, ci: bool) -> Result<PathBuf, Missing> {
    let is_named = named.is_some();
    let dir = named.map_or_else(|| beside.to_path_buf(), PathBuf::from);
    if dir.is_dir() {
        return Ok(dir);
    }
    let how = "set KOKANEE_SHARED to its folder, or put it beside the repository as `shared`";
    if ci || is_named {
        let why = if is_named { "KOKANEE_SHARED names it" } else { "CI=true allows no skipping" };
        Err(Missing::Fail(format!("the shared material is not at {} ({why}): {how}", dir.display())))
    } else {
        Err(Missing::Skip(format!("skipped: the shared material is not at {}: {how}", dir.display())))
    }
}

fn beside_the_repository() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    dir.canonicalize().unwrap_or(dir)
}

fn subfolders(root: &Path) -> Vec<String> {
    let Ok(entries) = root.read_dir() else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = env!("CARGO_MANIFEST_DIR");
    const NOWHERE: &str = "no/such/folder";

    #[track_caller]
    fn check(named: Option<&str>, beside: &str, ci: bool, expected: Result<&str, Missing>) {
        match (locate(named.map(OsString::from), Path::new(beside), ci), expected) {
            (Ok(got), Ok(want)) => assert_eq!(got, Path::new(want)),
            (Err(Missing::Skip(message)), Err(Missing::Skip(part)))
            | (Err(Missing::Fail(message)), Err(Missing::Fail(part))) => {
                assert!(message.contains(&part), "{message:?} lacks {part:?}");
                assert!(message.contains(NOWHERE) && message.contains("set KOKANEE_SHARED"), "{message}");
            }
            (got, expected) => panic!("got {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_named_folder_goes_before_the_one_beside_the_repository() {
        check(Some(HERE), NOWHERE, true, Ok(HERE));
        check(None, HERE, true, Ok(HERE));
        check(Some(NOWHERE), HERE, false, Err(Missing::Fail("KOKANEE_SHARED names it".into())));
    }

    #[test]
    fn without_a_name_only_ci_insists() {
        check(None, NOWHERE, false, Err(Missing::Skip("skipped".into())));
        check(None, NOWHERE, true, Err(Missing::Fail("CI=true allows no skipping".into())));
    }

    #[test]
    fn an_unknown_golden_case_names_the_known_ones() {
        let Some(dir) = shared_dir() else { return };
        let known = subfolders(&dir.join("golden"));
        let panic = std::panic::catch_unwind(|| golden("no_such_case")).expect_err("must panic");
        let message = panic.downcast_ref::<String>().expect("a formatted message");
        assert!(known.iter().all(|case| message.contains(case.as_str())), "{message}");
        assert!(golden(&known[0]).is_some_and(|case| case.is_dir()));
    }
}
