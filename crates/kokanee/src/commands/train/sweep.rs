//! One training per value of a hyperparameter, as a table and a curve: the elbow by which k is chosen.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use kokanee_algorithm::{Algorithm, Console, Progress, human};
use kokanee_contract::AlgorithmContract;
use regex::Regex;

use super::TrainArgs;
use crate::console::Terminal;
use crate::exit::{CommandLineError, say};
use crate::folder_locks::FolderLocks;
use crate::output_file::{print, write_file};
use crate::render::table::Table;
use kokanee_pages::svg::lines::{self, Chart, Series};

/// The largest number of trainings of one command.
const MOST_VALUES: usize = 1000;
/// The file name of the picture, in the folder of the models.
const PICTURE: &str = "sweep.svg";

/// A hyperparameter and its values, from `k=2:20`, `k=10:100:10` or `init_method=random,kmeans++`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    name: String,
    values: Vec<String>,
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected NAME=FROM:TO, NAME=FROM:TO:STEP or NAME=VALUE,VALUE, such as k=2:20";
        let (name, values) = text.split_once('=').ok_or(expected)?;
        let values: Vec<String> = if values.contains(':') {
            let bounds: Result<Vec<u64>, _> = values.split(':').map(|part| part.trim().parse()).collect();
            let (from, to, step) = match bounds.map_err(|_| expected)?.as_slice() {
                [from, to] => (*from, *to, 1),
                [from, to, step] if *step > 0 => (*from, *to, *step),
                _ => return Err(expected.to_owned()),
            };
            let steps = (0..).map_while(|index: u64| from.checked_add(index.checked_mul(step)?));
            let steps = steps.take_while(|&value| value <= to).take(MOST_VALUES + 1);
            steps.map(|value| value.to_string()).collect()
        } else {
            values.split(',').map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
        };
        match (name.trim(), values.len()) {
            ("", _) | (_, 0) => Err(expected.to_owned()),
            (_, count) if count > MOST_VALUES => Err(format!("these are more than {MOST_VALUES} values")),
            (name, _) => Ok(Self { name: name.to_owned(), values }),
        }
    }
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.values.join(","))
    }
}

