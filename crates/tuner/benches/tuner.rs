//! Time of a suggestion, by the number of trials: `cargo xtask bench tuner`.

use std::time::Instant;

use kokanee_testkit::quantiles;
use kokanee_tuner::{
    Dimension, Goal, Options, Outcome, Scale, Space, Strategy, Suggestion, Trial, Value, suggest,
};

const USAGE: &str = "usage: cargo xtask bench tuner [--trials N,N] [--runs N]";

#[allow(clippy::print_stdout)]
fn main() {
    let (mut trials, mut runs) = (vec![30, 100, 200, 500], 5);
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(option) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match option.as_str() {
            "--trials" => trials = value.split(',').map(|n| n.parse().expect(USAGE)).collect(),
            "--runs" => runs = value.parse().expect(USAGE),
            _ => panic!("{option} is unknown\n{USAGE}"),
        }
    }
    println!(
        "| trials | dimensions | ms of the processor per suggestion, median of {runs} | most |\n|---|---|---|---|"
    );
    for dimensions in [3, 6, 10, 20] {
        let space = Space::new(
            (0..dimensions)
                .map(|j| Dimension::continuous(format!("x{j}"), 0.0, 1.0, Scale::Linear))
                .collect(),
        )
        .expect("a valid space");
        for n in &trials {
            let history = history(&space, *n);
            let time = |seed: u64| {
                let (start, busy) = (Instant::now(), processor_ms());
                suggest(&space, &history, &Options::bayesian(Goal::Minimize), seed).expect("a suggestion");
                let waited = start.elapsed().as_secs_f64() * 1e3;
                processor_ms().zip(busy).map_or(waited, |(after, before)| after - before)
            };
            let [median, most] = quantiles((0..runs).map(time), [0.5, 1.0]);
            println!("| {n} | {dimensions} | {median:.1} | {most:.1} |");
        }
    }
}

/// The processor time of this thread so far, where the system provides it. Other processes do not affect it.
fn processor_ms() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e6)
}

/// Random trials of a curved function with a little noise.
fn history(space: &Space, n: usize) -> Vec<Trial> {
    let options = Options::bayesian(Goal::Minimize).with_strategy(Strategy::Random);
    let mut trials = Vec::new();
    while trials.len() < n {
        let Ok(Suggestion::Configuration(values)) = suggest(space, &trials, &options, 11) else {
            panic!("no suggestion");
        };
        let squares = values.iter().enumerate().map(|(j, value)| match value {
            Value::Real(x) => (x - 0.3 - 0.05 * j as f64).powi(2) + 0.02 * (37.0 * x).sin(),
            _ => 0.0,
        });
        let loss = squares.sum();
        trials.push(Trial::new(values, Outcome::Finished(loss)));
    }
    trials
}
