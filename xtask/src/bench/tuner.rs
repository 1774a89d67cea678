//! `cargo xtask bench tuner --peers`: runs our tuner and its peers on the same tasks in simulated time, and makes tables of their results.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::quantile::{median, quantiles};
use crate::peers::tuner as peers;
use crate::workspace::{Workspace, cargo, command_line, run as run_command};

pub(super) const USAGE: &str = "\
cargo xtask bench tuner --peers [options]: what Kokanee, Optuna, scikit-optimize, egobox, Syne Tune and random search find
  --tuners NAME,NAME   of kokanee, random, optuna, scikit-optimize, egobox, syne-tune
  --seeds A:B          seeds A to B - 1 (0:30)
  --budget N           trials of a run, 30 or 100 (100)
  --parallel N,N       slots (1,4)
  --tasks NAME,NAME    of those in xtask/peers/tuner_tasks.py (all)
  --held-out           tasks that were not used to choose Kokanee's constants; their runs are in held_out.csv
  --tables             only print the tables of the runs that there are, of these tuners
  --anew               forget the runs of these tuners first, as after a change of Kokanee's
Runs are kept in crates/tuner/benches/runs.csv, and those that are there are not run again. A search may differ between processors,
since the last bits of their arithmetic do.";

/// The tuner that the others are compared with.
const OURS: &str = "kokanee";
/// The tuners of the first environment, and the one of the other environment.
const TUNERS: [&str; 5] = [OURS, "random", "optuna", "egobox", "scikit-optimize"];
const SYNE_TUNE: &str = "syne-tune";

/// The results so far.
const RUNS: &str = "crates/tuner/benches/runs.csv";
/// The results on the tasks that were not used to choose our constants.
const HELD_OUT: &str = "crates/tuner/benches/held_out.csv";
/// The file of real trainings, if it exists.
const RECORDED: &str = "crates/tuner/benches/recorded.csv";

#[derive(Default)]
struct Options {
    tuners: Option<String>,
    passed: Vec<String>,
    only_tables: bool,
    is_anew: bool,
    is_held_out: bool,
}

pub(super) fn run(args: &[&str], workspace: &Workspace) -> Result<ExitCode> {
    let options = parse(args)?;
    let runs = workspace.root.join(if options.is_held_out { HELD_OUT } else { RUNS });
    if !options.only_tables {
        measure(&options, workspace, &runs)?;
    }
    let text =
        fs::read_to_string(&runs).with_context(|| format!("there are no runs in {}", runs.display()))?;
    let mut rows = rows(&text)?;
    if let Some(names) = &options.tuners {
        rows.retain(|row| names.split(',').any(|name| name == row.tuner));
    }
    print!("{}", tables(&rows));
    Ok(ExitCode::SUCCESS)
}

fn parse(args: &[&str]) -> Result<Options> {
    let mut options = Options::default();
    let mut args = args.iter().filter(|arg| **arg != "--peers");
    while let Some(arg) = args.next() {
        match *arg {
            "--tables" => options.only_tables = true,
            "--anew" => options.is_anew = true,
            "--held-out" => {
                options.is_held_out = true;
                options.passed.push((*arg).to_owned());
            }
            "--tuners" | "--seeds" | "--budget" | "--parallel" | "--tasks" => {
                let value = args.next().with_context(|| format!("{arg} needs a value\n\n{USAGE}"))?;
                if *arg == "--tuners" {
                    options.tuners = Some((*value).to_owned());
                } else {
                    options.passed.extend([(*arg).to_owned(), (*value).to_owned()]);
                }
            }
            unknown => bail!("no such option: {unknown}\n\n{USAGE}"),
        }
    }
    Ok(options)
}

/// Runs one tuner after the other, each on one thread.
fn measure(options: &Options, workspace: &Workspace, runs: &Path) -> Result<()> {
    let mut build = cargo(&workspace.root);
    run_command(build.args(["build", "--release", "--package", "kokanee-tuner", "--example", "suggest"]))?;
    let suggest = workspace.target_dir.join("release/examples/suggest");
    let all = TUNERS.into_iter().chain([SYNE_TUNE]);
    let asked: Vec<&str> = match &options.tuners {
        Some(names) => names.split(',').collect(),
        None => all.clone().collect(),
    };
    if let Some(unknown) = asked.iter().find(|name| !all.clone().any(|own| own == **name)) {
        bail!("no tuner is called {unknown}\n\n{USAGE}");
    }
    if options.is_anew && runs.exists() {
        let text = fs::read_to_string(runs).with_context(|| format!("cannot read {}", runs.display()))?;
        fs::write(runs, without(&text, &asked))
            .with_context(|| format!("cannot write {}", runs.display()))?;
    }
    for tuner in asked {
        let python = match (tuner == SYNE_TUNE, &options.tuners) {
            (false, _) => peers::python(workspace)?,
            (true, Some(_)) => peers::syne_tune(workspace)?,
            (true, None) => match peers::syne_tune(workspace) {
                Ok(python) => python,
                Err(fault) => {
                    println!("without {SYNE_TUNE}: {fault:#}");
                    continue;
                }
            },
        };
        let mut command = command(workspace, python, tuner, &suggest, runs);
        command.args(&options.passed);
        println!("{}", command_line(&command));
        run_command(&mut command)?;
    }
    Ok(())
}

