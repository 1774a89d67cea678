//! Tests of `kokanee tune` as a user runs it: real trainings as child processes.

use std::fs;

use serde_json::{Value, json};

use crate::workplace::{TINY, Workplace, prepared};

const KMEANS: &str =
    "tune --algorithm kmeans --train rows.csv --test rows.csv --content-type text/csv;label_size=0";
pub(crate) const SEQ2SEQ: &str = "tune --train data/train.rec --validation data/val.rec --vocab data";

/// Rows of three groups in the plane.
fn with_rows(count: usize) -> Workplace {
    let work = Workplace::new();
    let mut rng = kokanee_testkit::Rng::new(3);
    let middles = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]];
    let row = |row: usize| {
        let [x, y] = middles[row % 3];
        format!("{},{}\n", x + rng.normal() * 0.5, y + rng.normal() * 0.5)
    };
    work.write("rows.csv", (0..count).map(row).collect::<String>());
    work
}

fn history(work: &Workplace, folder: &str) -> Value {
    serde_json::from_str(&work.read(&format!("{folder}/tuning.json"))).expect("JSON")
}

pub(crate) fn trials(work: &Workplace, folder: &str) -> Vec<Value> {
    history(work, folder)["trials"].as_array().expect("trials").clone()
}

/// Numbers, values, objectives and curves, which must not depend on interruptions.
pub(crate) fn essence(work: &Workplace, folder: &str) -> Vec<Value> {
    let essence = |trial: &Value| {
        json!([trial["number"], trial["values"], trial["objective"], trial["status"], trial["curve"]])
    };
    trials(work, folder).iter().map(essence).collect()
}

#[test]
fn a_tuning_leaves_the_best_model_tables_and_pictures() {
    let work = with_rows(300);
    let line = format!(
        "{KMEANS} --output tuned --set mini_batch_size=100 --range k=2:6 --range init_method=random,kmeans++ --range epochs=1:3"
    );
    let first = work.run(&format!("{line} --jobs 5")).well();
    assert!(first.stderr.contains("note: k is not among the tunable"), "{first:?}");
    for part in
        ["trial 1/5: ", "test:msd", "; best ", "all trials have run", "kokanee train --algorithm kmeans"]
    {
        assert!(first.stdout.contains(part), "lacks {part:?}: {}", first.stdout);
    }
    let found = trials(&work, "tuned");
    assert_eq!(found.len(), 5);
    let objective = |trial: &Value| trial["objective"].as_f64().expect("a number");
    let best = found.iter().min_by(|a, b| objective(a).total_cmp(&objective(b))).expect("one");
    let number = best["number"].as_u64().expect("a number");
    let model =
        fs::read(work.path(&format!("tuned/trials/{number:03}/model/model_algo-1"))).expect("a model");
    assert_eq!(fs::read(work.path("tuned/best/model_algo-1")).expect("the best"), model);
    work.run("inspect tuned/best").well();
    assert_eq!(work.read("tuned/trials.csv").lines().count(), 6);
    let page = work.read("tuned/report.html");
    assert!(page.contains("Best test:msd so far") && page.contains("Importance for test:msd"), "{page}");
    assert!(page.contains("test:msd over k") && !page.contains("<script"), "{page}");
    for picture in ["best-so-far", "parallel-coordinates", "importance", "slice-k", "slice-epochs"] {
        assert!(work.read(&format!("tuned/pictures/{picture}.svg")).contains("<svg"), "{picture}");
    }
    let kinds = work.read("tuned/pictures/slice-init_method.svg");
    assert!(kinds.contains(">random</text>") && kinds.contains(">kmeans++</text>"), "{kinds}");

    // The same command has nothing to do, more trials continue, and another request is detected.
    let before = essence(&work, "tuned");
    let again = work.run(&format!("{line} --jobs 5")).well();
    assert!(!again.stdout.contains("trial 1/5"), "{again:?}");
    assert_eq!(essence(&work, "tuned"), before);
    let more = work.run(&format!("{line} --jobs 7 --parallel 2")).well();
    assert!(more.stdout.contains("trial 6/7: ") && !more.stdout.contains("trial 5/7"), "{more:?}");
    assert_eq!(essence(&work, "tuned")[..5], before);
    work.run(&format!("{line} --seed 4")).refused(&[
        "of another tuning",
        "seed: 0 there, 4 here",
        "--warm-start",
    ]);
    fs::remove_file(work.path("tuned/report.html")).expect("is there");
    let report = work.run("tune --report tuned").well();
    assert!(report.stdout.contains("report: tuned/report.html") && work.path("tuned/report.html").exists());
    work.run("tune --report rows.csv").refused(&["there is no folder"]);

    let warm = format!(
        "{KMEANS} --output warm --set mini_batch_size=100 --set init_method=random --range k=2:6 --range epochs=1:3"
    );
    work.run(&format!("{warm} --jobs 2 --warm-start tuned")).well();
    assert_eq!(trials(&work, "warm").len(), 2);
    work.run(&format!("{warm} --warm-start data")).refused(&["--warm-start", "no tuning's folder"]);
    let other = warm.replace("--output warm", "--output other --objective test:ssd");
    work.run(&format!("{other} --warm-start tuned"))
        .refused(&["its objective is test:msd and that of this tuning test:ssd"]);
    assert!(!work.path("other").exists());
}

