//! Training speed on Multi30k English to German: sentences and target tokens a second, padding never counted.
//!
//! The work is that of the peers' figures: all words as vocabulary, embeddings of 512, one bidirectional LSTM encoder layer and
//! one LSTM decoder layer with mlp attention, Adam at 3e-4, element-wise clip at 1, batches of 64 sentences, lengths up to 60,
//! buckets of 10.
//!
//! `cargo xtask bench train [--hidden 512|1024] [--updates N] [--windows W] [--threads T]`

// A benchmark speaks to a terminal.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use flate2::read::GzDecoder;
use kokanee_contract::Hyperparameters;
use kokanee_data::vocab::VocabularyLimits;
use kokanee_data::{BatchPlan, Bucket, Corpus, OverlongPolicy, Vocabulary, define_buckets};
use kokanee_kernels::{Mat, MatMut, Team, gemm};
use kokanee_nn::init::Initialisation;
use kokanee_nn::{Model, ModelConfig};
use kokanee_testkit::shared_dir;
use kokanee_train::Trainer;
use kokanee_train::observer::Throughput;
use kokanee_train::summary::MemoryEstimate;

/// Side of the product whose speed stands for what the machine can do.
const PEAK_SIDE: usize = 4096;

struct Options {
    hidden: usize,
    /// Updates of one window.
    updates: usize,
    windows: usize,
    threads: usize,
}

fn main() {
    let options = Options::parse();
    let Some(shared) = shared_dir() else { return };
    let team = Arc::new(Team::new(options.threads));
    println!("threads {}, isa {:?}", team.size(), kokanee_kernels::Isa::detect());
    let mut peaks = vec![peak_gflops(&team)];

    let h = hyperparameters(options.hidden);
    let (corpus, vocabularies) = multi30k(&shared.join("data/multi30k"));
    let ratio = corpus.length_statistics().ratio_mean;
    let (corpus, _) =
        corpus.apply_limits(h.max_seq_len_source, h.max_seq_len_target, OverlongPolicy::Truncate);
    let buckets = define_buckets(h.max_seq_len_source, h.max_seq_len_target, h.bucket_width, ratio);
    let plan = BatchPlan::new(&corpus, &buckets, h.batch_size, h.seed);
    let [source, target] = vocabularies;
    println!("corpus: {} pairs, {source} source and {target} target types, ratio {ratio:.4}", corpus.len());
    let config = ModelConfig::new(&h, source, target).expect("a model that is built");
    let model = Model::new(config, &Initialisation::from(&h), &team).expect("a model that is built");
    println!(
        "model: hidden {}, {} parameters; {} updates an epoch",
        options.hidden,
        model.parameters().size(),
        plan.batches_per_epoch()
    );
    let longest = corpus.length_statistics();
    let longest = Bucket { source: longest.longest_source, target: longest.longest_target + 1 };
    let size = model.parameters().size();
    let estimate = MemoryEstimate::new(&h, model.config(), size, longest, [&corpus, &Corpus::new()]);
    let mut trainer =
        Trainer::new(model, corpus, plan, &h, Arc::clone(&team)).expect("a trainer that is built");

    let (loss, _) = window(&mut trainer, options.updates.div_ceil(2));
    println!("warm-up: {} updates, loss {loss:.3}", options.updates.div_ceil(2));
    let mut sentences = Vec::new();
    let mut tokens = Vec::new();
    for number in 1..=options.windows {
        let (loss, work) = window(&mut trainer, options.updates);
        sentences.push(work.sentences_per_second());
        tokens.push(work.target_tokens_per_second());
        println!(
            "window {number}: {:.1} sentences/s, {:.0} target tokens/s, {:.1} ms an update, loss {loss:.3}",
            work.sentences_per_second(),
            work.target_tokens_per_second(),
            1e3 * work.seconds / options.updates as f64,
        );
    }
    peaks.push(peak_gflops(&team));

    let peak = peaks.iter().copied().fold(0.0, f64::max);
    let gflops = median(&tokens) * mflop_per_target_token(options.hidden) / 1e3;
    println!("sentences/s:     {}", spread(&sentences));
    println!("target tokens/s: {}", spread(&tokens));
    println!(
        "effective:       {gflops:.0} GFLOP/s = {:.0}% of the fp32 product's {peak:.0} ({PEAK_SIDE}^3, best of {peaks:.0?})",
        100.0 * gflops / peak
    );
    println!("peak memory:     {}; training estimates {} MiB", peak_memory(), estimate.total() >> 20);
}

