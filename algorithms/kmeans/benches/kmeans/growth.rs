//! Time and memory over the number of rows, which are generated as they are needed.

use std::sync::Arc;
use std::time::Instant;

use kokanee_formats::rows::Rows;
use kokanee_kernels::Team;
use kokanee_kmeans::{ExtraCenters, Start, Stream};
use serde_json::{Value, json};

use crate::quality::settings;

const WIDTH: usize = 50;
const BATCH: usize = 5000;
const K: usize = 10;
const COUNTS: [usize; 3] = [100_000, 1_000_000, 10_000_000];

/// Streams more and more rows. The peak of the process can only grow, so a flat one means that memory stays flat.
pub(crate) fn measure(team: &Arc<Team>) -> Value {
    println!("{WIDTH} columns, k={K}, {} centres while streaming\n", 10 * K);
    println!("| rows | s | rows/s | peak memory, MiB |");
    println!("|---|---|---|---|");
    let mut report = Vec::new();
    for count in COUNTS {
        let mut source = Source { state: 1 };
        let settings = settings(K, Start::Random, ExtraCenters::Auto, 1);
        let mut batch = Rows::new(WIDTH);
        source.fill(&mut batch);
        let mut stream = Stream::begin(team, &batch, false, settings).expect("enough rows");
        let begin = Instant::now();
        let mut busy = 0.0;
        for _ in 0..count / BATCH {
            let update = Instant::now();
            stream.update(team, &batch).expect("finite squares");
            busy += update.elapsed().as_secs_f64();
            source.fill(&mut batch);
        }
        let shrinking = Instant::now();
        stream.shrink(team, |_, _| {}).expect("finite squares");
        busy += shrinking.elapsed().as_secs_f64();
        let peak = peak_mib();
        println!("| {count} | {busy:.3} | {:.0} | {peak:.1} |", count as f64 / busy);
        report.push(
            json!({"rows": count, "s": busy, "peak_mib": peak, "wall_s": begin.elapsed().as_secs_f64()}),
        );
    }
    println!();
    Value::Array(report)
}

/// A source of rows around ten points.
struct Source {
    state: u64,
}

impl Source {
    fn fill(&mut self, batch: &mut Rows) {
        batch.clear();
        let mut row = [0.0; WIDTH];
        for _ in 0..BATCH {
            let middle = (self.next() % 10) as f32;
            row.iter_mut().for_each(|value| *value = middle + (self.next() >> 40) as f32 / (1 << 24) as f32);
            batch.push_dense(&row);
        }
    }

    /// xorshift64 (Marsaglia 2003).
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

/// The peak memory of the process, if the system tells it.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
