//! The training job definitions of a tuning job, checked and completed as CreateTrainingJob does it.

use std::collections::BTreeMap;

use kokanee_contract::AlgorithmContract;
use kokanee_contract::metrics::Direction;
use serde_json::{Map, Value, json};

use super::input::Input;
use super::training_jobs::{self, Prepared};
use super::{Caller, Control};
use crate::tuning::{Definition, DefinitionError};
use crate::wire::ApiError;

/// The most hyperparameters that can be tuned at once. Every value of a categorical one counts.
const MOST_TUNED: usize = 30;
/// Members that a training job shares with a definition.
const SHARED: [&str; 12] = [
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
    "Environment",
];
/// The default number of retries of a training job that failed because of the machine.
const DEFAULT_RETRIES: u32 = 2;
/// The second name under which AWS lists a built-in algorithm's objective among its metrics.
const OBJECTIVE_METRIC: &str = "ObjectiveMetric";

/// Reads `TrainingJobDefinition` or `TrainingJobDefinitions`.
///
/// # Errors
/// AWS's refusals.
pub(super) fn read(
    control: &Control,
    caller: &Caller,
    input: Input<'_>,
    config: Input<'_>,
) -> Result<Vec<Definition>, ApiError> {
    let several = input.list("TrainingJobDefinitions");
    match (input.structure("TrainingJobDefinition"), several.is_empty()) {
        (Some(definition), true) => {
            let ranges = config.structure("ParameterRanges").or(definition.structure("HyperParameterRanges"));
            let objective = config.structure("HyperParameterTuningJobObjective");
            let objective = objective.or(definition.structure("TuningObjective"));
            Ok(vec![one(control, caller, definition, ranges, objective)?])
        }
        (None, false) => {
            let definitions = several.iter().filter_map(Value::as_object).map(|definition| {
                let definition = Input(definition);
                if definition.text("DefinitionName").is_none() {
                    return Err(ApiError::validation(
                        "Each of several training job definitions needs a DefinitionName",
                    ));
                }
                let (ranges, objective) =
                    (definition.structure("HyperParameterRanges"), definition.structure("TuningObjective"));
                one(control, caller, definition, ranges, objective)
            });
            let definitions: Vec<Definition> = definitions.collect::<Result<_, _>>()?;
            for (place, definition) in definitions.iter().enumerate() {
                if definitions[..place].iter().any(|other| other.name == definition.name) {
                    return Err(ApiError::validation("The names of training job definitions must differ"));
                }
                if definition.maximizes != definitions[0].maximizes {
                    return Err(ApiError::validation(
                        "The objectives of training job definitions must have the same Type",
                    ));
                }
            }
            Ok(definitions)
        }
        _ => Err(ApiError::validation(
            "Provide either TrainingJobDefinition or TrainingJobDefinitions, and not both",
        )),
    }
}

fn one(
    control: &Control,
    caller: &Caller,
    definition: Input<'_>,
    ranges: Option<Input<'_>>,
    objective: Option<Input<'_>>,
) -> Result<Definition, ApiError> {
    let (Some(ranges), Some(objective)) = (ranges, objective) else {
        return Err(ApiError::validation(
            "A tuning job needs ParameterRanges and a HyperParameterTuningJobObjective",
        ));
    };
    if !ranges.list("AutoParameters").is_empty() {
        return Err(ApiError::validation(
            "AutoParameters are not offered on your own machine: give a range for each hyperparameter",
        ));
    }
    let Prepared { request: mut template, algorithm } =
        training_jobs::prepare(control, caller, template(definition)?)?;
    let (metric, maximizes) =
        (objective.required("MetricName").to_owned(), objective.text("Type") == Some("Maximize"));
    check_objective(&mut template, algorithm, &metric, maximizes)?;
    let statics: BTreeMap<String, String> = definition
        .get("StaticHyperParameters")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let retries =
        definition.structure("RetryStrategy").and_then(|retry| retry.number("MaximumRetryAttempts"));
    let definition = Definition {
        name: definition.text("DefinitionName").map(str::to_owned),
        metric,
        maximizes,
        ranges: ranges.0.clone(),
        statics,
        algorithm: algorithm.map(|contract| contract.name.to_owned()),
        template,
        most_retries: retries.and_then(|count| u32::try_from(count).ok()).unwrap_or(DEFAULT_RETRIES),
    };
    check_ranges(&definition, algorithm)?;
    Ok(definition)
}

