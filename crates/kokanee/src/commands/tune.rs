//! `kokanee tune`: runs many trainings to find hyperparameters that make a metric good.

mod conclusion;
mod decision;
mod history;
mod log;
mod process;
mod progress;
mod ranges;
mod report;
mod request;
mod results;
mod trial;
mod warm_start;
mod work;

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Result, bail};
use clap::Args;
use kokanee_contract::AlgorithmContract;
use kokanee_tuner::Trial as Known;
use kokanee_tuner::closing::{Closing, Criteria};

use self::decision::Limits;
use self::history::{HISTORY_FILE, History};
use self::process::Launch;
use self::progress::Progress;
use self::request::{Request, StrategyKind, goal};
use self::warm_start::parents;
use self::work::{Ending, Work};
use super::job_options::JobOptions;
use super::train::stop_on_signals;
use crate::algorithms;
use crate::exit::{CommandLineError, say};
use crate::folder_locks::FolderLocks;
use crate::output_file::print;

const EXAMPLES: &str = "\
Examples:
  kokanee tune --algorithm kmeans --train rows.csv --test rows.csv \\
      --content-type 'text/csv;label_size=0' --output tuned --jobs 5 \\
      --set k=3 --range mini_batch_size=20:90 \\
      --range init_method=random,kmeans++
  kokanee tune --train data/train.rec --validation data/val.rec \\
      --vocab data --output better --objective validation:bleu --jobs 10 \\
      --range learning_rate=1e-4:1e-2:log --range rnn_num_hidden=128,256
  kokanee tune --report tuned
      rewrites the tables and pictures of a tuning

The same command resumes where it was interrupted, by Ctrl-C or by kill -9; with a larger --jobs it continues after \
its end. `kokanee train --algorithm NAME --help` lists the hyperparameters of an algorithm, `kokanee algorithms NAME` \
its metrics.";

/// Exit code after Ctrl-C or SIGTERM, as in shells.
const INTERRUPTED_EXIT: i32 = 130;
/// The hyperparameter for the number of threads.
const THREADS: &str = "num_threads";

/// Options of `kokanee tune`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    job: JobOptions,
    /// Folder for trials, history, best model and report
    #[arg(long, value_name = "FOLDER", requires = "train")]
    output: Option<PathBuf>,
    /// Metric to optimize, such as validation:bleu [default: the algorithm's first metric on validation or test data]
    #[arg(long, value_name = "METRIC", requires = "train")]
    objective: Option<String>,
    /// Range to search: NAME=MIN:MAX, optionally followed by :linear, :log or :reverse-log, or NAME=VALUE,VALUE [default: the ranges that
    /// SageMaker's guide recommends]
    #[arg(long, value_name = "NAME=RANGE", requires = "train")]
    range: Vec<String>,
    /// Number of trials
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=750))]
    jobs: u32,
    /// Number of trials to run in parallel; they share the cores
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    parallel: u32,
    /// Search strategy
    #[arg(long, value_name = "STRATEGY", default_value = "bayesian")]
    strategy: StrategyKind,
    /// Stop a trial that is worse than the median of the others at the same number of reports of the objective
    #[arg(long)]
    early_stopping: bool,
    /// Reports of the objective before Hyperband may stop a trial [default: 1]
    #[arg(long, value_name = "N")]
    min_resource: Option<u64>,
    /// Maximum reports of the objective per trial of Hyperband [default: 27]
    #[arg(long, value_name = "N")]
    max_resource: Option<u64>,
    /// Stop when the objective reaches this value
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    target: Option<f64>,
    /// Stop after this many trials in a row without improvement
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,
    /// Stop after this total time over all runs of the command: 90s, 30m, 2h, 1d
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    max_time: Option<f64>,
    /// Random seed; the same seed with --parallel 1 repeats the same trials
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Also learn from an earlier tuning: its output folder
    #[arg(long, value_name = "FOLDER", requires = "train")]
    warm_start: Vec<PathBuf>,
    /// Rewrite the tables and pictures of this folder without training
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["train", "output"])]
    report: Option<PathBuf>,
    /// Do not log each trial
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// Errors of options, hyperparameters or files, before anything is trained; and five failed trials without any result.
pub(crate) fn run(args: &TuneArgs) -> Result<()> {
    if let Some(folder) = &args.report {
        return conclusion::write_again(folder);
    }
    let (Some(_), Some(output)) = (&args.job.train, &args.output) else {
        return Err(CommandLineError("--train and --output are needed, or --report".to_owned()).into());
    };
    match tune(args, output)? {
        Ending::Interrupted => std::process::exit(INTERRUPTED_EXIT),
        Ending::Closed(_) => Ok(()),
    }
}