#[test]
fn a_grid_is_gone_through_in_order_and_ends_by_itself() {
    let work = with_rows(60);
    let line =
        format!("{KMEANS} --output grid --strategy grid --range k=2,3 --range epochs=1:2 --jobs 50 -q");
    let said = work.run(&line).well();
    assert!(
        said.stdout.contains("every configuration was tried") && !said.stdout.contains("trial 1/"),
        "{said:?}"
    );
    let values: Vec<(String, String)> = trials(&work, "grid")
        .iter()
        .map(|trial| (trial["values"]["k"].to_string(), trial["values"]["epochs"].to_string()))
        .collect();
    let want =
        [("2", "1"), ("2", "2"), ("3", "1"), ("3", "2")].map(|(k, e)| (format!("{k:?}"), format!("{e:?}")));
    assert_eq!(values, want);
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let work = with_rows(60);
    let line = format!("{KMEANS} --output tuned --set k=3");
    let check = |more: &str, parts: &[&str]| {
        work.run(&format!("{line} {more}")).misused(parts);
        assert!(!work.path("tuned").exists(), "{more}");
    };
    check("--range epoch=1:3", &["kmeans has no hyperparameter epoch", "did you mean epochs?"]);
    check("--range epochs=0:3", &["epochs", "\"0\" is not valid"]);
    check("--range init_method=random,kmean++", &["did you mean `kmeans++`?"]);
    check("--range k=2:3", &["--range k and --set k: give one of them"]);
    check("--range epochs", &["expected NAME=MIN:MAX"]);
    check("--range epochs=1:3 --objective test:mse", &["did you mean test:msd?"]);
    check("--range epochs=1:3 --max-time soon", &["90s, 30m, 2h or 1d"]);
    check("--range epochs=1:3 --min-resource 2", &["--strategy hyperband"]);
    check("--range epochs=1:3 --vocab rows.csv", &["kmeans has no channel vocab"]);
    work.run("tune").misused(&["--train and --output are needed"]);
    let without_test = KMEANS.replace("--test rows.csv", "");
    work.run(&format!("{without_test} --output tuned --set k=3 --range epochs=1:3"))
        .misused(&["test:msd", "--test"]);
    let continuous = "--range local_lloyd_tol=0.1:0.2 --strategy grid";
    work.run(&format!("{line} {continuous}")).refused(&["grid search needs values"]);
    assert!(!work.path("tuned").exists());
}

#[test]
fn five_failures_without_a_result_end_it_with_the_first_reason() {
    let work = with_rows(20);
    let said = work.run(&format!("{KMEANS} --output tuned --set k=1000 --range epochs=1:30 --jobs 20"));
    let said = said.refused(&["no trial has a result", "5 trials failed", "trial 1: "]);
    assert!(said.stderr.contains("1000"), "{said:?}");
    assert_eq!(trials(&work, "tuned").len(), 5);
    assert!(work.read("tuned/trials.csv").contains(",failed,"));
}

#[test]
fn bleu_is_measured_where_it_is_the_objective() {
    let work = Workplace::new();
    prepared(&work);
    let line = format!(
        "{SEQ2SEQ} --output tuned {TINY} --set checkpoint_frequency_num_batches=2 --set max_num_batches=4 --jobs 2 \
         --objective validation:bleu --range embed_dropout_source=0:0.5"
    );
    work.run(&line).well();
    assert!(trials(&work, "tuned").iter().all(|trial| trial["objective"].is_f64()));
    assert_eq!(history(&work, "tuned")["request"]["hyperparameters"]["optimized_metric"], "bleu");
}

