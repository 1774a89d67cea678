//! `cargo xtask bench train --peers …`: runs Kokanee and its peers on the same workloads, one process at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::distance::between_cores;
use super::load::CpuTime;
use super::table::{Row, table};
use crate::peers::speed::{Peer, Report, WORKS};
use crate::workspace::{Workspace, cargo, command_line, run as run_command};

pub(super) const USAGE: &str = "\
usage: cargo xtask bench train --peers sockeye,pytorch [options]

  --peers NAMES       which peers, with commas; they must be set up (`cargo xtask peers setup`)
  --works NAMES       of RNN512, RNN1024, GRU512, CNN1, CNN8; all unless said
  --precisions NAMES  of f32, bf16; both unless said (Sockeye has f32 only)
  --repeat N          go round all systems N times, so that a machine that gets slower slows all of them; 1 unless said
  --updates N, --windows N, --threads N
                      what every system does; 20 updates, 5 windows and 2 threads unless said
  --pytorch-variant WORDS
                      how PyTorch does it (`cargo xtask peers run pytorch RNN512 --help`); the fastest way unless said

Prints a table for each work and leaves all reports in bench/ of the target folder.";

/// The number of cores used by other processes from which figures are doubtful.
const QUIET_CORES: f64 = 0.3;

/// How long other processes are observed before each run.
const WATCH: Duration = Duration::from_secs(2);

/// The measurements to make.
#[derive(Debug, PartialEq)]
struct Plan {
    peers: Vec<Peer>,
    works: Vec<&'static str>,
    precisions: Vec<&'static str>,
    repeat: usize,
    /// Options for every program.
    options: Vec<String>,
    /// The variant for PyTorch.
    pytorch_variant: String,
}

/// The program that trains, and its precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct System {
    /// `None` is Kokanee.
    peer: Option<Peer>,
    precision: &'static str,
}

impl Plan {
    fn parse(args: &[&str]) -> Result<Plan> {
        let mut plan = Plan {
            peers: Vec::new(),
            works: WORKS.to_vec(),
            precisions: vec!["f32", "bf16"],
            repeat: 1,
            options: Vec::new(),
            pytorch_variant: String::new(),
        };
        let mut given = [("--updates", "20"), ("--windows", "5"), ("--threads", "2")];
        let mut rest = args.iter();
        while let Some(&option) = rest.next() {
            let value = *rest.next().with_context(|| format!("{option} needs a value\n\n{USAGE}"))?;
            let count = || {
                let number = value.parse().ok().filter(|&number: &usize| number > 0);
                number.with_context(|| format!("{option} needs a number above 0, not {value:?}"))
            };
            match option {
                "--peers" => plan.peers = value.split(',').map(Peer::named).collect::<Result<_>>()?,
                "--works" => plan.works = names(option, value, &WORKS)?,
                "--precisions" => plan.precisions = names(option, value, &["f32", "bf16"])?,
                "--repeat" => plan.repeat = count()?,
                "--pytorch-variant" => plan.pytorch_variant = value.to_owned(),
                _ => {
                    let known = given.iter_mut().find(|(name, _)| *name == option);
                    let (_, old) = known.with_context(|| format!("no such option: {option}\n\n{USAGE}"))?;
                    count()?;
                    *old = value;
                }
            }
        }
        plan.options = given.iter().flat_map(|(name, value)| [name.to_string(), value.to_string()]).collect();
        Ok(plan)
    }

    /// The systems, Kokanee first.
    fn systems(&self) -> Vec<System> {
        let kokanee = self.precisions.iter().map(|&precision| System { peer: None, precision });
        let peers = self.peers.iter().flat_map(|&peer| {
            let shared = peer.precisions().iter().filter(|precision| self.precisions.contains(precision));
            shared.map(move |&precision| System { peer: Some(peer), precision })
        });
        kokanee.chain(peers).collect()
    }

