//! The search strategy and the limits of a tuning job.

use super::input::Input;
use crate::tuning::{Definition, Limits, MOST_TRAININGS, StrategyKind};
use crate::wire::ApiError;

/// The most training jobs that run in parallel.
const MOST_PARALLEL: i64 = 100;
/// Hyperparameters that hold the number of epochs in users' own programs.
const EPOCHS: [&str; 2] = ["epochs", "num_epochs"];
/// The number of epochs that Hyperband lets a training run if no hyperparameter gives it.
const DEFAULT_MAX_RESOURCE: u64 = 27;

/// Reads `Strategy` and its configuration.
///
/// # Errors
/// If the two do not fit together.
pub(super) fn strategy(config: Input<'_>, definitions: &[Definition]) -> Result<StrategyKind, ApiError> {
    let strategy = match config.text("Strategy") {
        Some("Random") => StrategyKind::Random,
        Some("Grid") => StrategyKind::Grid,
        Some("Hyperband") => {
            let given = config.structure("StrategyConfig");
            let given = given.and_then(|given| given.structure("HyperbandStrategyConfig"));
            let number = |name| {
                given.and_then(|given| given.number(name)).and_then(|number| u64::try_from(number).ok())
            };
            let min_resource = number("MinResource").unwrap_or(1);
            let max_resource = number("MaxResource").unwrap_or_else(|| epochs(definitions));
            if min_resource == 0 || min_resource >= max_resource {
                return Err(ApiError::validation(format!(
                    "MinResource must be at least 1 and below MaxResource: they are {min_resource} and {max_resource}"
                )));
            }
            StrategyKind::Hyperband { min_resource, max_resource }
        }
        _ => StrategyKind::Bayesian,
    };
    let is_hyperband = matches!(strategy, StrategyKind::Hyperband { .. });
    if config.structure("StrategyConfig").is_some() && !is_hyperband {
        return Err(ApiError::validation("StrategyConfig is for the strategy Hyperband"));
    }
    if is_hyperband && config.text("TrainingJobEarlyStoppingType") == Some("Auto") {
        return Err(ApiError::validation(
            "TrainingJobEarlyStoppingType must be Off with the strategy Hyperband, which stops trainings by itself",
        ));
    }
    Ok(strategy)
}

fn epochs(definitions: &[Definition]) -> u64 {
    let Some(definition) = definitions.first() else { return DEFAULT_MAX_RESOURCE };
    let built_in = definition.algorithm.as_deref().and_then(kokanee_contract::algorithm);
    let names = built_in.map_or(EPOCHS.to_vec(), |contract| vec![contract.epochs]);
    let find = |name: &str| definition.statics.get(name)?.parse().ok();
    names.into_iter().find_map(find).filter(|epochs| *epochs > 1).unwrap_or(DEFAULT_MAX_RESOURCE)
}

/// Reads `ResourceLimits`, `TuningJobCompletionCriteria` and whether trainings are stopped early.
///
/// # Errors
/// If there are more training jobs than allowed, or too few different values for them.
pub(super) fn limits(
    config: Input<'_>,
    strategy: StrategyKind,
    definitions: &[Definition],
) -> Result<Limits, ApiError> {
    let resources = config.structure("ResourceLimits");
    let number = |name| resources.and_then(|resources| resources.number(name));
    let criteria = config.structure("TuningJobCompletionCriteria");
    let converges = criteria.and_then(|criteria| criteria.structure("ConvergenceDetected"));
    let not_improving = criteria.and_then(|criteria| criteria.structure("BestObjectiveNotImproving"));
    let not_improving = not_improving.and_then(|found| found.number("MaxNumberOfTrainingJobsNotImproving"));
    let parallel = number("MaxParallelTrainingJobs").unwrap_or(1);
    if parallel > MOST_PARALLEL {
        return Err(too_many("MaxParallelTrainingJobs", parallel, MOST_PARALLEL));
    }
    let limits = Limits {
        most_trainings: 0,
        most_parallel: u32::try_from(parallel).unwrap_or(1).max(1),
        max_runtime_s: number("MaxRuntimeInSeconds").and_then(|seconds| u64::try_from(seconds).ok()),
        target: criteria
            .and_then(|criteria| criteria.get("TargetObjectiveMetricValue"))
            .and_then(serde_json::Value::as_f64),
        most_not_improving: not_improving.and_then(|count| u32::try_from(count).ok()),
        ends_on_convergence: converges.and_then(|found| found.text("CompleteOnConvergence"))
            == Some("Enabled"),
        stops_early: config.text("TrainingJobEarlyStoppingType") == Some("Auto"),
    };
    let ends = limits.max_runtime_s.is_some()
        || limits.target.is_some()
        || limits.most_not_improving.is_some()
        || limits.ends_on_convergence;
    let most = number("MaxNumberOfTrainingJobs");
    let most_trainings = match (strategy, most) {
        (StrategyKind::Grid, most) => grid(definitions, most)?,
        (_, Some(most)) => most,
        (_, None) if ends => i64::from(MOST_TRAININGS),
        (_, None) => {
            return Err(ApiError::validation(
                "MaxNumberOfTrainingJobs is missing: a tuning job needs it, a MaxRuntimeInSeconds or a completion criterion",
            ));
        }
    };
    if most_trainings > i64::from(MOST_TRAININGS) {
        return Err(too_many("MaxNumberOfTrainingJobs", most_trainings, MOST_TRAININGS.into()));
    }
    if most.is_some() && strategy != StrategyKind::Grid {
        check_combinations(definitions, most_trainings)?;
    }
    Ok(Limits { most_trainings: u32::try_from(most_trainings).unwrap_or(1), ..limits })
}

/// Returns the number of training jobs of a grid, which is that of its combinations.
fn grid(definitions: &[Definition], most: Option<i64>) -> Result<i64, ApiError> {
    let mut combinations = 0_i64;
    for definition in definitions {
        let space = definition.space()?;
        for dimension in space.dimensions() {
            if !matches!(dimension.range(), kokanee_tuner::Range::Categorical { .. }) {
                return Err(ApiError::validation(format!(
                    "The strategy Grid takes categorical hyperparameters only, and {} has a numeric range",
                    dimension.name()
                )));
            }
        }
        let size = space.size().and_then(|size| i64::try_from(size).ok()).unwrap_or(i64::MAX);
        combinations = combinations.saturating_add(size);
    }
    match most {
        Some(most) if most != combinations => Err(ApiError::validation(format!(
            "MaxNumberOfTrainingJobs must be the number of combinations with the strategy Grid, {combinations}, or be left out; it is {most}"
        ))),
        _ => Ok(combinations),
    }
}

/// Checks that there are as many combinations as training jobs, in AWS's words.
fn check_combinations(definitions: &[Definition], most: i64) -> Result<(), ApiError> {
    let mut combinations = 0.0;
    for definition in definitions {
        let Some(size) = definition.space()?.size() else { return Ok(()) };
        combinations += size as f64;
    }
    if combinations < most as f64 {
        return Err(ApiError::validation(format!(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter combinations for the provided \
             ranges [{combinations:.1}] must be equal or greater than the value of MaxNumberOfJobs, [{most}]. Provide additional ranges."
        )));
    }
    Ok(())
}

fn too_many(name: &str, given: i64, most: i64) -> ApiError {
    let message = format!("{name} is at most {most}, and {given} was given");
    ApiError::new("ResourceLimitExceeded", message)
}
