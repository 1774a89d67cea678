//! Names that are promises are spelled in one place: hyperparameters in the contract, parameters in `nn`.

use std::collections::BTreeSet;

use super::Finding;
use super::rust_source::{Literal, RustSource};

/// The table of hyperparameters: this file, or the files of a folder of that name.
const TABLE: &str = "crates/contract/src/hyperparameters";

/// What a row of the table starts with after `name: Type =`.
const ROW: &str = "Spec::";

/// Where hyperparameter names may be spelled: the contract, and the translation between Sockeye's configuration, whose fields
/// are partly called the same, and ours.
const HYPERPARAMETER_PLACES: &[&str] = &["crates/contract/", "algorithms/seq2seq/nn/src/artifact/sockeye/"];

/// Names with fewer underscores (`seed`, `batch_size`) also mean other things.
const UNMISTAKABLE_UNDERSCORES: usize = 2;

/// Parts of a literal that give a parameter name away.
const PARAMETER_PARTS: &[&str] = &[
    "_i2h_weight",
    "_i2h_bias",
    "_h2h_weight",
    "_h2h_bias",
    "decoder_rnn_",
    "encoder_birnn_",
    "target_output_weight",
];

/// Where parameter names may be spelled.
const PARAMETER_PLACES: &[&str] = &[
    "algorithms/seq2seq/nn/src/params.rs",
    "algorithms/seq2seq/nn/src/artifact/",
    "algorithms/seq2seq/nn/src/artifact.rs",
];

pub(super) fn check(sources: &[(&str, RustSource)]) -> Vec<Finding> {
    let table: Vec<&(&str, RustSource)> = sources.iter().filter(|(path, _)| is_table(path)).collect();
    let names: BTreeSet<&str> = table.iter().flat_map(|(_, source)| table_names(source)).collect();
    let mut findings = Vec::new();
    if names.is_empty()
        && let Some((path, _)) = table.first()
    {
        let message =
            format!("no row `name: Type = {ROW}…` found in the table: tell xtask/src/tidy/names.rs its form");
        findings.push(Finding::fault(path, 0, message));
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

fn fault(path: &str, literal: &Literal, names: &BTreeSet<&str>) -> Option<String> {
    let text = literal.text.as_str();
    if names.contains(text) && !HYPERPARAMETER_PLACES.iter().any(|place| path.starts_with(place)) {
        return Some(format!(
            "the hyperparameter name {text:?} is spelled outside the contract: use the field of `Hyperparameters`, \
             or what its table gives"
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

/// Whether the file is part of the product, not of the tools beside it.
fn is_product(path: &str) -> bool {
    ["crates/", "algorithms/"].iter().any(|folder| path.starts_with(folder))
}

fn is_table(path: &str) -> bool {
    path.strip_prefix(TABLE).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')) && !is_test_file(path)
}

/// The names of the table's rows, `name: Type = Spec::…;`.
fn table_names(source: &RustSource) -> impl Iterator<Item = &str> {
    source.code.match_indices(ROW).filter_map(|(at, _)| {
        let row = source.code[..at].trim_end().strip_suffix('=')?.rsplit([';', '{']).next()?;
        let name = row.split_once(':')?.0.trim();
        (name.matches('_').count() >= UNMISTAKABLE_UNDERSCORES && !source.is_test(at)).then_some(name)
    })
}

/// Tests and benchmarks drive the program as a user does, so they may spell what users spell.
fn is_test_file(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let file = parts.next().unwrap_or_default();
    let is_test_name = file == "tests.rs" || file.ends_with("_tests.rs");
    is_test_name || parts.any(|folder| matches!(folder, "tests" | "benches" | "examples"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE_FILE: (&str, &str) = (
        "crates/contract/src/hyperparameters/table.rs",
        r#"hyperparameters! {
            /// What it does.
            checkpoint_frequency_num_batches: u64 = Spec::sagemaker(COUNT, "a_b_c");
            /// More; than that.
            plateau_reduce_lr_factor: f64 =
                Spec::sagemaker(FACTOR, "0.5").tuned(&[]);
            seed: u64 = Spec::extension(COUNT, "13");
        }"#,
    );

    #[track_caller]
    fn check_one(path: &str, source: &str, want: &[(usize, &str)]) {
        let sources = [TABLE_FILE, (path, source)].map(|(path, text)| (path, RustSource::parse(text)));
        let found = check(&sources);
        let matches = found.len() == want.len()
            && found.iter().zip(want).all(|(f, (line, part))| f.line == *line && f.message.contains(part));
        assert!(matches, "found {found:#?}, expected {want:#?}");
    }

    const NAME: &str = "fn f() {\n    g(\"checkpoint_frequency_num_batches\")\n}";

    #[test]
    fn hyperparameters_are_spelled_in_the_contract() {
        check_one("crates/contract/src/resolve.rs", NAME, &[]);
        check_one("algorithms/seq2seq/train/src/trainer.rs", NAME, &[(2, "spelled outside the contract")]);
        check_one(
            "algorithms/seq2seq/train/src/trainer.rs",
            "g(\"plateau_reduce_lr_factor\")",
            &[(1, "outside the contract")],
        );
        check_one("algorithms/seq2seq/train/src/trainer.rs", "g(\"seed\", \"a_b_c\")", &[]);
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
        let sources = [(TABLE_FILE.0, RustSource::parse("spec(\"checkpoint_frequency_num_batches\")"))];
        assert!(check(&sources)[0].message.starts_with("no row `name: Type = Spec::"));
    }
}
