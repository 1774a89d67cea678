//! CreateTrainingJob and the operations on existing training jobs.

use kokanee_contract::AlgorithmContract;
use serde_json::{Map, Value, json};

use super::input::Input;
use super::lists::{self, Order, seconds};
use super::training_image::Image;
use super::{Answer, Caller, Control, tags};
use crate::jobs::{JobError, Listed};
use crate::s3_uri::S3Uri;
use crate::store::now_ms;
use crate::training::{
    ChannelRequest, NewTrainingJob, Outcome, ProgramRequest, RequestError, TrainingJob, TrainingRequest,
    TrainingState, refused_hyperparameters,
};
use crate::wire::ApiError;

/// One day: the limit if the request sets none.
const DEFAULT_MAX_RUNTIME_SECONDS: i64 = 86_400;

pub(super) fn create(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let name = input.required("TrainingJobName");
    let new_tags = input.tags("Tags");
    tags::check(&new_tags)?;
    let mut request = input.0.clone();
    request.remove("Tags");
    let Prepared { request, algorithm } = prepare(control, caller, request)?;
    let mut state = TrainingState::new(algorithm.map(|contract| contract.name), now_ms());
    let hyperparameters = TrainingRequest::hyperparameters(&request);
    if let Some(reason) = algorithm.and_then(|contract| refused_hyperparameters(contract, &hyperparameters)) {
        state.finish(Outcome::Failed { reason }, now_ms()).map_err(JobError::from)?;
    }
    let job = control.training_jobs.create(NewTrainingJob {
        region: caller.region.clone(),
        name: name.to_owned(),
        arn: control.arn(caller, "training-job", name),
        request,
        tags: new_tags,
        state,
    })?;
    Ok(json!({"TrainingJobArn": job.arn}))
}

/// A complete request for a training job, and the algorithm that its image stands for.
pub(super) struct Prepared {
    pub(super) request: Map<String, Value>,
    pub(super) algorithm: Option<&'static AlgorithmContract>,
}

/// Checks all members of a training job's request except name, tags and hyperparameters, and fills in defaults.
///
/// # Errors
/// The errors of CreateTrainingJob.
pub(super) fn prepare(
    control: &Control,
    caller: &Caller,
    mut request: Map<String, Value>,
) -> Result<Prepared, ApiError> {
    request.retain(|_, value| !value.is_null());
    let input = Input(&request);
    let algorithm =
        input.structure("AlgorithmSpecification").ok_or_else(|| missing("algorithmSpecification"))?;
    let image = match (algorithm.text("TrainingImage"), algorithm.text("AlgorithmName")) {
        (Some(image), None) if !image.trim().is_empty() => {
            Image::parse(image).map_err(|error| ApiError::validation(error.to_string()))?
        }
        (_, Some(_)) => {
            return Err(ApiError::validation(
                "AlgorithmName is not offered on your own machine: give the image as TrainingImage",
            ));
        }
        _ => return Err(missing("algorithmSpecification.trainingImage")),
    };
    check_resources(input)?;
    let algorithm = match image {
        Image::BuiltIn(contract) => Some(contract),
        Image::Own => None,
    };
    if let Some(contract) = algorithm {
        describe_metrics(contract, &mut request)?;
    }
    let parsed = TrainingRequest::parse(&request)?;
    if let Some(contract) = algorithm {
        check_built_in(contract, &parsed)?;
    }
    check_channels(control, caller, Input(&request), &parsed)?;
    fill_in(&mut request);
    Ok(Prepared { request, algorithm })
}

pub(super) fn describe(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let job = control.training_jobs.find(&caller.region, input.required("TrainingJobName"))?;
    Ok(described(job))
}

pub(super) fn list(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    // There are no warm pools here, and no job belongs to a training plan.
    if input.get("WarmPoolStatusEquals").is_some() || input.get("TrainingPlanArnEquals").is_some() {
        return Ok(json!({"TrainingJobSummaries": []}));
    }
    let page = control.training_jobs.list(&lists::query(caller, input, Order::Ascending))?;
    lists::answer("TrainingJobSummaries", page, summary)
}

pub(super) fn stop(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    control.training_jobs.stop(&caller.region, input.required("TrainingJobName"))?;
    Ok(json!({}))
}

/// Stores the members that can be changed while a job runs. They have no effect here.
pub(super) fn update(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let job = control.training_jobs.update(&caller.region, input.required("TrainingJobName"), |request| {
        for name in ["ProfilerConfig", "ProfilerRuleConfigurations", "RemoteDebugConfig", "ResourceConfig"] {
            let Some(change) = input.get(name) else { continue };
            match (request.get_mut(name).and_then(Value::as_object_mut), change.as_object()) {
                (Some(known), Some(change)) => known.extend(change.clone()),
                _ => {
                    request.insert(name.to_owned(), change.clone());
                }
            }
        }
    })?;
    Ok(json!({"TrainingJobArn": job.arn}))
}

pub(super) fn delete(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let name = input.required("TrainingJobName");
    let job = control.training_jobs.find(&caller.region, name)?;
    if job.state.status.is_final() {
        // The log stays, as on AWS, but the next job of this name gets its own log.
        control.logs.keep(&job.log_path())?;
    }
    control.training_jobs.delete(&caller.region, name)?;
    Ok(json!({}))
}

/// The error for a required member that is missing, in the table's words.
fn missing(at: &str) -> ApiError {
    ApiError::validation(format!(
        "1 validation error detected: Value null at '{at}' failed to satisfy constraint: Member must not be null"
    ))
}

