//! CreateHyperParameterTuningJob and the operations on existing tuning jobs.

use serde_json::{Map, Value, json};

use super::input::Input;
use super::lists::{self, Order, seconds};
use super::{Answer, Caller, Control, tags, tuning_definition, tuning_limits};
use crate::jobs::{JobError, Listed};
use crate::store::now_ms;
use crate::tokens;
use crate::tuning::{
    self, Child, Definition, MOST_TRAININGS, NewTuningJob, TuningDetail, TuningJob, TuningState,
    WarmStartError, check_warm_start,
};
use crate::wire::ApiError;

/// The default number of children per page.
const DEFAULT_PAGE: i64 = 10;

pub(super) fn create(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let name = input.required("HyperParameterTuningJobName");
    let new_tags = input.tags("Tags");
    tags::check(&new_tags)?;
    if input.structure("Autotune").and_then(|autotune| autotune.text("Mode")).is_some() {
        return Err(ApiError::validation(
            "Autotune is not offered on your own machine: give the ranges of the hyperparameters to tune",
        ));
    }
    let empty = Map::new();
    let config = input.structure("HyperParameterTuningJobConfig").unwrap_or(Input(&empty));
    let definitions = tuning_definition::read(control, caller, input, config)?;
    let strategy = tuning_limits::strategy(config, &definitions)?;
    let limits = tuning_limits::limits(config, strategy, &definitions)?;
    let arn = control.arn(caller, "hyper-parameter-tuning-job", name);
    let random_seed = config.number("RandomSeed").and_then(|seed| u64::try_from(seed).ok());
    let seed = tuning::seed(random_seed, &arn, now_ms());
    let mut state = TuningState::new(definitions, strategy, limits, seed, now_ms());
    warm_start(control, caller, input, &mut state)?;
    let mut request = input.0.clone();
    request.remove("Tags");
    request.retain(|_, value| !value.is_null());
    let job = control.tuning_jobs.create(NewTuningJob {
        region: caller.region.clone(),
        name: name.to_owned(),
        arn,
        request,
        tags: new_tags,
        state,
    })?;
    Ok(json!({"HyperParameterTuningJobArn": job.arn}))
}

pub(super) fn describe(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let job = find(control, caller, input)?;
    let children = control.tuning_jobs.children(job.id)?;
    let overall = overall_best(control, &job, &children)?;
    let mut answer = job.request.clone();
    answer.insert("HyperParameterTuningJobName".to_owned(), json!(job.name));
    answer.insert("HyperParameterTuningJobArn".to_owned(), json!(job.arn));
    show_definitions(&job, &mut answer);
    job.state.describe(&mut answer, now_ms());
    if let Some(best) = tuning::best(&job.state.definitions, &children) {
        answer.insert("BestTrainingJob".to_owned(), summary(&job, best));
    }
    if let Some(best) = overall {
        answer.insert("OverallBestTrainingJob".to_owned(), best);
    }
    Ok(Value::Object(answer))
}

pub(super) fn list(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let mut query = lists::query(caller, input, Order::Ascending);
    if input.text("SortBy").is_none() {
        query.sort_by = crate::paging::SortBy::Name;
    }
    let page = control.tuning_jobs.list(&query)?;
    lists::answer("HyperParameterTuningJobSummaries", page, listed)
}

pub(super) fn list_trainings(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let job = find(control, caller, input)?;
    let mut children = control.tuning_jobs.children(job.id)?;
    if let Some(status) = input.text("StatusEquals") {
        children.retain(|child| child.status.as_str() == status);
    }
    match input.text("SortBy") {
        Some("CreationTime") => {}
        Some("Status") => children.sort_by_key(|child| child.status.as_str()),
        Some("FinalObjectiveMetricValue") => {
            // Children without a value are left out, as the guide says.
            children.retain(|child| child.objective.is_some());
            children.sort_by(|one, other| {
                let value = |child: &Child| child.objective.unwrap_or_default();
                value(one).total_cmp(&value(other))
            });
        }
        _ => children.sort_by(|one, other| one.name.cmp(&other.name)),
    }
    if input.text("SortOrder") == Some("Descending") {
        children.reverse();
    }
    let begin = match input.text("NextToken") {
        None => 0,
        Some(token) => after(token, &children)?,
    };
    let limit = usize::try_from(input.number("MaxResults").unwrap_or(DEFAULT_PAGE)).unwrap_or(1).max(1);
    let page = &children[begin..children.len().min(begin + limit)];
    let summaries: Vec<Value> = page.iter().map(|child| summary(&job, child)).collect();
    let mut answer = json!({"TrainingJobSummaries": summaries});
    if begin + limit < children.len()
        && let Some(last) = page.last()
    {
        answer["NextToken"] = json!(tokens::write(&["child", &last.name]));
    }
    Ok(answer)
}

