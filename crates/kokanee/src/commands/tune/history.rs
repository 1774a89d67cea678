//! `tuning.json`: what a tuning is asked for and what it has tried. It is replaced as a whole whenever a trial begins or ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use kokanee_tuner::{Goal, Outcome};
use serde::{Deserialize, Serialize};

use crate::output_file::write_json;

/// The file, in the folder of the tuning.
pub(super) const HISTORY_FILE: &str = "tuning.json";
/// The version of its form.
const FORMAT_VERSION: u32 = 1;

/// What is searched, and on what. Limits are no part of it: they may change from run to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    /// The algorithm's image name.
    pub(super) algorithm: String,
    /// The options that name data, with absolute paths.
    pub(super) data: BTreeMap<String, PathBuf>,
    /// Content types as they were given.
    pub(super) content_types: Vec<String>,
    /// Hyperparameters that all trials share.
    pub(super) hyperparameters: BTreeMap<String, String>,
    /// Ranges as on the command line.
    pub(super) ranges: Vec<String>,
    /// The metric that is sought.
    pub(super) objective: String,
    /// How configurations are chosen.
    pub(super) strategy: StrategyKind,
    /// Least and greatest number of reports of the objective, for Hyperband.
    pub(super) resources: Option<(u64, u64)>,
    /// Whether the median rule stops trials.
    pub(super) early_stopping: bool,
    /// What chance is drawn from.
    pub(super) seed: u64,
    /// Folders of earlier tunings.
    pub(super) warm_start: Vec<PathBuf>,
}

/// The strategies, as options spell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum StrategyKind {
    /// By a Gaussian process of what was measured
    Bayesian,
    /// Each configuration alone
    Random,
    /// All combinations, in their order
    Grid,
    /// Random ones, of which the worse are stopped after ever more reports of the objective
    Hyperband,
}

/// How a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    /// At work, or cut off with the tuning; it is run again.
    InProgress,
    /// It ended by itself.
    Completed,
    /// This tuning stopped it.
    Stopped,
    /// It failed.
    Failed,
}

/// A trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    /// Counted from 1.
    pub(super) number: u32,
    /// The tuned hyperparameters.
    pub(super) values: BTreeMap<String, String>,
    /// How it stands.
    pub(super) status: Status,
    /// The last finite value of the objective.
    pub(super) objective: Option<f64>,
    /// The objective each time it was reported; `null` where it was no finite number.
    #[serde(with = "curve")]
    pub(super) curve: Vec<f64>,
    /// Seconds that it ran, all tries together.
    pub(super) seconds: f64,
    /// How often it failed by no fault of its own and was run again.
    pub(super) retries: u32,
    /// Its place in the order in which trials ended.
    pub(super) ended: Option<u32>,
    /// Why it failed or was stopped.
    pub(super) reason: Option<String>,
}

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    format_version: u32,
    /// What was asked for.
    pub(super) request: Request,
    /// Seconds of work, all runs together.
    pub(super) seconds: f64,
    /// Files of the best model that this tuning wrote.
    pub(super) best_files: Vec<String>,
    /// The trials by their numbers.
    pub(super) trials: Vec<Trial>,
}

impl Trial {
    pub(super) fn new(number: u32, values: BTreeMap<String, String>) -> Self {
        Self {
            number,
            values,
            status: Status::InProgress,
            objective: None,
            curve: Vec::new(),
            seconds: 0.0,
            retries: 0,
            ended: None,
            reason: None,
        }
    }

    /// The value of one that completed or was stopped.
    pub(super) fn result(&self) -> Option<f64> {
        self.objective.filter(|_| matches!(self.status, Status::Completed | Status::Stopped))
    }

    /// What it tells about its values.
    pub(super) fn outcome(&self) -> Outcome {
        match (self.status, self.objective) {
            (Status::InProgress, _) => Outcome::Running,
            (Status::Completed, Some(value)) => Outcome::Finished(value),
            (Status::Stopped, value) => Outcome::Stopped(value),
            (Status::Completed | Status::Failed, _) => Outcome::Failed,
        }
    }
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

    /// Reads that of a folder; none where there is none.
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
        let damaged = || format!("{} is damaged: it is no history of a tuning", path.display());
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

    /// Writes it, whole.
    ///
    /// # Errors
    /// When the system refuses.
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

    /// Trials that ended, in the order in which they did.
    pub(super) fn ended(&self) -> Vec<&Trial> {
        let mut ended: Vec<&Trial> = self.trials.iter().filter(|trial| trial.ended.is_some()).collect();
        ended.sort_by_key(|trial| trial.ended);
        ended
    }
}

impl Request {
    /// What differs from another request, one line each: `ranges: ["k=2:9"] there, ["k=2:5"] here`.
    pub(super) fn differences(&self, there: &Self) -> Vec<String> {
        let members = |request: &Self| match serde_json::to_value(request) {
            Ok(serde_json::Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let (here, there) = (members(self), members(there));
        let differing = here.iter().filter(|(name, value)| there.get(*name) != Some(value));
        differing
            .map(|(name, value)| {
                let there = there.get(name).unwrap_or(&serde_json::Value::Null);
                format!("{}: {there} there, {value} here", name.replace('_', " "))
            })
            .collect()
    }
}

/// Numbers as JSON has them: it knows no infinity, and nothing that is no number.
mod curve {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let finite = |value: &f64| value.is_finite().then_some(*value);
        values.iter().map(finite).collect::<Vec<Option<f64>>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn request() -> Request {
        Request {
            algorithm: "kmeans".to_owned(),
            data: BTreeMap::from([("--train".to_owned(), PathBuf::from("/rows.csv"))]),
            content_types: vec!["text/csv".to_owned()],
            hyperparameters: BTreeMap::new(),
            ranges: vec!["k=2:9".to_owned()],
            objective: "test:msd".to_owned(),
            strategy: StrategyKind::Bayesian,
            resources: None,
            early_stopping: false,
            seed: 0,
            warm_start: Vec::new(),
        }
    }

    pub(in super::super) fn ended(number: u32, status: Status, objective: Option<f64>) -> Trial {
        let values = BTreeMap::from([("k".to_owned(), (number + 1).to_string())]);
        Trial { status, objective, ended: Some(number), ..Trial::new(number, values) }
    }

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

    #[test]
    fn a_difference_names_both_sides() {
        let other = Request { ranges: vec!["k=2:5".to_owned()], ..request() };
        assert_eq!(request().differences(&other), [r#"ranges: ["k=2:5"] there, ["k=2:9"] here"#]);
        assert_eq!(request().differences(&request()), [] as [String; 0]);
    }
}
