//! PutMetricData.

use serde_json::{Map, Value, json};

use super::input::Input;
use super::{Answer, Caller, Control};
use crate::metrics::{Metric, Point, Sample, is_taken};
use crate::operations::Service;
use crate::store::now_ms;
use crate::wire::ApiError;

/// The most metrics in a call.
const MOST_DATA: usize = 1000;
/// The most values of one metric.
const MOST_VALUES: usize = 150;
/// Points are accepted from up to two weeks in the past to two hours in the future.
const PAST_MS: i64 = 14 * 86_400_000;
const FUTURE_MS: i64 = 2 * 3_600_000;

pub(super) fn put(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let namespace = input.required("Namespace");
    // AWS's namespaces belong to the server.
    if namespace.starts_with("AWS/") {
        return Err(invalid("The value AWS/ for parameter Namespace is invalid."));
    }
    let entities = input.list("EntityMetricData").iter().filter_map(Value::as_object).map(Input);
    let data: Vec<&Map<String, Value>> = input
        .list("MetricData")
        .iter()
        .chain(entities.flat_map(|entity| entity.list("MetricData")))
        .filter_map(Value::as_object)
        .collect();
    if data.is_empty() {
        let message = "The parameter MetricData is required.";
        return Err(ApiError::new("MissingRequiredParameterException", message));
    }
    if data.len() > MOST_DATA {
        return Err(invalid(format!(
            "The collection MetricData must not have a size greater than {MOST_DATA}."
        )));
    }
    let now_ms = now_ms();
    let mut points = Vec::new();
    for (number, datum) in data.into_iter().enumerate() {
        points_of(namespace, number + 1, Input(datum), now_ms, &mut points)?;
    }
    control.metrics.put(&caller.region, &points)?;
    Ok(json!({}))
}

fn points_of(
    namespace: &str,
    number: usize,
    datum: Input<'_>,
    now_ms: i64,
    points: &mut Vec<Point>,
) -> Result<(), ApiError> {
    let at = |member: &str| format!("MetricData.member.{number}.{member}");
    let at_ms = datum.time_ms("Timestamp").unwrap_or(now_ms);
    if at_ms < now_ms - PAST_MS {
        let message =
            format!("The parameter {} must specify a time within the past two weeks.", at("Timestamp"));
        return Err(invalid(message));
    }
    if at_ms > now_ms + FUTURE_MS {
        let message = format!(
            "The parameter {} must specify a time no more than two hours in the future.",
            at("Timestamp")
        );
        return Err(invalid(message));
    }
    let given = ["Value", "Values", "StatisticValues"];
    let given: Vec<&str> = given.into_iter().filter(|member| datum.get(member).is_some()).collect();
    let samples = match given[..] {
        ["Value"] => vec![Sample::from(float(datum, "Value", &at)?)],
        ["Values"] => samples(datum, &at)?,
        [_] => {
            let set = datum.structure("StatisticValues").unwrap_or(datum);
            let at = |member: &str| at(&format!("StatisticValues.{member}"));
            let sample = Sample {
                count: float(set, "SampleCount", &at)?,
                sum: float(set, "Sum", &at)?,
                min: float(set, "Minimum", &at)?,
                max: float(set, "Maximum", &at)?,
            };
            if sample.count <= 0.0 {
                return Err(invalid(format!("The value for {} must be greater than 0.", at("SampleCount"))));
            }
            if sample.min > sample.max {
                let message = format!("The parameter {} must not be greater than Maximum.", at("Minimum"));
                return Err(invalid(message));
            }
            vec![sample]
        }
        [] => {
            let message = format!("At least one of the parameters must be specified: {}.", at("Value"));
            return Err(ApiError::new("InvalidParameterCombinationException", message));
        }
        [first, second, ..] => {
            let message = format!(
                "The parameters {} and {} are mutually exclusive and you have specified both.",
                at(first),
                at(second)
            );
            return Err(ApiError::new("InvalidParameterCombinationException", message));
        }
    };
    let name = datum.required("MetricName");
    let metric = Metric { namespace: namespace.to_owned(), name: name.to_owned(), ..metric(datum) };
    let unit = unit(datum.text("Unit").unwrap_or("None"));
    points.extend(samples.into_iter().map(|sample| Point { metric: metric.clone(), unit, at_ms, sample }));
    Ok(())
}

/// Returns the values, each with its count.
fn samples(datum: Input<'_>, at: &dyn Fn(&str) -> String) -> Result<Vec<Sample>, ApiError> {
    let (values, counts) = (datum.list("Values"), datum.list("Counts"));
    if values.is_empty() || values.len() > MOST_VALUES {
        let message = format!("The collection {} must have 1 to {MOST_VALUES} members.", at("Values"));
        return Err(invalid(message));
    }
    if datum.get("Counts").is_some() && counts.len() != values.len() {
        let message =
            format!("The parameters {} and {} must have the same size.", at("Values"), at("Counts"));
        return Err(ApiError::new("InvalidParameterCombinationException", message));
    }
    let mut samples = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let value = checked(value.as_f64(), &at("Values"))?;
        let count = counts.get(index).map_or(Ok(1.0), |count| checked(count.as_f64(), &at("Counts")))?;
        if count <= 0.0 {
            return Err(invalid(format!("The values of {} must be greater than 0.", at("Counts"))));
        }
        samples.push(Sample { count, sum: value * count, min: value, max: value });
    }
    Ok(samples)
}

fn float(input: Input<'_>, member: &str, at: &dyn Fn(&str) -> String) -> Result<f64, ApiError> {
    checked(input.get(member).and_then(Value::as_f64), &at(member))
}

/// Checks that a value is in the range that CloudWatch accepts.
fn checked(value: Option<f64>, at: &str) -> Result<f64, ApiError> {
    let value = value.filter(|&value| is_taken(value));
    value.ok_or_else(|| invalid(format!("The value for parameter {at} must be between -2^360 and 2^360.")))
}

/// Returns the unit as a word of the table, which has checked it.
fn unit(unit: &str) -> &'static str {
    let words = &Service::CloudWatch.model().shape("StandardUnit").r#enum;
    words.iter().find(|word| *word == unit).map_or("None", String::as_str)
}

/// The metric that a structure describes.
pub(super) fn metric(input: Input<'_>) -> Metric {
    let dimensions = input.list("Dimensions").iter().filter_map(Value::as_object).map(Input);
    let dimensions = dimensions.map(|dimension| (dimension.required("Name"), dimension.required("Value")));
    Metric::new(input.required("Namespace"), input.required("MetricName"), dimensions)
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValueException", message)
}
