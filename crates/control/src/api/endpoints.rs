//! CreateEndpoint and the operations on existing endpoints.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::input::Input;
use super::lists::{self, Order, seconds};
use super::{Answer, Caller, Control, tags};
use crate::hosting::{
    Deployment, Endpoint, EndpointStatus, HostingError, NewEndpoint, Retained, Variant, Wish,
};
use crate::store::now_ms;
use crate::wire::ApiError;

pub(super) fn create(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let name = input.required("EndpointName");
    let deployment_config = deployment_config(input)?;
    let new_tags = input.tags("Tags");
    tags::check(&new_tags)?;
    let arn = control.arn(caller, "endpoint", name);
    let deployment = deployment(control, caller, input.required("EndpointConfigName"))?;
    control.endpoints.create(NewEndpoint {
        region: caller.region.clone(),
        name: name.to_owned(),
        arn: arn.clone(),
        deployment,
        deployment_config,
        tags: new_tags,
    })?;
    Ok(json!({"EndpointArn": arn}))
}

pub(super) fn describe(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    Ok(described(&control.endpoints.find(&arn(control, caller, input))?))
}

pub(super) fn list(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let page = control.endpoints.list(&lists::query(caller, input, Order::Descending))?;
    lists::answer("Endpoints", page, |endpoint| {
        json!({
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "CreationTime": seconds(endpoint.created_ms),
            "LastModifiedTime": seconds(endpoint.modified_ms),
            "EndpointStatus": endpoint.status,
        })
    })
}

pub(super) fn update(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let arn = arn(control, caller, input);
    let deployment_config = match deployment_config(input)? {
        None if input.get("RetainDeploymentConfig") == Some(&json!(true)) => {
            control.endpoints.find(&arn)?.state.deployment_config
        }
        given => given,
    };
    let excluded = |kind: &str| {
        let listed = input.list("ExcludeRetainedVariantProperties").iter();
        listed.filter_map(|property| property["VariantPropertyType"].as_str()).any(|other| other == kind)
    };
    let retains = input.get("RetainAllVariantProperties") == Some(&json!(true));
    let retained = Retained {
        weights: retains && !excluded("DesiredWeight"),
        instances: retains && !excluded("DesiredInstanceCount"),
    };
    // A missing endpoint is reported before a missing configuration.
    let endpoint = control.endpoints.find(&arn)?;
    let deployment = deployment(control, caller, input.required("EndpointConfigName"))?;
    check_scaled(control, &endpoint, &deployment)?;
    control.endpoints.update(&arn, deployment, retained, deployment_config)?;
    Ok(json!({"EndpointArn": arn}))
}

pub(super) fn reweigh(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let arn = arn(control, caller, input);
    let mut wishes = Vec::new();
    let listed = input.list("DesiredWeightsAndCapacities").iter().filter_map(Value::as_object).map(Input);
    for (index, wish) in listed.enumerate() {
        let too_small = |name: &str, value: &Value, least: u32| {
            ApiError::validation(format!(
                "1 validation error detected: Value '{value}' at 'desiredWeightsAndCapacities.{}.member.{name}' failed to satisfy \
                 constraint: Member must have value greater than or equal to {least}",
                index + 1
            ))
        };
        if wish.get("ServerlessUpdateConfig").is_some() {
            return Err(ApiError::validation("ServerlessUpdateConfig is not offered on your own machine"));
        }
        let weight = wish.get("DesiredWeight");
        if let Some(weight) = weight.filter(|weight| weight.as_f64().is_some_and(|weight| weight < 0.0)) {
            return Err(too_small("desiredWeight", weight, 0));
        }
        let instances = wish.number("DesiredInstanceCount");
        if let Some(instances) = instances.filter(|instances| *instances < 1) {
            return Err(too_small("desiredInstanceCount", &json!(instances), 1));
        }
        wishes.push(Wish {
            variant: wish.required("VariantName").to_owned(),
            weight: weight.and_then(Value::as_f64),
            instances: instances.map(|instances| u32::try_from(instances).unwrap_or(u32::MAX)),
        });
    }
    control.endpoints.reweigh(&arn, &wishes)?;
    Ok(json!({"EndpointArn": arn}))
}

pub(super) fn delete(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let name = input.required("EndpointName");
    control.endpoints.delete(&arn(control, caller, input))?;
    control.scaling.forget_endpoint(&caller.region, name)?;
    Ok(json!({}))
}

