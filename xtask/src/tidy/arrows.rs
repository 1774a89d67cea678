//! The crate arrows: which of our crates may use which, and the check that all share the workspace's lints.

use super::Finding;
use super::tree::Tree;
use crate::workspace::Package;

/// The arrows of ARCHITECTURE.md: a package and those of our packages that it may use. They never point up.
const ARROWS: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("formats", &[]),
    ("pages", &[]),
    ("http", &["formats", "contract"]),
    ("transform", &["formats", "contract"]),
    ("tuner", &["formats"]),
    ("endpoint", &["http", "pages", "formats", "contract"]),
    ("kernels", &[]),
    ("testkit", &[]),
    ("tensor", &["kernels"]),
    ("algorithm", &["endpoint", "pages", "formats", "contract"]),
    ("seq2seq-data", &["kernels", "formats"]),
    ("seq2seq-nn", &["tensor", "kernels", "formats", "contract"]),
    (
        "seq2seq-train",
        &["seq2seq-nn", "tensor", "kernels", "seq2seq-data", "algorithm", "formats", "contract"],
    ),
    (
        "seq2seq-serve",
        &[
            "seq2seq-nn",
            "tensor",
            "kernels",
            "seq2seq-data",
            "endpoint",
            "http",
            "pages",
            "formats",
            "contract",
        ],
    ),
    (
        "seq2seq",
        &[
            "seq2seq-data",
            "seq2seq-nn",
            "seq2seq-train",
            "seq2seq-serve",
            "kernels",
            "algorithm",
            "endpoint",
            "formats",
            "contract",
        ],
    ),
    ("kmeans", &["kernels", "algorithm", "endpoint", "formats", "contract"]),
    ("control", &["http", "transform", "tuner", "pages", "formats", "contract"]),
    (
        "kokanee",
        &[
            "contract",
            "formats",
            "kernels",
            "tensor",
            "seq2seq-data",
            "seq2seq-nn",
            "seq2seq-train",
            "seq2seq-serve",
            "seq2seq",
            "kmeans",
            "algorithm",
            "http",
            "transform",
            "tuner",
            "endpoint",
            "pages",
            "control",
        ],
    ),
    ("xtask", &[]),
];

/// The crate that tests of every crate may use.
const FOR_TESTS: &str = "testkit";

/// The only crate that may set its own lints, since it has `unsafe` code.
const OWN_LINTS: &str = "kernels";

pub(super) fn check(packages: &[Package], tree: &Tree) -> Vec<Finding> {
    packages.iter().flat_map(|package| check_package(package, tree)).collect()
}

fn check_package(package: &Package, tree: &Tree) -> Vec<Finding> {
    let name = short(&package.name);
    let manifest = tree.text(&package.manifest).unwrap_or_default();
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        let message = format!(
            "the crate `{}` has no row in ARROWS (xtask/src/tidy/arrows.rs): add one, and draw it in ARCHITECTURE.md",
            package.name
        );
        return vec![Finding::fault(&package.manifest, line_with(manifest, "name"), message)];
    };
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let to = short(&dependency.name);
        let is_ours = ARROWS.iter().any(|(from, _)| *from == to);
        let is_allowed = allowed.contains(&to) || (dependency.is_dev && to == FOR_TESTS);
        if is_ours && !is_allowed {
            let message = format!(
                "`{name}` may not use `{to}`: it may use {}; move the code to where the arrows allow it \
                 (ARCHITECTURE.md)",
                if allowed.is_empty() { "none of our crates".to_owned() } else { allowed.join(", ") }
            );
            findings.push(Finding::fault(&package.manifest, line_with(manifest, &dependency.name), message));
        }
    }
    if name != OWN_LINTS && !has_workspace_lints(manifest) {
        let message = "the workspace's lints are not on: add `[lints]` and `workspace = true`";
        findings.push(Finding::fault(&package.manifest, 0, message));
    }
    findings
}

fn short(package: &str) -> &str {
    package.strip_prefix("kokanee-").unwrap_or(package)
}

