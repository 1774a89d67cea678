use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::workplace::{TINY, Workplace, prepared, said, trained};

const LINE: &str = "train --train data/train.rec --validation data/val.rec --vocab data --output model";

/// The values after `Validation-perplexity=`, one per checkpoint.
fn perplexities(log: &str) -> Vec<&str> {
    log.lines().filter_map(|line| line.split("Validation-perplexity=").nth(1)).collect()
}

#[test]
fn a_run_leaves_a_model_an_archive_and_a_state() {
    let folder = trained();
    let mut files: Vec<String> = std::fs::read_dir(folder.join("model"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let expected = [
        "checkpoints",
        "config.json",
        "metrics.json",
        "model.safetensors",
        "model.tar.gz",
        "vocab.src.json",
        "vocab.trg.json",
    ];
    assert_eq!(files, expected);
    let metrics = std::fs::read_to_string(folder.join("model/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
    let perplexity = metrics["checkpoints"][2]["validation"]["perplexity"].as_f64().unwrap();
    assert!(perplexity < 1.2, "the tiny language was not learned: {perplexity}");

    let file = std::fs::File::open(folder.join("model/model.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        assert!(entry.header().entry_type().is_file());
        names.push(entry.path().unwrap().display().to_string());
    }
    names.sort();
    assert_eq!(
        names,
        ["config.json", "metrics.json", "model.safetensors", "vocab.src.json", "vocab.trg.json"]
    );
}

#[test]
fn log_lines_have_both_forms() {
    let work = Workplace::new();
    prepared(&work);
    let said = work.run(&format!("{LINE} {TINY} --set max_num_batches=2")).well();
    for part in [
        "training data: 400 pairs",
        "#quality_metric: host=algo-1, epoch=0, validation perplexity=",
        "#quality_metric: host=algo-1, epoch=0, train accuracy=",
        "#throughput_metric: host=algo-1, train throughput=",
        "Checkpoint [1]\tValidation-accuracy=",
    ] {
        assert!(said.stdout.contains(part), "lacks {part:?}: {}", said.stdout);
    }
    assert!(
        said.stdout.contains("WARNING") && said.stdout.contains("`checkpoint_threshold` (3)"),
        "{said:?}"
    );

    let said = work.run(&format!("{LINE} {TINY} --set max_num_batches=2 --quiet")).well();
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("warning: `checkpoint_threshold` (3)"), "{said:?}");
    assert!(said.stderr.contains("an earlier run left a state"), "{said:?}");
}

#[test]
fn settings_come_from_a_file_and_the_command_line_goes_first() {
    let work = Workplace::new();
    prepared(&work);
    work.write("h.json", r#"{"rnn_num_hidden": "8", "num_embed_source": 4, "batch_size": "400"}"#);
    let said = work
        .run(&format!("{LINE} --hyperparameters h.json --set num_embed_target=4 --set batch_size=32 --set max_num_batches=1"))
        .well();
    assert!(said.stdout.contains("batches of 32"), "{said:?}");
    let config: serde_json::Value = serde_json::from_str(&work.read("model/config.json")).unwrap();
    assert_eq!(config["hyperparameters"]["rnn_num_hidden"], "8");
    assert_eq!(config["model"]["source_embedding"], 4);
}

#[test]
fn a_resumed_run_ends_as_an_uninterrupted_one() {
    let work = Workplace::new();
    prepared(&work);
    let settings = format!("{TINY} --set checkpoint_frequency_num_batches=10");
    let whole = work.run(&format!("{LINE} {settings} --set max_num_batches=30")).well();

    let parts = LINE.replace("--output model", "--output parts --checkpoints states");
    work.run(&format!("{parts} {settings} --set max_num_batches=17")).well();
    assert!(work.path("states/latest").exists() && !work.path("parts/checkpoints").exists());
    let rest = work.run(&format!("{parts} {settings} --set max_num_batches=30 --resume")).well();
    assert!(rest.stdout.contains("resumed after update 17"), "{rest:?}");
    let (whole, rest) = (perplexities(&whole.stdout), perplexities(&rest.stdout));
    assert_eq!(whole.len(), 3);
    assert_eq!(rest, whole[1..]);
    let read = |folder: &str| std::fs::read(work.path(folder).join("model.safetensors")).unwrap();
    assert!(read("model") == read("parts"), "the models differ");

    let changed = work.run(&format!("{parts} {settings} --set beam_size=4 --resume"));
    changed.refused(&["belongs to another run", "`beam_size` was 5 and is 4"]);
}

#[test]
fn there_must_be_something_to_resume() {
    let work = Workplace::new();
    prepared(&work);
    let said = work.run(&format!("{LINE} {TINY} --set max_num_batches=1 --resume"));
    said.refused(&["nothing to resume in model/checkpoints", "start without resuming"]);
    assert!(!work.path("model").exists());
}

/// The settings of the trained model, at a learning rate that changes almost nothing.
fn hardly_learning() -> String {
    TINY.replace("learning_rate=0.01", "learning_rate=1e-9") + " --set max_num_batches=1"
}

#[test]
fn an_earlier_model_is_started_from_and_words_are_matched_by_spelling() {
    let work = Workplace::new();
    // Three words of the earlier model, in another order and beside others.
    work.write("n.src", "h g f e d\ng d\n");
    work.write("n.trg", "H G F E D !\nG D !\n");
    work.run("prepare -ts n.src -tt n.trg -vs n.src -vt n.trg --output-dir data").well();
    let settings = hardly_learning();
    for earlier in ["model", "model/model.tar.gz"] {
        let earlier = trained().join(earlier).display().to_string();
        let said = work.run(&format!("{LINE} {settings} --init-from {earlier}")).well();
        let words = "started from an earlier model; source words: 3 kept, 2 new, 3 dropped; \
                     target words: 3 kept, 3 new, 3 dropped";
        assert!(said.stdout.contains(words), "lacks {words:?}: {}", said.stdout);
    }
    let answer = work.run_with("translate --model model --quiet", "d e f\nf\n").well();
    assert_eq!(answer.stdout, "D E F\nF\n", "what was learned is lost");
    work.run(&format!("{LINE} {settings}")).well();
    let answer = work.run_with("translate --model model --quiet", "d e f\nf\n").well();
    assert_ne!(answer.stdout, "D E F\nF\n", "nothing had to be learned");
}

#[test]
fn a_model_of_another_architecture_is_no_start() {
    let work = Workplace::new();
    prepared(&work);
    let model = trained().join("model").display().to_string();
    let other =
        hardly_learning().replace("rnn_num_hidden=32", "rnn_num_hidden=34") + " --set rnn_cell_type=gru";
    let run = |settings: &str, from: &str| work.run(&format!("{LINE} {settings} --init-from {from}"));
    run(&other, &model).refused(&[
        "the initial model cannot be trained on with these hyperparameters: ",
        "cell is lstm and gru was asked for",
        "hidden is 32 and 34 was asked for",
    ]);
    run(TINY, "none").refused(&["no model at none"]);
    run(TINY, "data").refused(&["data holds no model of Kokanee: it has no config.json"]);
    assert!(!work.path("model").exists());
}

/// A process that does not outlive its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// Sends a signal to a training that would never end, and returns its output.
#[cfg(unix)]
fn stopped_by(signal: &str, work: &Workplace) -> crate::workplace::Said {
    let line = format!("{LINE} {TINY} --set checkpoint_threshold=-1 --set max_num_batches=-1");
    let mut command = work.command(&line.split_whitespace().collect::<Vec<_>>());
    let log = std::fs::File::create(work.path("log")).unwrap();
    let mut child = Ended(command.stdout(log).stderr(Stdio::piped()).spawn().unwrap());
    let begun = Instant::now();
    while !work.read("log").contains("Epoch[") {
        assert!(begun.elapsed() < Duration::from_secs(60), "training never began: {}", work.read("log"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = std::process::Command::new("kill").args([signal, &child.0.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let begun = Instant::now();
    let status = child.0.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?} to stop", begun.elapsed());
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.0.stderr.take().unwrap(), &mut stderr).unwrap();
    crate::workplace::Said { code: status.code(), stdout: work.read("log"), stderr }
}

#[test]
#[cfg(unix)]
fn sigterm_and_ctrl_c_leave_a_model_and_a_state() {
    for signal in ["-TERM", "-INT"] {
        let work = Workplace::new();
        prepared(&work);
        let stopped = stopped_by(signal, &work).well();
        assert!(stopped.stdout.contains("a stop was requested"), "{stopped:?}");
        assert!(stopped.stderr.contains("with --resume goes on from model/checkpoints"), "{stopped:?}");
        work.run_with("translate --model model", "a b\n").well();
        let again = work.run(&format!("{LINE} {TINY} --set max_num_batches=1 --resume")).well();
        assert!(again.stdout.contains("resumed after update"), "{again:?}");
    }
}

#[track_caller]
fn check_refused(more: &str, parts: &[&str]) {
    let work = Workplace::new();
    prepared(&work);
    work.write("h.json", "{\n  \"batch_size\": [1]\n}");
    work.write("h2.json", "{\"batch_size\": \"1\"");
    work.run(&format!("{LINE} {more}")).refused(parts);
    assert!(!work.path("model").exists());
}

#[test]
fn bad_hyperparameters_are_refused_all_at_once() {
    check_refused(
        "--set batch_sise=64 --set learning_rate=-1 --set rnn_num_hidden=511",
        &[
            "3 hyperparameters cannot be used (batch_sise, learning_rate, rnn_num_hidden)",
            "('batch_sise' was unexpected); did you mean `batch_size`?",
            "`learning_rate`=\"-1\" is not valid: expected a finite number > 0",
            "expected an even integer from 2",
        ],
    );
    check_refused("--set precision=f16", &["`precision`=\"f16\" is not valid: expected one of f32, bf16"]);
    check_refused("--set momentum=0.9", &["`momentum`=\"0.9\" cannot be used"]);
    check_refused("--set batch_size=1 --set batch_size=2", &["--set batch_size is given twice"]);
    check_refused("--hyperparameters h.json", &["h.json: line 2, column", "value of \"batch_size\""]);
    check_refused("--hyperparameters h2.json", &["h2.json: line 1, column", "EOF"]);
    check_refused("--hyperparameters none.json", &["cannot read none.json"]);
}

#[test]
fn missing_files_are_named() {
    let work = Workplace::new();
    prepared(&work);
    let run = |line: &str| work.run(line);
    run("train --train no.rec --validation data/val.rec --vocab data --output m")
        .refused(&["channel `train`: it is missing", "no.rec"]);
    run("train --train data/train.rec --validation data/val.rec --vocab no --output m")
        .refused(&["channel `vocab`", "vocab.src.json and vocab.trg.json was looked for in no"]);
    work.write("half/vocab.src.json", "{}");
    run("train --train data/train.rec --validation data/val.rec --vocab half --output m")
        .refused(&["channel `vocab`", "vocab.trg.json was looked for in half"]);
    std::fs::create_dir(work.path("empty")).unwrap();
    run("train --train empty --validation data/val.rec --vocab data --output m")
        .refused(&["channel `train`: it is empty"]);
    run("train --train data/train.rec").misused(&["--output"]);
    run("train --train data/train.rec --output m").misused(&["seq2seq needs --validation"]);
    run("train --train a --validation b --vocab c --output d --set batch_size")
        .misused(&["expected NAME=VALUE"]);
    run("train --prefix p --train a --validation b --vocab c --output d").misused(&["cannot be used with"]);
}

#[test]
fn help_lists_the_hyperparameters() {
    let long = said(Workplace::new().command(&["train", "--help"])).well();
    assert!(long.stdout.contains("checkpoint_frequency_num_batches=1000"), "{}", long.stdout);
    for command in ["demo", "prepare", "translate", "score", "evaluate", "inspect", "import", "export"] {
        let help = said(Workplace::new().command(&[command, "--help"])).well();
        assert!(
            help.stdout.contains("Example") && help.stdout.contains(&format!("kokanee {command}")),
            "{command}"
        );
    }
}