pub(super) fn stop(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let job = find(control, caller, input)?;
    // AWS accepts the call even if the job is stopping or has ended.
    match control.tuning_jobs.stop(&caller.region, &job.name) {
        Ok(()) | Err(JobError::Refused(_)) => Ok(json!({})),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn delete(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let name = input.required("HyperParameterTuningJobName");
    match control.tuning_jobs.delete(&caller.region, name) {
        // As on AWS, deleting a job that does not exist is no error.
        Ok(()) | Err(JobError::NotFound) => Ok(json!({})),
        Err(error) => Err(error.into()),
    }
}

fn find(control: &Control, caller: &Caller, input: Input<'_>) -> Result<TuningJob, ApiError> {
    let name = input.required("HyperParameterTuningJobName");
    control.tuning_jobs.find(&caller.region, name).map_err(|error| match error {
        JobError::NotFound => ApiError::new(
            "ResourceNotFound",
            format!("Amazon SageMaker can't find a tuning job called {name}. Type another name."),
        ),
        error => error.into(),
    })
}

/// Checks the parents of a warm start, and stores their names.
fn warm_start(
    control: &Control,
    caller: &Caller,
    input: Input<'_>,
    state: &mut TuningState,
) -> Result<(), ApiError> {
    let Some(config) = input.structure("WarmStartConfig") else { return Ok(()) };
    let [definition] = &state.definitions[..] else {
        return Err(ApiError::validation(
            "WarmStartConfig is not supported with several training job definitions",
        ));
    };
    let is_identical = config.text("WarmStartType") == Some("IdenticalDataAndAlgorithm");
    let (mut names, mut trainings): (Vec<String>, u32) = (Vec::new(), 0);
    for parent in config.list("ParentHyperParameterTuningJobs") {
        let member = parent.as_object().ok_or_else(|| ApiError::validation("A parent is a structure"))?;
        let parent = find(control, caller, Input(member))?;
        check_warm_start(definition, &parent, is_identical)?;
        if names.contains(&parent.name) {
            return Err(ApiError::validation(format!(
                "The parent tuning job {} is given twice",
                parent.name
            )));
        }
        let count = control.tuning_jobs.children(parent.id)?.len();
        trainings = trainings.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        names.push(parent.name);
    }
    let own = state.limits.most_trainings;
    if trainings.saturating_add(own) > MOST_TRAININGS {
        return Err(WarmStartError::Trainings { parents: trainings, own }.into());
    }
    state.parents = Some((names, is_identical));
    Ok(())
}

/// Shows the definitions as AWS does: with the metrics of built-in algorithms, and with the objective among the hyperparameters.
fn show_definitions(job: &TuningJob, answer: &mut Map<String, Value>) {
    let show = |shown: &mut Value, definition: &Definition| {
        let Some(shown) = shown.as_object_mut() else { return };
        let mut statics = definition.statics.clone();
        statics.insert("_tuning_objective_metric".to_owned(), definition.metric.clone());
        shown.insert("StaticHyperParameters".to_owned(), json!(statics));
        for name in [
            "AlgorithmSpecification",
            "InputDataConfig",
            "OutputDataConfig",
            // SDK v2 reads it, whichever of the two forms it sent.
            "ResourceConfig",
            "StoppingCondition",
            "EnableNetworkIsolation",
            "EnableInterContainerTrafficEncryption",
            "EnableManagedSpotTraining",
        ] {
            if let Some(value) = definition.template.get(name) {
                shown.insert(name.to_owned(), value.clone());
            }
        }
    };
    if let (Some(shown), [definition]) = (answer.get_mut("TrainingJobDefinition"), &job.state.definitions[..])
    {
        show(shown, definition);
    }
    if let Some(Value::Array(list)) = answer.get_mut("TrainingJobDefinitions") {
        for (shown, definition) in list.iter_mut().zip(&job.state.definitions) {
            show(shown, definition);
        }
    }
}

/// The best training among those of a job and its parents with the same data and algorithm.
fn overall_best(control: &Control, job: &TuningJob, children: &[Child]) -> Result<Option<Value>, ApiError> {
    let Some((parents, true)) = &job.state.parents else { return Ok(None) };
    let Some(goal) = job.state.definitions.first().map(Definition::goal) else { return Ok(None) };
    let of = |job: &TuningJob, children: &[Child]| {
        let best = tuning::best(&job.state.definitions, children)?;
        let mut summary = summary(job, best);
        summary["TuningJobName"] = json!(job.name);
        Some((best.result()?, summary))
    };
    let mut best = of(job, children);
    for name in parents {
        let parent = match control.tuning_jobs.find(&job.region, name) {
            Ok(parent) => parent,
            Err(JobError::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let children = control.tuning_jobs.children(parent.id)?;
        let other = of(&parent, &children);
        best = match (best, other) {
            (Some(best), Some(other)) if goal.prefers(other.0, best.0) => Some(other),
            (None, other) => other,
            (best, _) => best,
        };
    }
    Ok(best.map(|(_, summary)| summary))
}

/// The index after the child that a token names.
fn after(token: &str, children: &[Child]) -> Result<usize, ApiError> {
    let name = tokens::read::<2>(token).filter(|[kind, _]| kind == "child").map(|[_, name]| name);
    let place = name.and_then(|name| children.iter().position(|child| child.name == name));
    place.map(|place| place + 1).ok_or_else(|| {
        ApiError::validation("The token in the request is invalid: take NextToken of the page before")
    })
}

fn summary(job: &TuningJob, child: &Child) -> Value {
    let definition = job.state.definitions.get(child.definition);
    let mut summary = json!({
        "TrainingJobName": child.name,
        "TrainingJobArn": child.arn,
        "CreationTime": seconds(child.created_ms),
        "TrainingJobStatus": child.status.as_str(),
        "TunedHyperParameters": child.values,
        "ObjectiveStatus": child.objective_status(),
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            summary[name] = value;
        }
    };
    set(
        "TrainingJobDefinitionName",
        definition.and_then(|found| found.name.as_ref()).map(|name| json!(name)),
    );
    set("TrainingStartTime", child.started_ms.map(|ms| json!(seconds(ms))));
    set("TrainingEndTime", child.ended_ms.map(|ms| json!(seconds(ms))));
    set("FailureReason", child.failure_reason.as_ref().map(|reason| json!(reason)));
    if let (Some(definition), Some(value)) = (definition, child.objective) {
        set(
            "FinalHyperParameterTuningJobObjectiveMetric",
            Some(json!({
                "Type": if definition.maximizes { "Maximize" } else { "Minimize" },
                "MetricName": definition.metric,
                "Value": value,
            })),
        );
    }
    summary
}

fn listed(job: &Listed<TuningDetail>) -> Value {
    let mut summary = json!({
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobStatus": job.status,
        "Strategy": job.detail.strategy,
        "ResourceLimits": job.detail.limits,
        "CreationTime": seconds(job.created_ms),
        "LastModifiedTime": seconds(job.modified_ms),
        "TrainingJobStatusCounters": job.detail.counters.of_jobs(),
        "ObjectiveStatusCounters": job.detail.counters.of_objectives(),
    });
    if let Some(ended_ms) = job.ended_ms {
        summary["HyperParameterTuningEndTime"] = json!(seconds(ended_ms));
    }
    summary
}

impl From<WarmStartError> for ApiError {
    fn from(error: WarmStartError) -> Self {
        match error {
            WarmStartError::Trainings { .. } => Self::new("ResourceLimitExceeded", error.to_string()),
            _ => Self::validation(error.to_string()),
        }
    }
}