/// `count` updates: the mean of their losses, and their work by the clock on the wall.
fn window(trainer: &mut Trainer, count: usize) -> (f64, Throughput) {
    let started = Instant::now();
    let mut work = Throughput::default();
    let mut loss = 0.0;
    for _ in 0..count {
        let progress = trainer.update().expect("a loss that is a number");
        work += progress.work;
        loss += progress.loss / count as f64;
    }
    work.seconds = started.elapsed().as_secs_f64();
    (loss, work)
}

fn hyperparameters(hidden: usize) -> Hyperparameters {
    let set = [
        ("rnn_num_hidden", hidden.to_string()),
        ("max_seq_len_source", "60".to_owned()),
        ("max_seq_len_target", "60".to_owned()),
    ];
    let set: BTreeMap<String, String> = set.map(|(name, value)| (name.to_owned(), value)).into();
    Hyperparameters::resolve(&set).expect("valid hyperparameters")
}

/// 3 x the multiply-adds of the forward pass x 2, in millions; estimated for the vocabularies of this corpus.
fn mflop_per_target_token(hidden: usize) -> f64 {
    match hidden {
        1024 => 229.8,
        _ => 92.7,
    }
}

/// The training pairs as ids, and the sizes of the vocabularies.
fn multi30k(folder: &Path) -> (Corpus, [usize; 2]) {
    let sides = ["train.en.gz", "train.de.gz"].map(|name| read_lines(&folder.join(name)));
    let vocabularies = sides.each_ref().map(|lines| {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        lines
            .iter()
            .flat_map(|line| line.split_whitespace())
            .for_each(|w| *counts.entry(w).or_default() += 1);
        Vocabulary::build(counts, VocabularyLimits::default())
    });
    let mut corpus = Corpus::new();
    for (source, target) in sides[0].iter().zip(&sides[1]) {
        let (source, target) = (vocabularies[0].encode(source), vocabularies[1].encode(target));
        if !source.is_empty() && !target.is_empty() {
            corpus.push(&source, &target);
        }
    }
    (corpus, vocabularies.map(|v| v.len()))
}

fn read_lines(path: &Path) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    BufReader::new(GzDecoder::new(file)).lines().collect::<Result<_, _>>().expect("gzip-compressed UTF-8")
}

/// The best of some fp32 products, in GFLOP/s.
fn peak_gflops(team: &Team) -> f64 {
    let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
    let a: Vec<f32> = (0..PEAK_SIDE * PEAK_SIDE).map(value).collect();
    let mut c = vec![0.0; PEAK_SIDE * PEAK_SIDE];
    let mut best = f64::INFINITY;
    for _ in 0..4 {
        let started = Instant::now();
        let view = Mat::new(&a, PEAK_SIDE, PEAK_SIDE);
        gemm(
            team,
            kokanee_kernels::Precision::F32,
            MatMut::new(&mut c, PEAK_SIDE, PEAK_SIDE),
            0.0,
            view,
            view,
        );
        best = best.min(started.elapsed().as_secs_f64());
    }
    2.0 * (PEAK_SIDE as f64).powi(3) / best / 1e9
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

fn spread(values: &[f64]) -> String {
    let (low, high) = values.iter().fold((f64::INFINITY, 0f64), |(l, h), &v| (l.min(v), h.max(v)));
    format!("median {:.1} of {} windows ({low:.1} to {high:.1})", median(values), values.len())
}

/// The most memory this process held, from the kernel; the matrices of the peak's measurement are 128 MiB of it at most.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or("unknown on this system".to_owned(), |kib| format!("{} MiB", kib / 1024))
}

impl Options {
    fn parse() -> Options {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut options = Options { hidden: 512, updates: 20, windows: 5, threads: cores };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            // Cargo says that this is a benchmark.
            if argument == "--bench" {
                continue;
            }
            let mut number = || {
                let value = arguments.next().and_then(|value| value.parse().ok()).filter(|&value| value > 0);
                value.unwrap_or_else(|| panic!("{argument} needs a number above 0"))
            };
            match argument.as_str() {
                "--hidden" => options.hidden = number(),
                "--updates" => options.updates = number(),
                "--windows" => options.windows = number(),
                "--threads" => options.threads = number(),
                _ => panic!("unknown option {argument}: --hidden, --updates, --windows, --threads"),
            }
        }
        assert!(matches!(options.hidden, 512 | 1024), "--hidden is 512 or 1024");
        options
    }
}
