//! Every path that a `.md` file names must exist, so that no guide refers to a missing file.
//!
//! A link's target is relative to its file. A `code span` counts as a path from the repository's root if it is very unlikely to be anything
//! else: see [`is_repository_path`].

use super::Finding;
use super::markdown::{Kind, Reference, references};
use super::tree::Tree;

/// First folders that make a span a path of the repository even if the folder itself is missing.
const KNOWN_FOLDERS: &[&str] = &["crates", "algorithms", "docs", "xtask", ".ci", ".cargo", ".github"];

/// Extensions of files in this repository that users' data never have.
const SOURCE_ENDINGS: &[&str] = &[".rs", ".toml", ".md"];

/// Files of the root that are recognised by name alone, besides every `UPPERCASE.md`.
const ROOT_FILES: &[&str] = &["Cargo.toml", "Cargo.lock", "LICENSE", "rustfmt.toml"];

/// Characters of patterns, placeholders, commands and code that paths do not have.
const NOT_IN_PATHS: &[char] =
    &['*', '<', '>', '{', '}', '$', '…', '(', ')', '"', '\'', '=', '|', ';', ',', '&', '!'];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let texts = tree.texts(".md");
    texts
        .flat_map(|(path, text)| references(text).into_iter().flat_map(|r| check_reference(tree, path, &r)))
        .collect()
}

fn check_reference(tree: &Tree, file: &str, reference: &Reference<'_>) -> Vec<Finding> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let fault = |path: &str, base: &str| {
        let message = format!("{path:?} does not exist ({base}): correct the path, or add the file");
        Finding::fault(file, reference.line, message)
    };
    match reference.kind {
        Kind::Link => {
            let target = without_place(reference.text);
            let is_elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if is_elsewhere
                || target.starts_with('/')
                || resolve(folder, target).is_some_and(|path| tree.contains(&path))
            {
                return Vec::new();
            }
            vec![fault(target, "a link is taken from the folder of its file")]
        }
        Kind::CodeSpan => expand_braces(reference.text)
            .iter()
            .map(|span| without_place(span))
            .filter(|span| is_repository_path(tree, span) && !exists(tree, folder, span))
            .map(|span| fault(span, "taken from the root of the repository"))
            .collect(),
    }
}

/// Whether a code span is a path of this repository.
///
/// It is one if it starts with a folder of the root, if it has a slash and a source file's extension, or if it is a known file of the root.
/// It is not one if it has blanks, patterns, placeholders or code, nor if it is a path elsewhere: absolute, of the home folder, above the
/// root, in the target folder.
fn is_repository_path(tree: &Tree, span: &str) -> bool {
    let is_other = span.is_empty()
        || span.contains(char::is_whitespace)
        || span.contains(NOT_IN_PATHS)
        || span.contains("://")
        || span.contains("::")
        || span.starts_with(['/', '~', '-'])
        || span.starts_with("../")
        || span.starts_with("target/");
    if is_other {
        return false;
    }
    match span.trim_start_matches("./").split_once('/') {
        None => ROOT_FILES.contains(&span) || is_uppercase_md(span),
        Some((first, _)) => {
            KNOWN_FOLDERS.contains(&first)
                || tree.is_folder(first)
                || SOURCE_ENDINGS.iter().any(|ending| span.ends_with(ending))
        }
    }
}

fn is_uppercase_md(span: &str) -> bool {
    span.strip_suffix(".md").is_some_and(|stem| {
        !stem.is_empty() && stem.chars().all(|c| c.is_ascii_uppercase() || matches!(c, '_' | '-'))
    })
}

/// Whether the path exists, from the root or from the folder of the file that names it.
fn exists(tree: &Tree, folder: &str, span: &str) -> bool {
    ["", folder].iter().any(|base| {
        resolve(base, span).is_some_and(|path| {
            if span.ends_with('/') { tree.is_folder(&path) } else { tree.contains(&path) }
        })
    })
}

/// The path without `#section` and `:line`.
fn without_place(text: &str) -> &str {
    let text = text.split('#').next().unwrap_or(text);
    match text.rsplit_once(':') {
        Some((path, line)) if !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit()) => path,
        _ => text,
    }
}

