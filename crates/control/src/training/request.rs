//! A request for a training job, as far as its run needs it, checked without access to objects and images.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use kokanee_contract::Layout;
use kokanee_contract::channels::{Distribution, InputMode};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::s3_uri::{S3Uri, S3UriError};

/// One day: the limit if the request sets none.
const DEFAULT_MAX_RUNTIME_SECONDS: u64 = 86_400;

/// An error in a request for a training job.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct RequestError(pub String);

/// The members of `CreateTrainingJob` that a run needs.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingRequest {
    /// The names and values of hyperparameters.
    pub hyperparameters: BTreeMap<String, String>,
    /// The input.
    pub channels: Vec<ChannelRequest>,
    /// The address of the job's folder of artefacts.
    pub output: S3Uri,
    /// How the artefacts are packed.
    pub packing: Packing,
    /// The location of the state to resume from.
    pub checkpoints: Option<CheckpointRequest>,
    /// The name and regular expression of each metric.
    pub metrics: Vec<(String, String)>,
    /// The longest time that the program may run.
    pub max_runtime: Duration,
    /// The number of machines in the request.
    pub instances: u64,
    /// Their type, if the request names one.
    pub instance_type: Option<String>,
    /// The program of a user's own image.
    pub program: ProgramRequest,
}

/// A request's settings for the program in a user's own image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramRequest {
    /// `ContainerEntrypoint`, which replaces the image's own.
    pub entrypoint: Vec<String>,
    /// `ContainerArguments`, which replace `train`.
    pub arguments: Vec<String>,
    /// `Environment`.
    pub environment: BTreeMap<String, String>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRequest {
    /// Its name.
    pub name: String,
    /// The MIME type of its data.
    pub content_type: Option<String>,
    /// Its input mode: the channel's own, or else that of the job.
    pub mode: InputMode,
    /// How its data is distributed over machines.
    pub distribution: Distribution,
    /// The prefix of its objects, or the object that lists them.
    pub source: S3Uri,
    /// Whether `source` lists the objects.
    pub is_manifest: bool,
    /// Whether the objects are decompressed.
    pub is_gzip: bool,
    /// Whether each object is wrapped into a RecordIO record.
    pub is_wrapped: bool,
    /// The seed of the shuffled order of objects.
    pub shuffle_seed: Option<u64>,
}

/// How artefacts are packed for S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As `model.tar.gz`.
    Gzip,
    /// As one object per file.
    None,
}

/// The location of the state to resume from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRequest {
    /// Its address in S3.
    pub uri: S3Uri,
    /// Its path in the job's folder, below `/opt/ml`.
    pub path: PathBuf,
}

impl TrainingRequest {
    /// `HyperParameters`.
    pub fn hyperparameters(request: &Map<String, Value>) -> BTreeMap<String, String> {
        pairs(request.get("HyperParameters"))
    }

