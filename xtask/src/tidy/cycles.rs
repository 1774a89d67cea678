//! Files that import each other in a cycle.
//!
//! Modules form a tree. A child may use its parent and a parent its children: this is how a module is divided among files. But among the
//! children of one module, each with everything below it, no two may import each other, directly or through others: to understand one of
//! them, a reader would have to read all. Tests do not count. An import counts for the file that defines the item: an item that a parent
//! re-exports from a child belongs to that child.

mod imports;

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::rust_source::RustSource;
use imports::Import;

/// A module, as the names that lead to it from the crate's root.
type Path = Vec<String>;

/// A file of a crate.
struct Module<'a> {
    file: &'a str,
    imports: Vec<Import>,
    /// Modules below it that exist for tests only.
    test_modules: BTreeSet<String>,
}

/// The modules of a crate.
#[derive(Default)]
struct Crate<'a>(BTreeMap<Path, Module<'a>>);

/// Imports between children of a module, each with its file and line.
type Edges = BTreeMap<(String, String), String>;

pub(super) fn check(sources: &[(&str, RustSource)]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Crate<'_>> = BTreeMap::new();
    for (file, source) in sources {
        let Some((root, inner)) = file.split_once("/src/") else { continue };
        let module =
            Module { file, imports: imports::of(source), test_modules: imports::test_modules(source) };
        // A library and a program of one package share a root here.
        crates.entry(root).or_default().0.entry(path_of(inner)).or_insert(module);
    }
    crates.values().flat_map(Crate::check).collect()
}

/// The module a::b of a file `a/b.rs` or `a/b/mod.rs`.
fn path_of(file: &str) -> Path {
    let mut path: Path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|name| name == "mod" || path.len() == 1 && (name == "lib" || name == "main")) {
        path.pop();
    }
    path
}

impl Crate<'_> {
    fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (parent, edges) in self.edges() {
            for circle in circles(&edges) {
                let told: Vec<_> = edges
                    .iter()
                    .filter(|((from, to), _)| circle.contains(from) && circle.contains(to))
                    .map(|((_, to), place)| format!("{place} uses {to}"))
                    .collect();
                let names = circle.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let message = format!(
                    "the modules {names} import each other ({}): move what both need into a module of its own, or below the one \
                     that uses it",
                    told.join("; ")
                );
                let file = self.0.get(&parent).map_or("", |module| module.file);
                findings.push(Finding::fault(file, 0, message));
            }
        }
        findings
    }

    /// The imports between children of each module.
    fn edges(&self) -> BTreeMap<Path, Edges> {
        let mut edges: BTreeMap<Path, Edges> = BTreeMap::new();
        for (path, module) in self.0.iter().filter(|(path, _)| !self.is_for_tests(path)) {
            for import in &module.imports {
                let home = self.home(import.absolute(path));
                let shared = path.iter().zip(&home).take_while(|(a, b)| a == b).count();
                if shared < path.len() && shared < home.len() && !self.is_for_tests(&home) {
                    let pair = (path[shared].clone(), home[shared].clone());
                    let place = || format!("{}:{}", module.file, import.line);
                    edges.entry(path[..shared].to_vec()).or_default().entry(pair).or_insert_with(place);
                }
            }
        }
        edges
    }

    fn is_for_tests(&self, path: &[String]) -> bool {
        (0..path.len()).any(|depth| {
            let parent = self.0.get(&path[..depth]);
            path[depth] == "tests" || parent.is_some_and(|parent| parent.test_modules.contains(&path[depth]))
        })
    }

    /// The module that defines the item of a path, following re-exports.
    fn home(&self, mut path: Path) -> Path {
        /// The maximum chain of re-exports; a longer one is itself a cycle.
        const MOST_STEPS: usize = 8;
        for _ in 0..MOST_STEPS {
            let depth =
                (0..=path.len()).rev().find(|&depth| self.0.contains_key(&path[..depth])).unwrap_or(0);
            let (module, item) = path.split_at(depth);
            let Some(name) = item.first() else { return path };
            let import = self.0.get(module).and_then(|module| {
                module.imports.iter().find(|import| import.is_use && import.name.as_ref() == Some(name))
            });
            match import {
                Some(import) => path = [import.absolute(module), item[1..].to_vec()].concat(),
                None => return module.to_vec(),
            }
        }
        Path::new()
    }
}