/// `a/{b,c}/d` as `a/b/d` and `a/c/d`; anything else unchanged.
fn expand_braces(span: &str) -> Vec<String> {
    if let Some((before, rest)) = span.split_once('{')
        && let Some((inside, after)) = rest.split_once('}')
        && inside.contains(',')
    {
        let alternatives = inside.split(',').map(|part| format!("{before}{}{after}", part.trim()));
        return alternatives.flat_map(|span| expand_braces(&span)).collect();
    }
    vec![span.to_owned()]
}

/// `path` relative to `folder`, without `.` and `..`; `None` if it leads out of the repository.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(file: &str, text: &str, missing: &[&str]) {
        let tree = Tree::of(&[
            (file, text),
            ("Cargo.toml", ""),
            ("docs/adding-an-op.md", ""),
            ("algorithms/seq2seq/nn/src/params.rs", ""),
            ("algorithms/seq2seq/nn/src/attention/mlp.rs", ""),
        ]);
        let found: Vec<String> = check(&tree).into_iter().map(|finding| finding.message).collect();
        let matches = found.len() == missing.len()
            && found
                .iter()
                .zip(missing)
                .all(|(message, path)| message.starts_with(&format!("{path:?} does not exist")));
        assert!(matches, "found {found:#?}, expected {missing:?}");
    }

    #[test]
    fn spans_that_are_paths_are_checked() {
        check_text(
            "README.md",
            "`algorithms/seq2seq/nn/src/params.rs:12` `./algorithms/seq2seq/nn/` `Cargo.toml` `algorithms/seq2seq/nn`",
            &[],
        );
        check_text(
            "README.md",
            "`algorithms/seq2seq/nn/src/gone.rs`",
            &["algorithms/seq2seq/nn/src/gone.rs"],
        );
        check_text(
            "README.md",
            "`algorithms/seq2seq/nn/src/params.rs/` `crates/gone`",
            &["algorithms/seq2seq/nn/src/params.rs/", "crates/gone"],
        );
        check_text("README.md", "`layers/lstm.rs` `BENCHMARKS.md`", &["layers/lstm.rs", "BENCHMARKS.md"]);
        check_text("algorithms/seq2seq/nn/README.md", "`src/params.rs` `src/gone.rs`", &["src/gone.rs"]);
    }

    #[test]
    fn alternatives_in_braces_are_all_checked() {
        check_text(
            "README.md",
            "`algorithms/seq2seq/nn/src/{params,gone}.rs`",
            &["algorithms/seq2seq/nn/src/gone.rs"],
        );
        check_text("README.md", "`algorithms/seq2seq/{nn,train}/`", &["algorithms/seq2seq/train/"]);
    }

    #[test]
    fn spans_that_are_something_else_are_left_alone() {
        let spans = "`/opt/ml/model/` `~/.cargo/config.toml` `../shared/spec/peers.md` `crates/<name>` `crates/*/src` \
            `docs/x.md or so` `https://a.b/c.rs` `application/json` `model/config.json` `input/data/train/` \
            `std::fs/x` `cargo run -- docs/` `--output=docs/` `target/python/` `lstm.rs` `{a,b}` `` `";
        check_text("README.md", spans, &[]);
    }

    #[test]
    fn links_are_taken_from_their_file() {
        check_text(
            "docs/a.md",
            "[a](adding-an-op.md#steps) [b](../Cargo.toml) [c](#here) [d](https://x.y)",
            &[],
        );
        check_text("docs/a.md", "[a](docs/adding-an-op.md)", &["docs/adding-an-op.md"]);
        check_text("docs/a.md", "[a](../../shared/x.md)", &["../../shared/x.md"]);
    }

    #[test]
    fn the_line_is_given() {
        let tree = Tree::of(&[("README.md", "a\n\n`docs/gone.md`\n")]);
        assert_eq!(
            check(&tree)[0].to_string(),
            "README.md:3: fault: \"docs/gone.md\" does not exist (taken from the root of the repository): correct the path, or add the file"
        );
    }
}
