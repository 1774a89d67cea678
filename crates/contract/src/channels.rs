//! The input channels of a training job: which there are, what `inputdataconfig.json` may say of them, where they lie.
//!
//! Source: the guide's section "Input/Output Interface" of sequence-to-sequence (three channels, all required),
//! "Input Data Configuration" of the training container contract (the file's form), and "Incremental Training" (the
//! model channel of other algorithms).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config_file::{self, ConfigFileError, StrictMap};
use crate::faults::shown;
use crate::layout::Layout;
use crate::nearest::nearest;

/// Channel of the training data.
pub const TRAIN: &str = "train";
/// Channel of the validation data.
pub const VALIDATION: &str = "validation";
/// Channel of the two vocabulary files.
pub const VOCAB: &str = "vocab";
/// Optional channel of a model to start from: incremental training, as other SageMaker algorithms have it. SageMaker's
/// sequence-to-sequence does not.
pub const MODEL: &str = "model";

/// The channels that must be there.
pub const REQUIRED: [&str; 3] = [TRAIN, VALIDATION, VOCAB];

/// What AWS's preparation script calls the training data; any file name is read.
pub const TRAIN_FILE: &str = "train.rec";
/// What AWS's preparation script calls the validation data; any file name is read.
pub const VALIDATION_FILE: &str = "val.rec";
/// Source vocabulary in the vocab channel and in a model.
pub const VOCAB_SOURCE_FILE: &str = "vocab.src.json";
/// Target vocabulary in the vocab channel and in a model.
pub const VOCAB_TARGET_FILE: &str = "vocab.trg.json";

/// The packed model that a training job leaves, and that the model channel may hold instead of the unpacked one.
pub const MODEL_ARCHIVE: &str = "model.tar.gz";

/// The content type of training and validation data.
pub const RECORDIO_PROTOBUF: &str = "application/x-recordio-protobuf";
const JSON: &str = "application/json";
/// What SageMaker's examples of incremental training say of the model channel.
const SAGEMAKER_MODEL: &str = "application/x-sagemaker-model";

/// SageMaker's own words for a vocab channel without its files.
const NO_VOCAB: &str = "Vocab files are not present in the input directory";
/// Folders are searched for a first file down to here; S3 keys may hold slashes, which become folders.
const DEEPEST_FOLDER: usize = 8;

/// `inputdataconfig.json`, read and found usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputDataConfig {
    /// By name, what is said about each channel.
    pub channels: BTreeMap<String, ChannelConfig>,
}

/// What is said about one channel; keys not listed here have no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChannelConfig {
    /// MIME type of the data.
    pub content_type: Option<String>,
    /// `File`, `FastFile` or `Pipe`.
    pub training_input_mode: Option<String>,
    /// `FullyReplicated` or `ShardedByS3Key`; the same thing on a single machine.
    pub s3_distribution_type: Option<String>,
    /// `None`, or `RecordIO` to have SageMaker wrap every object into a record.
    pub record_wrapper_type: Option<String>,
}

/// Where the input of a training job lies; every path was there when it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingChannels {
    /// Folder of the training data, with at least one file.
    pub train: PathBuf,
    /// Folder of the validation data, with at least one file.
    pub validation: PathBuf,
    /// The source vocabulary file.
    pub vocab_source: PathBuf,
    /// The target vocabulary file.
    pub vocab_target: PathBuf,
    /// The model to start from, where the channel is there: a folder, or the `model.tar.gz` in it.
    pub model: Option<PathBuf>,
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
    /// What is wrong, what was expected, what to do.
    pub message: String,
}

impl fmt::Display for ChannelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel `{}`: {}", shown(&self.channel), self.message)
    }
}

fn list(faults: &[ChannelFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn finish<T>(faults: Vec<ChannelFault>, value: T) -> Result<T, ChannelError> {
    if faults.is_empty() { Ok(value) } else { Err(ChannelError::Unusable(faults)) }
}

impl InputDataConfig {
    /// Reads and checks the file; `None` if it does not exist.
    ///
    /// # Errors
    /// If the file is unreadable or malformed, lacks a required channel, or asks for what is not supported. All channels
    /// that cannot be used are reported at once.
    pub fn read(path: &Path) -> Result<Option<Self>, ChannelError> {
        match config_file::read_if_present(path)? {
            Some(text) => Self::parse(&text, path).map(Some),
            None => Ok(None),
        }
    }

    /// Parses and checks the text of a file; `path` is only for messages.
    ///
    /// # Errors
    /// As [`InputDataConfig::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ChannelError> {
        let StrictMap(channels) = config_file::parse::<StrictMap<ChannelConfig>>(text, path)?;
        let config = Self { channels };
        let mut faults = Vec::new();
        let mut blame = |channel: &str, message: String| {
            faults.push(ChannelFault { channel: channel.to_owned(), message })
        };
        for name in REQUIRED {
            match config.channels.get(name) {
                Some(channel) => channel.check(name).into_iter().for_each(|message| blame(name, message)),
                None => blame(name, config.missing(name, path)),
            }
        }
        if let Some(channel) = config.channels.get(MODEL) {
            channel.check(MODEL).into_iter().for_each(|message| blame(MODEL, message));
        }
        finish(faults, config)
    }

    /// Names of channels that play no part in training, to be mentioned in the log.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        self.channels.keys().map(String::as_str).filter(|name| !REQUIRED.contains(name) && *name != MODEL)
    }

    fn missing(&self, name: &str, path: &Path) -> String {
        /// Channels that the message lists.
        const LISTED: usize = 8;
        let listed: Vec<String> =
            self.channels.keys().take(LISTED).map(|name| format!("`{}`", shown(name))).collect();
        let more = if self.channels.len() > LISTED { ", …" } else { "" };
        let near = nearest(name, self.unused()).map(|near| format!(" (is `{}` meant?)", shown(near)));
        let others = if listed.is_empty() { "no channel".to_owned() } else { listed.join(", ") + more };
        let words = if name == VOCAB { format!("{NO_VOCAB}: the channel") } else { "it".to_owned() };
        format!(
            "{words} is missing from {}, which lists {others}{}; training needs the channels train, validation and vocab",
            path.display(),
            near.unwrap_or_default()
        )
    }
}

