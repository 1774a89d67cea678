//! Benchmarks of the local SageMaker: its start, its calls, its objects, its jobs, and what it adds to a model's answers.
//!
//! `cargo xtask bench local [--peers] [--jobs N] [--mb N] [PART …]`, where a part is `start`, `calls`, `objects`, `jobs`,
//! `endpoints` or `pages`. With `--peers`, moto's server is measured with the same calls and objects; it does no work for them.
//! Limits are the speeds of this machine's disk and loopback without a server.

// The output of a benchmark is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod calls;
mod client;
mod endpoints;
mod jobs;
mod objects;
mod pages;
mod servers;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kokanee_testkit::median;

use crate::servers::Server;

/// The options of the benchmark.
pub(crate) struct Options {
    /// A Python with moto, if that is to be measured too.
    pub(crate) moto: Option<String>,
    /// Number of existing jobs when calls are measured.
    pub(crate) jobs: usize,
    /// Size of a large object in megabytes.
    pub(crate) mb: usize,
    parts: Vec<String>,
}

type Part = (&'static str, fn(&Options) -> Result<(), String>);

const PARTS: [Part; 6] = [
    ("start", start),
    ("calls", calls::run),
    ("objects", objects::run),
    ("jobs", jobs::run),
    ("endpoints", endpoints::run),
    ("pages", pages::run),
];

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { moto: None, jobs: 10_000, mb: 1024, parts: Vec::new() };
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: String| text.parse::<usize>().map_err(|_| format!("{text} is not a number"));
        match argument.as_str() {
            "--moto" => options.moto = Some(value()?),
            "--jobs" => options.jobs = number(value()?)?,
            "--mb" => options.mb = number(value()?)?,
            part if PARTS.iter().any(|(name, _)| *name == part) => options.parts.push(argument),
            _ => {
                return Err(format!(
                    "unknown {argument}; there are --jobs, --mb, and parts: start calls objects jobs endpoints pages"
                ));
            }
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    for (name, part) in PARTS {
        if options.parts.is_empty() || options.parts.iter().any(|asked| asked == name) {
            println!("\n{name}");
            part(options)?;
        }
    }
    Ok(())
}

/// Measures the time to the first response, and the resources of an idle server.
fn start(_: &Options) -> Result<(), String> {
    let idle = Duration::from_secs(5);
    let mut starts = Vec::new();
    for _ in 0..5 {
        let folder = folder()?;
        starts.push(Server::kokanee(folder.path())?.started_in.as_secs_f64() * 1e3);
    }
    let folder = folder()?;
    let server = Server::kokanee(folder.path())?;
    let (_, before) = server.usage();
    std::thread::sleep(idle);
    let (resident, after) = server.usage();
    row("to its first answer", median(starts), "ms", "under 200");
    row("memory while idle", resident, "MiB", "under 40");
    row("processor while idle", (after - before) / idle.as_secs_f64() * 100.0, "% of a core", "0");
    Ok(())
}

/// Runs `work` in several threads.
pub(crate) fn in_threads(count: usize, work: impl Fn() -> Result<(), String> + Sync) -> Result<(), String> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a client failed".to_owned())?)
    })
}

/// Measures how often per second several clients, each newly connected, do something.
pub(crate) fn rate<C>(
    clients: usize,
    window: Duration,
    connect: impl Fn() -> Result<C, String> + Sync,
    ask: impl Fn(&mut C, usize) -> Result<(), String> + Sync,
) -> Result<f64, String> {
    let (asked, begun) = (AtomicUsize::new(0), Instant::now());
    in_threads(clients, || {
        let mut client = connect()?;
        while begun.elapsed() < window {
            ask(&mut client, asked.fetch_add(1, Ordering::Relaxed))?;
        }
        Ok(())
    })?;
    Ok(asked.into_inner() as f64 / begun.elapsed().as_secs_f64())
}

pub(crate) fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|error| format!("a folder: {error}"))
}

pub(crate) fn row(what: &str, value: f64, unit: &str, aim: &str) {
    println!("  {what:<58} {value:>10.2} {unit:<14} {aim}");
}
