use std::collections::BTreeMap;

use super::*;
use crate::container::config_file::parse_hyperparameters;
use crate::resolve::resolve;
use crate::spec::{Origin, Rows as _};
use crate::stored::resolve_stored;

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// These pairs, with eight clusters unless they set `k`.
fn with_k(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all = strings(&[("k", "8")]);
    all.extend(strings(pairs));
    all
}

#[track_caller]
fn resolved(pairs: &[(&str, &str)]) -> Hyperparameters {
    resolve(&with_k(pairs)).unwrap_or_else(|faults| panic!("{faults}")).hyperparameters
}

/// Checks that the text of the faults of `raw` begins with `start` and contains each of the parts.
#[track_caller]
fn check(raw: &BTreeMap<String, String>, start: &str, parts: &[&str]) {
    let text = resolve::<Hyperparameters>(raw).expect_err("it was accepted").to_string();
    assert!(text.starts_with(start), "{text}\ndoes not begin with\n{start}");
    for part in parts {
        assert!(text.contains(part), "{text}\nlacks\n{part}");
    }
}

#[test]
fn the_table_holds_exactly_the_guides_names_and_defaults() {
    let guide = strings(&[
        ("epochs", "1"),
        ("eval_metrics", r#"["msd"]"#),
        ("extra_center_factor", "auto"),
        ("force_dense", "true"),
        ("half_life_time_size", "0"),
        ("init_method", "random"),
        ("k", "8"),
        ("local_lloyd_init_method", "kmeans++"),
        ("local_lloyd_max_iter", "300"),
        ("local_lloyd_num_trials", "auto"),
        ("local_lloyd_tol", "0.0001"),
        ("mini_batch_size", "5000"),
    ]);
    let defaults = resolved(&[]);
    assert_eq!(defaults.feature_dim, None);
    assert_eq!((defaults.seed, defaults.num_threads), (0, 0));
    let mut found = defaults.to_strings();
    found.retain(|name, _| Hyperparameters::spec(name).unwrap().origin == Origin::SageMaker);
    assert_eq!(found, guide);
    let ours: Vec<&str> = Hyperparameters::SPECS
        .iter()
        .filter(|spec| spec.origin == Origin::Extension)
        .map(|spec| spec.name)
        .collect();
    assert_eq!(ours, ["_seed", "num_threads"]);
}

#[test]
fn what_the_sdk_sends_is_taken() {
    let sent = r#"{"k": "8", "feature_dim": "7", "mini_batch_size": "5000", "force_dense": "True",
        "eval_metrics": "[\"msd\", \"ssd\"]", "init_method": "k-means++", "extra_center_factor": "10",
        "local_lloyd_num_trials": "3", "_tuning_objective_metric": "test:msd"}"#;
    let resolved = resolve::<Hyperparameters>(&parse_hyperparameters(sent).unwrap()).unwrap();
    let h = resolved.hyperparameters;
    assert_eq!((h.k, h.feature_dim, h.force_dense), (8, Some(7), true));
    assert_eq!(h.init_method, InitMethod::KmeansPlusPlus);
    assert_eq!(h.eval_metrics, [EvalMetric::Msd, EvalMetric::Ssd]);
    assert_eq!((h.extra_center_factor, h.local_lloyd_num_trials), (AutoOr::Value(10), AutoOr::Value(3)));
    assert_eq!(resolved.notes, Vec::<String>::new());
    // A child process reads the values that its parent wrote.
    let written = serde_json::to_string(&h.to_strings()).unwrap();
    assert_eq!(
        resolve::<Hyperparameters>(&parse_hyperparameters(&written).unwrap()).unwrap().hyperparameters,
        h
    );
}

#[test]
fn values_are_read_in_every_spelling() {
    for text in [r#"["ssd"]"#, "['ssd']", r#"[\"ssd\"]"#, "ssd", "[ssd]"] {
        assert_eq!(resolved(&[("eval_metrics", text)]).eval_metrics, [EvalMetric::Ssd], "{text}");
    }
    assert_eq!(resolved(&[("extra_center_factor", "auto")]).extra_center_factor, AutoOr::Auto);
    assert_eq!(resolved(&[("_seed", "18446744073709551615")]).seed, u64::MAX);
    assert_eq!(resolved(&[("k", "16777216"), ("mini_batch_size", "16777216")]).k, 16_777_216);
    assert_eq!(resolved(&[("_tuning_objective_metric", "")]), resolved(&[]));
    assert_eq!(resolved(&[("local_lloyd_tol", "1e-3")]).local_lloyd_tol, 1e-3);
}

