//! The input channels of training: those that an algorithm reads, those that a job has, and what can be wrong with them.
//!
//! Source: the guide's "Common Data Formats for Training" (content types).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::media::{ContentType, MediaType};
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

impl InputChannels {
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
pub(crate) const LABEL_SIZE: &str = "label_size";

/// Everything that is wrong with the channels of a job, never only the first thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFaults(pub Vec<ChannelFault>);

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

impl fmt::Display for ChannelFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ChannelFaults {}

/// The value, or every fault.
pub(crate) fn finish<T>(faults: Vec<ChannelFault>, value: T) -> Result<T, ChannelFaults> {
    if faults.is_empty() { Ok(value) } else { Err(ChannelFaults(faults)) }
}
