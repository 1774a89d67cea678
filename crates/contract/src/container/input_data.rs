//! The configuration of a job's input channels in `inputdataconfig.json`, and the paths of their data.
//!
//! Source: the guide's "Input Data Configuration" of the training container contract.

mod check;

pub(crate) use check::folders_are_there;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config_file::{self, ConfigFileError, StrictMap};
use super::layout::Layout;
use crate::algorithm_contract::AlgorithmContract;
use crate::channels::{ChannelFaults, InputChannels, finish};
use crate::spec::Conventions;

/// The content of `inputdataconfig.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct InputDataConfig {
    /// The configuration of each channel, by name.
    pub channels: BTreeMap<String, ChannelConfig>,
}

/// The configuration of one channel; keys not listed here have no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChannelConfig {
    /// MIME type of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// An [`InputMode`](crate::channels::InputMode).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_input_mode: Option<String>,
    /// A [`Distribution`](crate::channels::Distribution).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_distribution_type: Option<String>,
    /// `None`, or `RecordIO` to let SageMaker wrap every object in a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_wrapper_type: Option<String>,
}

/// The reason why the input channels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The configuration file cannot be read or is not the JSON expected.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// Some channels cannot be used; all of them are listed.
    #[error(transparent)]
    Unusable(#[from] ChannelFaults),
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
        Ok(finish(config.faults(path, contract), config)?)
    }

    /// Notes for the log on a valid configuration: channels and parameters that have no effect.
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
    /// A channel that `inputdataconfig.json` does not name but whose folder exists has the algorithm's default content type, in File mode.
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
                // An existing folder needs no configuration.
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
}

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
