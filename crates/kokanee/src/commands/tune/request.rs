//! From the options of the command line to what a tuning is asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use kokanee_contract::AlgorithmContract;
use kokanee_contract::metrics::{Direction, MetricSpec};
use kokanee_contract::spec::{Kind, nearest};
use kokanee_tuner::Goal;

use super::history::{Request, StrategyKind};
use super::{TuneArgs, ranges};
use crate::exit::CommandLineError;

/// Reports of the objective that Hyperband lets a trial make, where nothing else is said.
const DEFAULT_MOST_REPORTS: u64 = 27;
/// The hyperparameter that says which measure chooses the model that is kept, and is measured for sure.
const KEPT_BY: &str = "optimized_metric";

impl TuneArgs {
    /// What is asked for, and the metric that is sought.
    ///
    /// # Errors
    /// When options do not go together, or the algorithm lacks what they name.
    pub(super) fn request(
        &self,
        contract: &'static AlgorithmContract,
    ) -> Result<(Request, &'static MetricSpec)> {
        self.job.channels(contract)?;
        let mut hyperparameters = self.job.raw_hyperparameters(&[])?;
        // A range goes before the value of a file; beside one of --set it is a mistake, which is told later.
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

    /// The first measure of validation or test data that is given.
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

/// A metric that can be sought.
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

/// What is good.
pub(super) fn goal(metric: &MetricSpec) -> Goal {
    match metric.direction {
        Some(Direction::Maximize) => Goal::Maximize,
        _ => Goal::Minimize,
    }
}
