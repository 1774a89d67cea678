//! Compares the estimated memory of a training with its actual peak.
//!
//! `cargo xtask bench memory [--only PART-OF-A-NAME] [--updates N]`
//!
//! Each case is a whole training in a separate process, with checkpoints, on generated sentences: the system knows the peak of a
//! process, not of a part of one. The exit code is 1 if an estimate is off by more than a quarter.

// A benchmark speaks to a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use kokanee_algorithm::{JobFiles, Resume, StopFlag};
use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_seq2seq_data::vocab::VocabularyLimits;
use kokanee_seq2seq_data::{Corpus, Vocabulary};
use kokanee_seq2seq_train::{Observer, TrainingData, TrainingJob, precision};
use kokanee_testkit::Rng;

/// A training.
struct Case {
    name: &'static str,
    /// Number of words of each side.
    words: usize,
    settings: &'static [(&'static str, &'static str)],
}

const SMALL: usize = 2_000;
const LARGE: usize = 60_000;
/// An estimate may be off by this share of the peak.
const TOLERANCE: f64 = 0.25;
/// Number of sentence pairs; with batches of 64, two for each of four buckets.
const PAIRS: usize = 512;
const LONGEST: usize = 40;

const RNN: &[(&str, &str)] = &[("rnn_num_hidden", "512")];
const DEEP_GRU: &[(&str, &str)] = &[
    ("rnn_num_hidden", "512"),
    ("rnn_cell_type", "gru"),
    ("num_layers_encoder", "3"),
    ("num_layers_decoder", "3"),
    ("rnn_attention_type", "dot"),
];
const WIDE_RNN: &[(&str, &str)] = &[("rnn_num_hidden", "1024"), ("batch_size", "32")];
const CNN: &[(&str, &str)] = &[
    ("encoder_type", "cnn"),
    ("decoder_type", "cnn"),
    ("num_layers_encoder", "4"),
    ("num_layers_decoder", "4"),
];
const SGD_TIED: &[(&str, &str)] =
    &[("rnn_num_hidden", "512"), ("optimizer_type", "sgd"), ("weight_tying", "trg_softmax")];
const AVERAGED: &[(&str, &str)] = &[("rnn_num_hidden", "512"), ("checkpoint_averaging", "2")];
const BLEU: &[(&str, &str)] = &[("rnn_num_hidden", "512"), ("optimized_metric", "bleu"), ("beam_size", "5")];
const SMALL_BATCH: &[(&str, &str)] =
    &[("rnn_num_hidden", "64"), ("num_embed_source", "64"), ("num_embed_target", "64"), ("batch_size", "8")];
const LARGE_BATCH: &[(&str, &str)] = &[("rnn_num_hidden", "256"), ("batch_size", "256")];

const CASES: &[Case] = &[
    Case { name: "RNN512", words: SMALL, settings: RNN },
    Case { name: "RNN512", words: LARGE, settings: RNN },
    Case { name: "CNN4", words: SMALL, settings: CNN },
    Case { name: "CNN4", words: LARGE, settings: CNN },
    Case { name: "RNN1024, batches of 32", words: SMALL, settings: WIDE_RNN },
    Case { name: "GRU512, 3 layers", words: SMALL, settings: DEEP_GRU },
    Case { name: "RNN512, sgd, tied", words: LARGE, settings: SGD_TIED },
    Case { name: "RNN512, averaged", words: LARGE, settings: AVERAGED },
    Case { name: "RNN512, BLEU", words: LARGE, settings: BLEU },
    Case { name: "RNN64, batches of 8", words: SMALL, settings: SMALL_BATCH },
    Case { name: "RNN256, batches of 256", words: SMALL, settings: LARGE_BATCH },
];

/// Cases in both number formats.
fn runs() -> impl Iterator<Item = (&'static Case, &'static str)> {
    CASES.iter().flat_map(|case| ["f32", "bf16"].map(|precision| (case, precision)))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        Some(args.get(at + 1).unwrap_or_else(|| panic!("{name} needs a value")).as_str())
    };
    let updates = value("--updates").unwrap_or("16");
    if let Some(number) = value("--run") {
        let (case, precision) = runs().nth(number.parse().expect("a number")).expect("a case");
        train(case, precision, updates);
        return ExitCode::SUCCESS;
    }
    let only = value("--only").unwrap_or_default();
    println!(
        "| training | words | precision | estimate, MiB | peak, MiB | estimate / peak | largest items |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut all_near = true;
    for (number, (case, precision)) in runs().enumerate().filter(|(_, (case, _))| case.name.contains(only)) {
        let number = number.to_string();
        let program = std::env::current_exe().expect("a benchmark is a file");
        let output = Command::new(program).args(["--run", &number, "--updates", updates]).output();
        let output = output.expect("a benchmark that runs itself");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout);
        let mut fields = said.trim().split('\t');
        let mut bytes = || fields.next().and_then(|field| field.parse::<f64>().ok()).expect("two numbers");
        let (estimate, peak) = (bytes(), bytes());
        let items = fields.next().unwrap_or_default();
        let ratio = estimate / peak;
        all_near &= (ratio - 1.0).abs() <= TOLERANCE;
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        println!(
            "| {} | {} | {precision} | {:.0} | {:.0} | {ratio:.2} | {items} |",
            case.name,
            case.words,
            mib(estimate),
            mib(peak)
        );
    }
    if all_near { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Silent;

impl Observer for Silent {}

/// Trains, and prints the estimated and the actual memory.
fn train(case: &Case, precision: &str, updates: &str) {
    let every = (updates.parse::<u64>().expect("a number of updates") / 2).max(1).to_string();
    let common = [
        ("max_num_batches", updates),
        ("checkpoint_frequency_num_batches", &every),
        ("max_seq_len_source", "60"),
        ("max_seq_len_target", "60"),
        ("precision", precision),
    ];
    let set: BTreeMap<String, String> = common
        .iter()
        .chain(case.settings)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let h = Hyperparameters::resolve(&set).unwrap_or_else(|faults| panic!("{faults}"));
    if precision::warning(&h).is_some() {
        eprintln!("this machine has no bf16");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = JobFiles {
        model: folder.path().join("model"),
        checkpoints: folder.path().join("checkpoints"),
        archive: None,
    };
    let mut job =
        TrainingJob::new(&h, data(case.words), files, Resume::Never).unwrap_or_else(|e| panic!("{e}"));
    let memory = job.summary().memory.clone();
    job.run(&mut Silent, &StopFlag::default()).unwrap_or_else(|e| panic!("{e}"));
    println!("{}\t{}\t{memory}", memory.total(), peak_bytes());
}

fn data(words: usize) -> TrainingData {
    let vocabulary = Vocabulary::build(
        (0..words).map(|word| (format!("word{word}"), 1)),
        VocabularyLimits { num_words: words, ..VocabularyLimits::default() },
    );
    let mut rng = Rng::new(1);
    let ids = 4..vocabulary.len();
    let mut corpus = |pairs: usize| {
        let mut corpus = Corpus::new();
        for _ in 0..pairs {
            let len = rng.range(3..LONGEST + 1);
            let mut sentence = || -> Vec<u32> { (0..len).map(|_| rng.range(ids.clone()) as u32).collect() };
            let (source, target) = (sentence(), sentence());
            corpus.push(&source, &target);
        }
        corpus
    };
    let (train, validation) = (corpus(PAIRS), corpus(PAIRS / 4));
    TrainingData { train, validation, source_vocabulary: vocabulary.clone(), target_vocabulary: vocabulary }
}

/// The peak memory of this process.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a system that tells a process's peak");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    1024 * line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number of KiB")
}
