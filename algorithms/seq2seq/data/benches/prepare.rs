//! Measures the speed of preparing: text to vocabularies and RecordIO, in pairs per second, with the memory it takes; compared with
//! a Python program that does the same work divided as in AWS's sample script.
//!
//! `cargo xtask bench prepare [--peers] [--pairs N,N…] [--runs R]`
//!
//! The text is Multi30k repeated. Every run is a separate process, so that each has its own memory peak; our runs and the peer's
//! take turns, and medians count. The peer prepares the first number of pairs only. Its output must equal ours, except for the
//! order of the records.

// A benchmark speaks to a terminal.
#![allow(clippy::print_stdout)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use flate2::read::GzDecoder;
use kokanee_seq2seq_data::{PrepareOptions, Silent, prepare};
use kokanee_testkit::{corpora, median};

/// Names the interpreter that can `import google.protobuf`; set by `cargo xtask bench prepare --peers`.
const PYTHON: &str = "KOKANEE_PYTHON";
const PEER: &str = "../../../xtask/peers/prepare_like_aws.py";
/// Starts this program as the process that prepares.
const ONE_RUN: &str = "--one-run";

struct Options {
    peers: bool,
    pairs: Vec<usize>,
    runs: usize,
}

/// A program that prepares data.
struct Program {
    name: &'static str,
    command: fn() -> Command,
    /// The arguments after the files.
    options: &'static [&'static str],
}

const OURS: Program = Program {
    name: "Kokanee",
    command: || {
        let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
        command.arg(ONE_RUN);
        command
    },
    options: &[],
};

const PEERS: [Program; 2] = [
    Program { name: "Python, processes as in AWS's script", command: python, options: &[] },
    Program { name: "Python, one process", command: python, options: &["--one-process"] },
];

/// The measurements of one run.
#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    peak_mib: f64,
}

fn main() {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [first, source, target, folder] = &args[..]
        && first == ONE_RUN
    {
        return one_run(source.as_ref(), target.as_ref(), folder.as_ref());
    }
    let options = Options::parse(&args);
    let corpora = corpora().unwrap_or_else(|error| panic!("{error}"));
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the texts");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores; {} runs each, medians\n", options.runs);
    println!("| program | pairs | seconds | pairs/s | Kokanee is faster | peak memory, MiB |");
    println!("|---|---|---|---|---|---|");
    for (number, &pairs) in options.pairs.iter().enumerate() {
        let texts = write_texts(&corpora.join("multi30k"), pairs, work.path());
        let peers = if options.peers && number == 0 { &PEERS[..] } else { &[] };
        let programs: Vec<&Program> = [&OURS].into_iter().chain(peers).collect();
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); programs.len()];
        for _ in 0..options.runs {
            for (at, program) in programs.iter().enumerate() {
                runs[at].push(run(program, &texts, pairs, &work.path().join(at.to_string())));
                check_same(&work.path().join("0"), &work.path().join(at.to_string()));
            }
        }
        let ours = median(runs[0].iter().map(|run| run.seconds));
        for (program, runs) in programs.iter().zip(&runs) {
            let seconds = median(runs.iter().map(|run| run.seconds));
            println!(
                "| {} | {pairs} | {seconds:.2} | {:.0} | {:.1}x | {:.0} |",
                program.name,
                pairs as f64 / seconds,
                seconds / ours,
                median(runs.iter().map(|run| run.peak_mib)),
            );
        }
    }
}

/// Runs as the process that prepares: its last line has the form of the peer's.
fn one_run(source: &Path, target: &Path, folder: &Path) {
    let options = PrepareOptions { output_dir: Some(folder.into()), ..PrepareOptions::new(source, target) };
    let report = prepare(&options, &Silent).unwrap_or_else(|error| panic!("{error}"));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|line| line.split_whitespace().next()).unwrap_or("null");
    println!("{{\"pairs\": {}, \"peak_kib\": {peak}}}", report.train.pairs_kept);
}

fn python() -> Command {
    let interpreter = std::env::var_os(PYTHON).unwrap_or_else(|| {
        panic!("--peers needs a Python with protobuf: {PYTHON} names one, and `cargo xtask bench prepare --peers` sets it")
    });
    let mut command = Command::new(interpreter);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(PEER));
    command
}

/// Runs a program on the texts, timed by the wall clock from its start to its end.
fn run(program: &Program, texts: &[PathBuf; 2], pairs: usize, folder: &Path) -> Run {
    fs::create_dir_all(folder).expect("a folder for the records");
    let mut command = (program.command)();
    command.args(texts).arg(folder).args(program.options).stdin(Stdio::null()).stderr(Stdio::inherit());
    let started = Instant::now();
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", program.name));
    let seconds = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}: {}", program.name, output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    let said: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line:?}", program.name));
    assert_eq!(said["pairs"].as_u64(), Some(pairs as u64), "{}: {line}", program.name);
    Run { seconds, peak_mib: said["peak_kib"].as_f64().unwrap_or(f64::NAN) / 1024.0 }
}

/// Checks that the vocabularies are the same, and that the records have the same total size.
fn check_same(ours: &Path, theirs: &Path) {
    for name in ["vocab.src.json", "vocab.trg.json"] {
        let read = |folder: &Path| fs::read(folder.join(name)).expect("a vocabulary");
        assert!(read(ours) == read(theirs), "{name} differs in {}", theirs.display());
    }
    let size = |folder: &Path| fs::metadata(folder.join("train.rec")).expect("records").len();
    assert_eq!(size(ours), size(theirs), "train.rec differs in {}", theirs.display());
}

/// Writes `pairs` pairs, those of Multi30k repeated from the beginning.
fn write_texts(multi30k: &Path, pairs: usize, folder: &Path) -> [PathBuf; 2] {
    ["train.en.gz", "train.de.gz"].map(|name| {
        let from = multi30k.join(name);
        let file = File::open(&from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        let lines = BufReader::new(GzDecoder::new(file)).lines();
        let lines: Vec<String> = lines.collect::<Result<_, _>>().expect("gzip-compressed UTF-8");
        let path = folder.join(name.trim_end_matches(".gz"));
        let mut text = BufWriter::new(File::create(&path).expect("a text to write"));
        for line in lines.iter().cycle().take(pairs) {
            writeln!(text, "{line}").expect("room for the text");
        }
        text.flush().expect("room for the text");
        path
    })
}

impl Options {
    fn parse(args: &[String]) -> Options {
        let mut options = Options { peers: false, pairs: vec![1_000_000, 4_000_000], runs: 3 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut numbers = || -> Vec<usize> {
                let text = args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
                let number = |n: &str| n.parse().ok().filter(|&n| n > 0);
                let number =
                    |n| number(n).unwrap_or_else(|| panic!("{arg} {text}: numbers above 0 are expected"));
                text.split(',').map(number).collect()
            };
            match arg.as_str() {
                "--peers" => options.peers = true,
                "--pairs" => options.pairs = numbers(),
                "--runs" => options.runs = numbers()[0],
                _ => panic!("unknown option {arg}: --peers, --pairs, --runs"),
            }
        }
        options
    }
}
