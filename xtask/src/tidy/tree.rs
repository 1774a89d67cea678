//! The files of the repository: those that git tracks or would add.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Every file by its path relative to the root (with `/`), and the text of those that are UTF-8.
#[derive(Default)]
pub(super) struct Tree {
    files: BTreeMap<String, Option<String>>,
    folders: BTreeSet<String>,
}

impl Tree {
    /// Lists the files with git, so that files ignored by `.gitignore` do not count; without a git checkout (an unpacked archive), every
    /// file except those in hidden folders and the target folder.
    pub(super) fn load(root: &Path) -> Result<Self> {
        let paths = if root.join(".git").exists() { list_with_git(root)? } else { walk(root)? };
        let mut tree = Self::default();
        for path in paths {
            match fs::read(root.join(&path)) {
                Ok(bytes) => tree.add(&path, String::from_utf8(bytes).ok()),
                // Deleted, but the deletion is not staged yet.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
            }
        }
        Ok(tree)
    }

    fn add(&mut self, path: &str, text: Option<String>) {
        self.files.insert(path.to_owned(), text);
        let mut folder = path;
        while let Some((parent, _)) = folder.rsplit_once('/') {
            self.folders.insert(parent.to_owned());
            folder = parent;
        }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The files whose path ends in `suffix`, with their text.
    pub(super) fn texts(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(move |(path, text)| {
            if path.ends_with(suffix) { Some((path.as_str(), text.as_deref()?)) } else { None }
        })
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Whether a file or folder exists.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.is_folder(path)
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.folders.contains(path)
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add(path, Some((*text).to_owned()));
        }
        tree
    }
}

fn list_with_git(root: &Path) -> Result<Vec<String>> {
    // The checkout may belong to another user, as in a container.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start git, which says what files belong to the repository")?;
    ensure!(output.status.success(), "`git ls-files` failed in {} ({})", root.display(), output.status);
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(listing.split_terminator('\0').map(str::to_owned).collect())
}

/// Hidden folders that belong to the repository.
const OWN_HIDDEN: &[&str] = &[".cargo", ".ci", ".github"];

fn walk(root: &Path) -> Result<Vec<String>> {
    let (mut paths, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(root.join(&folder)).with_context(|| format!("cannot list {folder:?}"))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a file name is not UTF-8")?;
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !entry.file_type()?.is_dir() {
                paths.push(path);
            } else if path != "target" && (!name.starts_with('.') || OWN_HIDDEN.contains(&path.as_str())) {
                folders.push(path);
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_those_that_hold_files() {
        let tree = Tree::of(&[("algorithms/seq2seq/nn/src/params.rs", "")]);
        assert!(
            ["algorithms", "algorithms/seq2seq/nn", "algorithms/seq2seq/nn/src"]
                .iter()
                .all(|folder| tree.is_folder(folder))
        );
        assert!(
            !tree.contains("algorithms/seq2seq/n") && !tree.is_folder("algorithms/seq2seq/nn/src/params.rs")
        );
    }

    #[test]
    fn this_repository_is_listed_without_what_git_ignores() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for paths in [Tree::load(&root).unwrap().paths().map(str::to_owned).collect(), walk(&root).unwrap()] {
            for path in ["xtask/src/tidy/tree.rs", ".ci/run", "Cargo.lock"] {
                assert!(paths.iter().any(|listed| listed == path), "{path} is not in {paths:?}");
            }
            assert!(!paths.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/")));
        }
    }
}
