//! Whole trainings on real data, through the program as a user runs it: prepare, train, evaluate.
//!
//! `cargo xtask bench quality multi30k [--epochs N] [--set NAME=VALUE …]`
//!
//! Files stay under `target/quality/`; a run that was interrupted goes on from its last checkpoint.

// What a benchmark prints is its result.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};

use serde_json::Value;

/// Validation perplexity and accuracy after each epoch of Sockeye 1.18.106 on the work M30K-RNN512 (one seed).
const SOCKEYE_M30K_RNN512: [(f64, f64); 5] =
    [(94.9, 0.286), (52.9, 0.359), (34.0, 0.428), (24.0, 0.478), (18.3, 0.521)];

fn main() {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let result = match args.first().map(String::as_str) {
        Some("multi30k") => multi30k(&args[1..]),
        other => Err(format!("no work is called {other:?}; there is: multi30k")),
    };
    if let Err(message) = result {
        eprintln!("error: {message}");
        exit(1);
    }
}

/// Multi30k English to German, all words, the work M30K-RNN512 unless `--set` says otherwise.
fn multi30k(args: &[String]) -> Result<(), String> {
    let shared = kokanee_testkit::shared_dir().ok_or("the shared data is not there")?;
    let data = shared.join("data/multi30k");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/quality/multi30k");
    let (records, model) = (folder.join("records"), folder.join("model"));
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut epochs = "5".to_owned();
    let mut settings = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--epochs" => epochs.clone_from(value),
            "--set" => settings.extend(["--set".to_owned(), value.clone()]),
            _ => return Err(format!("unknown option {arg}; there are --epochs and --set")),
        }
    }

    let file = |name: &str| data.join(name);
    kokanee("prepare")
        .arg("--train-source")
        .arg(file("train.en.gz"))
        .arg("--train-target")
        .arg(file("train.de.gz"))
        .arg("--val-source")
        .arg(file("val.en.gz"))
        .arg("--val-target")
        .arg(file("val.de.gz"))
        .arg("--output-dir")
        .arg(&records)
        .finish()?;

    let started = std::time::Instant::now();
    // 456 updates are one epoch: 29,000 pairs in buckets of 10, batches of 64.
    let base = ["rnn_num_hidden=512", "max_seq_len_source=60", "max_seq_len_target=60", "batch_size=64"];
    let epochs = format!("max_num_epochs={epochs}");
    let mut train = kokanee("train");
    train.arg("--train").arg(records.join("train.rec")).arg("--validation").arg(records.join("val.rec"));
    train.arg("--vocab").arg(&records).arg("--output").arg(&model).arg("--resume");
    for setting in base.into_iter().chain([&*epochs, "checkpoint_frequency_num_batches=456"]) {
        train.arg("--set").arg(setting);
    }
    train.args(&settings).finish()?;
    let seconds = started.elapsed().as_secs_f64();

    let metrics = read_json(&model.join("metrics.json"))?;
    println!("\n| epoch | Sockeye perplexity, accuracy | Kokanee perplexity, accuracy | sentences/s |");
    println!("|---|---|---|---|");
    for (i, checkpoint) in metrics["checkpoints"].as_array().into_iter().flatten().enumerate() {
        let sockeye = SOCKEYE_M30K_RNN512
            .get(i)
            .map_or("-".to_owned(), |(perplexity, accuracy)| format!("{perplexity:.1}, {accuracy:.3}"));
        let number = |of: &Value| of.as_f64().unwrap_or(f64::NAN);
        println!(
            "| {} | {sockeye} | {:.1}, {:.3} | {:.0} |",
            i + 1,
            number(&checkpoint["validation"]["perplexity"]),
            number(&checkpoint["validation"]["accuracy"]),
            number(&checkpoint["sentences_per_second"]),
        );
    }
    println!("\nthis run of train took {seconds:.0} s\n");

    let figures = folder.join("evaluation.json");
    kokanee("evaluate")
        .arg("--model")
        .arg(&model)
        .arg("--source")
        .arg(file("test_2016_flickr.en.gz"))
        .arg("--target")
        .arg(file("test_2016_flickr.de.gz"))
        .arg("--output-json")
        .arg(&figures)
        .finish()
}

/// A command of the program, to be run and to succeed.
struct Kokanee(Command, &'static str);

fn kokanee(command: &'static str) -> Kokanee {
    let mut process = Command::new(env!("CARGO_BIN_EXE_kokanee"));
    process.arg(command).stdin(Stdio::null());
    Kokanee(process, command)
}

impl Kokanee {
    fn arg(&mut self, arg: impl AsRef<std::ffi::OsStr>) -> &mut Self {
        self.0.arg(arg);
        self
    }

    fn args(&mut self, args: &[String]) -> &mut Self {
        self.0.args(args);
        self
    }

    fn finish(&mut self) -> Result<(), String> {
        println!("$ {:?}", self.0);
        let status = self.0.status().map_err(|e| format!("{}: {e}", self.1))?;
        if status.success() { Ok(()) } else { Err(format!("kokanee {} ended with {status}", self.1)) }
    }
}

fn read_json(path: &PathBuf) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}