    /// Reads the members of `CreateTrainingJob`, which have been checked against the table.
    ///
    /// # Errors
    /// If they contradict each other, or ask for a feature that is not offered here.
    pub fn parse(request: &Map<String, Value>) -> Result<Self, RequestError> {
        let member = |path: &[&str]| member(request, path);
        let text = |path: &[&str]| member(path).and_then(Value::as_str);
        let list = |path: &[&str]| member(path).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let texts = |path: &[&str]| -> Vec<String> {
            list(path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mode = text(&["AlgorithmSpecification", "TrainingInputMode"]);
        let channels = list(&["InputDataConfig"]).iter().filter_map(Value::as_object);
        let metrics = list(&["AlgorithmSpecification", "MetricDefinitions"]).iter();
        let metrics = metrics.filter_map(|metric| {
            Some((metric["Name"].as_str()?.to_owned(), metric["Regex"].as_str()?.to_owned()))
        });
        let seconds = member(&["StoppingCondition", "MaxRuntimeInSeconds"]).and_then(Value::as_u64);
        let max_runtime = seconds.unwrap_or(DEFAULT_MAX_RUNTIME_SECONDS);
        check_spot(
            member(&["EnableManagedSpotTraining"]).and_then(Value::as_bool).unwrap_or(false),
            max_runtime,
            member(&["StoppingCondition", "MaxWaitTimeInSeconds"]).and_then(Value::as_u64),
        )?;
        Ok(Self {
            hyperparameters: Self::hyperparameters(request),
            channels: channels
                .map(|channel| ChannelRequest::parse(channel, mode))
                .collect::<Result<_, _>>()?,
            output: S3Uri::parse(text(&["OutputDataConfig", "S3OutputPath"]).unwrap_or_default())?,
            packing: match text(&["OutputDataConfig", "CompressionType"]) {
                Some("NONE") => Packing::None,
                _ => Packing::Gzip,
            },
            checkpoints: match text(&["CheckpointConfig", "S3Uri"]) {
                Some(uri) => Some(CheckpointRequest::parse(uri, text(&["CheckpointConfig", "LocalPath"]))?),
                None => None,
            },
            metrics: metrics.collect(),
            max_runtime: Duration::from_secs(max_runtime),
            instances: member(&["ResourceConfig", "InstanceCount"])
                .and_then(Value::as_u64)
                .unwrap_or(1)
                .max(1),
            instance_type: text(&["ResourceConfig", "InstanceType"]).map(str::to_owned),
            program: ProgramRequest {
                entrypoint: texts(&["AlgorithmSpecification", "ContainerEntrypoint"]),
                arguments: texts(&["AlgorithmSpecification", "ContainerArguments"]),
                environment: pairs(member(&["Environment"])),
            },
        })
    }
}

/// Checks that the request sets a time to wait for machines exactly if it asks for spot training.
fn check_spot(is_spot: bool, max_runtime: u64, max_wait: Option<u64>) -> Result<(), RequestError> {
    match max_wait {
        Some(max_wait) if is_spot && max_wait >= max_runtime => Ok(()),
        None if !is_spot => Ok(()),
        Some(_) if !is_spot => Err(RequestError(
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is true".to_owned(),
        )),
        _ => Err(RequestError(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
                .to_owned(),
        )),
    }
}

impl ChannelRequest {
    fn parse(channel: &Map<String, Value>, mode_of_job: Option<&str>) -> Result<Self, RequestError> {
        let text = |path: &[&str]| member(channel, path).and_then(Value::as_str);
        let of_source = |name| text(&["DataSource", "S3DataSource", name]);
        let name = text(&["ChannelName"]).unwrap_or_default().to_owned();
        let refused = |problem: String| RequestError(format!("The channel \"{name}\" {problem}"));
        if [".", ".."].contains(&name.as_str()) {
            return Err(refused("has a name that no folder can have".to_owned()));
        }
        let Some(uri) = of_source("S3Uri") else {
            return Err(refused(
                "has no S3DataSource; other sources of data are not offered on your own machine".to_owned(),
            ));
        };
        let is_manifest = match of_source("S3DataType") {
            None | Some("S3Prefix") => false,
            Some("ManifestFile") => true,
            Some(other) => {
                return Err(refused(format!(
                    "has the S3DataType {other}, which is not offered on your own machine: use S3Prefix or ManifestFile"
                )));
            }
        };
        let mode = text(&["InputMode"]).or(mode_of_job).and_then(InputMode::from_name);
        let mode = mode.unwrap_or(InputMode::File);
        let is_wrapped = text(&["RecordWrapperType"]) == Some("RecordIO");
        if is_wrapped && mode != InputMode::Pipe {
            return Err(refused(format!(
                "has the RecordWrapperType RecordIO, which is for Pipe mode: in {mode} mode set it to None"
            )));
        }
        let distribution = of_source("S3DataDistributionType").and_then(Distribution::from_name);
        Ok(Self {
            content_type: text(&["ContentType"]).map(str::to_owned),
            mode,
            distribution: distribution.unwrap_or(Distribution::FullyReplicated),
            source: S3Uri::parse(uri)?,
            is_manifest,
            is_gzip: text(&["CompressionType"]) == Some("Gzip"),
            is_wrapped,
            shuffle_seed: member(channel, &["ShuffleConfig", "Seed"])
                .and_then(|seed| seed.as_u64().or_else(|| seed.as_i64().map(i64::cast_unsigned))),
            name,
        })
    }
}

impl CheckpointRequest {
    fn parse(uri: &str, path: Option<&str>) -> Result<Self, RequestError> {
        let opt_ml = Layout::opt_ml();
        let default = opt_ml.checkpoints();
        let path = path.map_or(&*default, Path::new);
        let below = path.strip_prefix(opt_ml.prefix()).ok().filter(|below| {
            let mut parts = below.components();
            let is_free = parts.next().is_some_and(|first| {
                !["input", "model", "output"].iter().any(|taken| first.as_os_str() == *taken)
            });
            is_free && below.components().all(|part| matches!(part, Component::Normal(_)))
        });
        let below = below.ok_or_else(|| {
            RequestError(format!(
                "Invalid LocalPath {} in CheckpointConfig: on your own machine it must be a folder of its own in {}, such as {}",
                path.display(),
                opt_ml.prefix().display(),
                default.display()
            ))
        })?;
        Ok(Self { uri: S3Uri::parse(uri)?, path: below.to_owned() })
    }
}

impl From<S3UriError> for RequestError {
    fn from(error: S3UriError) -> Self {
        Self(error.to_string())
    }
}

/// The member of a structure at a path; none if it is null.
fn member<'a>(structure: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let first = structure.get(*first)?;
    rest.iter().try_fold(first, |value, name| value.get(name)).filter(|value| !value.is_null())
}

fn pairs(value: Option<&Value>) -> BTreeMap<String, String> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Parses a request with these members, and those that every request has.
    fn parse(members: Value) -> Result<TrainingRequest, String> {
        let mut request = json!({
            "AlgorithmSpecification": {"TrainingInputMode": "Pipe"},
            "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        });
        let request = request.as_object_mut().unwrap();
        request.extend(members.as_object().unwrap().clone());
        TrainingRequest::parse(request).map_err(|error| error.to_string())
    }

    fn channel(members: Value) -> Result<ChannelRequest, String> {
        let mut channel =
            json!({"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://b/in"}}});
        channel.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        parse(json!({"InputDataConfig": [channel]})).map(|mut request| request.channels.remove(0))
    }

