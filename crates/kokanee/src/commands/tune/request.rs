//! The request of a tuning, and its derivation from the options of the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use kokanee_contract::AlgorithmContract;
use kokanee_contract::metrics::{Direction, MetricSpec};
use kokanee_contract::spec::{Kind, nearest};
use kokanee_tuner::early_stopping::MedianRule;
use kokanee_tuner::hyperband::Hyperband;
use kokanee_tuner::stopping::StoppingRule;
use kokanee_tuner::{Goal, Options, Strategy, WarmStart};
use serde::{Deserialize, Serialize};

use super::{TuneArgs, ranges};
use crate::exit::CommandLineError;

/// The largest number of reports of the objective per trial of Hyperband, by default.
const DEFAULT_MOST_REPORTS: u64 = 27;
/// The hyperparameter for the measure that chooses the kept model, which is then always measured.
const KEPT_BY: &str = "optimized_metric";

/// The search space and the data of a tuning. Limits are not part of it: they may change from run to run.
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
    /// The metric to optimise.
    pub(super) objective: String,
    /// The strategy for choosing configurations.
    pub(super) strategy: StrategyKind,
    /// The least and the greatest number of reports of the objective, for Hyperband.
    pub(super) resources: Option<(u64, u64)>,
    /// Whether the median rule stops trials.
    pub(super) early_stopping: bool,
    /// The seed of all random choices.
    pub(super) seed: u64,
    /// Folders of earlier tunings.
    pub(super) warm_start: Vec<PathBuf>,
}

/// The strategies, as options spell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum StrategyKind {
    /// Fit a Gaussian process to the results
    Bayesian,
    /// Draw each configuration independently
    Random,
    /// Try all combinations in order
    Grid,
    /// Draw random configurations and stop the worse ones early
    Hyperband,
}

impl TuneArgs {
    /// The request, and the metric to optimise.
    ///
    /// # Errors
    /// When options contradict each other, or the algorithm lacks what they name.
    pub(super) fn request(
        &self,
        contract: &'static AlgorithmContract,
    ) -> Result<(Request, &'static MetricSpec)> {
        self.job.channels(contract)?;
        let mut hyperparameters = self.job.raw_hyperparameters(&[])?;
        // A range overrides the value of a file; together with one of --set it is a mistake, which is reported later.
        for range in &self.range {
            let name = range.split('=').next().unwrap_or_default().trim();
            if !self.job.set.iter().any(|(set, _)| set == name) {
                hyperparameters.remove(name);
            }
        }
        let metric = match &self.objective {
            Some(name) => metric(contract, name)?,
            None => self.default_metric(contract)?,
        };
        let split = metric.name.split(':').next().unwrap_or_default();
        if contract.channel(split).is_some() && !self.is_given(split) {
            let problem = format!("--objective {} needs data to measure: --{split}", metric.name);
            return Err(CommandLineError(problem).into());
        }
        let measure = metric.name.strip_prefix("validation:");
        if let (Some(measure), Some(spec)) = (measure, contract.hyperparameter(KEPT_BY))
            && matches!(spec.kind, Kind::Choice { names, .. } if names.contains(&measure))
            && !self.range.iter().any(|range| range.starts_with(KEPT_BY))
        {
            hyperparameters.entry(KEPT_BY.to_owned()).or_insert_with(|| measure.to_owned());
        }
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
        };
        let mut data = BTreeMap::new();
        for (option, _, path) in self.job.paths() {
            if let Some(path) = path {
                data.insert(option.to_owned(), absolute(path)?);
            }
        }
        let resources = match (self.strategy, self.min_resource, self.max_resource) {
            (StrategyKind::Hyperband, min, max) => {
                Some((min.unwrap_or(1), max.unwrap_or(DEFAULT_MOST_REPORTS)))
            }
            (_, None, None) => None,
            _ => {
                let problem = "--min-resource and --max-resource are for --strategy hyperband";
                return Err(CommandLineError(problem.to_owned()).into());
            }
        };
        if self.early_stopping && self.strategy == StrategyKind::Hyperband {
            let problem = "--early-stopping: hyperband stops trials by its own rule; leave one of them out";
            return Err(CommandLineError(problem.to_owned()).into());
        }
        let ranges = match self.range.is_empty() {
            true => ranges::recommended(contract, &hyperparameters),
            false => self.range.clone(),
        };
        let request = Request {
            algorithm: contract.name.to_owned(),
            data,
            content_types: self.job.content_type.clone(),
            hyperparameters,
            ranges,
            objective: metric.name.to_owned(),
            strategy: self.strategy,
            resources,
            early_stopping: self.early_stopping,
            seed: self.seed,
            warm_start: self.warm_start.iter().map(absolute).collect::<Result<_>>()?,
        };
        Ok((request, metric))
    }

    fn is_given(&self, channel: &str) -> bool {
        self.job.paths().iter().any(|(_, name, path)| *name == channel && path.is_some())
    }

    /// The first measure of the given validation or test data.
    fn default_metric(
        &self,
        contract: &'static AlgorithmContract,
    ) -> Result<&'static MetricSpec, CommandLineError> {
        let measures = || contract.metrics.iter().filter(|metric| metric.direction.is_some());
        let of_given = measures().find(|metric| {
            let split = metric.name.split(':').next().unwrap_or_default();
            split != "train" && self.is_given(split)
        });
        of_given.ok_or_else(|| {
            let names: Vec<&str> = measures().map(|metric| metric.name).collect();
            CommandLineError(format!(
                "there is no data to measure {}: give --validation or --test",
                names.join(" or ")
            ))
        })
    }
}

