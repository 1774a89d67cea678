//! `cargo xtask tidy`: the project's rules that no compiler checks.
//!
//! Each rule is a function from the files (or the packages) to findings and has its good and bad
//! examples beside it. A finding says where, what, and what to do.

mod arrows;
mod cycles;
mod files;
mod markdown;
mod named_tests;
mod names;
mod paths;
mod places;
mod rust_source;
mod tree;
mod unsafe_code;

use std::fmt;
use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use rust_source::RustSource;
use tree::Tree;

/// A fault, or, as a warning, something to review.
#[derive(Debug, PartialEq)]
struct Finding {
    path: String,
    /// From 1; 0 where the finding concerns the whole file.
    line: usize,
    message: String,
    is_warning: bool,
}

impl Finding {
    fn fault(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into(), is_warning: false }
    }

    fn warning(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, message: message.into(), is_warning: true }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_warning { "warning" } else { "fault" };
        let Self { path, line, message, .. } = self;
        if *line == 0 {
            write!(f, "{path}: {kind}: {message}")
        } else {
            write!(f, "{path}:{line}: {kind}: {message}")
        }
    }
}

/// Checks the whole repository; the exit code says whether it is tidy.
pub(crate) fn run() -> Result<ExitCode> {
    let faults = report(&Workspace::load()?)?;
    println!("{faults} faults");
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints every finding and returns how many of them are faults.
pub(crate) fn report(workspace: &Workspace) -> Result<usize> {
    let tree = Tree::load(&workspace.root)?;
    let findings = check(workspace, &tree);
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.iter().filter(|finding| !finding.is_warning).count())
}

fn check(workspace: &Workspace, tree: &Tree) -> Vec<Finding> {
    let mut findings = arrows::check(&workspace.packages, tree);
    findings.extend(files::check(tree));
    findings.extend(paths::check(tree));
    findings.extend(named_tests::check(tree));
    let sources: Vec<(&str, RustSource)> =
        tree.texts(".rs").map(|(path, text)| (path, RustSource::parse(text))).collect();
    findings.extend(unsafe_code::check(&sources));
    findings.extend(names::check(&sources));
    findings.extend(places::check(tree, &sources));
    findings.extend(cycles::check(&sources));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}
