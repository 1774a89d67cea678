//! `cargo xtask peers`: the programs that Kokanee's results or speed are compared with.
//!
//! Sockeye 1.18.106 serves both comparisons; a program with PyTorch only that of speed. Nothing here belongs to the gate: Sockeye's results
//! that the tests need are recorded in files.

mod environment;
pub(crate) mod numeric;
pub(crate) mod speed;
pub(crate) mod tuner;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use self::environment::MOTO;
use self::speed::Peer;
use crate::workspace::{Workspace, command_line, run as run_command};

const USAGE: &str = "\
usage: cargo xtask peers <command>

  setup [sockeye|pytorch|numeric|tuner|moto]
                                         environments with Sockeye (300 MB), PyTorch (4 GB), what numeric algorithms are
                                         compared with (400 MB, data included), tuners (600 MB) and moto's server (200 MB), in
                                         the target folder, once
  sockeye                                the same as `setup sockeye`
  run sockeye|pytorch WORK [options]     train a work (RNN512, RNN1024, GRU512, CNN1, CNN8) and say how fast; options of both
                                         are --updates N --windows N --warm-up N --threads N --seed N --report FILE,
                                         of PyTorch also --precision f32|bf16 --variant WORDS
  record-losses                          record Sockeye's first updates anew for the tests of algorithms/seq2seq/train
  sockeye-load FOLDER [--source FILE]    let Sockeye load an exported model and translate FILE, a sentence a line
                                         (without it: the test sentences of the golden cases)";

/// The files of a model's folder that Sockeye loads.
const MODEL_FILES: [&str; 4] = ["config", "params.best", "vocab.src.0.json", "vocab.trg.0.json"];

pub(crate) fn run(args: &[&str]) -> Result<ExitCode> {
    match args {
        ["setup"] => {
            set_up(&Peer::ALL)?;
            numeric::set_up(&Workspace::load()?)?;
            tuner::set_up(&Workspace::load()?)?;
            set_up_moto(&Workspace::load()?)?;
        }
        ["setup", "moto"] => set_up_moto(&Workspace::load()?)?,
        ["setup", "tuner" | "syne-tune"] => tuner::set_up(&Workspace::load()?)?,
        ["setup", "numeric"] => numeric::set_up(&Workspace::load()?)?,
        ["setup", peer] if !peer.starts_with('-') => set_up(&[Peer::named(peer)?])?,
        ["sockeye"] => set_up(&[Peer::Sockeye])?,
        ["run", peer, work, options @ ..] => train(Peer::named(peer)?, work, options)?,
        ["record-losses"] => record_losses(&Workspace::load()?)?,
        ["sockeye-load", model] if !model.starts_with('-') => {
            let workspace = Workspace::load()?;
            sockeye_load(&workspace, Path::new(model), &golden(&workspace).join("test.src"))?;
        }
        ["sockeye-load", model, "--source", source] | ["sockeye-load", "--source", source, model] => {
            sockeye_load(&Workspace::load()?, Path::new(model), Path::new(source))?;
        }
        [] | ["help" | "--help" | "-h"] => println!("{USAGE}"),
        unknown => bail!("no such command: peers {}\n\n{USAGE}", unknown.join(" ")),
    }
    Ok(ExitCode::SUCCESS)
}

fn set_up_moto(workspace: &Workspace) -> Result<()> {
    let python = MOTO.set_up(&workspace.target_dir)?;
    println!("{} is ready: {}", MOTO.what, python.display());
    Ok(())
}

/// The Python with moto's server, which must be set up.
pub(crate) fn moto(workspace: &Workspace) -> Result<PathBuf> {
    MOTO.ready(&workspace.target_dir)
}

fn set_up(peers: &[Peer]) -> Result<()> {
    let workspace = Workspace::load()?;
    for peer in peers {
        let environment = peer.environment();
        let python = environment.set_up(&workspace.target_dir)?;
        if *peer == Peer::PyTorch {
            check_pytorch(&workspace, &python)?;
        }
        println!("{} is ready: {}", environment.what, python.display());
    }
    Ok(())
}

/// Runs the program's comparison of its own gradients with PyTorch's, compiled and not; it needs a compiler.
fn check_pytorch(workspace: &Workspace, python: &Path) -> Result<()> {
    let program = workspace.root.join("xtask/peers/pytorch_check.py");
    run_command(Command::new(python).args(["-W", "ignore"]).arg(program).stdin(Stdio::null()))
        .context("PyTorch is there, and training with it does not work; it needs a C++ compiler and Python's headers (on \
                  Debian and Ubuntu: apt-get install g++ python3-dev)")
}

