//! The results of a tuning: the table of the best trials, `trials.csv`, a copy of the best model, and the command that trains it
//! longer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kokanee::render::table::Table;
use kokanee_algorithm::human;
use kokanee_contract::AlgorithmContract;
use kokanee_contract::spec::DefaultValue;
use kokanee_formats::{FileError, FolderUpdate};
use kokanee_pages::svg::number;
use kokanee_tuner::Goal;

use super::history::History;
use super::process::{TrialFiles, training_options};
use super::trial::{Status, Trial};
use crate::output_file::write_file;

/// All trials, one per line.
pub(super) const CSV_FILE: &str = "trials.csv";
/// The folder of the best model.
pub(super) const BEST_FOLDER: &str = "best";
/// The largest number of trials in the table.
const MOST_ROWS: usize = 10;
/// The factor of the epochs for a longer training.
const LONGER: u64 = 3;

impl Status {
    /// A word for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in progress",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// The best ten trials.
pub(super) fn table(history: &History, names: &[&str], goal: Goal) -> Table {
    let head = Table::new().numbers("trial").numbers(&history.request.objective);
    let head = names.iter().fold(head, |table, name| table.numbers(name));
    let mut table = head.numbers("time").words("");
    for trial in history.ranked(goal).into_iter().take(MOST_ROWS) {
        let mut cells = vec![trial.number.to_string(), trial.result().map_or(String::new(), number)];
        cells.extend(
            names.iter().map(|name| trial.values.get(*name).map_or(String::new(), |value| short(value))),
        );
        cells.push(human::duration(Duration::from_secs_f64(trial.seconds)));
        cells.push(trial.status.word().to_owned());
        table.row(cells);
    }
    table
}

/// A value with enough digits for comparisons.
pub(super) fn short(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(value) if value.fract() != 0.0 => number(value),
        _ => value.to_owned(),
    }
}

/// Writes [`CSV_FILE`].
///
/// # Errors
/// When the system returns an error.
pub(super) fn write_csv(output: &Path, history: &History, names: &[&str]) -> Result<()> {
    let mut text = "trial,status,objective,seconds,retries".to_owned();
    for name in names {
        text.push(',');
        text.push_str(&field(name));
    }
    text.push_str(",reason\n");
    for trial in &history.trials {
        let objective = trial.objective.map_or(String::new(), |value| value.to_string());
        let (number, status) = (trial.number, trial.status.word());
        text.push_str(&format!("{number},{status},{objective},{:.3},{}", trial.seconds, trial.retries));
        for name in names {
            text.push(',');
            text.push_str(&field(trial.values.get(*name).map_or("", String::as_str)));
        }
        text.push_str(&format!(",{}\n", field(trial.reason.as_deref().unwrap_or_default())));
    }
    write_file(&output.join(CSV_FILE), &text)
}

