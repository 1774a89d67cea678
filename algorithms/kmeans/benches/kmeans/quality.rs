//! The mean squared distance of the data to its clusters, compared with that of the guide's algorithm.

use std::sync::Arc;

use kokanee_kernels::Team;
use kokanee_kmeans::{ExtraCenters, LocalLloyd, Settings, Start, Stream};
use serde_json::{Value, json};

use crate::dataset::Dataset;

pub(crate) const SETS: [&str; 6] = ["iris", "digits", "letter", "shuttle", "mnist10k", "county"];

/// Rows per batch: the default.
const BATCH: usize = 5000;

/// The k of a data set, and the means that a simulation of the guide's algorithm reached: defaults, `kmeans++`, factor 1, 5 epochs.
fn expected(set: &str) -> (usize, [f64; 4]) {
    match set {
        "iris" => (3, [0.5270, 0.5270, 1.167, 0.5270]),
        "digits" => (10, [662.8, 654.9, 770.5, 655.2]),
        "letter" => (26, [32.19, 32.14, 34.46, 32.10]),
        // The result of the real container on the data, once, from its published centres.
        "county" => (8, [0.1074; 4]),
        "shuttle" => (7, [36740.0, 11085.0, 51926.0, 25399.0]),
        _ => (10, [39.49, 39.21, 41.49, 39.37]),
    }
}

const VARIANTS: [(&str, Start, ExtraCenters, usize); 4] = [
    ("defaults", Start::Random, ExtraCenters::Auto, 1),
    ("kmeans++", Start::KMeansPlusPlus, ExtraCenters::Auto, 1),
    ("factor 1", Start::Random, ExtraCenters::Times(1), 1),
    ("5 epochs", Start::Random, ExtraCenters::Auto, 5),
];

/// Trains with each seed, and returns the best, mean and largest msd.
pub(crate) fn measure(team: &Arc<Team>, sets: &[Dataset], seeds: u64) -> Value {
    println!("msd over the data, {seeds} shuffles and seeds\n");
    println!(
        "| data, k | variant | best | mean | largest | guide's algorithm | ratio of means | `train:msd` |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut report = Vec::new();
    for set in sets {
        let (k, means) = expected(set.name);
        for ((variant, start, extra_centers, epochs), guide) in VARIANTS.into_iter().zip(means) {
            let (mut least, mut most) = (f64::INFINITY, 0.0f64);
            let found: Vec<f64> = (0..seeds)
                .map(|seed| {
                    let batches = set.shuffled(BATCH, seed + 1);
                    let settings = settings(k, start, extra_centers, seed);
                    let mut stream =
                        Stream::begin(team, &batches[0], batches.len() == 1, settings).expect("enough rows");
                    for _ in 0..epochs {
                        batches.iter().for_each(|batch| stream.update(team, batch).expect("finite squares"));
                    }
                    let shrunk = stream.shrink(team, |_, _| {}).expect("finite squares");
                    if let Some(loss) = shrunk.loss {
                        (least, most) = (least.min(loss), most.max(loss));
                    }
                    let predictor = shrunk.model.predictor(team);
                    let sum: f64 = batches
                        .iter()
                        .map(|b| predictor.sum_of_squares(team, b).expect("finite squares"))
                        .sum();
                    sum / set.len() as f64
                })
                .collect();
            let mean = found.iter().sum::<f64>() / found.len() as f64;
            let best = found.iter().copied().fold(f64::INFINITY, f64::min);
            let largest = found.iter().copied().fold(0.0, f64::max);
            let train = if most > 0.0 { format!("{least:.5} to {most:.5}") } else { String::new() };
            println!(
                "| {}, {k} | {variant} | {best:.5} | {mean:.5} | {largest:.5} | {guide} | {:.4} | {train} |",
                set.name,
                mean / guide
            );
            report.push(json!({"set": set.name, "k": k, "variant": variant, "mean": mean, "best": best}));
        }
    }
    println!();
    Value::Array(report)
}

pub(crate) fn settings(k: usize, start: Start, extra_centers: ExtraCenters, seed: u64) -> Settings {
    let local_lloyd =
        LocalLloyd { start: Start::KMeansPlusPlus, max_iterations: 300, trials: 10, tolerance: 1e-4 };
    Settings { k, extra_centers, start, half_life: 0, local_lloyd, seed }
}
