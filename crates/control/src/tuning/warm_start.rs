//! The rules of warm starts. Source: the guide's "Warm Start Tuning Restrictions".

use thiserror::Error;

use super::definition::Definition;
use super::jobs::TuningJob;

/// The most training jobs of a tuning job and its parents together.
pub(crate) const MOST_TRAININGS: u32 = 750;
/// The most changes to hyperparameters compared with a parent.
const MOST_CHANGES: usize = 10;

/// An error in the choice of a parent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum WarmStartError {
    #[error(
        "The parent tuning job {0} has not ended: parents must be Completed, Stopped or Failed before a warm start tuning job begins"
    )]
    AtWork(String),
    #[error(
        "The objective metric of the parent tuning job {parent} is {theirs} and that of this one {ours}: it must be the same"
    )]
    Objective { parent: String, theirs: String, ours: String },
    /// AWS's words.
    #[error(
        "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs. Please ensure this \
         set is constant when warm starting. Note that previously static HyperParameters can be tuned in warm start jobs and vice versa."
    )]
    Names,
    #[error(
        "The hyperparameter {name} is {theirs} in the parent tuning job {parent} and {ours} in this one: types must not change"
    )]
    Kind { name: String, parent: String, theirs: &'static str, ours: &'static str },
    #[error(
        "{count} changes from the parent tuning job {parent}: hyperparameters that become static and static values that change may be \
         {MOST_CHANGES} at most, each value of a categorical one counted"
    )]
    Changes { count: usize, parent: String },
    /// AWS's words.
    #[error("Only the following fields in TrainingJobDefinition are allowed to change: [{0}].")]
    Fields(&'static str),
    #[error(
        "The training jobs of the parents, {parents}, and MaxNumberOfTrainingJobs, {own}, are more than {MOST_TRAININGS} together"
    )]
    Trainings { parents: u32, own: u32 },
}

/// Checks a parent.
///
/// # Errors
/// If it breaks a rule.
pub(crate) fn check(new: &Definition, parent: &TuningJob, is_identical: bool) -> Result<(), WarmStartError> {
    let name = || parent.name.clone();
    if !parent.state.status.is_final() {
        return Err(WarmStartError::AtWork(name()));
    }
    let Some(old) = parent.state.definitions.first() else { return Ok(()) };
    if old.metric != new.metric || old.maximizes != new.maximizes {
        let (theirs, ours) = (old.metric.clone(), new.metric.clone());
        return Err(WarmStartError::Objective { parent: name(), theirs, ours });
    }
    let (old_kinds, new_kinds) = (old.kinds(), new.kinds());
    if !old_kinds.keys().eq(new_kinds.keys()) {
        return Err(WarmStartError::Names);
    }
    let mut changes = 0;
    for ((hyperparameter, theirs), ours) in old_kinds.iter().zip(new_kinds.values()) {
        match (theirs, ours) {
            (Some(theirs), Some(ours)) if theirs != ours => {
                let (name, parent) = (hyperparameter.clone(), name());
                return Err(WarmStartError::Kind { name, parent, theirs, ours });
            }
            (Some("categorical"), None) => changes += categories(old, hyperparameter),
            (Some(_), None) => changes += 1,
            // The guide counts two changes: one value removed and one added.
            (None, None) if old.statics.get(hyperparameter) != new.statics.get(hyperparameter) => {
                changes += 2
            }
            _ => {}
        }
    }
    if changes > MOST_CHANGES {
        return Err(WarmStartError::Changes { count: changes, parent: name() });
    }
    if is_identical {
        check_fields(new, old)?;
    }
    Ok(())
}

/// Checks that the image and the input data are those of a parent with identical data and algorithm.
fn check_fields(new: &Definition, old: &Definition) -> Result<(), WarmStartError> {
    const FIELDS: &str = "outputDataConfig, staticHyperParameters, roleArn, resourceConfig, stoppingCondition, vpcConfig, \
                          enableManagedSpotTraining, checkpointConfig";
    let image = |definition: &Definition| match &definition.algorithm {
        Some(algorithm) => algorithm.clone(),
        None => definition.template["AlgorithmSpecification"]["TrainingImage"].to_string(),
    };
    let data = |definition: &Definition| definition.template.get("InputDataConfig").cloned();
    if image(new) != image(old) || data(new) != data(old) {
        return Err(WarmStartError::Fields(FIELDS));
    }
    Ok(())
}

fn categories(definition: &Definition, name: &str) -> usize {
    let ranges = definition.ranges.get("CategoricalParameterRanges").and_then(|ranges| ranges.as_array());
    let range = ranges.into_iter().flatten().find(|range| range["Name"] == name);
    range.and_then(|range| range["Values"].as_array()).map_or(1, Vec::len)
}
