//! CreateEndpointConfig and the operations on existing endpoint configurations.

use serde_json::{Map, Value, json};

use super::input::Input;
use super::records::{Kind, not_offered, refuse_any_of};
use super::{Answer, Caller, Control};
use crate::wire::ApiError;

const CONFIG: Kind = Kind {
    resource: "endpoint-config",
    stem: "EndpointConfig",
    records: |control| &control.endpoint_configs,
    fill_in,
};

/// Members of a configuration that would change what endpoints do, and that are not implemented here.
const NOT_OFFERED: [&str; 4] =
    ["AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants", "CrossRegionTrafficConfig"];
/// The same for members of a variant.
const NOT_OFFERED_OF_VARIANTS: [&str; 6] = [
    "ServerlessConfig",
    "InstancePools",
    "ManagedInstanceScaling",
    "CoreDumpConfig",
    "CapacityReservationConfig",
    "AcceleratorPartitionLayouts",
];

pub(super) fn create(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    refuse_any_of(&NOT_OFFERED, input)?;
    let capture = input.structure("DataCaptureConfig");
    if capture.is_some_and(|capture| capture.get("EnableCapture") == Some(&json!(true))) {
        return Err(not_offered("DataCaptureConfig with EnableCapture"));
    }
    let variants: Vec<Input<'_>> =
        input.list("ProductionVariants").iter().filter_map(Value::as_object).map(Input).collect();
    for (index, variant) in variants.iter().enumerate() {
        check_variant(control, caller, *variant, index)?;
        let name = variant.required("VariantName");
        if variants[..index].iter().any(|other| other.required("VariantName").eq_ignore_ascii_case(name)) {
            return Err(ApiError::validation(format!(
                "The production variant name \"{name}\" is given more than once: names of variants must be unique"
            )));
        }
    }
    CONFIG.create(control, caller, input)
}

pub(super) fn describe(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    CONFIG.describe(control, caller, input)
}

pub(super) fn list(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    CONFIG.list(control, caller, input)
}

/// Endpoints that run the configuration keep running.
pub(super) fn delete(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    CONFIG.delete(control, caller, input)
}

fn check_variant(
    control: &Control,
    caller: &Caller,
    variant: Input<'_>,
    index: usize,
) -> Result<(), ApiError> {
    refuse_any_of(&NOT_OFFERED_OF_VARIANTS, variant)?;
    let routing = variant.structure("RoutingConfig").and_then(|routing| routing.text("RoutingStrategy"));
    if let Some(strategy) = routing.filter(|strategy| strategy.ends_with("_AWARE")) {
        return Err(not_offered(&format!("RoutingStrategy {strategy}")));
    }
    // Today's API model marks these members as optional, because inference components and serverless endpoints do without them.
    for (name, at) in [
        ("ModelName", "modelName"),
        ("InitialInstanceCount", "initialInstanceCount"),
        ("InstanceType", "instanceType"),
    ] {
        if variant.get(name).is_none() {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value null at 'productionVariants.{}.member.{at}' failed to satisfy constraint: Member \
                 must not be null",
                index + 1
            )));
        }
    }
    if let Some(weight) = variant.get("InitialVariantWeight").and_then(Value::as_f64)
        && weight < 0.0
    {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value '{weight}' at 'productionVariants.{}.member.initialVariantWeight' failed to satisfy \
             constraint: Member must have value greater than or equal to 0",
            index + 1
        )));
    }
    control.models.find(&control.arn(caller, "model", variant.required("ModelName")))?;
    Ok(())
}

/// Fills in the defaults that a description of the configuration shows.
fn fill_in(request: &mut Map<String, Value>) {
    request.entry("EnableNetworkIsolation").or_insert(json!(false));
    let variants = request.get_mut("ProductionVariants").and_then(Value::as_array_mut);
    for variant in variants.into_iter().flatten().filter_map(Value::as_object_mut) {
        variant.retain(|_, value| !value.is_null());
        variant.entry("InitialVariantWeight").or_insert(json!(1.0));
    }
}
