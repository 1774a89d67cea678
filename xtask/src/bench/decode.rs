//! `cargo xtask bench decode --peers sockeye`: runs Kokanee's decoding benchmark, then Sockeye with the same model.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

use crate::peers::speed::Peer;
use crate::workspace::{Workspace, cargo, command_line, run as run_command};

pub(super) const USAGE: &str = "\
usage: cargo xtask bench decode --peers sockeye --model FOLDER --text FILE[.gz] [options]

  --batch NUMBERS, --beam N, --threads N, --sentences N, --windows N
                      what both do
  --format NAMES      formats of Kokanee's weights: f32, bf16, int8

The model is Kokanee's; Sockeye gets what `kokanee export` makes of it.";

/// Options that only Kokanee's benchmark has.
const OURS_ALONE: [&str; 1] = ["--format"];

/// The arguments for both programs.
#[derive(Debug, PartialEq)]
struct Plan<'a> {
    model: &'a str,
    text: &'a str,
    /// Further options of Kokanee's benchmark.
    ours: Vec<&'a str>,
    sockeyes: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    fn parse(args: &[&'a str]) -> Result<Self> {
        let mut plan = Plan { model: "", text: "", ours: Vec::new(), sockeyes: Vec::new() };
        let mut rest = args.iter();
        while let Some(&option) = rest.next() {
            let value = *rest.next().with_context(|| format!("{option} needs a value\n\n{USAGE}"))?;
            match option {
                "--peers" => ensure!(
                    value == "sockeye",
                    "decoding is compared with sockeye alone, not {value:?}\n\n{USAGE}"
                ),
                "--model" => plan.model = value,
                "--text" => plan.text = value,
                _ => {
                    plan.ours.extend([option, value]);
                    if !OURS_ALONE.contains(&option) {
                        plan.sockeyes.extend([option, value]);
                    }
                }
            }
        }
        let is_whole = !plan.model.is_empty() && !plan.text.is_empty();
        ensure!(is_whole, "--model and --text must be given\n\n{USAGE}");
        Ok(plan)
    }
}

/// Runs both in turn, one process at a time; `ours` is the command of Kokanee's benchmark without its options.
pub(super) fn run(args: &[&str], workspace: &Workspace, ours: &mut Command) -> Result<ExitCode> {
    let plan = Plan::parse(args)?;
    let python = Peer::Sockeye.python(workspace)?;
    // Cargo starts a benchmark in its package's folder.
    let [model, text] = [plan.model, plan.text].map(|path| {
        fs::canonicalize(path).with_context(|| format!("{path} is not there, or cannot be read"))
    });
    let (model, text) = (model?, text?);
    let exported = workspace.target_dir.join("bench/decode/model");
    export(workspace, &model, &exported)?;
    ours.arg("--model").arg(model).arg("--text").arg(&text).args(&plan.ours);
    println!("{}", command_line(ours));
    run_command(ours)?;
    let mut sockeye = Command::new(python);
    sockeye.args(["-W", "ignore"]).arg(workspace.root.join("xtask/peers/sockeye_decode.py"));
    sockeye.arg("--model").arg(&exported).arg("--text").arg(text).args(&plan.sockeyes).stdin(Stdio::null());
    println!("{}", command_line(&sockeye));
    run_command(&mut sockeye)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the model in Sockeye's format into `exported`, which is created again.
fn export(workspace: &Workspace, model: &Path, exported: &Path) -> Result<()> {
    if exported.exists() {
        fs::remove_dir_all(exported)
            .with_context(|| format!("cannot remove the old {}", exported.display()))?;
    }
    let parent = exported.parent().context("a folder in the target folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let mut command = cargo(&workspace.root);
    command.args(["run", "--quiet", "--release", "--package", "kokanee", "--", "export", "--model"]);
    run_command(command.arg(model).arg("--output").arg(exported))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &'static str) -> Result<Plan<'static>> {
        Plan::parse(&args.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn each_gets_the_options_it_has() {
        let plan = parse("--peers sockeye --model m --text t --format f32 --batch 1,16").unwrap();
        assert_eq!((plan.model, plan.text), ("m", "t"));
        assert_eq!(plan.ours, ["--format", "f32", "--batch", "1,16"]);
        assert_eq!(plan.sockeyes, ["--batch", "1,16"]);
    }

    #[test]
    fn what_is_missing_is_refused() {
        let check = |args, part: &str| {
            let error = parse(args).unwrap_err().to_string();
            assert!(error.contains(part), "{args}: {error}");
        };
        check("--peers sockeye --model m", "--model and --text must be given");
        check("--peers pytorch --model m --text t", "sockeye alone, not \"pytorch\"");
        check("--model m --text t --peers", "--peers needs a value");
    }
}
