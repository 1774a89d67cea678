//! A whole job, RecordIO in and model out, compared with reading alone and clustering alone: the two overlap in the job.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kokanee_algorithm::{Algorithm as _, Console, JobFiles, Progress, Resume, StopFlag, TrainingJob};
use kokanee_contract::MediaType;
use kokanee_contract::channels::{Distribution, InputChannel, InputChannels, InputMode};
use kokanee_formats::numeric::{Batch, NumericFormat, NumericReader};
use kokanee_kernels::Team;
use kokanee_kmeans::{ExtraCenters, KMeans, Start, Stream};
use serde_json::{Value, json};

use crate::quality::settings;

const ROWS: usize = 1_000_000;
const WIDTH: usize = 50;
const BATCH: usize = 5000;
const K: usize = 10;

/// Measures the best times of `windows` windows.
pub(crate) fn measure(team: &Arc<Team>, windows: usize) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.pbr");
    write(&path).expect("writes the rows");
    let bytes = path.metadata().expect("a file").len() as f64;
    let mut best = [f64::INFINITY; 3];
    for _ in 0..windows {
        let times = [read(&path), cluster(team, &path), train(folder.path(), &path, team.size())];
        for (best, time) in best.iter_mut().zip(times) {
            *best = best.min(time);
        }
    }
    let [reading, clustering, whole] = best;
    let ratio = whole / reading.max(clustering);
    println!("{ROWS} x {WIDTH} rows in {:.0} MB of RecordIO, k={K}, best of {windows}\n", bytes / 1e6);
    println!("| reading alone, s | MB/s | clustering alone, s | the whole job, s | times the slower one |");
    println!("|---|---|---|---|---|");
    println!("| {reading:.3} | {:.0} | {clustering:.3} | {whole:.3} | {ratio:.2} |\n", bytes / 1e6 / reading);
    json!({"read_s": reading, "cluster_s": clustering, "whole_s": whole})
}

/// Writes rows as the SDK does: a frame, and the message with the feature `values` of 32-bit floats.
fn write(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut state = 1u64;
    let values = WIDTH * 4;
    // Tag and length of the packed values, of the tensor, of the entry and of the map; lengths below 16384 take two bytes.
    let packed = [vec![0x0a], length(values)].concat();
    let tensor = [vec![0x12], length(packed.len() + values), packed].concat();
    let entry = [b"\x0a\x06values\x12".to_vec(), length(tensor.len() + values), tensor].concat();
    let head = [vec![0x0a], length(entry.len() + values), entry].concat();
    let payload = head.len() + values;
    let padding = vec![0; payload.next_multiple_of(4) - payload];
    for _ in 0..ROWS {
        out.write_all(&0xced7_230a_u32.to_le_bytes())?;
        out.write_all(&(payload as u32).to_le_bytes())?;
        out.write_all(&head)?;
        state = next(state);
        let middle = (state % 10) as f32;
        for _ in 0..WIDTH {
            state = next(state);
            out.write_all(&(middle + (state >> 40) as f32 / (1 << 24) as f32).to_le_bytes())?;
        }
        out.write_all(&padding)?;
    }
    out.flush()
}

/// A length as a varint.
fn length(length: usize) -> Vec<u8> {
    if length < 128 { vec![length as u8] } else { vec![(length & 127) as u8 | 128, (length >> 7) as u8] }
}

/// xorshift64 (Marsaglia 2003).
fn next(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ state << 17
}

fn batches(path: &Path, mut each: impl FnMut(&Batch)) {
    let mut reader =
        NumericReader::new(File::open(path).expect("opens"), path, NumericFormat::RecordIo, Some(WIDTH));
    let mut batch = Batch::default();
    while reader.read(&mut batch, BATCH).expect("reads") > 0 {
        each(&batch);
        batch.clear();
    }
}

fn read(path: &Path) -> f64 {
    let begin = Instant::now();
    let mut rows = 0;
    batches(path, |batch| rows += batch.rows.len());
    assert_eq!(rows, ROWS);
    begin.elapsed().as_secs_f64()
}

fn cluster(team: &Arc<Team>, path: &Path) -> f64 {
    let (mut stream, mut seconds) = (None, 0.0);
    batches(path, |batch| {
        let begin = Instant::now();
        let stream = stream.get_or_insert_with(|| {
            let settings = settings(K, Start::Random, ExtraCenters::Auto, 0);
            Stream::begin(team, &batch.rows, false, settings).expect("enough rows")
        });
        stream.update(team, &batch.rows).expect("finite squares");
        seconds += begin.elapsed().as_secs_f64();
    });
    let begin = Instant::now();
    stream.expect("rows").shrink(team, |_, _| {}).expect("finite squares");
    seconds + begin.elapsed().as_secs_f64()
}

fn train(folder: &Path, path: &Path, threads: usize) -> f64 {
    let channel = InputChannel {
        name: "train".to_owned(),
        content_type: MediaType::RecordIo.into(),
        mode: InputMode::File,
        distribution: Distribution::ShardedByS3Key,
        path: path.to_owned(),
    };
    let job = TrainingJob {
        hyperparameters: BTreeMap::from([
            ("k".to_owned(), K.to_string()),
            ("num_threads".to_owned(), threads.to_string()),
        ]),
        channels: InputChannels {
            channels: BTreeMap::from([("train".to_owned(), channel)]),
            notes: Vec::new(),
        },
        files: JobFiles {
            model: folder.join("model"),
            checkpoints: folder.join("checkpoints"),
            archive: None,
        },
        resume: Resume::Never,
        host: "algo-1".to_owned(),
        hosts: 1,
        stop: StopFlag::default(),
        notes: Vec::new(),
    };
    let begin = Instant::now();
    KMeans.train(&job, &Nobody).expect("trains");
    begin.elapsed().as_secs_f64()
}

/// A console that discards its lines.
struct Nobody;

impl Console for Nobody {
    fn is_quiet(&self) -> bool {
        true
    }

    fn line(&self, _: &str) {}

    fn warning(&self, text: &str) {
        println!("warning: {text}");
    }

    fn note(&self, _: &str) {}

    fn busy(&self, _: &str) {}

    fn progress(&self, _: &Progress<'_>) {}

    fn clear(&self) {}
}
