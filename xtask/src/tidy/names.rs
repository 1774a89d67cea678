//! Public names are spelled in one place: hyperparameters in the tables of `contract`, parameters in `nn`.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::rust_source::{Literal, RustSource};

/// The tables of hyperparameters: one folder per algorithm, with the rows in its `table.rs`.
const TABLES: &str = "crates/contract/src/algorithms/";

/// The start of a table's row after `name: Type =`.
const ROW: &str = "Spec::";

/// Other places where names of one algorithm may be spelled: the translation between Sockeye's configuration, which has some fields with
/// the same names, and ours.
const TRANSLATIONS: &[(&str, &str)] = &[("seq2seq", "algorithms/seq2seq/nn/src/artifact/sockeye/")];

/// Names with fewer underscores (`seed`, `batch_size`) also have other meanings.
const UNMISTAKABLE_UNDERSCORES: usize = 2;

/// Parts of a literal that identify a parameter name.
const PARAMETER_PARTS: &[&str] = &[
    "_i2h_weight",
    "_i2h_bias",
    "_h2h_weight",
    "_h2h_bias",
    "decoder_rnn_",
    "encoder_birnn_",
    "target_output_weight",
];

/// The places where parameter names may be spelled.
const PARAMETER_PLACES: &[&str] = &[
    "algorithms/seq2seq/nn/src/params.rs",
    "algorithms/seq2seq/nn/src/artifact/",
    "algorithms/seq2seq/nn/src/artifact.rs",
];

/// The algorithms that have each name.
type Names<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

pub(super) fn check(sources: &[(&str, RustSource)]) -> Vec<Finding> {
    let (mut names, mut findings) = (Names::new(), Vec::new());
    for (path, source) in sources {
        let Some((algorithm, file)) = table_file(path) else { continue };
        let rows: Vec<&str> = rows(source).collect();
        if rows.is_empty() && file == "table.rs" {
            let message = format!(
                "no row `name: Type = {ROW}…` found in the table: tell xtask/src/tidy/names.rs its form"
            );
            findings.push(Finding::fault(path, 0, message));
        }
        for name in rows.into_iter().filter(|name| is_unmistakable(name)) {
            names.entry(name).or_default().insert(algorithm);
        }
    }
    for (path, source) in sources {
        if !is_product(path) || is_test_file(path) {
            continue;
        }
        for literal in source.literals.iter().filter(|literal| !source.is_test(literal.offset)) {
            findings.extend(
                fault(path, literal, &names).map(|message| Finding::fault(path, literal.line, message)),
            );
        }
    }
    findings
}

fn fault(path: &str, literal: &Literal, names: &Names<'_>) -> Option<String> {
    let text = literal.text.as_str();
    if let Some(algorithms) = names.get(text)
        && !algorithms.iter().any(|algorithm| is_place_of(path, algorithm))
    {
        let places: Vec<String> =
            algorithms.iter().map(|algorithm| format!("{TABLES}{algorithm}/")).collect();
        return Some(format!(
            "the hyperparameter name {text:?} is spelled outside {}: use the field of `Hyperparameters`, or what its table gives",
            places.join(" and ")
        ));
    }
    let part = PARAMETER_PARTS.iter().find(|part| text.contains(**part))?;
    if PARAMETER_PLACES.iter().any(|place| path.starts_with(place)) {
        return None;
    }
    Some(format!(
        "the parameter name {text:?} (…{part}…) is spelled outside algorithms/seq2seq/nn/src/params.rs: ask it for the name"
    ))
}

/// Whether the file is part of the product, not of its tools.
fn is_product(path: &str) -> bool {
    ["crates/", "algorithms/"].iter().any(|folder| path.starts_with(folder))
}

/// The algorithm and the rest of the path, for a file in the folder of an algorithm's tables.
fn table_file(path: &str) -> Option<(&str, &str)> {
    let parts = path.strip_prefix(TABLES)?.split_once('/')?;
    (!is_test_file(path)).then_some(parts)
}

/// Whether names of the algorithm's table may be spelled in this file.
fn is_place_of(path: &str, algorithm: &str) -> bool {
    table_file(path).is_some_and(|(own, _)| own == algorithm)
        || TRANSLATIONS.iter().any(|(own, place)| *own == algorithm && path.starts_with(place))
}

fn is_unmistakable(name: &str) -> bool {
    name.matches('_').count() >= UNMISTAKABLE_UNDERSCORES
}

/// The names of a table's rows, `name: Type = Spec::…;` or `field as "name": Type = Spec::…;`.
fn rows(source: &RustSource) -> impl Iterator<Item = &str> {
    source.code.match_indices(ROW).filter(|(at, _)| !source.is_test(*at)).filter_map(|(at, _)| {
        let before = source.code[..at].trim_end().strip_suffix('=')?;
        let start = before.rfind([';', '{']).map_or(0, |end| end + 1);
        let declared = before[start..].split_once(':')?.0.trim();
        if declared.ends_with(" as") {
            let literal = |literal: &&Literal| (start..at).contains(&literal.offset);
            return source.literals.iter().find(literal).map(|literal| literal.text.as_str());
        }
        Some(declared)
    })
}

