//! CreateModel and the operations on existing models.

use serde_json::{Map, Value, json};

use super::input::Input;
use super::records::{Kind, not_offered, refuse_any_of};
use super::training_image::Image;
use super::{Answer, Caller, Control};
use crate::hosting::{ModelData, ModelForm};
use crate::wire::ApiError;

const MODEL: Kind = Kind { resource: "model", stem: "Model", records: |control| &control.models, fill_in };

/// Members of a container that would change what it does, and that are not implemented here.
const NOT_OFFERED: [&str; 5] = [
    "ModelPackageName",
    "AdditionalModelDataSources",
    "MultiModelConfig",
    "ContainerMetricsConfig",
    "InferenceSpecificationName",
];

pub(super) fn create(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let containers: Vec<Input<'_>> =
        input.list("Containers").iter().filter_map(Value::as_object).map(Input).collect();
    let container = match (input.structure("PrimaryContainer"), containers.as_slice()) {
        (Some(container), []) => container,
        (None, [container]) => *container,
        (None, []) => {
            return Err(ApiError::validation(
                "The model has no container: give PrimaryContainer, or Containers with one member",
            ));
        }
        (Some(_), _) => {
            return Err(ApiError::validation("Give either PrimaryContainer or Containers, not both"));
        }
        (None, several) => {
            return Err(ApiError::validation(format!(
                "The model has {} containers: inference pipelines are not offered on your own machine",
                several.len()
            )));
        }
    };
    if input.get("InferenceExecutionConfig").is_some_and(|config| config["Mode"] == "Direct") {
        return Err(not_offered("InferenceExecutionConfig"));
    }
    check_container(control, container)?;
    MODEL.create(control, caller, input)
}

pub(super) fn describe(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    MODEL.describe(control, caller, input)
}

pub(super) fn list(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    MODEL.list(control, caller, input)
}

/// The model's files stay in S3, and endpoints that run it keep running.
pub(super) fn delete(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    MODEL.delete(control, caller, input)
}

fn check_container(control: &Control, container: Input<'_>) -> Result<(), ApiError> {
    refuse_any_of(&NOT_OFFERED, container)?;
    if container.text("Mode") == Some("MultiModel") {
        return Err(not_offered("Mode MultiModel"));
    }
    match container.text("Image") {
        Some(image) => Image::parse(image).map_err(|error| ApiError::validation(error.to_string()))?,
        None => return Err(ApiError::validation("The container of the model has no Image")),
    };
    if container.get("ModelDataUrl").is_some() && container.get("ModelDataSource").is_some() {
        return Err(ApiError::validation("Give either ModelDataUrl or ModelDataSource, not both"));
    }
    let data = ModelData::of(&Value::Object(container.0.clone()));
    let Some(data) = data.map_err(|error| ApiError::validation(error.to_string()))? else { return Ok(()) };
    let ModelData { bucket, key, form } = &data;
    let found = match form {
        ModelForm::Folder => control.objects.has_any(bucket, key),
        ModelForm::Archive | ModelForm::File => control.objects.has(bucket, key),
    };
    if matches!(found, Ok(true)) {
        return Ok(());
    }
    Err(ApiError::validation(format!("Could not find model data at s3://{bucket}/{key}.")))
}

/// Fills in the defaults that a description of the model shows.
fn fill_in(request: &mut Map<String, Value>) {
    request.entry("EnableNetworkIsolation").or_insert(json!(false));
    let fill = |container: &mut Value| {
        let Some(container) = container.as_object_mut() else { return };
        container.retain(|_, value| !value.is_null());
        container.entry("Mode").or_insert(json!("SingleModel"));
        container.entry("Environment").or_insert(json!({}));
    };
    request.get_mut("PrimaryContainer").into_iter().for_each(fill);
    let containers = request.get_mut("Containers").and_then(Value::as_array_mut);
    containers.into_iter().flatten().for_each(fill);
}
