//! `tuning.json`: the request of a tuning and its trials. It is replaced as a whole whenever a trial begins or ends.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use kokanee_tuner::Goal;
use serde::{Deserialize, Serialize};

use super::request::Request;
use super::trial::Trial;
use crate::output_file::write_json;

/// The file, in the folder of the tuning.
pub(super) const HISTORY_FILE: &str = "tuning.json";
/// The version of its format.
const FORMAT_VERSION: u32 = 1;

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    format_version: u32,
    /// The request of the tuning.
    pub(super) request: Request,
    /// Seconds of work, in all runs together.
    pub(super) seconds: f64,
    /// Files of the best model that were written by this tuning.
    pub(super) best_files: Vec<String>,
    /// The trials by their numbers.
    pub(super) trials: Vec<Trial>,
}

impl History {
    pub(super) fn new(request: Request) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            request,
            seconds: 0.0,
            best_files: Vec::new(),
            trials: Vec::new(),
        }
    }

    /// Reads the history of a folder; none if there is none.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or of a later version.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(HISTORY_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let damaged = || format!("{} is damaged: it is not a history of a tuning", path.display());
        let version: Version = serde_json::from_str(&text).with_context(damaged)?;
        if version.format_version != FORMAT_VERSION {
            bail!(
                "{} has format version {}, and this Kokanee reads version {FORMAT_VERSION}",
                path.display(),
                version.format_version
            );
        }
        serde_json::from_str(&text).map(Some).with_context(damaged)
    }

    /// Writes the file, completely or not at all.
    ///
    /// # Errors
    /// When the system returns an error.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write_json(&folder.join(HISTORY_FILE), self)
    }

    /// The best trial, the first of equals.
    pub(super) fn best(&self, goal: Goal) -> Option<&Trial> {
        self.ranked(goal).first().copied()
    }

    /// Trials with results, the best first.
    pub(super) fn ranked(&self, goal: Goal) -> Vec<&Trial> {
        let mut ranked: Vec<(f64, &Trial)> =
            self.trials.iter().filter_map(|trial| Some((trial.result()?, trial))).collect();
        ranked.sort_by(|(a, _), (b, _)| goal.compare(*a, *b));
        ranked.into_iter().map(|(_, trial)| trial).collect()
    }

    /// Trials that have ended, in the order in which they ended.
    pub(super) fn ended(&self) -> Vec<&Trial> {
        let mut ended: Vec<&Trial> = self.trials.iter().filter(|trial| trial.ended.is_some()).collect();
        ended.sort_by_key(|trial| trial.ended);
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::super::trial::Status;
    use super::super::trial::tests::ended;
    use super::*;

    #[test]
    fn a_history_is_read_as_it_was_written_also_what_json_cannot_say() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(History::read(folder.path()).unwrap(), None);
        let mut history = History::new(request());
        history.trials.push(Trial { curve: vec![1.0, f64::NAN], ..ended(1, Status::Completed, Some(1.0)) });
        history.write(folder.path()).unwrap();
        let read = History::read(folder.path()).unwrap().unwrap();
        assert!(read.trials[0].curve[1].is_nan());
        assert_eq!(read.trials[0].objective, Some(1.0));
        std::fs::write(folder.path().join(HISTORY_FILE), r#"{"format_version": 9}"#).unwrap();
        let error = History::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("format version 9"), "{error}");
        std::fs::write(folder.path().join(HISTORY_FILE), "{").unwrap();
        assert!(History::read(folder.path()).unwrap_err().to_string().contains("is damaged"));
    }

    #[test]
    fn the_best_is_the_first_of_equals() {
        let mut history = History::new(request());
        assert_eq!(history.best(Goal::Minimize), None);
        for (number, status, objective) in [
            (1, Status::Completed, Some(3.0)),
            (2, Status::Stopped, Some(2.0)),
            (3, Status::Completed, Some(2.0)),
            (4, Status::Failed, Some(1.0)),
            (5, Status::Stopped, None),
        ] {
            history.trials.push(ended(number, status, objective));
        }
        assert_eq!(history.best(Goal::Minimize).map(|trial| trial.number), Some(2));
        assert_eq!(history.best(Goal::Maximize).map(|trial| trial.number), Some(1));
    }
}
