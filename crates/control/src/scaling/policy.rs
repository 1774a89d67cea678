//! Target-tracking policies.

use serde_json::Value;

use super::variant::VariantId;
use crate::metrics::{INVOCATIONS, Metric, Statistic};

/// The only supported predefined metric.
const PREDEFINED: &str = "SageMakerVariantInvocationsPerInstance";
/// Default seconds between two changes in the same direction.
const COOLDOWN: i64 = 300;

/// A policy: the metric, its target value, and how often the number of instances may change.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetTracking {
    /// The target value of the metric.
    pub target: f64,
    /// The metric.
    pub metric: Metric,
    /// The statistic of its points.
    pub statistic: Statistic,
    /// Its unit, if the policy names one.
    pub unit: Option<String>,
    /// Time from the end of a change to more instances until the next one may begin.
    pub out_cooldown_ms: i64,
    /// The same for fewer instances.
    pub in_cooldown_ms: i64,
    /// Whether it may remove instances.
    pub scales_in: bool,
}

impl TargetTracking {
    /// Parses a `TargetTrackingScalingPolicyConfiguration` for a variant.
    ///
    /// # Errors
    /// The fault.
    pub fn parse(config: &Value, id: &VariantId) -> Result<Self, String> {
        let target = config["TargetValue"].as_f64().filter(|target| target.is_finite() && *target > 0.0);
        let target = target.ok_or("TargetValue must be greater than 0.")?;
        let (predefined, customized) =
            (&config["PredefinedMetricSpecification"], &config["CustomizedMetricSpecification"]);
        let (metric, statistic, unit) = match (predefined.is_null(), customized.is_null()) {
            (false, true) => (invocations(predefined, id)?, Statistic::Sum, None),
            (true, false) => custom(customized)?,
            _ => {
                return Err("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified \
                            for a target tracking scaling policy."
                    .to_owned());
            }
        };
        Ok(Self {
            target,
            metric,
            statistic,
            unit,
            out_cooldown_ms: cooldown_ms(config, "ScaleOutCooldown")?,
            in_cooldown_ms: cooldown_ms(config, "ScaleInCooldown")?,
            scales_in: config["DisableScaleIn"] != Value::Bool(true),
        })
    }
}

/// The metric in which each invocation counts one divided by the number of instances, so that a period's sum is the invocations per
/// instance.
fn invocations(specification: &Value, id: &VariantId) -> Result<Metric, String> {
    let kind = specification["PredefinedMetricType"].as_str().unwrap_or_default();
    if kind != PREDEFINED {
        return Err(format!(
            "The predefined metric type {kind} is not offered for service namespace sagemaker on your own machine; {PREDEFINED} is."
        ));
    }
    let dimensions = [("EndpointName", id.endpoint.as_str()), ("VariantName", id.variant.as_str())];
    Ok(Metric::new(INVOCATIONS, "InvocationsPerInstance", dimensions))
}

fn custom(specification: &Value) -> Result<(Metric, Statistic, Option<String>), String> {
    if !specification["Metrics"].is_null() {
        return Err("Metrics of a CustomizedMetricSpecification (metric math) is not offered on your own machine; name one \
                    metric by MetricName, Namespace, Dimensions and Statistic."
            .to_owned());
    }
    let text = |member: &str| {
        let text = specification[member].as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("{member} must be specified in CustomizedMetricSpecification."))
    };
    let dimensions = specification["Dimensions"].as_array().into_iter().flatten();
    let part = |dimension: &Value, member: &str| dimension[member].as_str().unwrap_or_default().to_owned();
    let metric = Metric {
        namespace: text("Namespace")?.to_owned(),
        name: text("MetricName")?.to_owned(),
        dimensions: dimensions.map(|dimension| (part(dimension, "Name"), part(dimension, "Value"))).collect(),
    };
    let statistic = Statistic::parse(text("Statistic")?).map_err(|error| error.to_string())?;
    Ok((metric, statistic, specification["Unit"].as_str().map(str::to_owned)))
}

fn cooldown_ms(config: &Value, member: &str) -> Result<i64, String> {
    let seconds = config[member].as_i64().unwrap_or(COOLDOWN);
    if seconds < 0 {
        return Err(format!("{member} must not be negative."));
    }
    Ok(seconds.saturating_mul(1000))
}
