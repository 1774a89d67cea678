//! The input channels of a training job: those that an algorithm reads, their configuration in `inputdataconfig.json`, and the
//! places of their data.
//!
//! Source: the guide's "Input Data Configuration" of the training container contract (the file's form) and "Common Data Formats
//! for Training" (content types).

mod check;

pub(crate) use check::folders_are_there;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config_file::{self, ConfigFileError, StrictMap};
use super::layout::Layout;
use crate::media::{ContentType, MediaType};
use crate::registry::{AlgorithmContract, Conventions};
use crate::spec::{choice, shown};

choice! {
    /// How data comes into the container, spelled as `TrainingInputMode`.
    InputMode {
        /// As files that are there before training begins.
        File = "File",
        /// As files that are fetched when they are read; to a reader the same as [`Self::File`].
        FastFile = "FastFile",
        /// As a stream for each epoch.
        Pipe = "Pipe",
    }
}

choice! {
    /// Which machine gets which data, spelled as `S3DistributionType`.
    Distribution {
        /// Each gets all.
        FullyReplicated = "FullyReplicated",
        /// Each gets its share.
        ShardedByS3Key = "ShardedByS3Key",
    }
}

/// One channel that an algorithm reads.
#[derive(Clone, Copy, Debug)]
pub struct ChannelSpec {
    /// Its name.
    pub name: &'static str,
    /// Whether training needs it.
    pub required: bool,
    /// The content types of its data.
    pub content_types: &'static [MediaType],
    /// The content type where none is said.
    pub default_content_type: MediaType,
    /// The input modes that it may come in.
    pub modes: &'static [InputMode],
    /// How it may be spread over machines.
    pub distributions: &'static [Distribution],
    /// What it holds, in a sentence.
    pub doc: &'static str,
    /// What to do instead of another content type; may be empty.
    pub content_type_advice: &'static str,
    /// Why an input mode is missing from `modes`, and what to use; may be empty.
    pub mode_reason: &'static str,
    /// SageMaker's own words for its absence; may be empty.
    pub absence: &'static str,
}

/// `inputdataconfig.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct InputDataConfig {
    /// By name, what is said about each channel.
    pub channels: BTreeMap<String, ChannelConfig>,
}

/// What is said about one channel; keys not listed here have no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChannelConfig {
    /// MIME type of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// An [`InputMode`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_input_mode: Option<String>,
    /// A [`Distribution`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_distribution_type: Option<String>,
    /// `None`, or `RecordIO` to have SageMaker wrap every object into a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_wrapper_type: Option<String>,
}

/// The channels of one training job, each found usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputChannels {
    /// By name; those that are required are there.
    pub channels: BTreeMap<String, InputChannel>,
    /// Notes for the log, a sentence each.
    pub notes: Vec<String>,
}

/// One channel of a training job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputChannel {
    /// Its name.
    pub name: String,
    /// The content type of its data, with parameters such as `label_size`.
    pub content_type: ContentType,
    /// How the data comes.
    pub mode: InputMode,
    /// How the data is spread over machines.
    pub distribution: Distribution,
    /// The folder of its files; in Pipe mode what the names of its streams begin with, see [`InputChannel::fifo`].
    pub path: PathBuf,
}

/// Why the input channels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The configuration file cannot be read or is not the JSON expected.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// Some channels cannot be used; all of them are listed.
    #[error("{}", list(.0))]
    Unusable(Vec<ChannelFault>),
}

/// What is wrong with one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFault {
    /// The channel.
    pub channel: String,
    /// The words of the real containers for it; empty where they are not known.
    pub words: String,
    /// What is wrong, what was expected, what to do.
    pub message: String,
}

impl fmt::Display for ChannelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.words.is_empty() {
            write!(f, "{}; ", self.words)?;
        }
        write!(f, "channel `{}`: {}", shown(&self.channel), self.message)
    }
}

