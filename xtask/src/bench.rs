//! `cargo xtask bench <name> [args]`: one table from the names of benchmarks to their bench targets.
//!
//! `bench train --peers …` and `bench decode --peers …` also measure the peers, see [`side_by_side`] and [`decode`]; `bench train --where
//! …` shows where the time goes, see [`profile`].

mod decode;
mod distance;
mod kmeans;
mod load;
mod profile;
mod quantile;
mod side_by_side;
mod table;
mod tuner;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use anyhow::{Result, bail};

use crate::ci::python;
use crate::peers;
use crate::workspace::{Package, Workspace, cargo, command_line, run as run_command};

/// A benchmark with a name.
struct Bench {
    name: &'static str,
    package: &'static str,
    target: &'static str,
    what: &'static str,
    /// Its options; `None` where the benchmark prints them itself.
    options: Option<&'static str>,
    /// Other ways to call it, one text each.
    others: &'static [&'static str],
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "gemm",
        package: "kokanee-kernels",
        target: "gemm",
        what: "matrix products, GFLOP/s",
        options: Some("[--threads N] [--only PART-OF-A-NAME]"),
        others: &[],
    },
    Bench {
        name: "laboratory",
        package: "kokanee-kernels",
        target: "laboratory",
        what: "kernels beside ways that lost, ms",
        options: Some("[--threads N] [--rounds N] [--only PART-OF-A-NAME]"),
        others: &[],
    },
    Bench {
        name: "reading",
        package: "kokanee-formats",
        target: "reading",
        what: "numeric data to rows, MB/s",
        options: Some("[--mb N] [--columns N] [--runs N] [--keep FOLDER]"),
        others: &[],
    },
    Bench {
        name: "prepare",
        package: "kokanee-seq2seq-data",
        target: "prepare",
        what: "text to RecordIO, pairs/s",
        options: Some("[--peers] [--pairs N,N] [--runs N]"),
        others: &[],
    },
    Bench {
        name: "train",
        package: "kokanee-seq2seq-train",
        target: "training",
        what: "training, sentences/s",
        options: Some(
            "[--work RNN512|RNN1024|GRU512|CNN1|CNN8] [--precision f32|bf16] [--updates N] [--windows N] \
             [--threads N] [--profile] [--report FILE]",
        ),
        others: &[side_by_side::USAGE, profile::USAGE],
    },
    Bench {
        name: "memory",
        package: "kokanee-seq2seq-train",
        target: "memory",
        what: "memory of trainings, estimated and taken",
        options: Some("[--only PART-OF-A-NAME] [--updates N]"),
        others: &[],
    },
    Bench {
        name: "decode",
        package: "kokanee-seq2seq-nn",
        target: "decoding",
        what: "beam search, sentences/s",
        options: Some(
            "--model FOLDER --text FILE[.gz] [--format f32,bf16,int8] [--batch N,N] [--beam N] [--threads N] \
             [--sentences N] [--windows N]",
        ),
        others: &[decode::USAGE],
    },
    Bench {
        name: "kmeans",
        package: "kokanee-kmeans",
        target: "kmeans",
        what: "k-means: quality, speed, growth, whole jobs",
        options: Some(
            "[--peers] [quality|speed|growth|pipeline] [--seeds N] [--windows N] [--threads N] [--data FOLDER]",
        ),
        others: &[],
    },
    Bench {
        name: "tuner",
        package: "kokanee-tuner",
        target: "tuner",
        what: "suggestions of the tuner, ms; with peers, what tuners find",
        options: Some("[--trials N,N] [--runs N]"),
        others: &[tuner::USAGE],
    },
    Bench {
        name: "local",
        package: "kokanee",
        target: "local",
        what: "the local SageMaker: start, calls, objects, jobs, endpoints, pages",
        options: Some("[--peers] [start|calls|objects|jobs|endpoints|pages] [--jobs N] [--mb N]"),
        others: &[],
    },
    Bench {
        name: "start",
        package: "kokanee",
        target: "start",
        what: "waits for a first result, s",
        options: Some("[--repetitions N] [--threads N]"),
        others: &[],
    },
    Bench {
        name: "scaling",
        package: "kokanee",
        target: "scaling",
        what: "how cost grows, with pictures",
        options: Some(
            "[training|decoding] [--points N] [--windows N] [--threads N] [--precision f32,bf16] [--docs]",
        ),
        others: &[],
    },
    Bench {
        name: "quality",
        package: "kokanee",
        target: "quality",
        what: "a whole training, BLEU and PER",
        options: None,
        others: &[],
    },
];

