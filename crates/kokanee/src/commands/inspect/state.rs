//! The description of a checkpoint folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use kokanee_algorithm::human;
use kokanee_contract::algorithms::seq2seq::{Hyperparameters, Metric};
use kokanee_contract::resolve_stored;
use kokanee_seq2seq::describe;
use kokanee_seq2seq_train::Report;
use kokanee_seq2seq_train::checkpoint::RunIdentity;
use kokanee_seq2seq_train::run_state::RunState;
use serde::Deserialize;

use crate::render::report::text_of;
use crate::render::table::Table;

const LATEST_FILE: &str = "latest";
const STATE_FILE: &str = "state.json";

/// The parts of a state's file that are shown.
#[derive(Deserialize)]
struct State {
    kokanee_version: String,
    identity: RunIdentity,
    run: RunState,
}

/// The file that describes the state in a checkpoint folder, or in the folder of one state.
pub(super) fn file_of(folder: &Path) -> Option<PathBuf> {
    let own = folder.join(STATE_FILE);
    if own.is_file() {
        return Some(own);
    }
    let latest = std::fs::read_to_string(folder.join(LATEST_FILE)).ok()?;
    let named = folder.join(latest.trim()).join(STATE_FILE);
    named.is_file().then_some(named)
}

/// Describes the state.
pub(super) fn describe(path: &Path, head: usize, out: &mut String) -> Result<()> {
    let Some(file) = file_of(path) else { bail!("{} holds no state", path.display()) };
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let State { kokanee_version, identity, run } = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged, or from another version of Kokanee", file.display()))?;
    let _ = writeln!(
        out,
        "{}: state after {} updates ({} pairs, {:.1} s), written by Kokanee {kokanee_version}",
        path.display(),
        human::count(run.updates),
        human::count(run.samples),
        run.elapsed_seconds
    );
    let _ = writeln!(
        out,
        "learning rate of the next update: {}; {} updates since the last checkpoint",
        run.scheduler.learning_rate(run.updates + 1),
        run.updates - run.checkpoint_update.min(run.updates)
    );
    let mut table = Table::new().words("what a run that goes on must have").words("");
    let defaults = Hyperparameters::default().to_strings();
    for (name, value) in
        identity.hyperparameters.iter().filter(|(name, value)| defaults.get(*name) != Some(value))
    {
        table.row([name, value]);
    }
    for (what, fingerprint) in &identity.data {
        table.row([what, &format!("with fingerprint {fingerprint}")]);
    }
    let _ = write!(out, "\n{table}");
    let _ = writeln!(
        out,
        "and the defaults of all other hyperparameters, but for limits; computed with {} threads\n",
        identity.threads
    );
    let metric = resolve_stored::<Hyperparameters>(&identity.hyperparameters)
        .map_or(Metric::Perplexity, |stored| stored.hyperparameters.optimized_metric);
    let mut history = kokanee_algorithm::Report::default();
    describe::history(&Report::new(metric, run.best, run.history), head, &mut history);
    out.push_str(&text_of(&history));

    let folder = file.parent().unwrap_or(path);
    let mut files: Vec<(String, u64)> = std::fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_string_lossy().into_owned(), entry.metadata().ok()?.len()))
        })
        .collect();
    files.sort();
    let mut table = Table::new().words("file").numbers("size");
    for (name, bytes) in files {
        table.row([name, human::bytes(bytes)]);
    }
    let _ = write!(out, "\n{table}");
    Ok(())
}
