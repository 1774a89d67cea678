//! The folder of a job, laid out according to the container contract.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kokanee_contract::channels::InputMode;
use kokanee_contract::container::input_data::{ChannelConfig, InputDataConfig};
use kokanee_contract::{Layout, ResourceConfig};
use kokanee_formats::write_atomically;
use serde_json::Value;

use super::RunError;
use super::artefacts::Artefacts;
use super::channels::ONLY_HOST;
use super::checkpoints::Checkpoints;
use super::download::download;
use super::pipe::Feeder;
use crate::engine::{Engine, Exit, LOG_FILE};
use crate::folder_files::{remove_file, remove_folder};
use crate::objects::ObjectStore;
use crate::training::{ChannelRequest, TrainingJob, TrainingRequest};

/// The part of a job's folder that a container sees as `/opt/ml`.
pub(super) const PREFIX: &str = "ml";
/// The folder with the lists of the objects of channels in Pipe mode.
const LISTS: &str = "lists";
/// The part of a program's output folder that holds output for its author, apart from the failure.
const OUTPUT_DATA: &str = "data";

/// The most bytes that are read of a program's failure message; its first 1024 characters are kept.
const MOST_FAILURE_BYTES: u64 = 64 << 10;

/// AWS's name for the instance group of a job that names no groups.
const ONLY_GROUP: &str = "homogeneousCluster";
/// The network interface between the machines of a job. There is only one machine, and its container may have no other network.
const NETWORK_INTERFACE: &str = "lo";

/// The folder of a job.
pub(super) struct JobFolder {
    folder: PathBuf,
    layout: Layout,
}

impl JobFolder {
    pub(super) fn new(folder: &Path, job: &TrainingJob) -> Self {
        let folder = folder.join(job.folder());
        Self { layout: Layout::under(folder.join(PREFIX)), folder }
    }

    /// The folder, which is also that of its task.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// The folder that a container sees as `/opt/ml`.
    pub(super) fn prefix(&self) -> &Path {
        self.layout.prefix()
    }