/// Runs the benchmark `args[0]` in the release profile with the rest of `args`, after a line with the machine, compiler and commit that the
/// figures belong to.
pub(crate) fn run(args: &[&str]) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let asked_for = args.split_first().filter(|(name, _)| !["help", "--help", "-h"].contains(name));
    let Some((name, rest)) = asked_for else {
        let listing = listing(&workspace.packages);
        let others = BENCHES.iter().flat_map(|bench| bench.others).copied();
        let parts = ["usage: cargo xtask bench <name> [args]", &listing].into_iter().chain(others);
        println!("{}", parts.collect::<Vec<_>>().join("\n\n"));
        return Ok(ExitCode::SUCCESS);
    };
    let bench = find(name, &workspace.packages)?;
    let mut rest = rest.to_vec();
    if let Some(options) = bench.options
        && rest.iter().any(|arg| ["--help", "-h"].contains(arg))
    {
        println!("{}", usage(bench, options));
        return Ok(ExitCode::SUCCESS);
    }
    let machine = machine_line();
    println!("{machine}");
    let mut command = cargo(&workspace.root);
    command.args(["bench", "--package", bench.package, "--bench", bench.target, "--"]);
    match (bench.name, rest.contains(&"--peers")) {
        ("train", false) if rest.contains(&"--where") => return profile::run(&rest, &workspace),
        (_, false) => {}
        ("train", true) => return side_by_side::run(&rest, &workspace, &machine),
        ("decode", true) => return decode::run(&rest, &workspace, &mut command),
        ("kmeans", true) => return kmeans::run(&rest, &workspace, &command),
        ("tuner", true) => return tuner::run(&rest, &workspace),
        ("prepare", true) => {
            // The comparison needs an interpreter, so a missing one is an error, as in CI.
            if let Some(interpreter) = python::PYTHON.for_tests(&workspace.target_dir, true)? {
                command.env(python::PYTHON.variable, interpreter);
            }
        }
        ("local", true) => {
            command.arg("--moto").arg(peers::moto(&workspace)?);
            rest.retain(|argument| *argument != "--peers");
        }
        (name, true) => {
            bail!("bench {name} has no peers; train, decode, kmeans, tuner, local and prepare have")
        }
    }
    command.args(rest);
    println!("{}", command_line(&command));
    run_command(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

/// The measured quantity of a benchmark, and all ways to call it.
fn usage(bench: &Bench, options: &str) -> String {
    let own = format!("usage: cargo xtask bench {} {options}", bench.name);
    let parts = [bench.what, &own].into_iter().chain(bench.others.iter().copied());
    parts.collect::<Vec<_>>().join("\n\n")
}

fn find(name: &str, packages: &[Package]) -> Result<&'static Bench> {
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        bail!("no benchmark is called {name:?}\n\n{}", listing(packages));
    };
    if !exists(bench, packages) {
        bail!(
            "the benchmark {name:?} is not built yet: package {} has no bench target `{}`\n\n{}",
            bench.package,
            bench.target,
            listing(packages)
        );
    }
    Ok(bench)
}

fn exists(bench: &Bench, packages: &[Package]) -> bool {
    packages.iter().any(|package| {
        package.name == bench.package && package.benches.iter().any(|target| target == bench.target)
    })
}

fn listing(packages: &[Package]) -> String {
    let mut text = String::from("benchmarks:");
    for bench in BENCHES {
        let state = if exists(bench, packages) { "" } else { " (not built yet)" };
        text.push_str(&format!("\n  {:<10} {}{state}", bench.name, bench.what));
    }
    text
}

/// The context of all figures: processor, cores and their current distance, date, compiler, commit.
fn machine_line() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu_model(&cpuinfo).unwrap_or_else(|| env::consts::ARCH.to_owned());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let said_by = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let rustc = said_by("rustc", &["--version"]).unwrap_or_else(|| "unknown rustc".into());
    let commit = said_by("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "no commit".into());
    let apart = distance::between_cores().map_or(String::new(), |ns| format!(" {ns:.0} ns apart"));
    format!("machine: {cpu}, {cores} cores{apart}; {}; {rustc}; {commit}", date(seconds / 86_400))
}

/// The model name, and the family if it is given: rented machines often omit the rest of the name.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    let field = |name: &str| {
        let (before, value) = cpuinfo.lines().find(|line| line.starts_with(name))?.split_once(':')?;
        (before.trim() == name).then(|| value.trim())
    };
    let model = field("model name")?;
    Some(field("cpu family").map_or(model.to_owned(), |family| format!("{model} (family {family})")))
}

/// The Gregorian date (UTC) of a day counted from 1970-01-01, as `YYYY-MM-DD`.
fn date(mut day: u64) -> String {
    let mut year = 1970;
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gregorian() {
        let cases =
            [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_088, "2024-12-31"), (20_089, "2025-01-01")];
        for (day, want) in cases {
            assert_eq!(date(day), want);
        }
    }

    #[test]
    fn the_processor_is_named() {
        let named = "processor\t: 0\nmodel name\t: AMD EPYC 9R45\n";
        assert_eq!(cpu_model(named).as_deref(), Some("AMD EPYC 9R45"));
        let with_family = format!("cpu family\t: 26\n{named}");
        assert_eq!(cpu_model(&with_family).as_deref(), Some("AMD EPYC 9R45 (family 26)"));
        assert_eq!(cpu_model("processor\t: 0\n"), None);
    }

    #[test]
    fn only_benchmarks_that_exist_are_run() {
        let kernels =
            Package { name: "kokanee-kernels".into(), benches: vec!["gemm".into()], ..Package::default() };
        let packages = [kernels];
        assert_eq!(find("gemm", &packages).unwrap().target, "gemm");
        let check = |name: &str, part: &str| {
            let message = find(name, &packages).err().unwrap().to_string();
            assert!(
                message.contains(part) && message.contains("\n  gemm       matrix products"),
                "{message}"
            );
        };
        check("gem", "no benchmark is called \"gem\"");
        check("train", "package kokanee-seq2seq-train has no bench target `training`");
    }
}
