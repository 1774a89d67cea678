//! Measures training speed on Multi30k English to German: sentences and target tokens per second, padding never counted.
//!
//! `cargo xtask bench train [--work RNN512|RNN1024|GRU512|CNN1|CNN8] [--precision f32|bf16] [--updates N] [--windows W]
//! [--threads T] [--profile] [--report FILE]`
//!
//! Half a window warms up, then every window is measured separately. Peak memory is read before the machine's peak is measured, so
//! that it is that of training. The file of `--report`, a path relative to the repository's folder, has the format shared by all
//! programs that measure training.

// A benchmark speaks to a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod corpus;
mod options;
mod peak;
mod phases;
mod report;
mod workload;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use kokanee_kernels::{Team, work};
use kokanee_seq2seq_data::{BatchPlan, Corpus, OverlongPolicy, define_buckets};
use kokanee_seq2seq_nn::init::Initialisation;
use kokanee_seq2seq_nn::{Model, ModelConfig};
use kokanee_seq2seq_train::memory;
use kokanee_seq2seq_train::{TrainError, Trainer, precision};
use kokanee_testkit::corpora;

use options::Options;
use report::{Report, Window};

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options, &corpora()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, corpora: &std::path::Path) -> Result<(), String> {
    let say = |error: &dyn std::fmt::Display| error.to_string();
    let h = options.work.hyperparameters(&options.precision)?;
    if let Some(warning) = precision::warning(&h) {
        return Err(warning);
    }
    let precision = precision::usable(&h);
    let team = Arc::new(Team::new(options.threads));
    let isa = kokanee_kernels::Isa::detect();
    println!("{} in {}, {} threads, isa {isa:?}", options.work.name, options.precision, team.size());

    let (corpus, [source, target]) = corpus::multi30k(&corpora.join("multi30k"));
    let ratio = corpus.length_statistics().ratio_mean;
    let (corpus, _) =
        corpus.apply_limits(h.max_seq_len_source, h.max_seq_len_target, OverlongPolicy::Truncate);
    let buckets = define_buckets(h.max_seq_len_source, h.max_seq_len_target, h.bucket_width, ratio);
    let plan = BatchPlan::new(&corpus, &buckets, h.batch_size, h.seed);
    println!("corpus: {} pairs, {source} source and {target} target types, ratio {ratio:.4}", corpus.len());
    let config = ModelConfig::new(&h, source, target).map_err(|e| say(&e))?;
    let model = Model::new(config.clone(), &Initialisation::from(&h), &team).map_err(|e| say(&e))?;
    let size = model.parameters().size();
    println!("model: {size} parameters; {} updates an epoch", plan.batches_per_epoch());
    let estimate = memory::Training {
        hyperparameters: &h,
        config: &config,
        buckets: &buckets,
        corpora: [&corpus, &Corpus::new()],
        threads: team.size(),
        initial: None,
        resumes: false,
    };
    let estimate = estimate.memory().map_err(|e| say(&e))?;
    let source_lengths: Vec<u64> = (0..corpus.len()).map(|pair| corpus.source(pair).len() as u64).collect();
    let for_phases = options.profile.then(|| corpus.clone());
    let trainer = Trainer::new(model, corpus, plan.clone(), &h, Arc::clone(&team)).map_err(|e| say(&e))?;

    let mut meter = Meter { trainer, plan: plan.clone(), epoch: None, source_lengths };
    let warm_up = meter.window(options.updates.div_ceil(2)).map_err(|e| say(&e))?;
    println!("warm-up: {} updates, loss {:.3}", warm_up.updates, warm_up.loss);
    let mut windows = Vec::new();
    for number in 1..=options.windows {
        let window = meter.window(options.updates).map_err(|e| say(&e))?;
        println!("window {number}: {window}");
        windows.push(window);
    }
    let memory = peak::memory_mib();
    drop(meter);
    let peak_gflops = peak::gflops(&team, precision);

    let report = Report::new(options, &windows, memory, peak_gflops);
    print!("{report}");
    println!("training estimates {} MiB of memory", estimate.total() >> 20);
    if let Some(corpus) = for_phases {
        let model = Model::new(config, &Initialisation::from(&h), &team).map_err(|e| say(&e))?;
        print!("{}", phases::measure(model, &corpus, &plan, &h, &team, precision, options.updates));
    }
    if let Some(path) = &options.report {
        report.write(path)?;
        println!("report: {}", path.canonicalize().unwrap_or_else(|_| path.clone()).display());
    }
    Ok(())
}

/// A trainer, and the data for counting its updates.
struct Meter {
    trainer: Trainer,
    /// The trainer's own plan: the trainer reports pairs and target tokens of an update, but not source tokens.
    plan: BatchPlan,
    epoch: Option<(u64, Vec<Vec<u32>>)>,
    source_lengths: Vec<u64>,
}

impl Meter {
    /// Measures `count` updates by the wall clock.
    fn window(&mut self, count: usize) -> Result<Window, TrainError> {
        let mut window = Window::default();
        let multiply_adds = work::multiply_adds();
        let mut batches = Vec::with_capacity(count);
        let started = Instant::now();
        for _ in 0..count {
            let progress = self.trainer.update()?;
            window.updates += 1;
            window.sentences += progress.work.sentences;
            window.target_tokens += progress.work.target_tokens;
            window.loss += progress.loss * progress.work.target_tokens as f64;
            batches.push((progress.epoch, progress.batch as usize));
        }
        // Postponed work belongs to these updates.
        self.trainer.settle();
        window.seconds = started.elapsed().as_secs_f64();
        window.multiply_adds = work::multiply_adds().wrapping_sub(multiply_adds);
        window.loss /= window.target_tokens.max(1) as f64;
        window.source_tokens =
            batches.into_iter().map(|(epoch, batch)| self.source_tokens(epoch, batch)).sum();
        Ok(window)
    }

    fn source_tokens(&mut self, epoch: u64, batch: usize) -> u64 {
        let batches = match &mut self.epoch {
            Some((number, batches)) if *number == epoch => batches,
            other => &mut other.insert((epoch, self.plan.epoch(epoch))).1,
        };
        batches[batch].iter().map(|&pair| self.source_lengths[pair as usize]).sum()
    }
}
