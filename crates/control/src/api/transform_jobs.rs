//! CreateTransformJob and the operations on existing transform jobs.

use serde_json::{Map, Value, json};

use super::input::Input;
use super::lists::{self, Order, seconds};
use super::{Answer, Caller, Control, tags, training_jobs};
use crate::hosting::Container;
use crate::jobs::Listed;
use crate::store::now_ms;
use crate::transform::{NewTransformJob, TransformRequest, TransformState};
use crate::wire::ApiError;

pub(super) fn create(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let name = input.required("TransformJobName");
    if input.structure("DataCaptureConfig").is_some() {
        return Err(ApiError::validation("DataCaptureConfig is not offered on your own machine"));
    }
    let model = control.models.find(&control.arn(caller, "model", input.required("ModelName")))?;
    let new_tags = input.tags("Tags");
    tags::check(&new_tags)?;
    let mut request = input.0.clone();
    request.retain(|name, value| !value.is_null() && name != "Tags");
    let parsed = TransformRequest::parse(&request)?;
    let role = model.request.get("ExecutionRoleArn").and_then(Value::as_str).unwrap_or_default();
    training_jobs::check_objects(control, caller, role, &parsed.input.source)?;
    let mut container = Container::of(&model);
    container.environment.extend(parsed.environment());
    for (name, value) in input.get("Environment").and_then(Value::as_object).into_iter().flatten() {
        container.environment.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    fill_in(&mut request);
    let job = control.transform_jobs.create(NewTransformJob {
        region: caller.region.clone(),
        name: name.to_owned(),
        arn: control.arn(caller, "transform-job", name),
        request,
        tags: new_tags,
        state: TransformState::new(container, now_ms()),
    })?;
    Ok(json!({"TransformJobArn": job.arn}))
}

pub(super) fn describe(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let job = control.transform_jobs.find(&caller.region, input.required("TransformJobName"))?;
    let mut answer = job.request;
    answer.insert("TransformJobName".to_owned(), json!(job.name));
    answer.insert("TransformJobArn".to_owned(), json!(job.arn));
    job.state.describe(&mut answer);
    Ok(Value::Object(answer))
}

pub(super) fn list(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let page = control.transform_jobs.list(&lists::query(caller, input, Order::Descending))?;
    lists::answer("TransformJobSummaries", page, summary)
}

pub(super) fn stop(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    control.transform_jobs.stop(&caller.region, input.required("TransformJobName"))?;
    Ok(json!({}))
}

/// Fills in the defaults that a description of the job shows.
fn fill_in(request: &mut Map<String, Value>) {
    let mut fill = |structure: &str, defaults: &[(&str, &str)]| {
        let structure = request.entry(structure).or_insert_with(|| json!({}));
        let Some(structure) = structure.as_object_mut() else { return };
        for (name, value) in defaults {
            structure.entry(*name).or_insert(json!(value));
        }
    };
    fill("TransformInput", &[("CompressionType", "None"), ("SplitType", "None")]);
    fill("TransformOutput", &[("AssembleWith", "None"), ("KmsKeyId", "")]);
    fill("DataProcessing", &[("InputFilter", "$"), ("OutputFilter", "$"), ("JoinSource", "None")]);
}

fn summary(job: &Listed<Option<String>>) -> Value {
    let mut summary = json!({
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "CreationTime": seconds(job.created_ms),
        "LastModifiedTime": seconds(job.modified_ms),
        "TransformJobStatus": job.status,
    });
    if let Some(ended_ms) = job.ended_ms {
        summary["TransformEndTime"] = json!(seconds(ended_ms));
    }
    if let Some(reason) = &job.detail {
        summary["FailureReason"] = json!(reason);
    }
    summary
}