impl Request {
    /// The options for choosing the next trial. The caller states whether the parents of a warm start have the same data and
    /// algorithm.
    pub(super) fn options(&self, goal: Goal, parents_are_identical: bool) -> Options {
        Options {
            strategy: match self.strategy {
                StrategyKind::Bayesian => Strategy::Bayesian,
                StrategyKind::Random => Strategy::Random,
                StrategyKind::Grid => Strategy::Grid,
                StrategyKind::Hyperband => Strategy::Hyperband,
            },
            warm_start: match parents_are_identical {
                true => WarmStart::IdenticalDataAndAlgorithm,
                false => WarmStart::TransferLearning,
            },
            ..Options::bayesian(goal)
        }
    }

    /// The rule that stops trials, if there is one.
    ///
    /// # Errors
    /// When Hyperband's resources allow no rung.
    pub(super) fn stopping_rule(&self) -> Result<Option<StoppingRule>, CommandLineError> {
        match self.resources {
            Some((min, max)) => match Hyperband::new(min, max) {
                Ok(hyperband) => Ok(Some(StoppingRule::Hyperband { hyperband, seed: self.seed })),
                Err(error) => Err(CommandLineError(format!("--min-resource, --max-resource: {error}"))),
            },
            None => Ok(self.early_stopping.then(|| StoppingRule::Median(MedianRule::default()))),
        }
    }

    /// The differences from another request, one line each: `ranges: ["k=2:9"] there, ["k=2:5"] here`.
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

/// A metric that can be optimised.
///
/// # Errors
/// When the algorithm has none of that name.
pub(super) fn metric(
    contract: &'static AlgorithmContract,
    name: &str,
) -> Result<&'static MetricSpec, CommandLineError> {
    let measures: Vec<&str> = contract
        .metrics
        .iter()
        .filter(|metric| metric.direction.is_some())
        .map(|metric| metric.name)
        .collect();
    contract.metric(name).filter(|metric| metric.direction.is_some()).ok_or_else(|| {
        let meant = nearest(name, measures.iter().copied());
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        CommandLineError(format!(
            "--objective {name}: {} has no such measure of quality, it has {}{hint}",
            contract.name,
            measures.join(", ")
        ))
    })
}

/// The direction in which a metric is optimised.
pub(super) fn goal(metric: &MetricSpec) -> Goal {
    match metric.direction {
        Some(Direction::Maximize) => Goal::Maximize,
        _ => Goal::Minimize,
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

    #[test]
    fn a_difference_names_both_sides() {
        let other = Request { ranges: vec!["k=2:5".to_owned()], ..request() };
        assert_eq!(request().differences(&other), [r#"ranges: ["k=2:5"] there, ["k=2:9"] here"#]);
        assert_eq!(request().differences(&request()), [] as [String; 0]);
    }
}