    #[track_caller]
    fn check_refused<T: std::fmt::Debug>(found: Result<T, String>, part: &str) {
        let said = found.unwrap_err();
        assert!(said.contains(part), "{said}");
    }

    #[test]
    fn a_channel_has_its_own_mode_or_that_of_the_job() {
        assert_eq!(channel(json!({})).unwrap().mode, InputMode::Pipe);
        assert_eq!(channel(json!({"InputMode": "File"})).unwrap().mode, InputMode::File);
        let wrapped = channel(json!({"RecordWrapperType": "RecordIO", "CompressionType": "Gzip"})).unwrap();
        assert!(wrapped.is_wrapped && wrapped.is_gzip);
        let shuffled = channel(json!({"ShuffleConfig": {"Seed": 7}})).unwrap();
        assert_eq!(shuffled.shuffle_seed, Some(7));
        check_refused(
            channel(json!({"InputMode": "File", "RecordWrapperType": "RecordIO"})),
            "is for Pipe mode",
        );
        check_refused(channel(json!({"ChannelName": ".."})), "a name that no folder can have");
        check_refused(channel(json!({"DataSource": {"FileSystemDataSource": {}}})), "has no S3DataSource");
        let source = json!({"S3DataSource": {"S3Uri": "s3://b/in", "S3DataType": "AugmentedManifestFile"}});
        check_refused(channel(json!({"DataSource": source})), "AugmentedManifestFile");
    }

    #[test]
    fn checkpoints_have_a_folder_of_their_own() {
        let path = |path: Value| {
            let config = json!({"S3Uri": "s3://b/c", "LocalPath": path});
            parse(json!({"CheckpointConfig": config})).map(|request| request.checkpoints.unwrap().path)
        };
        assert_eq!(path(Value::Null).unwrap(), Path::new("checkpoints"));
        assert_eq!(path(json!("/opt/ml/state/a/")).unwrap(), Path::new("state/a"));
        for wrong in ["/opt/ml", "/opt/ml/model/x", "/opt/ml/../../etc", "/tmp/c", "checkpoints", ""] {
            check_refused(path(json!(wrong)), "Invalid LocalPath");
        }
    }

    #[test]
    fn spot_training_says_how_long_it_waits() {
        let spot = |is_spot: bool, wait: Value| {
            let limits = json!({"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": wait});
            parse(json!({"EnableManagedSpotTraining": is_spot, "StoppingCondition": limits}))
        };
        assert!(spot(true, json!(60)).is_ok() && spot(false, Value::Null).is_ok());
        for wrong in [json!(59), Value::Null] {
            check_refused(spot(true, wrong), "It must be present and be greater than or equal to");
        }
        check_refused(spot(false, json!(60)), "EnableManagedSpotTraining");
    }
}
