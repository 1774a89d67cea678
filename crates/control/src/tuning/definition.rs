//! What a tuning job trains: a training job's request without name and hyperparameters, the tuned hyperparameters, and the objective.

use std::collections::BTreeMap;

use kokanee_tuner::{Dimension, Goal, Scale, Space, SpaceError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// The hyperparameter `_tuning_objective_metric`, which every child gets.
pub(crate) const OBJECTIVE_HYPERPARAMETER: &str = "_tuning_objective_metric";

/// A training job definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// `DefinitionName`.
    pub name: Option<String>,
    /// The objective metric.
    pub metric: String,
    /// Whether larger values of the metric are better.
    pub maximizes: bool,
    /// `ParameterRanges`.
    pub ranges: Map<String, Value>,
    /// `StaticHyperParameters`.
    pub statics: BTreeMap<String, String>,
    /// The built-in algorithm; none for a user's own image.
    pub algorithm: Option<String>,
    /// The complete members of `CreateTrainingJob` that all children share.
    pub template: Map<String, Value>,
    /// The most retries for the values of a training that failed because of the machine.
    pub most_retries: u32,
}

/// An error in ranges.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum DefinitionError {
    /// A bound is not a number.
    #[error("The value \"{text}\" of {member} of the hyperparameter {name} is not {expected}")]
    Number {
        /// The hyperparameter.
        name: String,
        /// `MinValue` or `MaxValue`.
        member: &'static str,
        /// The text that was given.
        text: String,
        /// The kind of value that was expected.
        expected: &'static str,
    },
    /// The ranges are not valid.
    #[error("{0}")]
    Space(#[from] SpaceError),
}

impl Definition {
    /// The direction of the objective.
    pub fn goal(&self) -> Goal {
        if self.maximizes { Goal::Maximize } else { Goal::Minimize }
    }

    /// The search space.
    ///
    /// # Errors
    /// If a range is not valid.
    pub fn space(&self) -> Result<Space, DefinitionError> {
        Ok(Space::new(ranges(&self.ranges)?)?)
    }

    /// All names of hyperparameters, each with the kind of its range; static ones have no kind.
    pub(crate) fn kinds(&self) -> BTreeMap<String, Option<&'static str>> {
        let mut kinds: BTreeMap<_, _> = self.statics.keys().map(|name| (name.clone(), None)).collect();
        for (list, kind) in LISTS {
            for range in rows(&self.ranges, list) {
                kinds.insert(text(range, "Name").to_owned(), Some(kind));
            }
        }
        kinds
    }
}

/// The lists of `ParameterRanges`, in the order of a space's dimensions.
const LISTS: [(&str, &str); 3] = [
    ("IntegerParameterRanges", "integer"),
    ("ContinuousParameterRanges", "continuous"),
    ("CategoricalParameterRanges", "categorical"),
];

/// The dimensions of `ParameterRanges`.
///
/// # Errors
/// If a bound is not a number.
pub fn ranges(ranges: &Map<String, Value>) -> Result<Vec<Dimension>, DefinitionError> {
    let mut dimensions = Vec::new();
    for range in rows(ranges, LISTS[0].0) {
        let bound = |member| number::<i64>(range, member, "a whole number");
        let name = text(range, "Name");
        dimensions.push(Dimension::integer(name, bound("MinValue")?, bound("MaxValue")?, scale(range)));
    }
    for range in rows(ranges, LISTS[1].0) {
        let bound = |member| number::<f64>(range, member, "a number");
        let name = text(range, "Name");
        dimensions.push(Dimension::continuous(name, bound("MinValue")?, bound("MaxValue")?, scale(range)));
    }
    for range in rows(ranges, LISTS[2].0) {
        let values = range.get("Values").and_then(Value::as_array).into_iter().flatten();
        dimensions.push(Dimension::categorical(text(range, "Name"), values.filter_map(Value::as_str)));
    }
    Ok(dimensions)
}

fn rows<'a>(ranges: &'a Map<String, Value>, list: &str) -> impl Iterator<Item = &'a Value> {
    ranges.get(list).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(range: &'a Value, member: &str) -> &'a str {
    range.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn number<T: std::str::FromStr>(
    range: &Value,
    member: &'static str,
    expected: &'static str,
) -> Result<T, DefinitionError> {
    let given = text(range, member);
    given.trim().parse().map_err(|_| DefinitionError::Number {
        name: text(range, "Name").to_owned(),
        member,
        text: given.to_owned(),
        expected,
    })
}

fn scale(range: &Value) -> Scale {
    match text(range, "ScalingType") {
        "Linear" => Scale::Linear,
        "Logarithmic" => Scale::Logarithmic,
        "ReverseLogarithmic" => Scale::ReverseLogarithmic,
        _ => Scale::Auto,
    }
}