#[test]
fn faults_begin_with_the_words_of_the_real_containers() {
    check(
        &strings(&[]),
        "Missing required hyperparameter: k; it has no default: expected an integer from 1 to 16777216",
        &[],
    );
    check(
        &with_k(&[("k", "8.5")]),
        "Hyperparameter k: could not parse value; `k`=\"8.5\" is not valid: expected an integer from 1",
        &["it is not a whole number"],
    );
    check(&with_k(&[("k", "0")]), "Hyperparameter k: 0 is not in [1, 16777216]; `k`=\"0\"", &[]);
    check(&with_k(&[("k", "16777217")]), "Hyperparameter k: 16777217 is not in [1, 16777216]", &[]);
    check(&with_k(&[("k", "")]), "Hyperparameter k: could not parse value", &["the value is empty"]);
    check(
        &with_k(&[("init_method", "kmeans")]),
        "Hyperparameter init_method: kmeans is not in ['random', 'kmeans++']",
        &["did you mean `kmeans++`?"],
    );
    check(&with_k(&[("local_lloyd_tol", "2")]), "Hyperparameter local_lloyd_tol: 2 is not in [0, 1]", &[]);
    check(
        &with_k(&[("extra_center_factor", "0")]),
        "Hyperparameter extra_center_factor: 0 is not in [1, 16777216] or ['auto']",
        &["expected an integer from 1 to 16777216, or `auto`"],
    );
    check(
        &with_k(&[("eval_metrics", "[]")]),
        "Hyperparameter eval_metrics: [] is not in ['msd', 'ssd']",
        &["expected a list that is not empty of msd, ssd"],
    );
    check(&with_k(&[("eval_metrics", "[\"mse\"]")]), "Hyperparameter eval_metrics: ", &["msd, ssd", "`mse`"]);
    check(
        &with_k(&[("mini_batch_siz", "9")]),
        "Additional hyperparameters are not allowed ('mini_batch_siz' was unexpected); did you mean `mini_batch_size`?",
        &[],
    );
    check(
        &with_k(&[("sagemaker_program", "train.py")]),
        "Additional hyperparameters are not allowed ('sagemaker_program' was unexpected)",
        &[],
    );
}

#[test]
fn all_faults_come_at_once() {
    check(
        &strings(&[("K", "8"), ("epochs", "0"), ("init_method", "x")]),
        "Missing required hyperparameter: k; ",
        &[
            "\n3 more hyperparameters cannot be used (K, epochs, init_method):\n",
            "'K' was unexpected",
            "\n  Hyperparameter epochs: 0 is not in [1, 1000000000000]; ",
        ],
    );
}

#[test]
fn centres_must_fit_into_the_first_batch() {
    check(
        &strings(&[("k", "10"), ("extra_center_factor", "10"), ("mini_batch_size", "60")]),
        "`extra_center_factor`=\"10\" cannot be used: ",
        &[
            "k=10 * extra_center_factor=10 = 100 centres are drawn from the first mini-batch, which has at most 60 rows",
        ],
    );
    resolved(&[("k", "10"), ("mini_batch_size", "60")]);
    resolved(&[("k", "10"), ("extra_center_factor", "6"), ("mini_batch_size", "60")]);
    check(
        &strings(&[("k", "10"), ("extra_center_factor", "10"), ("mini_batch_size", "9")]),
        "`k`=\"10\" cannot be used: ",
        &[
            "the 10 centres are drawn from the first mini-batch, which has at most 9 rows; set `mini_batch_size` to 10",
        ],
    );
    // The largest values of both do not overflow.
    let largest =
        strings(&[("k", "16777216"), ("extra_center_factor", "16777216"), ("mini_batch_size", "16777216")]);
    check(&largest, "`extra_center_factor`=\"16777216\" cannot be used: ", &[]);
}

#[test]
fn names_of_the_service_have_no_effect() {
    let resolved =
        resolve::<Hyperparameters>(&with_k(&[("_num_gpus", "auto"), ("_log_level", "debug")])).unwrap();
    assert_eq!(resolved.notes.len(), 2);
    assert!(
        resolved.notes[1].starts_with("the hyperparameter `_num_gpus` has no effect: "),
        "{:?}",
        resolved.notes
    );
    check(&with_k(&[("_no_such_name", "1")]), "Additional hyperparameters are not allowed", &[]);
    check(
        &with_k(&[("_tuning_objective_metric", "test:msq")]),
        "Hyperparameter _tuning_objective_metric: test:msq is not in ['test:msd', ",
        &["did you mean `test:msd`?"],
    );
}

#[test]
fn stored_models_need_their_number_of_clusters() {
    let later = with_k(&[("later_name", "1"), ("init_method", "farthest"), ("mini_batch_size", "4")]);
    let stored = resolve_stored::<Hyperparameters>(&later).unwrap();
    assert_eq!(stored.hyperparameters.k, 8);
    assert_eq!(stored.notes.len(), 2, "{:?}", stored.notes);
    assert!(
        stored.notes.iter().all(|note| note.ends_with("plays no part in answering")),
        "{:?}",
        stored.notes
    );
    let faults = resolve_stored::<Hyperparameters>(&strings(&[])).unwrap_err();
    assert!(faults.to_string().starts_with("Missing required hyperparameter: k"), "{faults}");
}
