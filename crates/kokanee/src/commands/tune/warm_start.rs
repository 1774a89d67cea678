//! The trials of earlier tunings for a new one.

use anyhow::{Result, bail};
use kokanee_tuner::{Source, Space, Trial as Known};

use super::history::{HISTORY_FILE, History};
use super::request::Request;
use crate::exit::say;

/// The trials of an earlier tuning.
pub(super) struct Parent {
    /// Whether its data and its algorithm are the same.
    pub(super) is_identical: bool,
    /// The trials that lie within the ranges.
    pub(super) trials: Vec<Known>,
}

/// The parents of a warm start.
///
/// # Errors
/// When a folder is not a tuning's, or has another objective.
pub(super) fn parents(request: &Request, space: &Space) -> Result<Vec<Parent>> {
    let mut parents = Vec::new();
    for (number, folder) in request.warm_start.iter().enumerate() {
        let Some(history) = History::read(folder)? else {
            bail!("--warm-start {}: it has no {HISTORY_FILE}, so it is no tuning's folder", folder.display());
        };
        let theirs = &history.request;
        if theirs.objective != request.objective {
            bail!(
                "--warm-start {}: its objective is {} and that of this tuning {}; they must be the same",
                folder.display(),
                theirs.objective,
                request.objective
            );
        }
        let trials = history.trials.iter().filter_map(|trial| {
            let text = |name: &str| trial.values.get(name).or_else(|| theirs.hyperparameters.get(name));
            let values = space.parse(|name| text(name).map(String::as_str)).ok()?;
            Some(Known { source: Source::Parent(number), ..Known::new(values, trial.outcome()) })
        });
        let trials: Vec<Known> = trials.collect();
        if trials.is_empty() {
            say(&format!(
                "warning: --warm-start {}: none of its trials lies within the ranges of this tuning",
                folder.display()
            ));
        }
        let is_identical = theirs.algorithm == request.algorithm && theirs.data == request.data;
        parents.push(Parent { is_identical, trials });
    }
    Ok(parents)
}
