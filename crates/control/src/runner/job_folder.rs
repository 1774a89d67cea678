//! The folder of a job, laid out by the container contract.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kokanee_contract::container::input_data::{ChannelConfig, InputDataConfig};
use kokanee_contract::{Layout, ResourceConfig};
use kokanee_formats::{archive, write_atomically};
use serde_json::{Map, Value};

use super::{RunError, text};
use crate::engine::{Engine, Exit, LOG_FILE, Task};
use crate::s3;
use crate::s3_uri::S3Uri;
use crate::training::{FOLDER, TrainingJob};

/// What a request says that a run needs.
pub(super) struct JobInput {
    hyperparameters: BTreeMap<String, String>,
    channels: Vec<Channel>,
    /// Bucket and key prefix of what the job leaves.
    pub(super) output: (String, String),
    /// Name and regular expression of each metric.
    pub(super) metrics: Vec<(String, String)>,
    pub(super) max_runtime: Duration,
}

struct Channel {
    name: String,
    config: ChannelConfig,
    bucket: String,
    prefix: String,
    /// Whether the object at the prefix lists others.
    is_manifest: bool,
}

/// The folder of a job.
pub(super) struct JobFolder {
    folder: PathBuf,
    layout: Layout,
}

/// A day, where the request sets no limit.
const DEFAULT_MAX_RUNTIME_SECONDS: u64 = 86_400;
/// The packed model.
const ARCHIVE: &str = "model.tar.gz";

impl JobInput {
    /// Reads the members of `CreateTrainingJob`.
    pub(super) fn parse(request: &Map<String, Value>) -> Result<Self, RunError> {
        let request = Value::Object(request.clone());
        let pairs = |value: &Value| -> BTreeMap<String, String> {
            let map = value.as_object().into_iter().flatten();
            map.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        };
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let output = text(&request, &["OutputDataConfig", "S3OutputPath"]).unwrap_or_default();
        let metrics = list(&request["AlgorithmSpecification"]["MetricDefinitions"]);
        let metrics = metrics.iter().filter_map(|metric| {
            Some((text(metric, &["Name"])?.to_owned(), text(metric, &["Regex"])?.to_owned()))
        });
        let seconds = request["StoppingCondition"]["MaxRuntimeInSeconds"].as_u64();
        Ok(Self {
            hyperparameters: pairs(&request["HyperParameters"]),
            channels: list(&request["InputDataConfig"])
                .iter()
                .map(Channel::parse)
                .collect::<Result<_, _>>()?,
            output: address(output)?,
            metrics: metrics.collect(),
            max_runtime: Duration::from_secs(seconds.unwrap_or(DEFAULT_MAX_RUNTIME_SECONDS)),
        })
    }
}

impl Channel {
    fn parse(value: &Value) -> Result<Self, RunError> {
        let name = text(value, &["ChannelName"]).unwrap_or_default().to_owned();
        let source = ["DataSource", "S3DataSource"];
        let of_source = |member| text(value, &[source[0], source[1], member]);
        let uri = of_source("S3Uri").ok_or_else(|| {
            RunError::Client(format!("channel {name} has no S3DataSource, and no other source is read"))
        })?;
        let (bucket, prefix) = address(uri)?;
        let said = |member: &str| text(value, &[member]).map(str::to_owned);
        let config = ChannelConfig {
            content_type: said("ContentType"),
            training_input_mode: said("InputMode"),
            s3_distribution_type: of_source("S3DataDistributionType").map(str::to_owned),
            record_wrapper_type: said("RecordWrapperType"),
        };
        let is_manifest = match of_source("S3DataType") {
            None | Some("S3Prefix") => false,
            Some("ManifestFile") => true,
            Some(other) => {
                return Err(RunError::Client(format!("channel {name}: S3DataType {other} is not read")));
            }
        };
        Ok(Self { name, config, bucket, prefix, is_manifest })
    }

    fn download(&self, folder: &Path, objects: &s3::Store) -> Result<(), RunError> {
        let refused = |error: s3::S3Error| RunError::Client(format!("channel {}: {error}", self.name));
        fs::create_dir_all(folder).map_err(|error| machine(folder, error))?;
        if !self.is_manifest {
            objects.download_prefix(&self.bucket, &self.prefix, folder).map_err(refused)?;
            return Ok(());
        }
        let manifest = folder.join(".kokanee-manifest");
        objects.download(&self.bucket, &self.prefix, &manifest).map_err(refused)?;
        let content = fs::read(&manifest).map_err(|error| machine(&manifest, error))?;
        fs::remove_file(&manifest).map_err(|error| machine(&manifest, error))?;
        let bad = |problem: &str| {
            RunError::Client(format!(
                "channel {}: the manifest s3://{}/{}: {problem}",
                self.name, self.bucket, self.prefix
            ))
        };
        let entries: Vec<Value> =
            serde_json::from_slice(&content).map_err(|error| bad(&error.to_string()))?;
        let expected = "expected [{\"prefix\": \"s3://…\"}, \"key\", …]";
        let (head, keys) = entries.split_first().ok_or_else(|| bad(expected))?;
        let (bucket, prefix) = address(text(head, &["prefix"]).ok_or_else(|| bad(expected))?)?;
        for key in keys {
            let key = key.as_str().ok_or_else(|| bad(expected))?;
            let path = folder.join(Path::new(key).file_name().ok_or_else(|| bad(expected))?);
            objects.download(&bucket, &format!("{prefix}{key}"), &path).map_err(refused)?;
        }
        Ok(())
    }
}

