//! `cargo xtask bench kmeans` measures how good the clusters are, how fast they are found, and that memory does not grow with the
//! data.
//!
//! Data sets are in a folder as `cargo xtask peers setup numeric` writes them. With `--report FILE` the figures are also written as
//! JSON, for the comparison with the peers.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod dataset;
mod growth;
mod pipeline;
mod quality;
mod speed;

use std::path::PathBuf;
use std::sync::Arc;

use kokanee_kernels::Team;

use dataset::Dataset;

const USAGE: &str = "usage: [quality|speed|growth|pipeline] [--data FOLDER] [--seeds N] [--windows N] [--threads N] [--report FILE]";

struct Options {
    parts: Vec<String>,
    data: PathBuf,
    seeds: u64,
    windows: usize,
    threads: usize,
    report: Option<PathBuf>,
}

fn main() {
    let options = Options::parse(std::env::args().skip(1)).unwrap_or_else(|fault| {
        eprintln!("{fault}\n{USAGE}");
        std::process::exit(2);
    });
    let team = Arc::new(Team::new(options.threads));
    let asked = |part: &str| options.parts.is_empty() || options.parts.iter().any(|own| own == part);
    let mut report = serde_json::Map::new();
    if asked("quality") {
        let found: Vec<_> =
            quality::SETS.iter().filter_map(|set| Dataset::read(&options.data, set)).collect();
        report.insert("quality".to_owned(), quality::measure(&team, &found, options.seeds));
    }
    if asked("speed") {
        match Dataset::read(&options.data, "mnist10k") {
            Some(data) => {
                report.insert("speed".to_owned(), speed::measure(&team, &data, options.windows));
            }
            None => println!("speed: no mnist10k in {}", options.data.display()),
        }
    }
    if asked("growth") {
        report.insert("growth".to_owned(), growth::measure(&team));
    }
    if asked("pipeline") {
        report.insert("pipeline".to_owned(), pipeline::measure(&team, options.windows.min(5)));
    }
    if let Some(path) = &options.report {
        let text = serde_json::Value::Object(report).to_string();
        std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Options {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers/numeric/data");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut options = Self {
            parts: Vec::new(),
            data: root.into(),
            seeds: 10,
            windows: 7,
            threads: cores,
            report: None,
        };
        let mut args = args.filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            if ["quality", "speed", "growth", "pipeline"].contains(&arg.as_str()) {
                options.parts.push(arg);
                continue;
            }
            let value = args.next().ok_or_else(|| format!("{arg} needs a value, or is not known"))?;
            let number =
                || value.parse::<usize>().ok().filter(|&n| n > 0).ok_or(format!("{arg} {value}: no number"));
            match arg.as_str() {
                "--data" => options.data = value.into(),
                "--report" => options.report = Some(value.into()),
                "--seeds" => options.seeds = number()? as u64,
                "--windows" => options.windows = number()?,
                "--threads" => options.threads = number()?,
                _ => return Err(format!("{arg} is not known")),
            }
        }
        Ok(options)
    }
}