/// Checks members that today's API model marks as optional, because other kinds of jobs do without them.
fn check_resources(input: Input<'_>) -> Result<(), ApiError> {
    let resources = input.structure("ResourceConfig").ok_or_else(|| missing("resourceConfig"))?;
    if resources.get("InstanceGroups").is_some() {
        return Err(ApiError::validation(
            "InstanceGroups are not offered on your own machine: give InstanceType and InstanceCount",
        ));
    }
    for (name, at) in
        [("InstanceType", "resourceConfig.instanceType"), ("InstanceCount", "resourceConfig.instanceCount")]
    {
        resources.get(name).ok_or_else(|| missing(at))?;
    }
    Ok(())
}

/// Adds the metrics of a built-in algorithm to the request, which must not name its own.
fn describe_metrics(contract: &AlgorithmContract, request: &mut Map<String, Value>) -> Result<(), ApiError> {
    let Some(Value::Object(algorithm)) = request.get_mut("AlgorithmSpecification") else { return Ok(()) };
    if algorithm.get("MetricDefinitions").and_then(Value::as_array).is_some_and(|given| !given.is_empty()) {
        return Err(ApiError::validation(
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please retry the request without \
             specifying metric definitions.",
        ));
    }
    let metrics = contract.metrics.iter().map(|metric| json!({"Name": metric.name, "Regex": metric.regex}));
    algorithm.insert("MetricDefinitions".to_owned(), metrics.collect());
    Ok(())
}

/// Checks that the request does not replace the program of a built-in algorithm.
fn check_built_in(contract: &AlgorithmContract, request: &TrainingRequest) -> Result<(), ApiError> {
    let ProgramRequest { entrypoint, arguments, .. } = &request.program;
    if entrypoint.is_empty() && arguments.is_empty() {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "ContainerEntrypoint and ContainerArguments are for images of your own; the algorithm {} takes neither",
        contract.name
    )))
}

/// Checks that the channels have distinct names, and data.
fn check_channels(
    control: &Control,
    caller: &Caller,
    input: Input<'_>,
    request: &TrainingRequest,
) -> Result<(), ApiError> {
    for (index, ChannelRequest { name, source, .. }) in request.channels.iter().enumerate() {
        if request.channels[..index].iter().any(|other| other.name == *name) {
            return Err(ApiError::validation(format!(
                "Duplicate channel name found in input data config: the channel \"{name}\" is given more than once"
            )));
        }
        check_objects(control, caller, input.required("RoleArn"), source)?;
    }
    Ok(())
}

/// Checks that there is an object at `source`.
///
/// # Errors
/// If there is none, in AWS's words.
pub(super) fn check_objects(
    control: &Control,
    caller: &Caller,
    role: &str,
    source: &S3Uri,
) -> Result<(), ApiError> {
    let S3Uri { bucket, key } = source;
    let said = match control.objects.has_any(bucket, key) {
        Ok(true) => return Ok(()),
        Ok(false) => String::new(),
        Err(error) => format!(" Error message from S3: {error}"),
    };
    Err(ApiError::validation(format!(
        "No S3 objects found under S3 URL \"{source}\" given in input data source. Please ensure that the bucket exists in the selected \
         region ({}), that objects exist under that S3 prefix, and that the role \"{role}\" has \"s3:ListBucket\" permissions on bucket \
         \"{bucket}\".{said}",
        caller.region
    )))
}

/// Fills in the defaults that a description of the job shows.
fn fill_in(request: &mut Map<String, Value>) {
    for name in
        ["EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"]
    {
        request.entry(name).or_insert(json!(false));
    }
    let limits = request.entry("StoppingCondition").or_insert_with(|| json!({}));
    if let Some(limits) = limits.as_object_mut() {
        limits.entry("MaxRuntimeInSeconds").or_insert(json!(DEFAULT_MAX_RUNTIME_SECONDS));
    }
    if let Some(Value::Object(output)) = request.get_mut("OutputDataConfig") {
        // SDK v2 reads it for every job.
        output.entry("KmsKeyId").or_insert(json!(""));
    }
    if let Some(Value::Array(channels)) = request.get_mut("InputDataConfig") {
        for channel in channels.iter_mut().filter_map(Value::as_object_mut) {
            channel.entry("CompressionType").or_insert(json!("None"));
            channel.entry("RecordWrapperType").or_insert(json!("None"));
            if let Some(source) =
                channel.get_mut("DataSource").and_then(|source| source.get_mut("S3DataSource"))
                && let Some(source) = source.as_object_mut()
            {
                source.entry("S3DataDistributionType").or_insert(json!("FullyReplicated"));
            }
        }
    }
    if let Some(Value::Object(algorithm)) = request.get_mut("AlgorithmSpecification") {
        algorithm.entry("MetricDefinitions").or_insert(json!([]));
        algorithm.entry("EnableSageMakerMetricsTimeSeries").or_insert(json!(false));
    }
}

fn described(job: TrainingJob) -> Value {
    let mut answer = job.request;
    answer.insert("TrainingJobName".to_owned(), json!(job.name));
    answer.insert("TrainingJobArn".to_owned(), json!(job.arn));
    job.state.describe(&mut answer);
    Value::Object(answer)
}

fn summary(job: &Listed<String>) -> Value {
    let mut summary = json!({
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": seconds(job.created_ms),
        "LastModifiedTime": seconds(job.modified_ms),
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.detail,
    });
    if let Some(ended_ms) = job.ended_ms {
        summary["TrainingEndTime"] = json!(seconds(ended_ms));
    }
    summary
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        Self::validation(error.to_string())
    }
}
