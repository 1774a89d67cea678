//! Measures how long a user waits for the first sign of `kokanee --help`, of a training on Multi30k, and of a trained model.
//!
//! `cargo xtask bench start [--repetitions N] [--threads T]`
//!
//! Everything runs through the program as a user runs it, from starting the process to the expected line, or to its end. The
//! records and the model are created once, under `target/start`, and are in the system's cache during the measurement: each command
//! runs once before it counts.

// The output of a benchmark is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use kokanee_testkit::quantiles;

/// The beginning of the log's line after the first update.
const FIRST_UPDATE: &str = "first update: ";
/// M30K-RNN512: one bidirectional LSTM layer, one LSTM layer with mlp attention, 512 units, all words.
const SETTINGS: &[&str] = &["rnn_num_hidden=512", "max_seq_len_source=60", "max_seq_len_target=60"];

/// An event to wait for.
struct Wait {
    what: &'static str,
    aim: Duration,
    measure: fn(&Files) -> Result<Duration, String>,
}

const WAITS: &[Wait] = &[
    Wait { what: "kokanee --help", aim: Duration::from_millis(50), measure: help },
    Wait { what: "train, to its first update", aim: Duration::from_secs(2), measure: first_update },
    Wait { what: "inspect a model", aim: Duration::from_millis(300), measure: inspect },
    Wait { what: "translate one word", aim: Duration::from_millis(300), measure: translate },
];

/// The input files of the commands.
struct Files {
    /// Records and vocabularies of Multi30k.
    records: PathBuf,
    /// A model of the shapes of M30K-RNN512.
    model: PathBuf,
    threads: usize,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let (mut repetitions, mut threads) = (9, 0);
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|text| text.parse::<usize>().ok()).filter(|&n| n > 0);
        let number = number.ok_or_else(|| format!("{argument} needs a whole number above 0"))?;
        match argument.as_str() {
            "--repetitions" => repetitions = number,
            "--threads" => threads = number,
            _ => return Err(format!("unknown option {argument}; there are --repetitions and --threads")),
        }
    }
    let corpora = kokanee_testkit::corpora()?;
    let files = Files::made(&corpora.join("multi30k"), threads)?;
    println!("{:<28} {:>9} {:>9} {:>9} {:>9}", "seconds", "median", "least", "most", "aim");
    for Wait { what, aim, measure } in WAITS {
        measure(&files)?;
        let times = (0..repetitions).map(|_| measure(&files)).collect::<Result<Vec<_>, _>>()?;
        let seconds = times.iter().map(Duration::as_secs_f64);
        let [least, median, most] = quantiles(seconds, [0.0, 0.5, 1.0]);
        let aim = aim.as_secs_f64();
        let verdict = if median <= aim { "" } else { "  missed" };
        println!("{what:<28} {median:>9.3} {least:>9.3} {most:>9.3} {aim:>9.3}{verdict}");
    }
    Ok(())
}

impl Files {
    /// The files, created if they are missing.
    fn made(text: &Path, threads: usize) -> Result<Files, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/start");
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let folder = folder.canonicalize().map_err(|e| format!("{}: {e}", folder.display()))?;
        let files = Files { records: folder.join("records"), model: folder.join("model"), threads };
        if !files.records.join("train.rec").exists() {
            let mut prepare = kokanee("prepare");
            for (option, name) in [
                ("--train-source", "train.en.gz"),
                ("--train-target", "train.de.gz"),
                ("--val-source", "val.en.gz"),
                ("--val-target", "val.de.gz"),
            ] {
                prepare.arg(option).arg(text.join(name));
            }
            finish(prepare.arg("--output-dir").arg(&files.records).arg("--quiet"))?;
        }
        if !files.model.join("model.tar.gz").exists() {
            finish(files.train(&files.model).args(["--set", "max_num_batches=1", "--quiet"]))?;
        }
        Ok(files)
    }

    /// `kokanee train` on Multi30k, with its model in `output`.
    fn train(&self, output: &Path) -> Command {
        let mut train = kokanee("train");
        train.arg("--train").arg(self.records.join("train.rec"));
        train.arg("--validation").arg(self.records.join("val.rec"));
        train.arg("--vocab").arg(&self.records).arg("--output").arg(output);
        let threads = format!("num_threads={}", self.threads);
        for setting in SETTINGS.iter().copied().chain([threads.as_str()]) {
            train.args(["--set", setting]);
        }
        train
    }
}

fn help(_: &Files) -> Result<Duration, String> {
    finish(&mut kokanee("--help"))
}

/// Measures the time until the line after the first update; then the training is killed.
fn first_update(files: &Files) -> Result<Duration, String> {
    let output = tempfile::tempdir().map_err(|e| format!("a folder for a model: {e}"))?;
    let mut train = files.train(output.path());
    let started = Instant::now();
    let mut child =
        train.stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot start {train:?}: {e}"))?;
    let log = child.stdout.take().ok_or("the log is a pipe")?;
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let found = lines.any(|line| line.contains(FIRST_UPDATE));
    let time = started.elapsed();
    // It may have ended already; either way it has ended after this.
    let _ = child.kill();
    let status = child.wait().map_err(|e| format!("{train:?}: {e}"))?;
    if found {
        Ok(time)
    } else {
        Err(format!("{train:?} ended with {status} and never said `{FIRST_UPDATE}`"))
    }
}

fn inspect(files: &Files) -> Result<Duration, String> {
    finish(kokanee("inspect").arg(&files.model))
}

fn translate(files: &Files) -> Result<Duration, String> {
    let mut translate = kokanee("translate");
    translate.arg("--model").arg(&files.model).args(["--threads".to_owned(), files.threads.to_string()]);
    let started = Instant::now();
    let mut child = (translate.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn())
        .map_err(|e| format!("cannot start {translate:?}: {e}"))?;
    let mut stdin = child.stdin.take().ok_or("the text goes through a pipe")?;
    stdin.write_all(b"man\n").map_err(|e| format!("{translate:?}: {e}"))?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|e| format!("{translate:?}: {e}"))?;
    let time = started.elapsed();
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.lines().count() == 1 {
        Ok(time)
    } else {
        Err(format!("{translate:?} ended with {} and said {said:?} for one word", output.status))
    }
}

fn kokanee(argument: &str) -> Command {
    let mut process = Command::new(env!("CARGO_BIN_EXE_kokanee"));
    process.arg(argument).stdin(Stdio::null());
    process
}

/// Runs a command that must succeed, and returns its time.
fn finish(command: &mut Command) -> Result<Duration, String> {
    let started = Instant::now();
    let output = command.output().map_err(|e| format!("cannot start {command:?}: {e}"))?;
    let time = started.elapsed();
    if output.status.success() {
        return Ok(time);
    }
    Err(format!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}