impl ChannelConfig {
    /// What is wrong with the configuration of the channel `name`, required or [`MODEL`].
    fn check(&self, name: &str) -> Vec<String> {
        let mut faults = Vec::new();
        // "None" and the empty string are how SDKs spell that nothing is said.
        let said =
            |value: &Option<String>| value.clone().filter(|text| !text.trim().is_empty() && text != "None");

        if let Some(content_type) = said(&self.content_type) {
            let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let expected: &[&str] = match name {
                VOCAB => &[JSON, RECORDIO_PROTOBUF],
                MODEL => &[SAGEMAKER_MODEL],
                _ => &[RECORDIO_PROTOBUF],
            };
            if !expected.contains(&essence.as_str()) {
                let whence = match name {
                    MODEL => "a training job writes such a model",
                    _ => "`kokanee prepare` writes such files from text",
                };
                faults.push(format!(
                    "ContentType \"{}\" is not supported: expected {}, or none; {whence}",
                    shown(&content_type),
                    expected.join(" or ")
                ));
            }
        }
        match said(&self.training_input_mode).as_deref() {
            None | Some("File" | "FastFile") => {}
            Some("Pipe") => faults.push(
                "TrainingInputMode \"Pipe\" is not supported: pairs are sorted into buckets by length and shuffled anew for \
                 every epoch, which a stream that is read once does not allow; use File"
                    .to_owned(),
            ),
            Some(other) => {
                faults.push(format!("TrainingInputMode \"{}\" is not known: expected File", shown(other)));
            }
        }
        match said(&self.s3_distribution_type).as_deref() {
            None | Some("FullyReplicated" | "ShardedByS3Key") => {}
            Some(other) => faults.push(format!(
                "S3DistributionType \"{}\" is not known: expected FullyReplicated or ShardedByS3Key",
                shown(other)
            )),
        }
        match said(&self.record_wrapper_type).as_deref() {
            None => {}
            Some("RecordIO") => faults.push(
                "RecordWrapperType \"RecordIO\" is not supported: it wraps every object in one more record, but the files of \
                 this channel are read as they are; use None"
                    .to_owned(),
            ),
            Some(other) => {
                faults.push(format!("RecordWrapperType \"{}\" is not known: expected None", shown(other)));
            }
        }
        faults
    }
}

impl TrainingChannels {
    /// Finds the channels' folders and the vocabulary files under `layout`, in File mode.
    ///
    /// Folders of train and validation must hold at least one file whose name does not start with a dot, directly or in
    /// a folder below.
    ///
    /// # Errors
    /// [`ChannelError::Unusable`] with every channel that is missing, empty or unreadable, and what was looked for.
    pub fn locate(layout: &Layout) -> Result<Self, ChannelError> {
        let mut faults = Vec::new();
        let mut blame = |channel: &str, message: String| {
            faults.push(ChannelFault { channel: channel.to_owned(), message })
        };

        for (name, usual) in [(TRAIN, TRAIN_FILE), (VALIDATION, VALIDATION_FILE)] {
            let folder = layout.channel(name);
            let looked_for =
                format!("a folder with files such as {usual} was looked for at {}", folder.display());
            match holds_a_file(&folder, DEEPEST_FOLDER) {
                Ok(true) => {}
                Ok(false) => blame(name, format!("it is empty: {looked_for}")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    blame(name, format!("it is missing: {looked_for}"));
                }
                Err(error) => blame(name, format!("it cannot be read: {looked_for}: {error}")),
            }
        }

        let vocab = layout.channel(VOCAB);
        let absent: Vec<&str> = [VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE]
            .into_iter()
            .filter(|file| !vocab.join(file).is_file())
            .collect();
        if !absent.is_empty() {
            let message = format!(
                "{NO_VOCAB}: {} was looked for in {}; `kokanee prepare` writes both vocabulary files",
                absent.join(" and "),
                vocab.display()
            );
            blame(VOCAB, message);
        }
        let model = layout.channel(MODEL);
        let model = match holds_a_file(&model, 0) {
            Ok(true) => Some(Some(model.join(MODEL_ARCHIVE)).filter(|file| file.is_file()).unwrap_or(model)),
            Ok(false) => {
                let message = format!(
                    "it is empty: a model to start from was looked for in {}, as {MODEL_ARCHIVE} or unpacked; leave the \
                     channel out to start from nothing",
                    model.display()
                );
                blame(MODEL, message);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                blame(MODEL, format!("it cannot be read: {}: {error}", model.display()));
                None
            }
        };

        let channels = Self {
            train: layout.channel(TRAIN),
            validation: layout.channel(VALIDATION),
            vocab_source: vocab.join(VOCAB_SOURCE_FILE),
            vocab_target: vocab.join(VOCAB_TARGET_FILE),
            model,
        };
        finish(faults, channels)
    }
}

fn holds_a_file(folder: &Path, depth: usize) -> io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if !path.is_dir() || (depth > 0 && holds_a_file(&path, depth - 1)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