    /// The log of the job.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join(LOG_FILE)
    }

    /// Writes the configuration files, and creates the folders that a program expects. The failure message of an earlier run is removed;
    /// with `is_fresh`, everything that the run left is removed, except checkpoints.
    pub(super) fn configure(
        &self,
        request: &TrainingRequest,
        hosts: &ResourceConfig,
        is_fresh: bool,
    ) -> Result<(), RunError> {
        let failure = self.layout.failure();
        remove_file(&failure).map_err(|error| machine(&failure, error))?;
        if is_fresh {
            remove(&self.layout.model())?;
            remove(&self.layout.output())?;
        }
        let channels = request.channels.iter().map(|channel| (channel.name.clone(), config_of(channel)));
        let files = [
            (self.layout.hyperparameters(), json(&request.hyperparameters)?),
            (self.layout.input_data_config(), json(&InputDataConfig { channels: channels.collect() })?),
            (self.layout.resource_config(), json(&resources(hosts, request.instance_type.as_deref()))?),
        ];
        let folders = files.iter().filter_map(|(path, _)| path.parent().map(Path::to_owned));
        for folder in folders.chain([self.layout.model(), self.layout.output().join(OUTPUT_DATA)]) {
            fs::create_dir_all(&folder).map_err(|error| machine(&folder, error))?;
        }
        for (path, text) in files {
            write_atomically(&path, text.as_bytes()).map_err(|error| RunError::Machine(error.to_string()))?;
        }
        Ok(())
    }

    /// Fills the channels in File mode; false if `goes_on` returned false meanwhile.
    pub(super) fn fill(
        &self,
        request: &TrainingRequest,
        objects: &dyn ObjectStore,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<bool, RunError> {
        for channel in request.channels.iter().filter(|channel| channel.mode != InputMode::Pipe) {
            let folder = self.layout.channel(&channel.name);
            // It may come from a killed server, and objects may have been deleted since then.
            remove(&folder)?;
            if !download(channel, ONLY_HOST, objects, &folder, goes_on)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Starts to feed the channels in Pipe mode.
    pub(super) fn feed(
        &self,
        request: &TrainingRequest,
        objects: &Arc<dyn ObjectStore>,
    ) -> Result<Vec<Feeder>, RunError> {
        let lists = self.folder.join(LISTS);
        remove(&lists)?;
        let mut feeders = Vec::new();
        for channel in request.channels.iter().filter(|channel| channel.mode == InputMode::Pipe) {
            let folder = self.layout.channel(&channel.name);
            for folder in folder.parent().into_iter().chain([lists.as_path()]) {
                fs::create_dir_all(folder).map_err(|error| machine(folder, error))?;
            }
            let list = lists.join(&channel.name);
            feeders.push(Feeder::start(channel, ONLY_HOST, objects, &folder, &list)?);
        }
        Ok(feeders)
    }

    /// The folder of checkpoints and its copy, if the job has one.
    pub(super) fn checkpoints(
        &self,
        request: &TrainingRequest,
        objects: &Arc<dyn ObjectStore>,
    ) -> Option<Checkpoints> {
        let checkpoints = request.checkpoints.as_ref()?;
        Some(Checkpoints::new(objects, &checkpoints.uri, self.layout.prefix().join(&checkpoints.path)))
    }

    /// Uploads the job's output for its author, and then its model. Returns the model's address.
    pub(super) fn put_model(
        &self,
        artefacts: &Artefacts<'_>,
        may_be_empty: bool,
    ) -> Result<Option<String>, RunError> {
        self.put_output(artefacts)?;
        artefacts.put_model(&self.layout.model(), may_be_empty)
    }

    /// Uploads the job's output for its author.
    pub(super) fn put_output(&self, artefacts: &Artefacts<'_>) -> Result<(), RunError> {
        artefacts.put_output(&self.layout.output().join(OUTPUT_DATA))
    }

    /// Removes everything except the log: the job's results are in S3 now.
    pub(super) fn clear(&self, engine: &dyn Engine) -> Result<(), RunError> {
        remove(&self.folder.join(LISTS))?;
        remove(self.layout.prefix())?;
        Ok(engine.forget(&self.folder)?)
    }

    /// The reason why the program failed: its own message, or the way it ended. Paths are those in a container, because the paths here
    /// disappear with the job.
    pub(super) fn failure(&self, exit: &Exit) -> String {
        let mut said = Vec::new();
        if let Ok(file) = fs::File::open(self.layout.failure()) {
            // A message that cannot be read counts as empty.
            let _ = file.take(MOST_FAILURE_BYTES).read_to_end(&mut said);
        }
        let said = String::from_utf8_lossy(&said);
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
}

/// The present content of `resourceconfig.json`. SDK v3's script, which runs the user's script, refuses a file without the members that are
/// newer than the guide.
fn resources(hosts: &ResourceConfig, instance_type: Option<&str>) -> Value {
    let instance_type = instance_type.unwrap_or_default();
    serde_json::json!({
        "current_host": hosts.current_host,
        "current_instance_type": instance_type,
        "current_group_name": ONLY_GROUP,
        "hosts": hosts.hosts,
        "instance_groups": [{
            "instance_group_name": ONLY_GROUP,
            "instance_type": instance_type,
            "hosts": hosts.hosts,
        }],
        "network_interface_name": NETWORK_INTERFACE,
    })
}

/// The entry of a channel in `inputdataconfig.json`, always with all members.
fn config_of(channel: &ChannelRequest) -> ChannelConfig {
    ChannelConfig {
        content_type: channel.content_type.clone(),
        training_input_mode: Some(channel.mode.to_string()),
        s3_distribution_type: Some(channel.distribution.to_string()),
        record_wrapper_type: Some(if channel.is_wrapped { "RecordIO" } else { "None" }.to_owned()),
    }
}

/// Removes a folder of ours, if it exists.
fn remove(folder: &Path) -> Result<(), RunError> {
    remove_folder(folder).map_err(|error| machine(folder, error))
}

fn json(value: &impl serde::Serialize) -> Result<String, RunError> {
    serde_json::to_string(value).map_err(|error| RunError::Machine(error.to_string()))
}

pub(super) fn machine(path: &Path, error: io::Error) -> RunError {
    RunError::Machine(format!("{}: {error}", path.display()))
}