/// The sets of at least two modules that all lead to each other.
fn circles(edges: &Edges) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![from];
        while let Some(at) = ahead.pop() {
            for (_, to) in edges.keys().filter(|(from, _)| from == at) {
                if reached.insert(to.clone()) {
                    ahead.push(to);
                }
            }
        }
        reached
    };
    let names: BTreeSet<&String> = edges.keys().flat_map(|(from, to)| [from, to]).collect();
    let reached: BTreeMap<&String, BTreeSet<String>> =
        names.iter().map(|name| (*name, reached(name))).collect();
    let circle = |name: &&String| -> BTreeSet<String> {
        reached[*name].iter().filter(|other| reached[other].contains(*name)).cloned().collect()
    };
    names.iter().map(circle).filter(|circle| circle.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_files(files: &[(&str, &str)], expected: &[&str]) {
        let sources: Vec<_> = files.iter().map(|(path, text)| (*path, RustSource::parse(text))).collect();
        let found: Vec<_> = check(&sources).into_iter().map(|finding| finding.to_string()).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, part) in found.iter().zip(expected) {
            assert!(found.contains(part), "{found} lacks {part}");
        }
    }

    #[test]
    fn neighbours_that_import_each_other_are_told() {
        check_files(
            &[
                ("c/src/lib.rs", "mod a;\nmod b;"),
                ("c/src/a.rs", "use crate::b::B;"),
                ("c/src/b.rs", "\nuse super::a::{self, A};"),
            ],
            &[
                "c/src/lib.rs: fault: the modules a, b import each other (c/src/a.rs:1 uses b; c/src/b.rs:2 uses a)",
            ],
        );
        check_files(
            &[
                ("c/src/lib.rs", ""),
                ("c/src/a/mod.rs", "fn f() { crate::b::f() }"),
                ("c/src/b.rs", "use crate::{d::D, z};"),
                ("c/src/d.rs", ""),
                ("c/src/d/e.rs", "use crate::z::Z as Other;"),
                ("c/src/z.rs", ""),
            ],
            &[],
        );
        check_files(
            &[
                ("c/src/lib.rs", ""),
                ("c/src/a.rs", "use crate::b::x;"),
                ("c/src/b.rs", "use crate::d::e::E;"),
                ("c/src/d.rs", ""),
                ("c/src/d/e.rs", "use super::super::a::A;"),
            ],
            &["the modules a, b, d import each other"],
        );
    }

    #[test]
    fn what_a_parent_re_exports_belongs_to_the_child() {
        let parent = "pub use a::A;\npub use b::{B as Renamed, C};\npub struct Own;";
        check_files(
            &[
                ("c/src/lib.rs", parent),
                ("c/src/a.rs", "use crate::Renamed;"),
                ("c/src/b.rs", "use super::A;"),
            ],
            &["the modules a, b import each other"],
        );
        check_files(
            &[("c/src/lib.rs", parent), ("c/src/a.rs", "use crate::C;"), ("c/src/b.rs", "use super::Own;")],
            &[],
        );
    }

    #[test]
    fn parents_children_and_tests_may() {
        check_files(
            &[
                ("c/src/lib.rs", "mod a;\n#[cfg(test)]\nmod probes;"),
                ("c/src/a.rs", "mod inner;\nuse inner::X;\n#[cfg(test)]\nmod tests { use crate::b::B; }"),
                ("c/src/a/inner.rs", "use super::Y;\nuse crate::a::Y;"),
                ("c/src/a/tests.rs", "use crate::b::B;"),
                ("c/src/b.rs", "use crate::a::X;\n// use crate::probes::P;"),
                ("c/src/probes.rs", "use crate::b::B;"),
                ("c/tests/t.rs", "use crate::a;"),
            ],
            &[],
        );
    }

    #[test]
    fn crates_do_not_touch() {
        check_files(
            &[("c/src/a.rs", "use crate::b::B;"), ("d/src/b.rs", "use crate::a::A;"), ("d/src/a.rs", "")],
            &[],
        );
    }
}