/// The first line that starts with the key `name`; 0 if there is none.
fn line_with(manifest: &str, name: &str) -> usize {
    let is_key = |line: &str| {
        line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    manifest.lines().position(is_key).map_or(0, |index| index + 1)
}

fn has_workspace_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(|line| line.split('#').next().unwrap_or(line).trim());
    lines.any(|line| line == "[lints]") && {
        let mut table = lines.take_while(|line| !line.starts_with('['));
        table.any(|line| line.replace(' ', "") == "workspace=true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    #[track_caller]
    fn check_one(name: &str, dependencies: &[(&str, bool)], manifest: &str, want: &[(usize, &str)]) {
        let path = "crates/x/Cargo.toml";
        let dependencies =
            dependencies.iter().map(|&(name, is_dev)| Dependency { name: name.into(), is_dev }).collect();
        let package = Package { name: name.into(), manifest: path.into(), dependencies, benches: Vec::new() };
        let found = check(&[package], &Tree::of(&[(path, manifest)]));
        let matches = found.len() == want.len()
            && found.iter().zip(want).all(|(f, (line, part))| f.line == *line && f.message.contains(part));
        assert!(matches, "found {found:#?}, expected {want:#?}");
    }

    #[test]
    fn arrows_that_are_drawn_pass() {
        check_one("kokanee-seq2seq-nn", &[("kokanee-tensor", false), ("serde", false)], LINTS, &[]);
        check_one("kokanee-seq2seq-data", &[("kokanee-testkit", true), ("proptest", true)], LINTS, &[]);
        check_one("kokanee", &[("kokanee-seq2seq-serve", false), ("kokanee-control", false)], LINTS, &[]);
    }

    #[test]
    fn arrows_that_point_up_or_sideways_are_faults() {
        let manifest = "[lints]\nworkspace = true\n[dependencies]\nkokanee-seq2seq-nn.workspace = true\n";
        check_one(
            "kokanee-tensor",
            &[("kokanee-seq2seq-nn", false)],
            manifest,
            &[(4, "`tensor` may not use `seq2seq-nn`: it may use kernels;")],
        );
        check_one(
            "kokanee-seq2seq-data",
            &[("kokanee-contract", false)],
            LINTS,
            &[(0, "`seq2seq-data` may not use `contract`: it may use kernels, formats;")],
        );
        check_one(
            "kokanee-formats",
            &[("kokanee-seq2seq-data", false)],
            LINTS,
            &[(0, "it may use none of our crates")],
        );
        check_one(
            "kokanee-control",
            &[("kokanee-seq2seq-nn", false)],
            LINTS,
            &[(0, "may use http, transform, tuner, pages, formats, contract;")],
        );
        check_one(
            "kokanee-seq2seq-nn",
            &[("kokanee", false)],
            LINTS,
            &[(0, "`seq2seq-nn` may not use `kokanee`")],
        );
    }

    #[test]
    fn testkit_is_for_tests_only() {
        check_one(
            "kokanee-seq2seq-nn",
            &[("kokanee-testkit", false)],
            LINTS,
            &[(0, "may not use `testkit`")],
        );
    }

    #[test]
    fn tests_obey_the_arrows_too() {
        check_one("kokanee-kernels", &[("kokanee-tensor", true)], LINTS, &[(0, "may not use `tensor`")]);
    }

    #[test]
    fn a_crate_nobody_drew_is_a_fault() {
        check_one("kokanee-extra", &[], "[package]\nname = \"kokanee-extra\"\n", &[(2, "no row in ARROWS")]);
    }

    #[test]
    fn lints_are_the_workspace_s_except_in_kernels() {
        check_one("kokanee-seq2seq-data", &[], "[lints]\n# why\nworkspace=true # yes\n", &[]);
        check_one("kokanee-seq2seq-data", &[], "[lints.rust]\n", &[(0, "lints are not on")]);
        check_one(
            "kokanee-seq2seq-data",
            &[],
            "[lints]\n[dependencies]\nworkspace = true\n",
            &[(0, "lints are not on")],
        );
        check_one("kokanee-kernels", &[], "[lints.rust]\n", &[]);
    }
}