/// Checks that scaled variants keep their instance type. A scaled variant must be deregistered before it is removed.
fn check_scaled(control: &Control, endpoint: &Endpoint, new: &Deployment) -> Result<(), ApiError> {
    let Some(serving) = &endpoint.state.serving else { return Ok(()) };
    let scaled = control.scaling.of_endpoint(&endpoint.region, &endpoint.name)?.into_iter();
    let changed = scaled.map(|target| target.id.variant).filter(|name| {
        let kind =
            |deployment: &Deployment| deployment.variant(name).map(|variant| variant.instance_type.clone());
        serving.variant(name).is_some() && kind(serving) != kind(new)
    });
    let changed: Vec<String> = changed.collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "Cannot update endpoint \"{}\": the variant(s) \"{}\" must be deregistered from automatic scaling before their instance type \
         changes or they are removed.",
        endpoint.arn,
        changed.join(", ")
    )))
}

fn arn(control: &Control, caller: &Caller, input: Input<'_>) -> String {
    control.arn(caller, "endpoint", input.required("EndpointName"))
}

/// A configuration with its models in their present state.
fn deployment(control: &Control, caller: &Caller, config: &str) -> Result<Deployment, HostingError> {
    let config = control.endpoint_configs.find(&control.arn(caller, "endpoint-config", config))?;
    Deployment::new(&config, now_ms(), |model| control.models.find(&control.arn(caller, "model", model)))
}

/// Reads how traffic moves to a new configuration. Only all at once is supported, as soon as all new instances answer.
fn deployment_config(input: Input<'_>) -> Result<Option<Value>, ApiError> {
    let Some(config) = input.get("DeploymentConfig") else { return Ok(None) };
    let refuse = |what: &str| {
        Err(ApiError::validation(format!(
            "{what} is not offered on your own machine: all traffic moves as soon as the new instances answer"
        )))
    };
    if !config["RollingUpdatePolicy"].is_null() {
        return refuse("RollingUpdatePolicy");
    }
    let alarms = config["AutoRollbackConfiguration"]["Alarms"].as_array();
    if alarms.is_some_and(|alarms| !alarms.is_empty()) {
        return refuse("AutoRollbackConfiguration with Alarms");
    }
    let routing = &config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"];
    if let Some(kind) = routing.as_str().filter(|kind| *kind != "ALL_AT_ONCE") {
        return refuse(&format!("TrafficRoutingConfiguration of type {kind}"));
    }
    Ok(Some(config.clone()))
}

fn described(endpoint: &Endpoint) -> Value {
    let state = &endpoint.state;
    let mut answer = json!({
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": state.status.as_str(),
        "CreationTime": seconds(state.created_ms),
        "LastModifiedTime": seconds(state.modified_ms),
    });
    if let Some(shown) = state.serving.as_ref().or(state.pending.as_ref()) {
        let is_starting = state.serving.is_none() && state.status == EndpointStatus::Creating;
        answer["EndpointConfigName"] = json!(shown.config_name);
        answer["ProductionVariants"] = variants(shown, is_starting.then_some("Creating"));
    }
    if let (Some(_), Some(pending)) = (&state.serving, &state.pending) {
        answer["PendingDeploymentSummary"] = json!({
            "EndpointConfigName": pending.config_name,
            "ProductionVariants": variants(pending, Some("Creating")),
            "StartTime": seconds(pending.generation),
        });
    }
    if let Some(reason) = &state.failure_reason {
        answer["FailureReason"] = json!(reason);
    }
    if let Some(config) = &state.deployment_config {
        answer["LastDeploymentConfig"] = config.clone();
    }
    answer
}

fn variants(deployment: &Deployment, status: Option<&str>) -> Value {
    let described = |variant: &Variant| {
        let image = &variant.container.image;
        let mut described = json!({
            "VariantName": variant.name,
            "DeployedImages": [{
                "SpecifiedImage": image,
                "ResolvedImage": resolved(image),
                "ResolutionTime": seconds(deployment.generation),
            }],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.desired_weight,
            "CurrentInstanceCount": variant.instances,
            "DesiredInstanceCount": variant.desired_instances,
        });
        if let Some(status) = status {
            described["VariantStatus"] =
                json!([{"Status": status, "StartTime": seconds(deployment.generation)}]);
        }
        described
    };
    deployment.variants.iter().map(described).collect()
}

/// Returns an image with a digest. No image stands behind the name here, so the digest is computed from the name.
fn resolved(image: &str) -> String {
    let (name, rest) = image.rsplit_once('/').map_or(("", image), |(name, rest)| (name, rest));
    if rest.contains('@') {
        return image.to_owned();
    }
    let repository = rest.split(':').next().unwrap_or(rest);
    let mut resolved = if name.is_empty() { repository.to_owned() } else { format!("{name}/{repository}") };
    resolved.push_str("@sha256:");
    for byte in Sha256::digest(image) {
        let _ = write!(resolved, "{byte:02x}");
    }
    resolved
}