/// A field of CSV (RFC 4180).
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Copies the model of a trial into [`BEST_FOLDER`], replacing the one copied before. False if the trial has none.
///
/// # Errors
/// When the system returns an error.
pub(super) fn copy_best(output: &Path, history: &mut History, best: u32) -> Result<bool> {
    let from = TrialFiles::new(output, best).model();
    let mut names = Vec::new();
    let listed = match fs::read_dir(&from) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("cannot list {}", from.display())),
    };
    for entry in listed {
        let entry = entry.with_context(|| format!("cannot list {}", from.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    if names.is_empty() {
        return Ok(false);
    }
    // Recorded beforehand, so that copied files are recognised as ours however this ends.
    let earlier = std::mem::take(&mut history.best_files);
    history.best_files =
        names.iter().chain(earlier.iter().filter(|name| !names.contains(name))).cloned().collect();
    history.write(output)?;
    let mut update = FolderUpdate::begin(&output.join(BEST_FOLDER))?;
    for name in &names {
        let path = from.join(name);
        update.write(name, |file| {
            let copied = File::open(&path).and_then(|mut source| io::copy(&mut source, file));
            copied.map_err(FileError::io(&path, "copy the file"))
        })?;
    }
    for name in earlier.iter().filter(|name| !names.contains(name)) {
        update.remove(name)?;
    }
    update.commit()?;
    history.best_files = names;
    history.write(output)?;
    Ok(true)
}

/// The command for a longer training with the values of a trial.
pub(super) fn longer(
    contract: &AlgorithmContract,
    history: &History,
    trial: &Trial,
    output: &Path,
) -> String {
    let request = &history.request;
    let mut set: BTreeMap<String, String> = request.hyperparameters.clone();
    set.extend(trial.values.clone());
    let epochs = contract.hyperparameter(contract.epochs);
    let default = match epochs.map(|spec| spec.default) {
        Some(DefaultValue::Text(text)) => Some(text),
        _ => None,
    };
    let epochs: Option<u64> =
        set.get(contract.epochs).map(String::as_str).or(default).and_then(|text| text.trim().parse().ok());
    if let Some(epochs) = epochs {
        set.insert(contract.epochs.to_owned(), epochs.saturating_mul(LONGER).to_string());
    }
    let mut words = vec!["kokanee".to_owned(), "train".to_owned()];
    words.extend(training_options(request).iter().map(|word| quoted(&word.to_string_lossy())));
    words.push("--output".to_owned());
    words.push(quoted(&output.join("longer").to_string_lossy()));
    for (name, value) in &set {
        words.push("--set".to_owned());
        words.push(quoted(&format!("{name}={value}")));
    }
    words.join(" ")
}

/// A word quoted for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use kokanee_contract::algorithms::kmeans;

    use super::super::request::tests::request;
    use super::super::trial::tests::ended;
    use super::*;

    fn history() -> History {
        let mut history = History::new(request());
        history.trials.push(ended(1, Status::Completed, Some(2.0)));
        history.trials.push(Trial { reason: Some("a, \"b\"".to_owned()), ..ended(2, Status::Failed, None) });
        history.trials.push(ended(3, Status::Completed, Some(1.0)));
        history
    }

    #[test]
    fn the_table_has_the_best_first_and_no_failures() {
        let table = table(&history(), &["k"], Goal::Minimize).to_string();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert!(rows.len() == 2 && rows[0].trim_start().starts_with("3         1  4"), "{table}");
    }

    #[test]
    fn csv_has_every_trial_with_quoted_reasons() {
        let folder = tempfile::tempdir().unwrap();
        write_csv(folder.path(), &history(), &["k"]).unwrap();
        let text = fs::read_to_string(folder.path().join(CSV_FILE)).unwrap();
        let want = "trial,status,objective,seconds,retries,k,reason\n1,completed,2,0.000,0,2,\n\
                    2,failed,,0.000,0,3,\"a, \"\"b\"\"\"\n3,completed,1,0.000,0,4,\n";
        assert_eq!(text, want);
    }

    #[test]
    fn the_best_model_replaces_the_one_before_and_leaves_files_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = history();
        assert!(!copy_best(folder.path(), &mut history, 1).unwrap());
        for (number, name) in [(1, "old"), (3, "new")] {
            let model = TrialFiles::new(folder.path(), number).model();
            fs::create_dir_all(&model).unwrap();
            fs::write(model.join(name), name).unwrap();
            fs::write(model.join("model"), name).unwrap();
        }
        assert!(copy_best(folder.path(), &mut history, 1).unwrap());
        fs::write(folder.path().join("best/notes"), "mine").unwrap();
        assert!(copy_best(folder.path(), &mut history, 3).unwrap());
        let best = folder.path().join("best");
        assert_eq!(fs::read_to_string(best.join("model")).unwrap(), "new");
        assert!(best.join("new").exists() && best.join("notes").exists() && !best.join("old").exists());
        assert_eq!(history.best_files, ["model", "new"]);
    }

    #[test]
    fn the_command_has_the_values_and_more_epochs() {
        let history = history();
        let line = longer(&kmeans::CONTRACT, &history, &history.trials[2], Path::new("a b"));
        let want = "kokanee train --algorithm kmeans --train /rows.csv --content-type text/csv --output 'a b/longer' \
                    --set epochs=3 --set k=4";
        assert_eq!(line, want);
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
