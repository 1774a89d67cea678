//! The results at the end of a tuning: tables, the best model, the report, and a summary for people.

use std::path::Path;

use anyhow::{Result, bail};
use kokanee_algorithm::Algorithm;
use kokanee_tuner::closing::Closing;
use kokanee_tuner::{Goal, Space};

use super::decision::Limits;
use super::history::{HISTORY_FILE, History};
use super::request::{goal, metric};
use super::{ranges, report, results};
use crate::algorithms;
use crate::folder_locks::FolderLocks;
use crate::output_file::print;

/// Writes all results of a history, and returns the summary: an empty text if no trial has a result.
///
/// # Errors
/// When the system returns an error.
pub(super) fn conclude(
    algorithm: &dyn Algorithm,
    output: &Path,
    history: &mut History,
    space: &Space,
    goal: Goal,
) -> Result<String> {
    let names: Vec<&str> = space.dimensions().iter().map(|dimension| dimension.name()).collect();
    results::write_csv(output, history, &names)?;
    let Some(best) = history.best(goal).cloned() else { return Ok(String::new()) };
    let has_model = results::copy_best(output, history, best.number)?;
    let command = results::longer(algorithm.contract(), history, &best, output);
    let report = report::write(output, history, space, goal, &command)?;
    let table = results::table(history, &names, goal);
    let model = if has_model {
        format!("the model of trial {}: {}", best.number, output.join(results::BEST_FOLDER).display())
    } else {
        format!("trial {} was stopped before it had a model", best.number)
    };
    Ok(format!(
        "{table}\n{model}\nevery trial: {}\nreport: {}\nto train the best longer:\n  {command}\n",
        output.join(results::CSV_FILE).display(),
        report.display()
    ))
}

/// Writes the results of an earlier tuning again, without training.
///
/// # Errors
/// When the folder is not a tuning's, no trial has a result, or the system returns an error.
pub(super) fn write_again(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        bail!("there is no folder {}: --report takes the --output of an earlier tuning", folder.display());
    }
    let _locks = FolderLocks::acquire([folder])?;
    let Some(mut history) = History::read(folder)? else {
        bail!("{} has no {HISTORY_FILE}: --report takes the --output of an earlier tuning", folder.display());
    };
    let algorithm = algorithms::named(Some(&history.request.algorithm))?;
    let contract = algorithm.contract();
    let space = ranges::space(contract, &history.request.ranges)?;
    let metric = metric(contract, &history.request.objective)?;
    let summary = conclude(algorithm, folder, &mut history, &space, goal(metric))?;
    if summary.is_empty() {
        bail!("no trial in {} has a result yet", folder.display());
    }
    print(&summary)
}

/// The error of a tuning without a result.
pub(super) fn failure(history: &History, why: Closing, limits: &Limits) -> anyhow::Error {
    let first = history.ended().into_iter().find_map(|trial| Some((trial.number, trial.reason.clone()?)));
    let because = first.map_or_else(String::new, |(number, reason)| format!("; trial {number}: {reason}"));
    anyhow::anyhow!("no trial has a result, and {}{because}", limits.describe(why))
}
