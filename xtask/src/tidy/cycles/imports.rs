//! The paths that a Rust file names in its own crate.

use std::collections::BTreeSet;

use super::Path;
use crate::tidy::rust_source::RustSource;

/// A path as written in a file.
#[derive(Debug, PartialEq)]
pub(super) struct Import {
    /// Its segments, including `crate`, `self` and `super`.
    segments: Vec<String>,
    /// Its name in the file; `None` for all names of a module.
    pub(super) name: Option<String>,
    /// Whether it is in a `use`, so that others can import it from here.
    pub(super) is_use: bool,
    pub(super) line: usize,
}

impl Import {
    /// The same path from the crate's root, as seen from this module.
    pub(super) fn absolute(&self, module: &[String]) -> Path {
        let mut path = module.to_vec();
        for segment in &self.segments {
            match segment.as_str() {
                "crate" => path.clear(),
                "self" => {}
                "super" => drop(path.pop()),
                _ => path.push(segment.clone()),
            }
        }
        path
    }
}

/// The paths used outside tests.
pub(super) fn of(source: &RustSource) -> Vec<Import> {
    let code = source.code.as_str();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((begin, word)) = next_word(code, at) {
        at = begin + word.len();
        if source.is_test(begin) {
            continue;
        }
        let line = 1 + code[..begin].matches('\n').count();
        if word == "use" {
            let end = code[at..].find(';').map_or(code.len(), |length| at + length);
            tree(&code[at..end], &[], line, &mut found);
            at = end;
        } else if is_begin(word) && code[at..].starts_with("::") && !is_part(code, begin) {
            let end =
                code[begin..].find(|c: char| !is_of_path(c)).map_or(code.len(), |length| begin + length);
            let segments = split(code[begin..end].trim_end_matches(':'));
            found.push(Import { name: None, segments, is_use: false, line });
            at = end;
        }
    }
    found
}

/// The modules that are declared for tests only.
pub(super) fn test_modules(source: &RustSource) -> BTreeSet<String> {
    let declared = source.code.match_indices("mod ").filter(|&(at, _)| source.is_test(at));
    declared.filter_map(|(at, word)| Some(next_word(&source.code, at + word.len())?.1.to_owned())).collect()
}

/// Whether a path of this crate begins with this word. A path without such a word leads to another crate or into a child.
fn is_begin(word: &str) -> bool {
    matches!(word, "crate" | "self" | "super")
}

/// Whether the word continues a path, as in `$crate::a` or `pub(in crate::a)`.
fn is_part(code: &str, begin: usize) -> bool {
    let before = code[..begin].trim_end();
    before.ends_with('$') || before.ends_with("::") || before.ends_with("(in")
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == ':'
}

fn split(path: &str) -> Vec<String> {
    path.split("::").map(|segment| segment.trim().to_owned()).filter(|segment| !segment.is_empty()).collect()
}

fn next_word(code: &str, from: usize) -> Option<(usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let begin = from + code[from..].find(is_word)?;
    let length = code[begin..].find(|c| !is_word(c)).unwrap_or(code.len() - begin);
    Some((begin, &code[begin..begin + length]))
}

/// Splits a tree of `use`: `a::{b, c::{self, D as E}}`.
fn tree(text: &str, before: &[String], line: usize, found: &mut Vec<Import>) {
    let text = text.trim();
    if let Some((prefix, list)) = text.split_once('{') {
        let before = [before, &split(prefix)].concat();
        let list = list.strip_suffix('}').unwrap_or(list);
        let mut depth = 0;
        let parts = list.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        parts.filter(|part| !part.trim().is_empty()).for_each(|part| tree(part, &before, line, found));
        return;
    }
    let (path, name) = match text.split_once(" as ") {
        Some((path, name)) => (path, Some(name.trim().to_owned())),
        None => (text, None),
    };
    let mut segments = [before, &split(path)].concat();
    // `a::{self}` is a itself, and `a::*` is all of its items.
    let is_glob = segments.last().is_some_and(|last| last == "*");
    if is_glob || segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let name = if is_glob { None } else { name.or_else(|| segments.last().cloned()) };
    found.push(Import { segments, name, is_use: true, line });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[(&str, Option<&str>)]) {
        let found = of(&RustSource::parse(source));
        let found: Vec<_> =
            found.iter().map(|import| (import.segments.join("::"), import.name.as_deref())).collect();
        let expected: Vec<_> = expected.iter().map(|&(path, name)| (path.to_owned(), name)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn trees_of_use_are_taken_apart() {
        check("use crate::a::B;", &[("crate::a::B", Some("B"))]);
        check(
            "pub(crate) use a::{self, B as C, d::*};",
            &[("a", Some("a")), ("a::B", Some("C")), ("a::d", None)],
        );
        check(
            "use super::{a,\n b::{C, D},};\nuse std::fmt;",
            &[
                ("super::a", Some("a")),
                ("super::b::C", Some("C")),
                ("super::b::D", Some("D")),
                ("std::fmt", Some("fmt")),
            ],
        );
    }

    #[test]
    fn paths_in_code_count_and_those_of_tests_do_not() {
        check("fn f() { crate::a::f(super::B::new()); }", &[("crate::a::f", None), ("super::B::new", None)]);
        check("pub(in crate::a) fn f() { $crate::g!(); let selfish = 1; }", &[]);
        check("#[cfg(test)]\nmod tests { use crate::a; }\n#[test]\nfn t() { crate::b::f() }", &[]);
    }
}
