//! Limits the places that name an algorithm: its own folders, and one line of each table that lists algorithms.

use super::Finding;
use super::rust_source::RustSource;
use super::tree::Tree;

/// The folder of the algorithms' tables in the contract, by their names.
const TABLES: &str = "crates/contract/src/algorithms/";
/// The folder of the algorithms' crates.
const CRATES: &str = "algorithms/";
/// The algorithm with its own commands (`kokanee translate`, `prepare`, …), which name it.
const WITH_COMMANDS: &str = "seq2seq";

/// The other places, with the number of lines in each that may name an algorithm; docs/adding-an-algorithm.md lists them.
const PLACES: &[(&str, usize)] = &[
    // The dependency of the workspace, and that of the program.
    ("Cargo.toml", 1),
    ("crates/kokanee/Cargo.toml", 1),
    // The module of its tables, and its line in the registry.
    ("crates/contract/src/algorithms/mod.rs", 1),
    ("crates/contract/src/registry.rs", 2),
    // Its line in the program's table.
    ("crates/kokanee/src/algorithms.rs", 2),
];

pub(super) fn check(tree: &Tree, sources: &[(&str, RustSource)]) -> Vec<Finding> {
    let names =
        tree.paths().filter_map(|path| path.strip_prefix(TABLES)?.split_once('/')).map(|(name, _)| name);
    let mut names: Vec<&str> = names.filter(|name| *name != WITH_COMMANDS).collect();
    names.dedup();
    names.iter().flat_map(|name| check_one(name, tree, sources)).collect()
}

fn check_one(name: &str, tree: &Tree, sources: &[(&str, RustSource)]) -> Vec<Finding> {
    let own = [format!("{TABLES}{name}/"), format!("{CRATES}{name}/")];
    let is_foreign = |path: &str| !own.iter().any(|folder| path.starts_with(folder.as_str()));
    let is_product = |path: &str| path.starts_with("crates/") || path.starts_with(CRATES);
    let of_sources =
        sources.iter().filter(|(path, _)| is_product(path) && !is_test_file(path)).map(|(path, source)| {
            let mut offset = 0;
            let lines = source.code.split_inclusive('\n').map(|line| {
                let here = offset;
                offset += line.len();
                if source.is_test(here) { String::new() } else { line.to_lowercase() }
            });
            (*path, lines.collect::<Vec<_>>())
        });
    let is_manifest = |path: &str| path == "Cargo.toml" || path.starts_with("crates/");
    let of_manifests = tree
        .texts("Cargo.toml")
        .filter(|(path, _)| is_manifest(path))
        .map(|(path, text)| (path, text.lines().map(str::to_lowercase).collect::<Vec<_>>()));
    let mut findings = Vec::new();
    for (path, lines) in of_sources.chain(of_manifests).filter(|(path, _)| is_foreign(path)) {
        let named: Vec<usize> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains(name))
            .map(|(index, _)| index + 1)
            .collect();
        let allowed = PLACES.iter().find(|(place, _)| *place == path).map_or(0, |(_, lines)| *lines);
        if let Some(line) = named.get(allowed) {
            let message = format!(
                "the algorithm `{name}` is named on {} lines here, and {allowed} may: an algorithm is its own crate, its tables in \
                 the contract, and one line of each table (docs/adding-an-algorithm.md)",
                named.len()
            );
            findings.push(Finding::fault(path, *line, message));
        }
    }
    findings
}

fn is_test_file(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    parts.next() == Some("tests.rs") || parts.any(|folder| matches!(folder, "tests" | "benches"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_files(files: &[(&str, &str)], want: &[(&str, usize)]) {
        let files: Vec<(&str, &str)> =
            files.iter().copied().chain([("crates/contract/src/algorithms/kmeans/mod.rs", "")]).collect();
        let tree = Tree::of(&files);
        let sources: Vec<(&str, RustSource)> =
            tree.texts(".rs").map(|(path, text)| (path, RustSource::parse(text))).collect();
        let found = check(&tree, &sources);
        let found: Vec<(&str, usize)> = found.iter().map(|f| (f.path.as_str(), f.line)).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn its_own_folders_and_one_line_of_each_table_may_name_it() {
        check_files(
            &[
                ("algorithms/kmeans/src/lib.rs", "struct KMeans;\nimpl KMeans {}"),
                ("crates/kokanee/src/algorithms.rs", "use kokanee_kmeans::KMeans;\nstatic A: X = &KMeans;"),
                ("crates/contract/src/registry.rs", "use a::kmeans;\n&kmeans::CONTRACT"),
                ("Cargo.toml", "kokanee-kmeans = { path = \"algorithms/kmeans\" }"),
            ],
            &[],
        );
    }

    #[test]
    fn any_other_place_is_a_fault() {
        check_files(
            &[("crates/endpoint/src/app.rs", "\nif name == x {}\nuse kokanee_kmeans::Model;")],
            &[("crates/endpoint/src/app.rs", 3)],
        );
        check_files(
            &[("crates/kokanee/src/algorithms.rs", "kmeans\nkmeans\n\nkmeans")],
            &[("crates/kokanee/src/algorithms.rs", 4)],
        );
        check_files(
            &[("crates/endpoint/Cargo.toml", "kokanee-kmeans.workspace = true")],
            &[("crates/endpoint/Cargo.toml", 1)],
        );
    }

    #[test]
    fn tests_examples_in_help_and_comments_may_name_it() {
        check_files(
            &[
                ("crates/kokanee/tests/cli/kmeans.rs", "fn kmeans() {}"),
                (
                    "crates/kokanee/src/commands/train.rs",
                    "// kmeans\nconst E: &str = \"--algorithm kmeans\";",
                ),
                ("crates/endpoint/src/app.rs", "#[cfg(test)]\nmod tests { use kmeans::Model; }"),
            ],
            &[],
        );
    }
}