/// What a container has as `/opt/ml`, in a job's folder.
const PREFIX: &str = "ml";

impl JobFolder {
    pub(super) fn new(folder: &Path, job: &TrainingJob) -> Self {
        let folder = folder.join(job.folder());
        Self { layout: Layout::under(folder.join(PREFIX)), folder }
    }

    /// The folder, which is its task's too.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// The log of the job.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join(LOG_FILE)
    }

    /// What the engine is to run.
    pub(super) fn task(&self, program: &Path, job: &TrainingJob) -> Result<Task, RunError> {
        let algorithm = job.algorithm.clone().ok_or_else(|| {
            RunError::Client(
                "the image is none of the built-in algorithms, and programs of your own cannot be run yet"
                    .to_owned(),
            )
        })?;
        let prefix = self.layout.prefix();
        let prefix = prefix.to_str().ok_or_else(|| {
            RunError::Machine(format!("{} is no UTF-8: choose another --data folder", prefix.display()))
        })?;
        let variables = [("KOKANEE_ALGORITHM", algorithm), ("TRAINING_JOB_NAME", job.name.clone())];
        Ok(Task {
            program: program.to_owned(),
            arguments: ["train", "--prefix", prefix].map(str::to_owned).to_vec(),
            environment: variables.map(|(name, value)| (name.to_owned(), value)).into(),
            directory: None,
        })
    }

    /// Writes the configuration files and fills the channels.
    pub(super) fn prepare(&self, input: &JobInput, objects: &s3::Store) -> Result<(), RunError> {
        let channels =
            input.channels.iter().map(|channel| (channel.name.clone(), channel.config.clone())).collect();
        let files = [
            (self.layout.hyperparameters(), json(&input.hyperparameters)?),
            (self.layout.input_data_config(), json(&InputDataConfig { channels })?),
            (self.layout.resource_config(), json(&ResourceConfig::default())?),
        ];
        for (path, text) in files {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|error| machine(folder, error))?;
            }
            write_atomically(&path, text.as_bytes()).map_err(|error| RunError::Machine(error.to_string()))?;
        }
        for channel in &input.channels {
            let folder = self.layout.channel(&channel.name);
            // Of a server that was killed, maybe, and since then objects may have been deleted.
            remove(&folder)?;
            channel.download(&folder, objects)?;
        }
        Ok(())
    }

    /// Removes all but the log: what the job left is in S3 now.
    pub(super) fn clear(&self, engine: &dyn Engine) -> Result<(), RunError> {
        remove(self.layout.prefix())?;
        Ok(engine.forget(&self.folder)?)
    }

    /// Why the program failed: what it wrote down, or how it ended. Files have the paths that they have in a container; those here are
    /// gone with the job.
    pub(super) fn failure(&self, exit: &Exit) -> String {
        let said = fs::read_to_string(self.layout.failure()).unwrap_or_default();
        match said.trim() {
            "" => format!(
                "AlgorithmError: the training ended with {exit} and left no reason; its log may say more"
            ),
            reason => {
                let there = Layout::opt_ml();
                reason.replace(&*self.layout.prefix().to_string_lossy(), &there.prefix().to_string_lossy())
            }
        }
    }

    /// Packs the model and puts it into S3; its address, or none where there is no model.
    pub(super) fn upload(
        &self,
        (bucket, prefix): &(String, String),
        job: &str,
        objects: &s3::Store,
    ) -> Result<Option<String>, RunError> {
        let model = self.layout.model();
        let mut files = Vec::new();
        list(&model, "", &mut files).map_err(|error| machine(&model, error))?;
        if files.is_empty() {
            return Ok(None);
        }
        let archive = self.folder.join(ARCHIVE);
        let names: Vec<&str> = files.iter().map(String::as_str).collect();
        archive::pack(&model, &names, &archive).map_err(|error| RunError::Machine(error.to_string()))?;
        let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
        let key = format!("{prefix}{slash}{job}/output/{ARCHIVE}");
        let put = objects.put_file(bucket, &key, &archive, s3::Description::default());
        put.map_err(|error| {
            RunError::Client(format!("the model cannot be put into s3://{bucket}/{key}: {error}"))
        })?;
        fs::remove_file(&archive).map_err(|error| machine(&archive, error))?;
        Ok(Some(format!("s3://{bucket}/{key}")))
    }
}

/// Region and name of each job whose folder holds more than a log.
pub(super) fn with_input(folder: &Path) -> Vec<(String, String)> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for region in entries(&folder.join(FOLDER)) {
        for job in entries(&region.path()).filter(|job| job.path().join(PREFIX).is_dir()) {
            let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
            found.push((name(&region), name(&job)));
        }
    }
    found
}

/// Removes a folder of ours, where it is there.
fn remove(folder: &Path) -> Result<(), RunError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(machine(folder, error)),
        _ => Ok(()),
    }
}

/// Files of a model's folder by their paths in it, in order.
fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(kokanee_formats::OWN_PREFIX) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            list(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Bucket and key.
fn address(uri: &str) -> Result<(String, String), RunError> {
    let S3Uri { bucket, key } = S3Uri::parse(uri).map_err(|error| RunError::Client(error.to_string()))?;
    Ok((bucket, key))
}

fn json(value: &impl serde::Serialize) -> Result<String, RunError> {
    serde_json::to_string(value).map_err(|error| RunError::Machine(error.to_string()))
}

pub(super) fn machine(path: &Path, error: std::io::Error) -> RunError {
    RunError::Machine(format!("{}: {error}", path.display()))
}