fn command(workspace: &Workspace, python: PathBuf, tuner: &str, suggest: &Path, runs: &Path) -> Command {
    let mut command = peers::program(workspace, python);
    command.arg(tuner).arg("--program").arg(suggest).arg("--output").arg(runs);
    command.arg("--recorded").arg(workspace.root.join(RECORDED));
    command
}

/// The lines of runs of all other tuners.
fn without(runs: &str, tuners: &[&str]) -> String {
    let is_kept = |line: &&str| line.split(',').nth(3).is_none_or(|tuner| !tuners.contains(&tuner));
    runs.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect()
}

/// The best result of a run after so many trials.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    task: String,
    parallel: u32,
    seed: u32,
    tuner: String,
    evaluations: u32,
    regret: f64,
}

fn rows(text: &str) -> Result<Vec<Row>> {
    let row = |(number, line): (usize, &str)| {
        let cells: Vec<&str> = line.split(',').collect();
        let [task, parallel, seed, tuner, evaluations, regret, ..] = cells[..] else {
            bail!("line {} of the runs has {} columns", number + 1, cells.len());
        };
        let parse = || {
            Some(Row {
                task: task.to_owned(),
                parallel: parallel.parse().ok()?,
                seed: seed.parse().ok()?,
                tuner: tuner.to_owned(),
                evaluations: evaluations.parse().ok()?,
                regret: regret.parse().ok()?,
            })
        };
        parse().with_context(|| format!("line {} of the runs is {line:?}", number + 1))
    };
    text.lines().enumerate().skip(1).map(row).collect()
}

/// The numbers of trials that tables are made for.
const BUDGETS: [u32; 2] = [30, 100];

/// For each number of slots and budget, median and quartiles of each tuner on each task, over its seeds; ranks, over the seeds that all have;
/// and the runs that Kokanee wins, over the seeds that it shares with each other tuner.
fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    let slots: BTreeSet<u32> = rows.iter().map(|row| row.parallel).collect();
    for parallel in slots {
        for budget in BUDGETS {
            let chosen: Vec<&Row> =
                rows.iter().filter(|row| row.parallel == parallel && row.evaluations == budget).collect();
            if !chosen.is_empty() {
                text.push_str(&table(&chosen, parallel, budget));
            }
        }
    }
    text
}

fn table(rows: &[&Row], parallel: u32, budget: u32) -> String {
    let names = |name: fn(&Row) -> &str| {
        let mut names: Vec<&str> = Vec::new();
        for row in rows {
            if !names.contains(&name(row)) {
                names.push(name(row));
            }
        }
        names
    };
    let (tasks, tuners) = (names(|row| &row.task), names(|row| &row.tuner));
    let regrets = |task: &str, tuner: &str| -> BTreeMap<u32, f64> {
        let own = rows.iter().filter(|row| row.task == task && row.tuner == tuner);
        own.map(|row| (row.seed, row.regret)).collect()
    };
    let seeds = |tuner: &str| {
        let counts = tasks.iter().map(|task| regrets(task, tuner).len());
        let (least, most) = counts.fold((usize::MAX, 0), |(least, most), n| (least.min(n), most.max(n)));
        if least == most { format!("{most}") } else { format!("{least}-{most}") }
    };
    let mut text = format!(
        "\n{budget} trials, {parallel} at a time (seeds): median (quartiles) of simple regret\n\n| task |"
    );
    for tuner in &tuners {
        text.push_str(&format!(" {tuner} ({}) |", seeds(tuner)));
    }
    text.push_str(&format!("\n|---|{}\n", "---|".repeat(tuners.len())));
    let mut ranks: Vec<Vec<f64>> = vec![Vec::new(); tuners.len()];
    let ours = tuners.iter().position(|tuner| *tuner == OURS);
    // For each tuner, the runs that we win against it, and those that both have.
    let mut wins = vec![(0.0, 0); tuners.len()];
    for task in &tasks {
        let found: Vec<BTreeMap<u32, f64>> = tuners.iter().map(|tuner| regrets(task, tuner)).collect();
        let cells = found.iter().map(|found| {
            let values: Vec<f64> = found.values().copied().collect();
            if values.is_empty() {
                return "-".to_owned();
            }
            let [low, median, high] = quantiles(&values, [0.25, 0.5, 0.75]);
            format!("{} ({}, {})", short(median), short(low), short(high))
        });
        text.push_str(&format!("| {task} | {} |\n", cells.collect::<Vec<_>>().join(" | ")));
        if let Some(ours) = ours {
            for (wins, other) in wins.iter_mut().zip(&found) {
                let (won, count) = won(&found[ours], other);
                *wins = (wins.0 + won, wins.1 + count);
            }
        }
        // Each tuner counts on the seeds that all tuners with runs of this task share.
        let shared = |seed: &u32| found.iter().all(|found| found.contains_key(seed));
        let medians: Vec<f64> = found
            .iter()
            .map(|found| {
                let values: Vec<f64> =
                    found.iter().filter(|(seed, _)| shared(seed)).map(|(_, regret)| *regret).collect();
                median(&values)
            })
            .collect();
        if medians.iter().all(|median| !median.is_nan()) {
            for (ranks, own) in ranks.iter_mut().zip(&medians) {
                let better = medians.iter().filter(|other| *other < own).count() as f64;
                let equal = medians.iter().filter(|other| *other == own).count() as f64;
                ranks.push(better + (equal + 1.0) / 2.0);
            }
        }
    }
    let ranked = ranks.first().map_or(0, Vec::len);
    if ranked > 0 {
        let mean = |ranks: &Vec<f64>| format!("{:.2}", ranks.iter().sum::<f64>() / ranked as f64);
        let cells: Vec<String> = ranks.iter().map(mean).collect();
        text.push_str(&format!("| mean rank, {ranked} tasks | {} |\n", cells.join(" | ")));
    }
    if ours.is_some() && tuners.len() > 1 {
        let cells = wins.iter().zip(&tuners).map(|((won, count), tuner)| {
            if *tuner == OURS || *count == 0 {
                return "-".to_owned();
            }
            format!("{:.0}% of {count}", 100.0 * won / *count as f64)
        });
        text.push_str(&format!("| runs won by {OURS} | {} |\n", cells.collect::<Vec<_>>().join(" | ")));
    }
    text
}

