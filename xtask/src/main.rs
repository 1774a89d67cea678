//! Tasks of the repository: `cargo xtask ci`, `cargo xtask tidy`, `cargo xtask bench`, `cargo xtask soak`,
//! `cargo xtask wheel`, `cargo xtask peers`.
#![expect(clippy::print_stdout, reason = "a command-line tool: its report is its output")]

mod bench;
mod ci;
mod peers;
mod screenshots;
mod soak;
mod tidy;
mod venv;
mod wheel;
mod workspace;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Tasks of the repository

Usage: cargo xtask <task>

  ci [--keep-going]     the gate, cheapest step first: fmt, tidy, clippy, docs, tests;
                        the last line printed is `N passed, N failed, N skipped`
  tidy                  the rules of the house alone (crate arrows, unsafe, names, paths in .md files)
  bench <name> [args]   one benchmark; `cargo xtask bench` lists them
  soak <name> [count]   a test of the gate, longer; `cargo xtask soak` lists them
  peers <command>       Sockeye itself, to compare with; `cargo xtask peers` lists the commands
  screenshots           the pictures of docs/console.md, taken anew by a headless Chromium
  wheel                 a wheel that carries the program, for pip
  help                  this text

Examples:
  cargo xtask ci
  cargo xtask ci --keep-going     go on after a step that failed, to see all that is wrong
  cargo xtask bench gemm
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[&str]) -> Result<ExitCode> {
    match args {
        ["ci"] => ci::run(ci::OnFailure::Stop),
        ["ci", "--keep-going"] => ci::run(ci::OnFailure::KeepGoing),
        ["tidy"] => tidy::run(),
        ["bench", rest @ ..] => bench::run(rest),
        ["peers", rest @ ..] => peers::run(rest),
        ["screenshots"] => screenshots::run(),
        ["soak", rest @ ..] => soak::run(rest),
        ["wheel", rest @ ..] => wheel::run(rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        [] => bail!("no task named\n\n{USAGE}"),
        unknown => bail!("no such task: {}\n\n{USAGE}", unknown.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused_with_the_usage() {
        for args in [&[][..], &["cl"], &["ci", "--keepgoing"], &["tidy", "--fix"]] {
            let error = dispatch(args).expect_err("must be refused").to_string();
            assert!(error.contains("Usage: cargo xtask <task>"), "{args:?}: {error}");
        }
    }
}
