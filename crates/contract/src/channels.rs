//! The input channels of training: those that an algorithm reads, those of a job, and their faults.
//!
//! Source: the guide's "Common Data Formats for Training" (content types).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::media::{ContentType, MediaType};
use crate::spec::{choice, shown};

choice! {
    /// How data enters the container, spelled as `TrainingInputMode`.
    InputMode {
        /// As files that exist before training begins.
        File = "File",
        /// As files that are fetched when they are read; a reader sees no difference from [`Self::File`].
        FastFile = "FastFile",
        /// As one stream per epoch.
        Pipe = "Pipe",
    }
}

choice! {
    /// How data is distributed to machines, spelled as `S3DistributionType`.
    Distribution {
        /// Each machine gets all data.
        FullyReplicated = "FullyReplicated",
        /// Each machine gets its shard.
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
    /// The default content type.
    pub default_content_type: MediaType,
    /// The supported input modes.
    pub modes: &'static [InputMode],
    /// The supported distributions over machines.
    pub distributions: &'static [Distribution],
    /// Its content, in a sentence.
    pub doc: &'static str,
    /// Advice on unsupported content types; may be empty.
    pub content_type_advice: &'static str,
    /// Why an input mode is missing from `modes`, and what to use instead; may be empty.
    pub mode_reason: &'static str,
    /// SageMaker's own error text for its absence; may be empty.
    pub absence: &'static str,
}

/// The channels of one training job, all checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputChannels {
    /// Channels by name, including all required ones.
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
    /// The input mode.
    pub mode: InputMode,
    /// The distribution over machines.
    pub distribution: Distribution,
    /// The folder of its files; in Pipe mode the prefix of its streams' names, see [`InputChannel::fifo`].
    pub path: PathBuf,
}

impl InputChannels {
    /// The channel with this name, if the job has it.
    pub fn get(&self, name: &str) -> Option<&InputChannel> {
        self.channels.get(name)
    }
}

impl InputChannel {
    /// The number of columns before the features in CSV data, if the content type states it. SageMaker's default is 1 in training and 0 in
    /// requests.
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

/// The parameter of `text/csv` with the number of label columns.
pub(crate) const LABEL_SIZE: &str = "label_size";

/// All faults of a job's channels, not only the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFaults(pub Vec<ChannelFault>);

/// A fault of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFault {
    /// The channel.
    pub channel: String,
    /// The real containers' text for it; empty where unknown.
    pub words: String,
    /// What is wrong, what was expected, and what to do.
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

/// The value if there are no faults, otherwise all faults.
pub(crate) fn finish<T>(faults: Vec<ChannelFault>, value: T) -> Result<T, ChannelFaults> {
    if faults.is_empty() { Ok(value) } else { Err(ChannelFaults(faults)) }
}
