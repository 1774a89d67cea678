//! The laboratory compares, for questions that have been asked of the kernels, the way that is shipped with others that lost, on
//! the shapes of training (M30K-RNN512, CNN8). A way that loses on one machine may win on the next; here it stays with its figures,
//! and the shipped kernels stay free of it.
//!
//! `cargo xtask bench laboratory [--threads N] [--rounds N] [--only PART-OF-A-NAME]`
//!
//! Each round runs every way of an experiment once, one after the other, so that a machine that gets slower slows all of them. The
//! best round of each way counts. Before the rounds, all ways must have given the same result.
//!
//! A new experiment is a file with a function that returns [`Experiment`]s, and a line in `main`.

// A benchmark speaks to a terminal.
#![allow(clippy::print_stdout)]

mod convolution;
mod pages;
mod recurrence;
mod update;

use std::time::Instant;

use kokanee_kernels::optimizer::Adam;
use kokanee_kernels::pages::Block;
use kokanee_kernels::{Precision, Team};

/// A question, and the ways that answer it. The first way is the shipped one.
pub(crate) struct Experiment<'a> {
    pub(crate) name: String,
    pub(crate) ways: Vec<Way<'a>>,
}

/// One way to do the work of an experiment.
pub(crate) struct Way<'a> {
    pub(crate) name: &'static str,
    /// Does the work once and returns its result, whole or in part, for comparison.
    pub(crate) run: Box<dyn FnMut() -> Vec<f32> + 'a>,
    /// How far a result may be from that of the shipped way, as a part of the largest number in the latter.
    pub(crate) tolerance: f32,
}

/// The formats of training, by name.
pub(crate) const PRECISIONS: [(&str, Precision); 2] = [("f32", Precision::F32), ("bf16", Precision::Bf16)];

/// Numbers from -1 to 1 that look random.
pub(crate) fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// The same numbers in large pages, as tensors have them.
pub(crate) fn block(count: usize, seed: usize) -> Block<f32> {
    Block::from(&numbers(count, seed)[..])
}

/// The optimizer of the workloads.
pub(crate) const RULE: Adam =
    Adam { rate: 3e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip: 1.0 };

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).and_then(|i| args.get(i + 1));
    let threads = after("--threads").and_then(|n| n.parse().ok());
    let team = threads.map_or_else(Team::of_machine, Team::start).expect("threads to measure with");
    let rounds = after("--rounds").and_then(|n| n.parse().ok()).unwrap_or(12);
    let only = after("--only").map_or("", String::as_str);
    println!("{} threads, best of {rounds} rounds", team.size());
    let experiments =
        [convolution::experiments, update::experiments, recurrence::experiments, pages::experiments];
    for experiments in experiments {
        let chosen = experiments(&team).into_iter().filter(|experiment| experiment.name.contains(only));
        chosen.for_each(|experiment| measure(experiment, rounds));
    }
}

fn measure(mut experiment: Experiment<'_>, rounds: usize) {
    println!("\n{}", experiment.name);
    compare(&mut experiment);
    let mut best = vec![f64::INFINITY; experiment.ways.len()];
    for _ in 0..rounds {
        for (way, best) in experiment.ways.iter_mut().zip(&mut best) {
            let started = Instant::now();
            std::hint::black_box((way.run)());
            *best = best.min(started.elapsed().as_secs_f64());
        }
    }
    for (way, seconds) in experiment.ways.iter().zip(&best) {
        let (ms, share) = (1e3 * seconds, seconds / best[0]);
        println!("  {:<64} {ms:>8.2} ms  {share:>5.2}", way.name);
    }
}

/// Checks that all ways agree with the first.
fn compare(experiment: &mut Experiment<'_>) {
    let mut results = experiment.ways.iter_mut().map(|way| (way.name, way.tolerance, (way.run)()));
    let Some((_, _, want)) = results.next() else { return };
    let largest = want.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (name, tolerance, got) in results {
        assert_eq!(got.len(), want.len(), "{name}: size of the result");
        let off = got.iter().zip(&want).fold(0f32, |most, (got, want)| most.max((got - want).abs()));
        assert!(off <= tolerance * largest, "{name}: off by {off} where the largest number is {largest}");
    }
}
