//! Reading speed of numeric data, in MB of the file per second on one core, compared with copying the same bytes.
//!
//! `cargo xtask bench reading [--mb N] [--columns N] [--runs N] [--keep FOLDER]`
//!
//! Rows of random numbers are written to memory in each format and read in batches of 5000, as an algorithm reads them. The fastest run
//! counts, since other load on the machine can only slow a run down. `--keep` also writes the files into a folder, so that other programs
//! can be timed with them.

// A benchmark prints to a terminal.
#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use kokanee_formats::numeric::{Batch, NumericFormat, NumericReader};
use kokanee_formats::record::{Float32Tensor, Float64Tensor, Record, Value, value};
use kokanee_formats::recordio::append_frame;
use prost::Message as _;

const BATCH_ROWS: usize = 5000;

struct Options {
    megabytes: usize,
    columns: usize,
    runs: usize,
    keep: Option<PathBuf>,
}

/// A way to write rows.
struct Work {
    name: &'static str,
    file: &'static str,
    format: NumericFormat,
    append: fn(&[f64], &mut Vec<u8>),
}

const CSV: NumericFormat = NumericFormat::Csv { label_size: 0 };

const WORKS: [Work; 5] = [
    Work {
        name: "RecordIO, dense float32",
        file: "float32.rec",
        format: NumericFormat::RecordIo,
        append: |row, out| append_record(float32(row), out),
    },
    Work {
        name: "RecordIO, dense float64",
        file: "float64.rec",
        format: NumericFormat::RecordIo,
        append: |row, out| {
            let tensor = Float64Tensor { values: row.to_vec(), ..Float64Tensor::default() };
            append_record(value::Value::Float64Tensor(tensor), out);
        },
    },
    Work {
        name: "CSV, float32 digits",
        file: "float32.csv",
        format: CSV,
        append: |row, out| append_line(row.iter().map(|&value| value as f32), out),
    },
    Work {
        name: "CSV, float64 digits",
        file: "float64.csv",
        format: CSV,
        append: |row, out| append_line(row.iter(), out),
    },
    Work {
        name: "CSV, whole numbers",
        file: "whole.csv",
        format: CSV,
        append: |row, out| append_line(row.iter().map(|value| (value * 1000.0) as i64), out),
    },
];

fn float32(row: &[f64]) -> value::Value {
    let values = row.iter().map(|&value| value as f32).collect();
    value::Value::Float32Tensor(Float32Tensor { values, ..Float32Tensor::default() })
}

fn append_record(tensor: value::Value, out: &mut Vec<u8>) {
    let mut record = Record::default();
    record.features.insert("values".to_owned(), Value { value: Some(tensor) });
    append_frame(out, |out| record.encode(out).expect("memory"));
}

fn append_line(row: impl Iterator<Item = impl std::fmt::Display>, out: &mut Vec<u8>) {
    let mut line = String::new();
    for number in row {
        let comma = if line.is_empty() { "" } else { "," };
        let _ = write!(line, "{comma}{number}");
    }
    out.extend(line.as_bytes());
    out.push(b'\n');
}

/// Numbers in [-1, 1), always the same.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        // xorshift64: its quality does not matter here.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some((self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    }
}

fn main() {
    let options = Options::parse(std::env::args().skip(1));
    println!(
        "{} MB of {} columns; MB/s on one core, fastest of {} runs",
        options.megabytes, options.columns, options.runs
    );
    for work in &WORKS {
        let bytes = work.write(&options);
        if let Some(folder) = &options.keep {
            let path = folder.join(work.file);
            std::fs::write(&path, &bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        let copied = fastest(options.runs, || {
            let mut copy = vec![0; 1 << 18];
            for piece in bytes.chunks(copy.len()) {
                copy[..piece.len()].copy_from_slice(piece);
                std::hint::black_box(&mut copy);
            }
            std::hint::black_box(&mut copy).len()
        });
        let mut rows = 0;
        let read = fastest(options.runs, || {
            rows = work.read(&bytes, options.columns);
            rows
        });
        let rate = |seconds: f64| bytes.len() as f64 / 1e6 / seconds;
        println!(
            "{:<24} {:>8.0} MB/s {:>12.0} rows/s   memcpy {:>6.0} MB/s, 1/{:.1}",
            work.name,
            rate(read),
            rows as f64 / read,
            rate(copied),
            read / copied
        );
    }
}

impl Work {
    fn write(&self, options: &Options) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((options.megabytes + 1) * 1_000_000);
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        while bytes.len() < options.megabytes * 1_000_000 {
            let row: Vec<f64> = numbers.by_ref().take(options.columns).collect();
            (self.append)(&row, &mut bytes);
        }
        bytes
    }

    /// Reads all rows; returns their number.
    fn read(&self, bytes: &[u8], columns: usize) -> usize {
        let mut reader = NumericReader::new(bytes, Path::new(self.file), self.format, Some(columns));
        let mut batch = Batch::default();
        let mut rows = 0;
        loop {
            batch.clear();
            match reader.read(&mut batch, BATCH_ROWS).expect("what was written can be read") {
                0 => return rows,
                added => rows += added,
            }
        }
    }
}

/// Seconds of the fastest run.
fn fastest<T>(runs: usize, mut work: impl FnMut() -> T) -> f64 {
    let run = |_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    };
    (0..runs).map(run).fold(f64::INFINITY, f64::min)
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Self {
        let mut options = Self { megabytes: 200, columns: 50, runs: 3, keep: None };
        while let Some(name) = args.next() {
            // `cargo bench` adds this argument.
            if name == "--bench" {
                continue;
            }
            let value = args.next().unwrap_or_else(|| panic!("{name} wants a value"));
            let number = || value.parse().unwrap_or_else(|_| panic!("{name} wants a number, got {value:?}"));
            match &*name {
                "--mb" => options.megabytes = number(),
                "--columns" => options.columns = number(),
                "--runs" => options.runs = number(),
                "--keep" => options.keep = Some(PathBuf::from(&value)),
                _ => panic!("unknown option {name}: there are --mb, --columns, --runs and --keep"),
            }
        }
        options
    }
}
