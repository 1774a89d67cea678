//! The time of an epoch, compared with the matrix product that it needs at least.

use std::sync::Arc;
use std::time::Instant;

use kokanee_kernels::packed::{Format, PackedMatrix};
use kokanee_kernels::{Mat, Team};
use kokanee_kmeans::{ExtraCenters, Start, Stream};
use serde_json::{Value, json};

use crate::dataset::Dataset;
use crate::quality::settings;

const BATCH: usize = 5000;
/// Numbers of centres while streaming.
const CENTERS: [usize; 2] = [100, 1000];

/// Measures the best times of `windows` windows.
pub(crate) fn measure(team: &Arc<Team>, data: &Dataset, windows: usize) -> Value {
    let batches = data.batches(BATCH);
    let (rows, width) = (data.len(), data.width);
    println!(
        "{}: {rows} x {width}, batches of {BATCH}, {} threads, best of {windows}\n",
        data.name,
        team.size()
    );
    println!(
        "| centres | epoch, ms | rows/s | GFLOP/s | products alone, ms | share of the product's speed |"
    );
    println!("|---|---|---|---|---|---|");
    let mut report = Vec::new();
    for centers in CENTERS {
        let settings = settings(centers / 10, Start::Random, ExtraCenters::Times(10), 1);
        let mut stream = Stream::begin(team, &batches[0], false, settings).expect("enough rows");
        let epoch = best(windows, || {
            batches.iter().for_each(|batch| stream.update(team, batch).expect("finite squares"));
        });
        let weights: Vec<f32> = data.values[..centers * width].to_vec();
        let packed = PackedMatrix::pack(team, Format::F32, Mat::new(&weights, centers, width));
        let mut products = vec![0.0; BATCH * centers];
        let product = best(windows, || {
            for rows in data.values.chunks(BATCH * width) {
                let products = &mut products[..rows.len() / width * centers];
                packed.multiply(team, rows, products, 0.0);
            }
        });
        let flops = 2.0 * (rows * width * centers) as f64;
        println!(
            "| {centers} | {:.2} | {:.0} | {:.1} | {:.2} | {:.0}% |",
            epoch * 1e3,
            rows as f64 / epoch,
            flops / epoch / 1e9,
            product * 1e3,
            100.0 * product / epoch
        );
        report.push(json!({"centers": centers, "epoch_s": epoch, "product_s": product}));
    }
    println!();
    Value::Array(report)
}

fn best(windows: usize, mut work: impl FnMut()) -> f64 {
    work();
    let times = (0..windows).map(|_| {
        let begin = Instant::now();
        work();
        begin.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}
