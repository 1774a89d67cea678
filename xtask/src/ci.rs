//! `cargo xtask ci`: the gate, the same locally and in CI, cheapest step first.

mod javascript;
pub(crate) mod python;
mod totals;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, cargo, command_line, run as run_command};
use crate::{tidy, wheel};
use totals::Totals;

/// The treatment of the steps after a failed one.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum OnFailure {
    Stop,
    KeepGoing,
}

/// The variable in which the test of the wheel finds its file.
const WHEEL: &str = "KOKANEE_WHEEL";

/// The steps, cheapest first.
const STEPS: &[Step] = &[
    Step { name: "fmt", run: fmt },
    Step { name: "tidy", run: tidy_rules },
    Step { name: "clippy", run: clippy },
    Step { name: "docs", run: docs },
    Step { name: "tests", run: tests },
];

struct Step {
    name: &'static str,
    run: fn(&Workspace, &mut Totals) -> Result<()>,
}

/// Runs the steps, then prints the time of each, the skipped tests, and as the very last line the test totals.
pub(crate) fn run(on_failure: OnFailure) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let mut totals = Totals::default();
    let succeeded = run_steps(STEPS, on_failure, &workspace, &mut totals);
    for test in &totals.skipped_tests {
        println!("skipped: {test}");
    }
    println!("{totals}");
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_steps(steps: &[Step], on_failure: OnFailure, workspace: &Workspace, totals: &mut Totals) -> bool {
    let mut summary: Vec<(&str, &str, Duration)> = Vec::new();
    let mut failed = false;
    for step in steps {
        if failed && on_failure == OnFailure::Stop {
            summary.push((step.name, "not run", Duration::ZERO));
            continue;
        }
        println!("\n== {} ==", step.name);
        let start = Instant::now();
        let outcome = (step.run)(workspace, totals);
        let took = start.elapsed();
        if let Err(error) = &outcome {
            println!("error: {error:#}");
        }
        failed |= outcome.is_err();
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("== {}: {word} in {:.1} s ==", step.name, took.as_secs_f64());
        summary.push((step.name, word, took));
    }
    println!();
    for (name, word, took) in summary {
        println!("{name:<8} {word:<8} {:>7.1} s", took.as_secs_f64());
    }
    !failed
}

fn fmt(workspace: &Workspace, _: &mut Totals) -> Result<()> {
    run_command(cargo(&workspace.root).args(["fmt", "--all", "--", "--check"]))
        .context("`cargo fmt --all` puts it right")
}

fn tidy_rules(workspace: &Workspace, _: &mut Totals) -> Result<()> {
    let faults = tidy::report(workspace)?;
    if faults > 0 {
        bail!("{faults} faults; `cargo xtask tidy` shows them alone");
    }
    Ok(())
}

fn clippy(workspace: &Workspace, _: &mut Totals) -> Result<()> {
    run_command(cargo(&workspace.root).args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs(workspace: &Workspace, _: &mut Totals) -> Result<()> {
    run_command(cargo(&workspace.root).env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--locked",
        "--workspace",
        "--no-deps",
    ]))
}

/// Runs every test and doc test to the end, and counts their results in the output.
fn tests(workspace: &Workspace, totals: &mut Totals) -> Result<()> {
    let mut command = cargo(&workspace.root);
    command.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
    for python in [python::PYTHON, python::SDK_V3] {
        if let Some(interpreter) = python.for_tests(&workspace.target_dir, is_ci)? {
            command.env(python.variable, interpreter);
        }
    }
    if let Some(folder) = javascript::for_tests(&workspace.target_dir, is_ci)? {
        command.env(javascript::VARIABLE, folder);
    }
    if let Some(wheel) = wheel_for_tests(workspace, is_ci)? {
        command.env(WHEEL, wheel);
    }
    let line = command_line(&command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{line}`"))?;
    let output = child.stdout.take().context("the tests' output is a pipe")?;
    copy_and_count(BufReader::new(output), &mut io::stdout().lock(), totals)?;
    let status = child.wait()?;
    if totals.failed > 0 {
        bail!("{} tests failed", totals.failed);
    }
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    if totals.passed == 0 {
        bail!("no test ran");
    }
    if is_ci && totals.skipped > 0 {
        bail!("{} tests were skipped, and CI=true allows no skipping", totals.skipped);
    }
    Ok(())
}

/// The program's wheel for tests; `Ok(None)`, with a warning, when it cannot be built; in CI that is an error.
fn wheel_for_tests(workspace: &Workspace, is_ci: bool) -> Result<Option<PathBuf>> {
    match wheel::build_for_tests(workspace) {
        Ok(wheel) => Ok(Some(wheel)),
        Err(error) if is_ci => Err(error),
        Err(error) => {
            println!("warning: the test of the wheel will be skipped: {error:#}");
            Ok(None)
        }
    }
}

/// Passes every line on as it arrives, so that a slow test is visible.
fn copy_and_count(mut from: impl BufRead, to: &mut impl Write, totals: &mut Totals) -> Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        totals.read_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    totals.close();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(_: &Workspace, totals: &mut Totals) -> Result<()> {
        totals.passed += 1;
        Ok(())
    }

    fn fails(_: &Workspace, _: &mut Totals) -> Result<()> {
        bail!("on purpose")
    }

    #[track_caller]
    fn check(
        run: &[fn(&Workspace, &mut Totals) -> Result<()>],
        on_failure: OnFailure,
        succeeds: bool,
        ran: u64,
    ) {
        let steps: Vec<Step> = run.iter().map(|&run| Step { name: "step", run }).collect();
        let workspace = Workspace { root: "".into(), target_dir: "".into(), packages: Vec::new() };
        let mut totals = Totals::default();
        assert_eq!(run_steps(&steps, on_failure, &workspace, &mut totals), succeeds);
        assert_eq!(totals.passed, ran, "steps that ran");
    }

    #[test]
    fn a_failure_stops_the_gate_unless_told_to_go_on() {
        check(&[passes, passes], OnFailure::Stop, true, 2);
        check(&[passes, fails, passes], OnFailure::Stop, false, 1);
        check(&[passes, fails, passes], OnFailure::KeepGoing, false, 2);
    }

    #[test]
    fn output_is_passed_on_unchanged_while_it_is_counted() {
        let from = b"test a ... ok\ntest result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out\n\xff";
        let (mut to, mut totals) = (Vec::new(), Totals::default());
        copy_and_count(&from[..], &mut to, &mut totals).unwrap();
        assert_eq!(to, from);
        assert_eq!(totals.to_string(), "1 passed, 0 failed, 2 skipped");
    }
}