#[test]
fn a_trial_that_is_worse_than_others_is_stopped_early() {
    let work = Workplace::new();
    prepared(&work);
    let tiny = TINY.replace("--set learning_rate=0.01", "");
    let line = format!(
        "{SEQ2SEQ} --output tuned {tiny} --set checkpoint_frequency_num_batches=20 --set max_num_batches=400 \
         --set checkpoint_threshold=-1 --strategy grid --range learning_rate=0.01,0.012,0.014,0.0000001 --early-stopping \
         --objective validation:perplexity"
    );
    work.run(&line).well();
    let found = trials(&work, "tuned");
    assert_eq!(found[3]["status"], "Stopped", "{found:#?}");
    assert!(found[3]["reason"].as_str().expect("a reason").contains("worse than the median"), "{found:#?}");
    assert!(reports(&found[3]) >= 2 && reports(&found[3]) < reports(&found[0]), "{found:#?}");
}

/// How often a trial reported its objective.
pub(crate) fn reports(trial: &Value) -> usize {
    trial["curve"].as_array().expect("a curve").len()
}

#[test]
fn hyperband_stops_trials_at_a_rung_and_at_the_greatest_resource() {
    const MOST_REPORTS: usize = 40;
    let work = Workplace::new();
    prepared(&work);
    let tiny = TINY.replace("--set learning_rate=0.01", "");
    let line = format!(
        "{SEQ2SEQ} --output tuned {tiny} --set checkpoint_frequency_num_batches=50 --set max_num_batches={} \
         --set checkpoint_threshold=-1 --range learning_rate=1e-7:1e-2:log --strategy hyperband --min-resource 1 --max-resource 3 \
         --jobs 9 --objective validation:perplexity",
        50 * MOST_REPORTS
    );
    let said = work.run(&line).well();
    assert!(said.stdout.contains("all trials have run"), "{said:?}");
    let found = trials(&work, "tuned");
    assert_eq!(found.len(), 9);
    let first = |trial: &Value| trial["curve"][0].as_f64().expect("a number");
    let (mut at_rung, mut complete) = (0, 0);
    for (place, trial) in found.iter().enumerate() {
        assert_eq!(trial["status"], "Stopped", "{trial:#}");
        assert!(reports(trial) < MOST_REPORTS, "{trial:#}");
        match trial["reason"].as_str().expect("a reason") {
            "others were better after 1 reports" => {
                assert!(found[..place].iter().any(|earlier| first(earlier) < first(trial)), "{found:#?}");
                at_rung += 1;
            }
            reason => {
                assert_eq!(reason, "it has used all of its 3 reports");
                assert!(reports(trial) >= 3, "{trial:#}");
                complete += 1;
            }
        }
    }
    // The first two of a bracket are compared with no other trial.
    assert!(at_rung >= 1 && complete >= 2, "{found:#?}");
    work.run("inspect tuned/best").well();
}

#[test]
fn time_that_is_over_stops_the_trial_at_work_and_counts_all_runs() {
    let work = Workplace::new();
    prepared(&work);
    let line = format!(
        "{SEQ2SEQ} --output tuned {TINY} --set checkpoint_frequency_num_batches=20 --set max_num_batches=10000000 \
         --set checkpoint_threshold=-1 --range embed_dropout_source=0:0.5 --jobs 50 --objective validation:perplexity"
    );
    let seconds = |history: &Value| history["seconds"].as_f64().expect("a number");
    let said = work.run(&format!("{line} --max-time 4s")).well();
    assert!(said.stdout.contains("the time limit of --max-time has passed"), "{said:?}");
    let found = trials(&work, "tuned");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["status"], "Stopped", "{found:#?}");
    assert_eq!(found[0]["reason"], "the time limit of --max-time has passed");
    assert!(found[0]["objective"].is_f64() && reports(&found[0]) > 0, "{found:#?}");
    let before = seconds(&history(&work, "tuned"));
    assert!((4.0..100.0).contains(&before), "{before}");
    // A trial that is stopped keeps its best model.
    work.run("inspect tuned/best").well();

    // The time of the first run counts: first none is left, and later there is some.
    let again = work.run(&format!("{line} --max-time 4s")).well();
    assert!(!again.stdout.contains("trial 2/"), "{again:?}");
    assert_eq!(essence(&work, "tuned").len(), 1);
    let more = work.run(&format!("{line} --max-time {}s", before + 4.0)).well();
    assert!(more.stdout.contains("trial 2/50: "), "{more:?}");
    let after = seconds(&history(&work, "tuned"));
    assert!(after >= before + 4.0 && after < before + 100.0, "{before} and {after}");
    assert_eq!(trials(&work, "tuned").len(), 2);
}
