//! Timed training with the peers: a command line for each, and their reports.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::environment::{Environment, PYTORCH, SOCKEYE};
use crate::workspace::Workspace;

/// The workloads by which training is measured, as named in the peers' programs and in Kokanee's benchmark.
pub(crate) const WORKS: [&str; 5] = ["RNN512", "RNN1024", "GRU512", "CNN1", "CNN8"];

/// A peer whose training can be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Sockeye,
    PyTorch,
}

impl Peer {
    pub(crate) const ALL: [Peer; 2] = [Peer::Sockeye, Peer::PyTorch];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Sockeye => "sockeye",
            Peer::PyTorch => "pytorch",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Peer> {
        Peer::ALL.into_iter().find(|peer| peer.name() == name).with_context(|| {
            format!("no peer is called {name:?}: there are {}", Peer::ALL.map(Peer::name).join(", "))
        })
    }

    /// The values of `--precision`; a program without this option has only `f32`.
    pub(crate) fn precisions(self) -> &'static [&'static str] {
        match self {
            Peer::Sockeye => &["f32"],
            Peer::PyTorch => &["f32", "bf16"],
        }
    }

    pub(super) fn environment(self) -> Environment {
        match self {
            Peer::Sockeye => SOCKEYE,
            Peer::PyTorch => PYTORCH,
        }
    }

    /// The Python with the peer, which must be set up.
    pub(crate) fn python(self, workspace: &Workspace) -> Result<PathBuf> {
        self.environment().ready(&workspace.target_dir)
    }

    fn program(self) -> &'static str {
        match self {
            Peer::Sockeye => "xtask/peers/sockeye_speed.py",
            Peer::PyTorch => "xtask/peers/pytorch_speed.py",
        }
    }

    /// The command that trains `work`, without further options; the peer must be set up.
    pub(crate) fn training(self, workspace: &Workspace, work: &str, precision: &str) -> Result<Command> {
        let data = shared(workspace).join("data/multi30k");
        ensure!(
            data.join("train.en.gz").is_file(),
            "Multi30k is not in {}: set KOKANEE_SHARED to a folder that holds it in data/multi30k",
            data.display()
        );
        let mut command = Command::new(self.python(workspace)?);
        command.args(["-W", "ignore"]).arg(workspace.root.join(self.program())).args(["--work", work]);
        command.arg("--data").arg(data).stdin(Stdio::null());
        if self.precisions().len() > 1 {
            command.args(["--precision", precision]);
        }
        Ok(command)
    }
}

/// The folder that holds the corpora in `data`, whether or not it exists.
pub(super) fn shared(workspace: &Workspace) -> PathBuf {
    env::var_os("KOKANEE_SHARED").map_or_else(|| workspace.root.join("../shared"), PathBuf::from)
}

/// The measurements of a program that trained, in the same form for all programs.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) system: String,
    pub(crate) work: String,
    pub(crate) precision: String,
    pub(crate) threads: usize,
    pub(crate) windows: Vec<Window>,
    /// Loss per target token in the last window.
    pub(crate) loss: f64,
    pub(crate) peak_memory_mib: u64,
    pub(crate) detail: String,
}

/// A window of updates, timed by the wall clock; tokens do not include padding.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) updates: u64,
    pub(crate) sentences: u64,
    pub(crate) source_tokens: u64,
    pub(crate) target_tokens: u64,
}

impl Report {
    /// Reads the report of a program that trained `work` in `precision`.
    pub(crate) fn read(path: &Path, work: &str, precision: &str) -> Result<Report> {
        let text = std::fs::read_to_string(path).with_context(|| format!("no report {}", path.display()))?;
        Self::parse(&text, work, precision).with_context(|| format!("the report {}", path.display()))
    }

    fn parse(text: &str, work: &str, precision: &str) -> Result<Report> {
        let report: Report = serde_json::from_str(text).context("is not of the form that is expected")?;
        ensure!(
            report.work == work && report.precision == precision,
            "is of {} in {} where {work} in {precision} was asked for",
            report.work,
            report.precision
        );
        ensure!(
            !report.windows.is_empty() && report.windows.iter().all(|window| window.seconds > 0.0),
            "has no window, or one that took no time"
        );
        ensure!(report.loss.is_finite(), "has a loss that is not a number: what it timed was no training");
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, part: &str) {
        let error = format!("{:#}", Report::parse(text, "CNN1", "f32").unwrap_err());
        assert!(error.contains(part), "{error}");
    }

    fn report(work: &str, seconds: f64, loss: &str) -> String {
        format!(
            r#"{{"system": "PyTorch 2.15", "work": "{work}", "precision": "f32", "threads": 2, "windows": [
            {{"seconds": {seconds}, "updates": 2, "sentences": 128, "source_tokens": 3, "target_tokens": 4}}],
            "loss": {loss}, "peak_memory_mib": 7, "detail": ""}}"#
        )
    }

    #[test]
    fn reports_that_tell_of_something_else_are_refused() {
        let good = Report::parse(&report("CNN1", 1.5, "9.5"), "CNN1", "f32").unwrap();
        assert_eq!((good.windows[0].sentences, good.peak_memory_mib), (128, 7));
        check(&report("CNN8", 1.5, "9.5"), "of CNN8 in f32 where CNN1 in f32 was asked for");
        check(&report("CNN1", 0.0, "9.5"), "took no time");
        check(&report("CNN1", 1.5, "1e999"), "not of the form");
        check("{}", "missing field `system`");
    }

    #[test]
    fn peers_are_found_by_name() {
        assert_eq!(Peer::named("pytorch").unwrap(), Peer::PyTorch);
        let error = Peer::named("torch").unwrap_err().to_string();
        assert!(error.contains("\"torch\": there are sockeye, pytorch"), "{error}");
    }
}
