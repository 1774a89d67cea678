//! `cargo xtask bench kmeans --peers`: runs Kokanee's benchmark of k-means, then scikit-learn and faiss on the same workloads, in turns.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::peers::numeric;
use crate::workspace::{Workspace, command_line, run as run_command};

/// Rounds of all systems, so that a machine that becomes slower affects all of them; the best of each counts.
const ROUNDS: usize = 2;

/// The parts of Kokanee's benchmark; the peers have the first two.
const PARTS: [&str; 4] = ["speed", "quality", "growth", "pipeline"];
const OF_PEERS: &[&str] = &["speed", "quality"];

/// Runs all in turns, one process at a time; `ours` is the command of Kokanee's benchmark without its options.
pub(super) fn run(args: &[&str], workspace: &Workspace, ours: &Command) -> Result<ExitCode> {
    let asked = |part: &&str| args.contains(part) || !args.iter().any(|arg| PARTS.contains(arg));
    let options: Vec<&str> =
        args.iter().copied().filter(|arg| *arg != "--peers" && !PARTS.contains(arg)).collect();
    let folder = workspace.target_dir.join("bench/kmeans");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut reports: [Vec<Value>; 2] = Default::default();
    for round in 0..ROUNDS {
        let mut kokanee = again(ours);
        kokanee.arg("--data").arg(numeric::data(workspace));
        let peers = numeric::program(workspace, "kmeans_peers.py")?;
        let systems = [("kokanee", kokanee, &PARTS[..]), ("peers", peers, OF_PEERS)];
        for (index, (name, mut command, parts)) in systems.into_iter().enumerate() {
            // Only speed depends on the round.
            let parts = parts.iter().filter(|part| asked(part) && (round == 0 || **part == "speed"));
            let parts: Vec<&str> = parts.copied().collect();
            if parts.is_empty() {
                reports[index].push(Value::Null);
                continue;
            }
            let report = folder.join(format!("{name}-{round}.json"));
            command.args(parts).args(&options).arg("--report").arg(&report);
            println!("{}", command_line(&command));
            run_command(&mut command)?;
            reports[index].push(read(&report)?);
        }
    }
    let [ours, peers] = reports;
    println!("{}\n{}", quality(&ours[0], &peers[0]), speed(&ours, &peers));
    Ok(ExitCode::SUCCESS)
}

fn again(command: &Command) -> Command {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        again.current_dir(folder);
    }
    again
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("no report {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("the report {}", path.display()))
}

fn rows<'a>(report: &'a Value, part: &str) -> impl Iterator<Item = &'a Value> {
    report[part].as_array().into_iter().flatten()
}

/// The mean msd of each system relative to that of scikit-learn's KMeans.
fn quality(ours: &Value, peers: &Value) -> String {
    let mut text = String::from(
        "| data, k | Kokanee | Kokanee, init_method=kmeans++ | scikit-learn KMeans | MiniBatchKMeans | faiss Kmeans |\n\
         |---|---|---|---|---|---|\n",
    );
    let mean = |report: &Value, set: &str, key: &str, name: &str| -> f64 {
        let row = rows(report, "quality").find(|row| row["set"] == set && row[key] == name);
        row.and_then(|row| row["mean"].as_f64()).unwrap_or(f64::NAN)
    };
    for row in rows(ours, "quality").filter(|row| row["variant"] == "defaults") {
        let set = row["set"].as_str().unwrap_or_default();
        let base = mean(peers, set, "system", "scikit-learn KMeans");
        let ratio = |value: f64| format!("{value:.5} ({:.3})", value / base);
        let cells = [
            format!("{set}, {}", row["k"]),
            ratio(mean(ours, set, "variant", "defaults")),
            ratio(mean(ours, set, "variant", "kmeans++")),
            ratio(base),
            ratio(mean(peers, set, "system", "scikit-learn MiniBatchKMeans")),
            ratio(mean(peers, set, "system", "faiss Kmeans")),
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// The best time of each system for an epoch, and its ratio to Kokanee's.
fn speed(ours: &[Value], peers: &[Value]) -> String {
    let mut text = String::from("| centres | system | ms | times Kokanee |\n|---|---|---|---|\n");
    let best = |reports: &[Value], wanted: &dyn Fn(&Value) -> bool| -> f64 {
        let times = reports.iter().flat_map(|report| rows(report, "speed")).filter(|row| wanted(row));
        times.filter_map(|row| row["epoch_s"].as_f64()).fold(f64::INFINITY, f64::min)
    };
    let Some(first) = peers.first() else { return text };
    for centers in [100, 1000] {
        let kokanee = best(ours, &|row| row["centers"] == centers);
        let mut line = |system: &str, seconds: f64| {
            text.push_str(&format!(
                "| {centers} | {system} | {:.2} | {:.2} |\n",
                seconds * 1e3,
                seconds / kokanee
            ));
        };
        line("Kokanee, an epoch", kokanee);
        for row in rows(first, "speed").filter(|row| row["centers"] == centers) {
            let system = row["system"].as_str().unwrap_or_default();
            line(system, best(peers, &|row| row["centers"] == centers && row["system"] == system));
        }
    }
    text
}