/// Returns the definition as the request of a training job, without hyperparameters.
fn template(definition: Input<'_>) -> Result<Map<String, Value>, ApiError> {
    let mut template = Map::new();
    for name in SHARED {
        if let Some(value) = definition.get(name) {
            template.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(algorithm) = definition.get("AlgorithmSpecification") {
        template.insert("AlgorithmSpecification".to_owned(), algorithm.clone());
    }
    if let Some(resources) = definition.structure("HyperParameterTuningResourceConfig") {
        if template.contains_key("ResourceConfig") {
            return Err(ApiError::validation(
                "Provide either ResourceConfig or HyperParameterTuningResourceConfig, and not both",
            ));
        }
        // Every instance type stands for this machine.
        let first = resources.list("InstanceConfigs").first().and_then(Value::as_object).map(Input);
        let source = first.unwrap_or(resources);
        let mut config = Map::new();
        for name in ["InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId"] {
            if let Some(value) = source.get(name).or(resources.get(name)) {
                config.insert(name.to_owned(), value.clone());
            }
        }
        template.insert("ResourceConfig".to_owned(), Value::Object(config));
    }
    Ok(template)
}

/// Checks that the objective is a metric of the trainings, in AWS's words. The objective of a built-in algorithm also gets a second name.
fn check_objective(
    template: &mut Map<String, Value>,
    algorithm: Option<&'static AlgorithmContract>,
    metric: &str,
    maximizes: bool,
) -> Result<(), ApiError> {
    let Some(Value::Object(specification)) = template.get_mut("AlgorithmSpecification") else {
        return Ok(());
    };
    let definitions = specification.entry("MetricDefinitions").or_insert_with(|| json!([]));
    let Some(definitions) = definitions.as_array_mut() else { return Ok(()) };
    let Some(contract) = algorithm else {
        if definitions.iter().any(|definition| definition["Name"] == metric) {
            return Ok(());
        }
        return Err(ApiError::validation(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions.",
        ));
    };
    let objectives = contract.metrics.iter().filter(|known| known.direction.is_some());
    let Some((known, direction)) = contract.metric(metric).and_then(|known| Some((known, known.direction?)))
    else {
        let names: Vec<&str> = objectives.map(|known| known.name).collect();
        return Err(ApiError::validation(format!(
            "A metric is required for this hyperparameter tuning job objective. Choose one of the algorithm {}: {}.",
            contract.name,
            names.join(", ")
        )));
    };
    if maximizes != (direction == Direction::Maximize) {
        return Err(ApiError::validation(format!(
            "The objective type of the metric {metric} of the algorithm {} must be {direction}.",
            contract.name
        )));
    }
    definitions.push(json!({"Name": OBJECTIVE_METRIC, "Regex": known.regex}));
    Ok(())
}

fn check_ranges(
    definition: &Definition,
    algorithm: Option<&'static AlgorithmContract>,
) -> Result<(), ApiError> {
    let space = definition.space()?;
    let mut count = 0;
    for dimension in space.dimensions() {
        let name = dimension.name();
        if definition.statics.contains_key(name) {
            return Err(ApiError::validation(format!(
                "The hyperparameter {name} is both static and tuned: leave it out of one of the two"
            )));
        }
        count += match dimension.range() {
            kokanee_tuner::Range::Categorical { values } => values.len(),
            _ => 1,
        };
        if let Some(contract) = algorithm
            && contract.hyperparameter(name).is_none_or(|spec| spec.tuning.is_empty())
        {
            tracing::warn!(
                hyperparameter = name,
                algorithm = contract.name,
                "AWS does not tune it, and would refuse its range"
            );
        }
    }
    if count > MOST_TUNED {
        return Err(ApiError::new(
            "ResourceLimitExceeded",
            format!(
                "A tuning job has at most {MOST_TUNED} hyperparameters to tune, every value of a categorical one counted, and these are \
                 {count}"
            ),
        ));
    }
    Ok(())
}

impl From<DefinitionError> for ApiError {
    fn from(error: DefinitionError) -> Self {
        Self::validation(error.to_string())
    }
}
