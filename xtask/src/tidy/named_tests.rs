//! Every test that a table of a `.md` file names exists.
//!
//! A row names a test if a cell is the code span of a `.rs` file and the next cell is the code span of a function's name.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rows = tree.texts(".md").flat_map(|(path, text)| {
        let lines = text.lines().enumerate();
        lines
            .flat_map(move |(index, line)| named(line).map(move |(file, test)| (path, index + 1, file, test)))
    });
    // A missing file is reported by the rule of paths.
    let is_gone = |&(_, _, file, test): &(&str, usize, &str, &str)| {
        tree.text(file).is_some_and(|text| !text.contains(&format!("fn {test}(")))
    };
    rows.filter(is_gone)
        .map(|(path, line, file, test)| {
            let message = format!("{file} has no test `{test}`: correct the row, or add the test");
            Finding::fault(path, line, message)
        })
        .collect()
}

/// The files and tests in a table's row.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let cells = line.strip_prefix('|').into_iter().flat_map(|row| row.split('|')).map(str::trim);
    let next = cells.clone().skip(1);
    cells.zip(next).filter_map(|(file, test)| {
        let file = span(file).filter(|file| file.ends_with(".rs") && !file.contains(['{', '*']))?;
        let test = span(test)
            .filter(|test| test.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))?;
        Some((file, test))
    })
}

/// The content of a cell that is a single code span.
fn span(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`').filter(|inside| !inside.is_empty() && !inside.contains('`'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_row(row: &str, expected: &[&str]) {
        let tree = Tree::of(&[("docs/a.md", row), ("crates/a/src/b.rs", "#[test]\nfn it_works() {}\n")]);
        let messages: Vec<String> = check(&tree).into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages.len(), expected.len(), "{messages:?}");
        for (message, part) in messages.iter().zip(expected) {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_row_may_only_name_tests_that_exist() {
        check_row("| a thing | `crates/a/src/b.rs` | `it_works` |", &[]);
        check_row("| a thing | `crates/a/src/b.rs` | `it_fails` |", &["has no test `it_fails`"]);
        check_row("| a thing | `crates/a/src/b.rs` | `it` |", &["has no test `it`"]);
    }

    #[test]
    fn other_cells_name_no_test() {
        check_row("| `crates/a/src/b.rs` | what it is |", &[]);
        check_row("| `crates/a/src/b.rs` | `a::b` and more |", &[]);
        check_row("`crates/a/src/b.rs` | `gone` |", &[]);
        check_row("| `crates/gone.rs` | `it_works` |", &[]);
    }
}