fn list(faults: &[ChannelFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The value, or every fault.
pub(crate) fn finish<T>(faults: Vec<ChannelFault>, value: T) -> Result<T, ChannelError> {
    if faults.is_empty() { Ok(value) } else { Err(ChannelError::Unusable(faults)) }
}

impl<'de> Deserialize<'de> for InputDataConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StrictMap(channels) = StrictMap::<ChannelConfig>::deserialize(deserializer)?;
        Ok(Self { channels })
    }
}

impl InputDataConfig {
    /// Reads the file and checks it against what `contract` reads; `None` if it does not exist.
    ///
    /// # Errors
    /// If the file is unreadable or malformed, lacks a required channel, or asks for what is not supported. All channels
    /// that cannot be used are reported at once.
    pub fn read(path: &Path, contract: &AlgorithmContract) -> Result<Option<Self>, ChannelError> {
        match config_file::read_if_present(path)? {
            Some(text) => Self::parse(&text, path, contract).map(Some),
            None => Ok(None),
        }
    }

    /// Parses the text of a file and checks it against what `contract` reads; `path` is only for messages.
    ///
    /// # Errors
    /// As [`InputDataConfig::read`].
    pub fn parse(text: &str, path: &Path, contract: &AlgorithmContract) -> Result<Self, ChannelError> {
        let config: Self = config_file::parse(text, path)?;
        finish(config.faults(path, contract), config)
    }

    /// Notes for the log on a configuration without faults: channels and parameters that play no part.
    pub fn notes(&self, contract: &AlgorithmContract) -> Vec<String> {
        let mut notes = Vec::new();
        for (name, channel) in &self.channels {
            match contract.channel(name) {
                Some(spec) if contract.conventions == Conventions::Toolkit => {
                    notes.extend(channel.notes(spec))
                }
                Some(_) => {}
                None => notes.push(format!(
                    "channel `{name}` plays no part in training: only {} are read",
                    and(contract.channels.iter().map(|channel| channel.name))
                )),
            }
        }
        notes
    }
}

impl InputChannels {
    /// Finds the channels of a job under `layout` that `contract` reads.
    ///
    /// A channel that `inputdataconfig.json` does not name but whose folder is there has the algorithm's default content type, in
    /// File mode.
    ///
    /// # Errors
    /// [`ChannelError::Unusable`] with every channel that is missing or cannot be used, and [`ChannelError::File`].
    pub fn locate(layout: &Layout, contract: &AlgorithmContract) -> Result<Self, ChannelError> {
        let config = InputDataConfig::read(&layout.input_data_config(), contract)?;
        let mut channels = BTreeMap::new();
        for spec in contract.channels {
            let path = layout.channel(spec.name);
            let said = match &config {
                Some(config) if config.channels.contains_key(spec.name) => config.channels[spec.name].clone(),
                // A folder that is there speaks for itself.
                None if spec.required => ChannelConfig::default(),
                _ if path.exists() => ChannelConfig::default(),
                _ => continue,
            };
            channels.insert(spec.name.to_owned(), said.typed(spec, path));
        }
        let notes = config.map(|config| config.notes(contract)).unwrap_or_default();
        let channels = Self { channels, notes };
        (contract.look_into)(&channels)?;
        Ok(channels)
    }

    /// The channel of this name, where the job has it.
    pub fn get(&self, name: &str) -> Option<&InputChannel> {
        self.channels.get(name)
    }
}

impl InputChannel {
    /// How many columns of CSV data come before the features, where the content type says it. SageMaker's default is 1 in training
    /// and 0 in requests.
    pub fn label_size(&self) -> Option<usize> {
        self.content_type.parameter(LABEL_SIZE)?.parse().ok()
    }

    /// In Pipe mode, the stream of one pass over the data; `epoch` counts from 0.
    pub fn fifo(&self, epoch: usize) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!("_{epoch}"));
        path.into()
    }
}

/// The parameter of `text/csv` that tells labels from features.
const LABEL_SIZE: &str = "label_size";

/// `a, b and c`.
fn and<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests;