fn tune(args: &TuneArgs, output: &Path) -> Result<Ending> {
    let algorithm = algorithms::named(args.job.algorithm.as_deref())?;
    let contract = algorithm.contract();
    let (request, metric) = args.request(contract)?;
    let space = ranges::space(contract, &request.ranges)?;
    ranges::check(contract, &space, &request.hyperparameters)?;
    let goal = goal(metric);
    let parents = parents(&request, &space)?;
    let options = request.options(goal, parents.iter().all(|parent| parent.is_identical));
    // Errors of the search are reported before anything is written.
    let known: Vec<Known> = parents.iter().flat_map(|parent| parent.trials.iter().cloned()).collect();
    kokanee_tuner::suggest(&space, &known, &options, request.seed)?;
    let rule = request.stopping_rule()?;
    let stop = stop_on_signals()?;

    let _locks = FolderLocks::acquire([output])?;
    let mut history = match History::read(output)? {
        Some(history) => {
            let differences = request.differences(&history.request);
            if !differences.is_empty() {
                bail!(
                    "{} is of another tuning ({}): choose another --output, or --warm-start {} to learn from it",
                    output.join(HISTORY_FILE).display(),
                    differences.join("; "),
                    output.display()
                );
            }
            history
        }
        None => History::new(request.clone()),
    };
    let progress = Progress::new(args.quiet, args.jobs, args.parallel);
    if args.range.is_empty() {
        progress.note(&format!("no --range: {}, as SageMaker's guide recommends", request.ranges.join(" ")));
    }
    for note in ranges::notes(contract, &space) {
        progress.note(&format!("note: {note}"));
    }
    let criteria = Criteria {
        target: args.target,
        patience: args.patience,
        seconds: args.max_time,
        ..Criteria::default()
    };
    let limits = Limits { trials: args.jobs, criteria };
    let work = Work {
        output,
        launch: Launch {
            request: &request,
            output,
            of_machine: threads(contract, &request, args.parallel),
            resumes: algorithm.resumes(),
            pattern: metric.regex,
        },
        space: &space,
        options,
        seed: request.seed,
        parents: known,
        limits,
        parallel: args.parallel as usize,
        rule,
        stop,
        progress: &progress,
    };
    let ending = work.run(&mut history)?;
    drop(progress);
    match ending {
        Ending::Interrupted => {
            say(&format!(
                "interrupted; the same command resumes with {}",
                output.join(HISTORY_FILE).display()
            ));
        }
        Ending::Closed(why) => {
            let summary = conclusion::conclude(algorithm, output, &mut history, &space, goal)?;
            if why == Closing::NoSuccess || history.best(goal).is_none() {
                return Err(conclusion::failure(&history, why, &limits));
            }
            print(&format!("\n{}:\n\n{summary}", limits.describe(why)))?;
        }
    }
    Ok(ending)
}

/// The threads of each trial, if several share the cores and the user has not set them.
fn threads(contract: &AlgorithmContract, request: &Request, parallel: u32) -> Vec<(String, String)> {
    let is_set = request.hyperparameters.contains_key(THREADS)
        || request.ranges.iter().any(|range| range.starts_with(THREADS));
    if parallel == 1 || is_set || contract.hyperparameter(THREADS).is_none() {
        return Vec::new();
    }
    let cores = available_parallelism().map_or(1, usize::from);
    vec![(THREADS.to_owned(), (cores / parallel as usize).max(1).to_string())]
}

/// Parses the seconds of `90s`, `30m`, `2h` or `1d`.
fn seconds(text: &str) -> Result<f64, String> {
    let expected = "expected a time such as 90s, 30m, 2h or 1d";
    let (number, unit) = match text.char_indices().next_back() {
        Some((place, 's')) => (&text[..place], 1.0),
        Some((place, 'm')) => (&text[..place], 60.0),
        Some((place, 'h')) => (&text[..place], 3600.0),
        Some((place, 'd')) => (&text[..place], 86400.0),
        _ => return Err(expected.to_owned()),
    };
    let number: f64 = number.trim().parse().map_err(|_| expected.to_owned())?;
    let seconds = number * unit;
    if seconds.is_finite() && seconds > 0.0 { Ok(seconds) } else { Err(expected.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, want) in [("90s", 90.0), ("1.5m", 90.0), ("2h", 7200.0), ("1d", 86400.0)] {
            assert_eq!(seconds(text), Ok(want));
        }
        for text in ["", "2", "h", "-1h", "0s", "infd", "nans", "2ü"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