/// Trains one workload with one peer alone.
fn train(peer: Peer, work: &str, options: &[&str]) -> Result<()> {
    ensure!(
        speed::WORKS.contains(&work),
        "no work is called {work:?}: there are {}",
        speed::WORKS.join(", ")
    );
    // If the options name a precision too, the last one counts.
    run_command(peer.training(&Workspace::load()?, work, "f32")?.args(options))
}

/// Writes the files of the test `algorithms/seq2seq/train/tests/sockeye_losses.rs`.
fn record_losses(workspace: &Workspace) -> Result<()> {
    let golden = golden(workspace);
    let python = Peer::Sockeye.python(workspace)?;
    let output = workspace.root.join("algorithms/seq2seq/train/tests/sockeye");
    run_command(
        sockeye(&python)
            .arg(workspace.root.join("xtask/peers/record_losses.py"))
            .arg("--golden")
            .arg(golden)
            .arg("--output")
            .arg(&output),
    )?;
    println!("written to {}", output.display());
    Ok(())
}

/// Prints Sockeye's translations of `source` with the model in the folder `model`.
fn sockeye_load(workspace: &Workspace, model: &Path, source: &Path) -> Result<()> {
    check_model_folder(model)?;
    ensure!(source.is_file(), "{} is not there, or not a file of sentences", source.display());
    let python = Peer::Sockeye.python(workspace)?;
    let mut command = sockeye(&python);
    command.args(["-m", "sockeye.translate", "--use-cpu", "--beam-size", "5"]);
    command.arg("--models").arg(model).arg("--input").arg(source);
    let output = command.output().with_context(|| format!("cannot start `{}`", command_line(&command)))?;
    ensure!(
        output.status.success(),
        "Sockeye could not translate with {} ({}); it said:\n{}",
        model.display(),
        output.status,
        without_information(&String::from_utf8_lossy(&output.stderr))
    );
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// Sockeye's log without the many informational lines.
fn without_information(log: &str) -> String {
    log.lines().filter(|line| !line.starts_with("[INFO:")).collect::<Vec<_>>().join("\n")
}

fn check_model_folder(model: &Path) -> Result<()> {
    let missing: Vec<&str> = MODEL_FILES.into_iter().filter(|file| !model.join(file).is_file()).collect();
    ensure!(
        missing.is_empty(),
        "{} is not a model of Sockeye: it has no {}; `kokanee export --format sockeye` makes one",
        model.display(),
        missing.join(", ")
    );
    Ok(())
}

/// Python on one thread, so that sums are computed in the same order each time, and without its usual warnings.
fn sockeye(python: &Path) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-W", "ignore"])
        .env("OMP_NUM_THREADS", "1")
        .env("MXNET_SUBGRAPH_VERBOSE", "0")
        .stdin(Stdio::null());
    command
}

/// The folder of the golden cases and of their training corpus.
fn golden(workspace: &Workspace) -> PathBuf {
    workspace.root.join("crates/testkit/golden")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &[&str], part: &str) {
        let error = run(args).expect_err("must be refused").to_string();
        assert!(error.contains(part), "{args:?}: {error}");
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_usage() {
        check(&["record"], "no such command: peers record\n\nusage: cargo xtask peers");
        check(&["setup", "--force"], "no such command: peers setup --force");
        check(&["setup", "mxnet"], "no peer is called \"mxnet\": there are sockeye, pytorch");
        check(&["run", "sockeye", "RNN256"], "no work is called \"RNN256\": there are RNN512, ");
        check(&["run", "sockeye"], "no such command: peers run sockeye");
        check(&["sockeye-load"], "no such command: peers sockeye-load");
        check(&["sockeye-load", "--source"], "no such command: peers sockeye-load --source");
    }

    #[test]
    fn what_went_wrong_is_left_of_a_log() {
        let log = "[INFO:sockeye.utils] MXNet version 1.9.1\n[ERROR:root] Uncaught exception\nTraceback:\n";
        assert_eq!(without_information(log), "[ERROR:root] Uncaught exception\nTraceback:");
    }

    #[test]
    fn a_folder_without_a_model_is_refused_before_anything_is_run() {
        check(
            &["sockeye-load", "no/such/model", "--source", "x"],
            "no/such/model is not a model of Sockeye: it has no config, params.best, vocab.src.0.json, vocab.trg.0.json; \
             `kokanee export",
        );
    }
}
