//! `cargo xtask bench train --where …`: the time of an update by operation, from samples of a training taken with `perf`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace::{Workspace, cargo, command_line, run as run_command};

pub(super) const USAGE: &str = "\
usage: cargo xtask bench train --where [--work NAME] [--precision f32|bf16] [--updates N] [--threads N]

  where the time of an update goes, by operation, from samples of the thread that calls all others;
  needs Linux's perf";

/// Samples per second, and bytes of the stack kept with each: enough to unwind the deepest stack.
const FREQUENCY: &str = "700";
const STACK: &str = "dwarf,28000";
/// The function in which training is measured; samples outside it belong to the setup.
const MEASURED: &str = "Meter::window";
/// Operations with a smaller share of the time are grouped together.
const SMALLEST: f64 = 0.003;

/// The activity of a thread in a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// In the innermost loop of a matrix product.
    Product,
    /// Converting operands of products into the order in which they are read.
    Layout,
    /// Waiting for other threads.
    Waiting,
    Other,
}

const KINDS: [Kind; 4] = [Kind::Product, Kind::Layout, Kind::Waiting, Kind::Other];

/// Records a training with the given options and prints the table.
pub(super) fn run(args: &[&str], workspace: &Workspace) -> Result<ExitCode> {
    let program = program(workspace)?;
    let recording = workspace.target_dir.join("bench/train/perf.data");
    if let Some(folder) = recording.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut record = Command::new("perf");
    record.args(["record", "--quiet", "--call-graph", STACK, "--freq", FREQUENCY, "--output"]);
    record.arg(&recording).arg("--").arg(&program).args(["--windows", "1"]);
    record.args(args.iter().filter(|&&arg| arg != "--where")).stdin(Stdio::null());
    println!("{}", command_line(&record));
    run_command(&mut record).context("perf is part of Linux's tools (package linux-perf or linux-tools)")?;
    let mut script = Command::new("perf");
    script.args(["script", "--fields", "tid,ip,sym", "--input"]).arg(&recording);
    let output = script.stderr(Stdio::null()).stdin(Stdio::null()).output().context("cannot start perf")?;
    ensure!(output.status.success(), "`{}` failed ({})", command_line(&script), output.status);
    let samples = samples(&String::from_utf8_lossy(&output.stdout));
    ensure!(
        !samples.is_empty(),
        "perf took no sample of an update: the run was too short, or has no symbols"
    );
    println!("\n{}", report(&samples));
    Ok(ExitCode::SUCCESS)
}

/// Builds the benchmark and returns its program.
fn program(workspace: &Workspace) -> Result<PathBuf> {
    let mut build = cargo(&workspace.root);
    build.args(["bench", "--package", "kokanee-seq2seq-train", "--bench", "training", "--no-run"]);
    build.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = build.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "`{}` failed ({})", command_line(&build), output.status);
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().context("cargo built no program")
}

/// The functions of each sample of the calling thread during measured updates, innermost first.
fn samples(script: &str) -> Vec<Vec<String>> {
    let mut samples: Vec<(u64, Vec<String>)> = Vec::new();
    for block in script.split("\n\n") {
        let mut lines = block.lines().filter(|line| !line.trim().is_empty());
        let Some(thread) = lines.next().and_then(|line| line.trim().parse().ok()) else { continue };
        // An address, and the name with a mark if the function was inlined.
        let name = |line: &str| {
            let (_, name) = line.trim().split_once(' ')?;
            Some(name.trim_end_matches(" (inlined)").to_owned())
        };
        samples.push((thread, lines.filter_map(name).collect()));
    }
    // Threads are numbered in the order in which they began.
    let caller = samples.iter().map(|(thread, _)| *thread).min();
    let measured = samples.into_iter().filter(|(thread, stack)| {
        Some(*thread) == caller && stack.iter().any(|function| function.contains(MEASURED))
    });
    measured.map(|(_, stack)| stack).collect()
}

fn report(samples: &[Vec<String>]) -> String {
    let mut operations: HashMap<String, BTreeMap<Kind, usize>> = HashMap::new();
    for stack in samples {
        *operations.entry(operation(stack)).or_default().entry(kind(stack)).or_default() += 1;
    }
    let all = samples.len() as f64;
    let share = |count: usize| format!("{:.1}%", 100.0 * count as f64 / all);
    let total = |kinds: &BTreeMap<Kind, usize>| kinds.values().sum::<usize>();
    let row = |name: &str, kinds: &BTreeMap<Kind, usize>| {
        let each = KINDS.map(|kind| share(kinds.get(&kind).copied().unwrap_or(0)));
        format!("| {name} | {} | {} |\n", share(total(kinds)), each.join(" | "))
    };
    let mut sorted: Vec<_> = operations.iter().collect();
    sorted.sort_by_key(|(name, kinds)| (std::cmp::Reverse(total(kinds)), (*name).clone()));
    let (mut rest, mut sum) = (BTreeMap::new(), BTreeMap::new());
    let mut text = String::from(
        "| operation | share | products | their layout | waiting | else |\n|---|---|---|---|---|---|\n",
    );
    for (name, kinds) in sorted {
        let small = (total(kinds) as f64) < SMALLEST * all;
        kinds.iter().for_each(|(kind, count)| *sum.entry(*kind).or_insert(0) += count);
        if small {
            kinds.iter().for_each(|(kind, count)| *rest.entry(*kind).or_insert(0) += count);
        } else {
            text += &row(name, kinds);
        }
    }
    text += &row("all others", &rest);
    text += &row("together", &sum);
    let _ = write!(text, "\n{} samples", samples.len());
    text
}