    /// The runs in their order: neighbours are different systems with the same workload.
    fn runs(&self) -> Vec<(usize, &'static str, System)> {
        let mut runs = Vec::new();
        for round in 1..=self.repeat {
            for &work in &self.works {
                runs.extend(self.systems().into_iter().map(|system| (round, work, system)));
            }
        }
        runs
    }
}

/// The names in `value`, as spelled in `all`.
fn names(option: &str, value: &str, all: &[&'static str]) -> Result<Vec<&'static str>> {
    let known = |name: &str| {
        let found = all.iter().find(|known| **known == name).copied();
        found.with_context(|| format!("{option} has {name:?} where there are only {}", all.join(", ")))
    };
    value.split(',').map(known).collect()
}

impl System {
    fn name(self) -> String {
        let name = self.peer.map_or("kokanee", Peer::name);
        format!("{name} {}", self.precision)
    }

    fn training(self, workspace: &Workspace, work: &str) -> Result<Command> {
        let Some(peer) = self.peer else {
            let mut command = kokanee(workspace);
            command.args(["--", "--work", work, "--precision", self.precision]);
            return Ok(command);
        };
        peer.training(workspace, work, self.precision)
    }
}

/// Kokanee's benchmark without its options.
fn kokanee(workspace: &Workspace) -> Command {
    let mut command = cargo(&workspace.root);
    command.args(["bench", "--quiet", "--package", "kokanee-seq2seq-train", "--bench", "training"]);
    command
}

/// Makes all measurements that `args` ask for. A failed run does not end the others, but makes the command fail at the end.
pub(super) fn run(args: &[&str], workspace: &Workspace, machine: &str) -> Result<ExitCode> {
    let plan = Plan::parse(args)?;
    // Missing programs are detected before the first hour of measuring.
    for system in plan.systems() {
        system.training(workspace, plan.works[0])?;
    }
    run_command(kokanee(workspace).arg("--no-run"))?;

    let folder = workspace.target_dir.join("bench/train");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let runs = plan.runs();
    let started = Instant::now();
    let mut rows: Vec<(&str, Row)> = Vec::new();
    let mut failures = Vec::new();
    for (done, &(round, work, system)) in runs.iter().enumerate() {
        println!(
            "\n[{}/{}] {work}, {}{}",
            done + 1,
            runs.len(),
            system.name(),
            remaining(started.elapsed(), done, runs.len())
        );
        let path = folder.join(format!("{work}-{}-{round}.json", system.name().replace(' ', "-")));
        match measure(&plan, workspace, work, system, &path) {
            Ok(row) => rows.push((work, row)),
            Err(error) => {
                println!("failed: {error:#}");
                failures.push(format!("{work}, {}: {error:#}", system.name()));
            }
        }
    }
    for work in &plan.works {
        let rows: Vec<&Row> = rows.iter().filter(|(of, _)| of == work).map(|(_, row)| row).collect();
        println!("\n{}", table(work, &rows));
    }
    println!("{machine}; {}, {} round(s)", plan.options.join(" "), plan.repeat);
    let loud = rows.iter().filter(|(_, row)| row.loudest() > QUIET_CORES).count();
    if loud > 0 {
        println!(
            "THE MACHINE WAS NOT IDLE: in {loud} of {} runs other processes took more than {QUIET_CORES} cores; measure again",
            rows.len()
        );
    }
    let summary = summary(machine, &rows);
    let path = workspace.target_dir.join("bench/train.json");
    write_whole(&path, &summary)?;
    println!("all reports: {}", path.display());
    if !failures.is_empty() {
        bail!("{} of {} runs failed:\n  {}", failures.len(), runs.len(), failures.join("\n  "));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes one run of one system, from its start to its report in `path`.
fn measure(plan: &Plan, workspace: &Workspace, work: &str, system: System, path: &Path) -> Result<Row> {
    let before = CpuTime::now();
    thread::sleep(WATCH);
    let load_before = before.taken_by_others();
    if load_before > QUIET_CORES {
        println!("the machine is not idle: other processes take {load_before:.1} cores");
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove the old {}", path.display()));
        }
        _ => {}
    }
    let mut command = system.training(workspace, work)?;
    command.args(&plan.options).arg("--report").arg(path);
    if system.peer == Some(Peer::PyTorch) && !plan.pytorch_variant.is_empty() {
        command.args(["--variant", &plan.pytorch_variant]);
    }
    println!("{}", command_line(&command));
    let (before, apart_before) = (CpuTime::now(), between_cores());
    run_command(&mut command)?;
    let load_during = before.taken_by_others();
    let apart = [apart_before, between_cores()];
    Ok(Row { report: Report::read(path, work, system.precision)?, load_before, load_during, apart })
}

/// The estimated remaining time.
fn remaining(elapsed: Duration, done: usize, all: usize) -> String {
    if done == 0 {
        return String::new();
    }
    let minutes = elapsed.as_secs_f64() / 60.0 / done as f64 * (all - done) as f64;
    format!("; about {minutes:.0} minutes to go")
}

fn summary(machine: &str, rows: &[(&str, Row)]) -> String {
    let runs: Vec<_> = rows
        .iter()
        .map(|(_, row)| {
            serde_json::json!({
                "other_load_before": row.load_before,
                "other_load_during": row.load_during,
                "ns_between_cores": row.apart,
                "report": row.report,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::json!({ "machine": machine, "runs": runs }))
}

/// Writes a file completely or not at all.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let write = || {
        let temporary = PathBuf::from(format!("{}.part", path.display()));
        fs::write(&temporary, text)?;
        fs::File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, part: &str) {
        let args: Vec<&str> = args.split(' ').collect();
        let error = format!("{:#}", Plan::parse(&args).unwrap_err());
        assert!(error.contains(part), "{args:?}: {error}");
    }

    fn plan(args: &str) -> Plan {
        Plan::parse(&args.split(' ').collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        check("--peers sockeye,torch", "no peer is called \"torch\"");
        check("--peers", "--peers needs a value");
        check("--peers sockeye --works RNN512,CNN2", "--works has \"CNN2\" where there are only RNN512, ");
        check("--peers sockeye --precisions int8", "--precisions has \"int8\"");
        check("--peers sockeye --repeat 0", "--repeat needs a number above 0, not \"0\"");
        check("--peers sockeye --updates many", "--updates needs a number above 0, not \"many\"");
        check("--peers sockeye --report x", "no such option: --report\n\nusage: ");
    }

    #[test]
    fn options_are_passed_on_to_all() {
        let plan = plan("--updates 7 --peers pytorch --pytorch-variant onednn");
        assert_eq!(plan.pytorch_variant, "onednn");
        assert_eq!(plan.options, ["--updates", "7", "--windows", "5", "--threads", "2"]);
    }

    #[test]
    fn rounds_interleave_the_systems() {
        let plan = plan("--peers sockeye,pytorch --works RNN512,CNN1 --repeat 2");
        let runs: Vec<String> = plan
            .runs()
            .iter()
            .map(|(round, work, system)| format!("{round} {work} {}", system.name()))
            .collect();
        assert_eq!(
            runs[..6],
            [
                "1 RNN512 kokanee f32",
                "1 RNN512 kokanee bf16",
                "1 RNN512 sockeye f32",
                "1 RNN512 pytorch f32",
                "1 RNN512 pytorch bf16",
                "1 CNN1 kokanee f32",
            ]
        );
        assert_eq!((runs.len(), runs[10].as_str()), (20, "2 RNN512 kokanee f32"));
    }

    #[test]
    fn a_precision_that_a_peer_lacks_is_left_out() {
        let plan = plan("--peers sockeye --precisions bf16");
        assert_eq!(plan.systems(), [System { peer: None, precision: "bf16" }]);
    }

    #[test]
    fn the_rest_of_the_time_is_estimated() {
        assert_eq!(remaining(Duration::from_secs(60), 0, 4), "");
        assert_eq!(remaining(Duration::from_secs(240), 2, 5), "; about 6 minutes to go");
    }
}
