//! Measures how cost grows: time against the size of the model, of the data and of the search, compared with the law expected from
//! multiply-adds.
//!
//! `cargo xtask bench scaling [training|decoding] [--points N] [--windows W] [--threads T] [--precision f32,bf16] [--docs]`
//!
//! Data are random ids and models freshly initialised: time depends on shapes alone. `--points` takes this many points of each
//! curve, its ends first. Pictures go to `target/scaling`; with `--docs` they go to `docs/curves`, and the tables between the marks
//! in `docs/performance.md`.

// A benchmark speaks to a terminal.
#![allow(clippy::print_stdout)]

mod curve;
mod decoding;
mod law;
mod machine;
mod output;
mod shape;
mod training;
mod windows;

use std::process::exit;

use machine::Machine;
use output::Output;

/// The options of the measurement.
pub(crate) struct Options {
    training: bool,
    decoding: bool,
    /// The largest number of points per curve.
    pub(crate) points: usize,
    pub(crate) windows: usize,
    pub(crate) threads: usize,
    /// Precisions of training; decoding is measured in all of its formats.
    pub(crate) precisions: Vec<String>,
    docs: bool,
}

fn main() {
    let result = Options::parse(std::env::args().skip(1)).and_then(|options| run(&options));
    if let Err(message) = result {
        eprintln!("error: {message}");
        exit(1);
    }
}

fn run(options: &Options) -> Result<(), String> {
    shape::check_against_published_counts();
    let output = Output::new(options.docs)?;
    let machine = Machine::measure(options.threads);
    println!("{}", machine.table());
    output.section("machine", &machine.table())?;
    if options.training {
        let study = training::study(options, &machine)?;
        study.publish("training", &output)?;
    }
    if options.decoding {
        let study = decoding::study(options, &machine);
        study.publish("decoding", &output)?;
    }
    Ok(())
}

impl Options {
    fn parse(args: impl Iterator<Item = String>) -> Result<Options, String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut options = Options {
            training: true,
            decoding: true,
            points: usize::MAX,
            windows: 5,
            threads: cores,
            precisions: vec!["f32".to_owned(), "bf16".to_owned()],
            docs: false,
        };
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let number = |text: String, least: usize| match text.parse() {
                Ok(number) if number >= least => Ok(number),
                _ => Err(format!("{arg} {text}: a whole number of at least {least} is expected")),
            };
            match arg.as_str() {
                // Cargo marks a benchmark with this.
                "--bench" => {}
                "training" => options.decoding = false,
                "decoding" => options.training = false,
                "--points" => options.points = number(value()?, 2)?,
                "--windows" => options.windows = number(value()?, 1)?,
                "--threads" => options.threads = number(value()?, 1)?,
                "--precision" => options.precisions = value()?.split(',').map(str::to_owned).collect(),
                "--docs" => options.docs = true,
                _ => {
                    return Err(format!(
                        "unknown argument {arg}: training, decoding, --points, --windows, --threads, --precision, --docs"
                    ));
                }
            }
        }
        if !options.training && !options.decoding {
            return Err("name one of training and decoding, or neither for both".to_owned());
        }
        Ok(options)
    }

    /// The requested number of points from `all`: the ends, and evenly spaced ones between them.
    pub(crate) fn points_of(&self, all: &[usize]) -> Vec<usize> {
        let count = all.len().min(self.points);
        (0..count).map(|index| all[index * (all.len() - 1) / (count - 1).max(1)]).collect()
    }
}