/// Trains once per value, each model in a separate folder below `output`.
///
/// # Errors
/// Errors of a value, before anything is trained, and those of a training.
pub(super) fn run(args: &TrainArgs, sweep: &Sweep, algorithm: &dyn Algorithm, output: &Path) -> Result<()> {
    let contract = algorithm.contract();
    if args.job.set.iter().any(|(name, _)| *name == sweep.name) {
        return Err(
            CommandLineError(format!("--set {0} and --sweep {0}: give one of them", sweep.name)).into()
        );
    }
    let mut jobs = Vec::new();
    for value in &sweep.values {
        let folder = output.join(format!("{}={value}", sweep.name));
        let own = [(sweep.name.clone(), value.clone())];
        let mut job = args
            .by_hand(algorithm, &folder, &own)
            .with_context(|| format!("--sweep {}={value}", sweep.name))?;
        job.files.archive = None;
        jobs.push((value, job));
    }
    let _locks = FolderLocks::acquire([output])?;
    let mut rows: Vec<(&String, f64, BTreeMap<&'static str, f64>)> = Vec::new();
    for (value, job) in &jobs {
        let recorder = Recorder::new(contract)?;
        let begun = Instant::now();
        algorithm.train(job, &recorder)?;
        let seconds = begun.elapsed().as_secs_f64();
        let found = recorder.found();
        let told: Vec<String> = found.iter().map(|(name, value)| format!("{name} {value:.6}")).collect();
        if !args.quiet {
            say(&format!("{}={value}: {} ({seconds:.1}s)", sweep.name, told.join(", ")));
        }
        rows.push((value, seconds, found));
        if job.stop.is_requested() {
            break;
        }
    }
    let measured: Vec<&'static str> = contract
        .metrics
        .iter()
        .map(|metric| metric.name)
        .filter(|name| rows.iter().any(|(_, _, found)| found.contains_key(name)))
        .collect();
    let mut table = measured
        .iter()
        .fold(Table::new().words(&sweep.name), |table, name| table.numbers(name))
        .numbers("time");
    for (value, seconds, found) in &rows {
        let mut cells = vec![(*value).clone()];
        cells.extend(
            measured.iter().map(|name| found.get(name).map_or("-".to_owned(), |value| format!("{value:.6}"))),
        );
        cells.push(human::duration(std::time::Duration::from_secs_f64(*seconds)));
        table.row(cells);
    }
    print(&table.to_string())?;
    let Some(chart) = chart(contract, sweep, &measured, &rows) else { return Ok(()) };
    let picture = output.join(PICTURE);
    write_file(&picture, &lines::draw(&chart).document())?;
    print(&format!("\n{} shows {} over {}\n", picture.display(), chart.y_label, sweep.name))
}

/// A chart of the first measure of test data over the values, otherwise of the first measure; none if values are not numbers.
fn chart(
    contract: &AlgorithmContract,
    sweep: &Sweep,
    measured: &[&'static str],
    rows: &[(&String, f64, BTreeMap<&'static str, f64>)],
) -> Option<Chart> {
    let is_quality = |name: &&&str| !["train:progress", "train:throughput"].contains(*name);
    let of_test = measured.iter().filter(is_quality).find(|name| !name.starts_with("train:"));
    let metric = *of_test.or_else(|| measured.iter().find(is_quality))?;
    let points = rows.iter().filter_map(|(value, _, found)| Some((value.parse().ok()?, *found.get(metric)?)));
    let points: Vec<(f64, f64)> = points.collect();
    (points.len() > 1).then(|| Chart {
        title: format!("{}: {metric} over {}", contract.title, sweep.name),
        x_label: sweep.name.clone(),
        y_label: metric.to_owned(),
        series: vec![Series { name: metric.to_owned(), points, ..Series::default() }],
        y_from_zero: true,
        ..Chart::default()
    })
}

/// A console that keeps the metrics of the log and shows nothing.
struct Recorder {
    terminal: Terminal,
    patterns: Vec<(&'static str, Regex)>,
    found: Mutex<BTreeMap<&'static str, f64>>,
}

impl Recorder {
    fn new(contract: &AlgorithmContract) -> Result<Self> {
        let patterns = contract.metrics.iter().map(|metric| Ok((metric.name, Regex::new(metric.regex)?)));
        let patterns = patterns.collect::<Result<_>>().context("a pattern of a metric is damaged")?;
        Ok(Self { terminal: Terminal::new(true), patterns, found: Mutex::default() })
    }

    fn found(&self) -> BTreeMap<&'static str, f64> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Console for Recorder {
    fn is_quiet(&self) -> bool {
        false
    }

    fn line(&self, line: &str) {
        for (name, pattern) in &self.patterns {
            let value = pattern.captures(line).and_then(|found| found.get(1)?.as_str().parse().ok());
            if let Some(value) = value {
                self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value);
            }
        }
    }

    fn warning(&self, text: &str) {
        self.terminal.warning(text);
    }

    fn note(&self, text: &str) {
        self.terminal.note(text);
    }

    fn busy(&self, what: &str) {
        self.terminal.busy(what);
    }

    fn progress(&self, progress: &Progress<'_>) {
        self.terminal.progress(progress);
    }

    fn clear(&self) {
        self.terminal.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_steps_and_lists_are_read() {
        let check = |text: &str, want: &str| {
            let read = text.parse::<Sweep>().map(|sweep| sweep.to_string());
            assert_eq!(read.as_deref(), Ok(want), "{text}");
        };
        check("k=2:4", "k=2,3,4");
        check("k=2:9:3", "k=2,5,8");
        check("k=2:2", "k=2");
        check(" init_method = random , kmeans++", "init_method=random,kmeans++");
        for text in ["k", "k=", "=2:3", "k=a:b", "k=5:2", "k=1:9:0", "k=1:2:3:4", "k=1:100000"] {
            assert!(text.parse::<Sweep>().is_err(), "{text}");
        }
    }
}