/// Whether the file is a test or benchmark. They drive the program as a user does, so they may spell the names.
fn is_test_file(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let file = parts.next().unwrap_or_default();
    let is_test_name = file == "tests.rs" || file.ends_with("_tests.rs");
    is_test_name || parts.any(|folder| matches!(folder, "tests" | "benches" | "examples"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE_FILES: [(&str, &str); 2] = [
        (
            "crates/contract/src/algorithms/seq2seq/table.rs",
            r#"hyperparameters! {
                /// What it does.
                checkpoint_frequency_num_batches: u64 = Spec::sagemaker(COUNT, "a_b_c");
                /// More; than that.
                plateau_reduce_lr_factor: f64 =
                    Spec::sagemaker(FACTOR, "0.5").tuned(&[]);
                shared_by_both: u64 = Spec::extension(COUNT, "1");
                seed: u64 = Spec::extension(COUNT, "13");
            }"#,
        ),
        (
            "crates/contract/src/algorithms/kmeans/table.rs",
            r#"hyperparameters! {
                Hyperparameters;
                mini_batch_size: usize = Spec::sagemaker(SIZE, "5000");
                shared_by_both: u64 = Spec::extension(COUNT, "1");
                /// Named "a_b_c".
                probes as "_index_nprobe": usize = Spec::sagemaker(COUNT, "5");
            }"#,
        ),
    ];

    #[track_caller]
    fn check_one(path: &str, source: &str, want: &[(usize, &str)]) {
        let [first, second] = TABLE_FILES;
        let sources = [first, second, (path, source)].map(|(path, text)| (path, RustSource::parse(text)));
        let found = check(&sources);
        let matches = found.len() == want.len()
            && found.iter().zip(want).all(|(f, (line, part))| f.line == *line && f.message.contains(part));
        assert!(matches, "found {found:#?}, expected {want:#?}");
    }

    const NAME: &str = "fn f() {\n    g(\"checkpoint_frequency_num_batches\")\n}";

    #[test]
    fn hyperparameters_are_spelled_in_the_contract() {
        let outside = "spelled outside crates/contract/src/algorithms/seq2seq/:";
        check_one("crates/contract/src/algorithms/seq2seq/rules.rs", NAME, &[]);
        check_one("crates/contract/src/resolve.rs", NAME, &[(2, outside)]);
        check_one("crates/contract/src/algorithms/kmeans/rules.rs", NAME, &[(2, outside)]);
        check_one("algorithms/seq2seq/nn/src/artifact/sockeye/read_config.rs", NAME, &[]);
        check_one("algorithms/seq2seq/train/src/trainer.rs", NAME, &[(2, outside)]);
        check_one(
            "algorithms/seq2seq/train/src/trainer.rs",
            "g(\"plateau_reduce_lr_factor\")",
            &[(1, outside)],
        );
        check_one("algorithms/seq2seq/train/src/trainer.rs", "g(\"seed\", \"a_b_c\")", &[]);
    }

    #[test]
    fn each_algorithm_has_its_own_names() {
        let outside = "spelled outside crates/contract/src/algorithms/kmeans/:";
        for name in ["g(\"mini_batch_size\")", "g(\"_index_nprobe\")"] {
            check_one("crates/contract/src/algorithms/kmeans/rules.rs", name, &[]);
            for elsewhere in [
                "crates/contract/src/algorithms/seq2seq/rules.rs",
                "algorithms/kmeans/src/stream.rs",
                "algorithms/seq2seq/nn/src/artifact/sockeye/read_config.rs",
                "crates/kokanee/src/commands/train.rs",
            ] {
                check_one(elsewhere, name, &[(1, outside)]);
            }
        }
        let shared = "g(\"shared_by_both\")";
        check_one("crates/contract/src/algorithms/kmeans/rules.rs", shared, &[]);
        check_one("crates/contract/src/algorithms/seq2seq/rules.rs", shared, &[]);
        check_one("algorithms/kmeans/src/stream.rs", shared, &[(1, "kmeans/ and crates/")]);
        check_one("algorithms/kmeans/src/stream.rs", "g(\"probes\", \"a_b_c\")", &[]);
    }

    #[test]
    fn tests_and_command_lines_may_spell_them() {
        check_one("algorithms/seq2seq/train/tests/end_to_end.rs", NAME, &[]);
        check_one("algorithms/seq2seq/train/src/trainer/tests.rs", NAME, &[]);
        check_one("algorithms/seq2seq/train/benches/training.rs", NAME, &[]);
        check_one(
            "algorithms/seq2seq/train/src/trainer.rs",
            &format!("#[cfg(test)]\nmod tests {{ {NAME} }}"),
            &[],
        );
        check_one("crates/kokanee/src/demo.rs", "g(\"checkpoint_frequency_num_batches=100\")", &[]);
        check_one("algorithms/seq2seq/train/src/trainer.rs", "// \"checkpoint_frequency_num_batches\"", &[]);
    }

    #[test]
    fn parameters_are_spelled_in_nn() {
        let source = "let name = \"decoder_rnn_l0_i2h_weight\";";
        check_one("algorithms/seq2seq/nn/src/params.rs", source, &[]);
        check_one("algorithms/seq2seq/nn/src/artifact/mxnet.rs", source, &[]);
        check_one(
            "algorithms/seq2seq/nn/src/decoder/rnn.rs",
            source,
            &[(1, "spelled outside algorithms/seq2seq/nn/src/params.rs")],
        );
        check_one(
            "algorithms/seq2seq/train/src/lib.rs",
            "format!(\"{p}_i2h_weight\")",
            &[(1, "_i2h_weight")],
        );
        check_one("algorithms/seq2seq/nn/tests/golden.rs", source, &[]);
    }

    #[test]
    fn a_table_of_another_form_is_noticed() {
        let sources = [(TABLE_FILES[0].0, RustSource::parse("spec(\"checkpoint_frequency_num_batches\")"))];
        assert!(check(&sources)[0].message.starts_with("no row `name: Type = Spec::"));
    }
}
