//! Rules about files: their names, their length, the lock file, build flags.

use super::Finding;
use super::tree::Tree;

/// Words that say nothing about what a file holds.
const EMPTY_WORDS: &[&str] = &["utils", "util", "common", "misc", "legacy"];

/// The length above which a Rust file should be reviewed.
const MAX_LINES: usize = 600;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tree.paths().filter_map(check_name).collect();
    findings.extend(tree.texts(".rs").filter_map(|(path, text)| check_length(path, text)));
    for path in tree.paths().filter(|path| may_hold_build_flags(path)) {
        findings.extend(tree.text(path).into_iter().flat_map(|text| check_build_flags(path, text)));
    }
    if !tree.contains("Cargo.lock") {
        findings.push(Finding::fault(
            "Cargo.lock",
            0,
            "is missing: a binary's lock file belongs to it; commit it",
        ));
    }
    findings
}

fn check_name(path: &str) -> Option<Finding> {
    let is_empty = |word: &str| EMPTY_WORDS.contains(&word.to_ascii_lowercase().as_str());
    let word = path.split(['/', '.', '_', '-']).find(|word| is_empty(word))?;
    Some(Finding::fault(
        path,
        0,
        format!("{word:?} does not say what is in it: name the file after its content"),
    ))
}

fn check_length(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > MAX_LINES).then(|| {
        Finding::warning(path, format!("{lines} lines; over {MAX_LINES} is it still about one thing?"))
    })
}

fn may_hold_build_flags(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    file == "Cargo.toml" || file == "build.rs" || path.contains(".cargo/") || path.starts_with(".ci/")
}

fn check_build_flags(path: &str, text: &str) -> Vec<Finding> {
    let message = "`target-cpu` makes a binary for one machine: dispatch at run time (crates/kernels)";
    let code = |line: &str| line.split('#').next().unwrap_or_default().contains("target-cpu");
    let faults = text.lines().enumerate().filter(|(_, line)| code(line));
    faults.map(|(index, _)| Finding::fault(path, index + 1, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(path: &str, text: &str, want: &[(usize, &str)]) {
        let found = check(&Tree::of(&[("Cargo.lock", ""), (path, text)]));
        let matches = found.len() == want.len()
            && found.iter().zip(want).all(|(f, (line, part))| f.line == *line && f.message.contains(part));
        assert!(matches, "found {found:#?}, expected {want:#?}");
    }

    #[test]
    fn names_say_what_is_inside() {
        check_one("algorithms/seq2seq/nn/src/attention/mlp.rs", "", &[]);
        check_one("algorithms/seq2seq/nn/src/commonest.rs", "", &[]);
        check_one("algorithms/seq2seq/nn/src/utils.rs", "", &[(0, "\"utils\" does not say")]);
        check_one("algorithms/seq2seq/nn/tests/common/mod.rs", "", &[(0, "\"common\"")]);
        check_one("docs/misc-notes.md", "", &[(0, "\"misc\"")]);
        check_one("algorithms/seq2seq/nn/src/legacy_cell.rs", "", &[(0, "\"legacy\"")]);
    }

    #[test]
    fn long_files_are_a_warning() {
        check_one("algorithms/seq2seq/nn/src/model.rs", &"\n".repeat(MAX_LINES), &[]);
        check_one("algorithms/seq2seq/nn/src/model.rs", &"\n".repeat(MAX_LINES + 1), &[(0, "601 lines")]);
        assert!(check_length("a.rs", &"\n".repeat(700)).is_some_and(|finding| finding.is_warning));
    }

    #[test]
    fn one_binary_for_all_machines() {
        check_one(
            ".cargo/config.toml",
            "[build]\nrustflags = [\"-Ctarget-cpu=native\"]",
            &[(2, "one machine")],
        );
        check_one(".ci/run", "# never target-cpu\ncargo xtask ci", &[]);
        check_one("docs/performance.md", "no target-cpu", &[]);
    }

    #[test]
    fn the_lock_file_is_there() {
        assert!(check(&Tree::of(&[])).iter().any(|finding| finding.path == "Cargo.lock"));
    }
}