/// The operation that a sample belongs to, and whether it was in the backward pass.
fn operation(stack: &[String]) -> String {
    let backward = stack.iter().any(|function| function.contains("Tape::backward"));
    for function in stack {
        if function.contains("add_weight_gradient") {
            return "weights' gradients".to_owned();
        }
        if let Some((_, path)) = function.split_once("kokanee_tensor::ops::") {
            let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let way = match (name.as_str(), backward) {
                // Its gradients are computed in the same pass.
                ("cross_entropy", _) => "",
                (_, true) => ", backwards",
                (_, false) => "",
            };
            return format!("{name}{way}");
        }
        if function.contains("kokanee_seq2seq_train::optim") {
            return "optimizer".to_owned();
        }
    }
    "outside of operations".to_owned()
}

fn kind(stack: &[String]) -> Kind {
    const LAYOUTS: [&str; 12] = [
        "gemm::layout::",
        "entry_across",
        "rows_across",
        "lines_of_rows",
        "panel_along",
        "words_avx512_bf16",
        "words_anywhere",
        "interleave",
        "pair_avx512",
        "transpose_avx512",
        "Scratch::convert",
        "PackedMatrix::pack",
    ];
    // A kernel's loop over rows: perf shows it without its path where it was inlined.
    let is_product = |function: &str| {
        let rows = function.strip_prefix("body<").or_else(|| function.strip_prefix("block<"));
        let kernel = ["gemm::bf16::avx", "gemm::f32::avx", "gemm::kernel::portable"];
        rows.is_some_and(|rows| rows.starts_with(|c: char| c.is_ascii_digit()))
            || kernel.iter().any(|name| function.contains(name))
    };
    let is_in = |function: &str, names: &[&str]| names.iter().any(|name| function.contains(name));
    let waits = |function: &String| is_in(function, &["threads::Team::", "spin_loop", "sched_yield"]);
    let works = stack.iter().any(|function| function.contains("threads::Shared::do_part"));
    let yields = stack.iter().any(|function| function.contains("sched_yield"));
    if !works && (yields || stack.first().is_some_and(waits)) {
        return Kind::Waiting;
    }
    for function in stack {
        if is_product(function) {
            return Kind::Product;
        }
        if is_in(function, &LAYOUTS) {
            return Kind::Layout;
        }
    }
    Kind::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "
   11
\t    1 kokanee_kernels::cpu::gemm::bf16::avx512_bf16
\t    2 kokanee_kernels::cpu::threads::Shared::do_part
\t    3 kokanee_kernels::cpu::threads::Team::split
\t    4 kokanee_tensor::ops::linear::linear
\t    5 training::Meter::window

   11
\t    1 __sched_yield
\t    2 kokanee_kernels::cpu::threads::Team::split
\t    3 kokanee_tensor::ops::lstm_cell::lstm_cell::{{closure}} (inlined)
\t    4 kokanee_tensor::tape::Tape::backward_from
\t    5 training::Meter::window

   11
\t    1 kokanee_kernels::cpu::gemm::layout::panels (inlined)
\t    2 kokanee_tensor::ops::linear::add_weight_gradient
\t    5 training::Meter::window

   12
\t    1 kokanee_kernels::cpu::gemm::bf16::avx512_bf16
\t    5 training::Meter::window

   11
\t    1 kokanee_seq2seq_nn::init::apply
";

    #[test]
    fn samples_of_the_calling_thread_in_an_update_are_told_apart() {
        let samples = samples(SCRIPT);
        let told: Vec<(String, Kind)> = samples.iter().map(|stack| (operation(stack), kind(stack))).collect();
        let want = [
            ("linear", Kind::Product),
            ("lstm_cell, backwards", Kind::Waiting),
            ("weights' gradients", Kind::Layout),
        ];
        assert_eq!(told, want.map(|(name, kind)| (name.to_owned(), kind)));
        let report = report(&samples);
        assert!(report.contains("| together | 100.0% | 33.3% | 33.3% | 33.3% | 0.0% |"), "{report}");
    }
}