/// The number of seeds in which the first has the lower regret, where equal ones count half, and that of the seeds that both have.
fn won(own: &BTreeMap<u32, f64>, other: &BTreeMap<u32, f64>) -> (f64, usize) {
    let pairs = own.iter().filter_map(|(seed, own)| Some((own, other.get(seed)?)));
    pairs.fold((0.0, 0), |(won, count), (own, other)| {
        let better = f64::from(u8::from(own < other));
        let equal = f64::from(u8::from(own == other));
        (won + better + 0.5 * equal, count + 1)
    })
}

/// A number with three digits.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(0.001..10_000.0).contains(&size) => format!("{value:.1e}"),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: &str = "task,parallel,seed,tuner,evaluations,regret,seconds,faults\n\
        branin,1,0,kokanee,30,0.5,1.0,0\nbranin,1,1,kokanee,30,1.5,1.0,0\nbranin,1,0,optuna,30,2.0,1.0,0\n\
        branin,4,0,kokanee,100,0.00001,1.0,0\nbranin,1,1,optuna,30,inf,1.0,0\n";

    #[test]
    fn tables_have_medians_quartiles_and_ranks() {
        let text = tables(&rows(RUNS).unwrap());
        let want = "\n30 trials, 1 at a time (seeds): median (quartiles) of simple regret\n\n\
            | task | kokanee (2) | optuna (2) |\n|---|---|---|\n\
            | branin | 1.00 (0.750, 1.25) | inf (inf, inf) |\n\
            | mean rank, 1 tasks | 1.00 | 2.00 |\n\
            | runs won by kokanee | - | 100% of 2 |\n";
        assert!(text.starts_with(want), "{text}");
        assert!(text.contains("100 trials, 4 at a time") && text.contains("| branin | 1.0e-5 ("), "{text}");
    }

    #[test]
    fn runs_are_won_on_shared_seeds() {
        let own = BTreeMap::from([(0, 1.0), (1, 2.0), (2, 0.5), (4, 9.0)]);
        let other = BTreeMap::from([(0, 1.0), (1, 1.0), (2, f64::INFINITY), (3, 0.0)]);
        assert_eq!(won(&own, &other), (1.5, 3));
    }

    #[test]
    fn runs_are_forgotten_by_their_tuner() {
        let kept = without(RUNS, &["kokanee"]);
        let want = "task,parallel,seed,tuner,evaluations,regret,seconds,faults\n\
            branin,1,0,optuna,30,2.0,1.0,0\nbranin,1,1,optuna,30,inf,1.0,0\n";
        assert_eq!(kept, want);
        assert_eq!(without(RUNS, &["egobox"]), RUNS);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let error = |args: &[&str]| parse(args).err().unwrap().to_string();
        assert!(error(&["--peers", "--seed", "3"]).starts_with("no such option: --seed"));
        assert!(error(&["--seeds"]).starts_with("--seeds needs a value"));
        let error = rows("head\nbranin,1").unwrap_err().to_string();
        assert_eq!(error, "line 2 of the runs has 2 columns");
        let error = rows("head\nbranin,1,x,kokanee,30,0.5").unwrap_err().to_string();
        assert!(error.starts_with("line 2 of the runs is "), "{error}");
    }
}
