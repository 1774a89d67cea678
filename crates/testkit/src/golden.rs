//! Golden cases: results of Sockeye, recorded in files of this repository.

use std::path::{Path, PathBuf};

/// The folder of one golden case.
///
/// # Panics
/// When the case does not exist; the message names the existing ones.
pub fn golden(case: &str) -> PathBuf {
    let folder = golden_folder().join(case);
    if folder.is_dir() {
        return folder;
    }
    panic!(
        "no golden case {case:?} in {}: there are {}",
        golden_folder().display(),
        golden_cases().join(", ")
    );
}

/// The folder of all golden cases, with the texts and vocabularies that they share. Its README describes the files.
pub fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The names of all golden cases, sorted.
///
/// # Panics
/// When the folder cannot be listed.
pub fn golden_cases() -> Vec<String> {
    let entries = golden_folder().read_dir().expect("the repository holds the golden cases");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_eleven_cases_lie_in_the_repository() {
        let cases = golden_cases();
        assert_eq!(cases.len(), 11, "{cases:?}");
        for case in &cases {
            for file in ["config.yaml", "params.mxnet", "sgd1.mxnet", "scores.txt", "beam5.jsonl"] {
                assert!(golden(case).join(file).is_file(), "{case}/{file}");
            }
        }
    }

    #[test]
    fn an_unknown_golden_case_names_the_known_ones() {
        let panic = std::panic::catch_unwind(|| golden("no_such_case")).expect_err("must panic");
        let message = panic.downcast_ref::<String>().expect("a formatted message");
        assert!(golden_cases().iter().all(|case| message.contains(case.as_str())), "{message}");
    }
}
