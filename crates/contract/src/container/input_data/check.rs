//! Checks of the configuration of channels.

use std::path::{Path, PathBuf};

use super::{ChannelConfig, InputDataConfig, and};
use crate::algorithm_contract::AlgorithmContract;
use crate::channels::{
    ChannelFault, ChannelFaults, ChannelSpec, Distribution, InputChannel, InputChannels, InputMode,
    LABEL_SIZE, finish,
};
use crate::media::{ContentType, MediaType};
use crate::spec::{Conventions, nearest, shown};

/// Another name of RecordIO in the pca container; not a media type, since it has no slash.
const BARE_PROTOBUF: &str = "protobuf";
/// The maximum number of channels listed in a message.
const MOST_LISTED: usize = 8;

/// Checks that the folders of a job's channels exist; those of Pipe mode are streams, which are created later. A path that a user names may
/// also be a file.
///
/// # Errors
/// Every channel without its folder.
pub(crate) fn folders_are_there(
    channels: &InputChannels,
    specs: &[ChannelSpec],
) -> Result<(), ChannelFaults> {
    let known = specs.iter().filter_map(|spec| Some((spec, channels.get(spec.name)?)));
    let missing = known.filter(|(_, channel)| channel.mode != InputMode::Pipe && !channel.path.exists());
    let faults = missing.map(|(spec, channel)| ChannelFault {
        channel: channel.name.clone(),
        words: if spec.required { format!("Missing required channel: {}", spec.name) } else { String::new() },
        message: format!("its data was looked for in {}, which is not there", channel.path.display()),
    });
    finish(faults.collect(), ())
}

impl InputDataConfig {
    /// Every fault, in the order of the algorithm's channels.
    pub(super) fn faults(&self, path: &Path, contract: &AlgorithmContract) -> Vec<ChannelFault> {
        let mut faults = Vec::new();
        for spec in contract.channels {
            match self.channels.get(spec.name) {
                Some(channel) => channel.check(spec, contract.conventions, &mut faults),
                None if spec.required => faults.push(self.missing(spec, path, contract)),
                None => {}
            }
        }
        if contract.conventions == Conventions::Toolkit {
            let unknown = self.unknown(contract).map(|name| extraneous(name, contract));
            faults.extend(unknown);
        }
        faults
    }

    /// Names of configured channels that the algorithm does not read.
    fn unknown(&self, contract: &AlgorithmContract) -> impl Iterator<Item = &str> {
        self.channels.keys().map(String::as_str).filter(|name| contract.channel(name).is_none())
    }

    fn missing(&self, spec: &ChannelSpec, path: &Path, contract: &AlgorithmContract) -> ChannelFault {
        let listed: Vec<String> =
            self.channels.keys().take(MOST_LISTED).map(|name| format!("`{}`", shown(name))).collect();
        let more = if self.channels.len() > MOST_LISTED { ", …" } else { "" };
        let near =
            nearest(spec.name, self.unknown(contract)).map(|near| format!(" (is `{}` meant?)", shown(near)));
        let others = if listed.is_empty() { "no channel".to_owned() } else { listed.join(", ") + more };
        let subject =
            if spec.absence.is_empty() { "it".to_owned() } else { format!("{}: the channel", spec.absence) };
        let needed: Vec<&str> =
            contract.channels.iter().filter(|channel| channel.required).map(|channel| channel.name).collect();
        let plural = if needed.len() == 1 { "" } else { "s" };
        let message = format!(
            "{subject} is missing from {}, which lists {others}{}; training needs the channel{plural} {}",
            path.display(),
            near.unwrap_or_default(),
            and(needed.into_iter())
        );
        let words = match contract.conventions {
            Conventions::Toolkit => format!("Missing required channel: {}", spec.name),
            Conventions::Sockeye => String::new(),
        };
        ChannelFault { channel: spec.name.to_owned(), words, message }
    }
}

fn extraneous(name: &str, contract: &AlgorithmContract) -> ChannelFault {
    let names = contract.channels.iter().map(|channel| channel.name);
    let near = nearest(name, names.clone()).map_or_else(String::new, |near| format!("; is `{near}` meant?"));
    ChannelFault {
        channel: name.to_owned(),
        words: format!("Extraneous channel found: {}", shown(name)),
        message: format!("{} reads only {}{near}", contract.name, and(names)),
    }
}

impl ChannelConfig {
    fn check(&self, spec: &ChannelSpec, conventions: Conventions, faults: &mut Vec<ChannelFault>) {
        let mut blame = |words: String, message: String| {
            let words = if conventions == Conventions::Toolkit { words } else { String::new() };
            faults.push(ChannelFault { channel: spec.name.to_owned(), words, message });
        };
        let unsupported = || {
            let said = serde_json::to_string(self).unwrap_or_default();
            format!("Channel configuration for '{}' channel is not supported: {said}", spec.name)
        };
        if let Some(text) = said(&self.content_type) {
            // Parameters are ignored under these conventions, and may be malformed.
            let read = match conventions {
                Conventions::Sockeye => text.split(';').next().unwrap_or_default(),
                Conventions::Toolkit => text,
            };
            match content_type(read).filter(|content| spec.content_types.contains(&content.media)) {
                Some(content) if conventions == Conventions::Toolkit => {
                    parameter_faults(&content).into_iter().for_each(|message| blame(unsupported(), message));
                }
                Some(_) => {}
                None => {
                    // The tuple is a content type and its version, as Python prints them.
                    let words =
                        format!("No iterator has been registered for ContentType ('{}', '1.0')", shown(text));
                    blame(words, unsupported_content_type(spec, text));
                }
            }
        }
        if let Some(message) = said(&self.training_input_mode).and_then(|text| mode_fault(spec, text)) {
            blame(unsupported(), message);
        }
        if let Some(message) =
            said(&self.s3_distribution_type).and_then(|text| distribution_fault(spec, text))
        {
            blame(unsupported(), message);
        }
        match said(&self.record_wrapper_type) {
            None => {}
            Some("RecordIO") => blame(
                unsupported(),
                "RecordWrapperType \"RecordIO\" is not supported: it wraps every object in one more record, but the files of \
                 this channel are read as they are; use None"
                    .to_owned(),
            ),
            Some(other) => blame(
                unsupported(),
                format!("RecordWrapperType \"{}\" is not known: expected None", shown(other)),
            ),
        }
    }

    /// The channel, with defaults for what is not set. The configuration must be free of faults.
    pub(super) fn typed(&self, spec: &ChannelSpec, path: PathBuf) -> InputChannel {
        let mode = said(&self.training_input_mode).and_then(InputMode::from_name);
        let distribution = said(&self.s3_distribution_type).and_then(Distribution::from_name);
        InputChannel {
            name: spec.name.to_owned(),
            content_type: said(&self.content_type)
                .and_then(content_type)
                .unwrap_or_else(|| spec.default_content_type.into()),
            mode: mode.unwrap_or(InputMode::File),
            distribution: distribution.unwrap_or(Distribution::FullyReplicated),
            path,
        }
    }

    /// Notes on parameters of the content type that have no effect.
    pub(super) fn notes(&self, spec: &ChannelSpec) -> Vec<String> {
        let Some(content) = said(&self.content_type).and_then(content_type) else { return Vec::new() };
        let known: &[&str] = match content.media {
            MediaType::Csv => &[LABEL_SIZE, "charset", "encoding"],
            _ => &["charset", "encoding"],
        };
        let unknown = content.parameters.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        unknown
            .map(|(name, _)| {
                format!(
                    "channel `{}`: the parameter `{}` of ContentType plays no part",
                    spec.name,
                    shown(name)
                )
            })
            .collect()
    }
}

/// The text, if it is set: SDKs write "None" or an empty string for values that are not set.
fn said(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !text.trim().is_empty() && *text != "None")
}

fn content_type(text: &str) -> Option<ContentType> {
    if text.trim().eq_ignore_ascii_case(BARE_PROTOBUF) {
        return Some(MediaType::RecordIo.into());
    }
    ContentType::parse(text)
}

fn unsupported_content_type(spec: &ChannelSpec, text: &str) -> String {
    let expected: Vec<&str> = spec.content_types.iter().map(|media| media.name()).collect();
    let advice = match spec.content_type_advice {
        "" => String::new(),
        advice => format!("; {advice}"),
    };
    format!(
        "ContentType \"{}\" is not supported: expected {}, or none{advice}",
        shown(text),
        expected.join(" or ")
    )
}

fn parameter_faults(content: &ContentType) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(size) = content.parameter(LABEL_SIZE)
        && content.media == MediaType::Csv
        && size.parse::<u32>().is_err()
    {
        faults.push(format!(
            "ContentType \"{}\": label_size is \"{}\", expected how many columns of labels come before the features, such as 0",
            content.media,
            shown(size)
        ));
    }
    if !content.is_utf8() {
        faults.push(format!(
            "ContentType \"{}\" has a charset that is not read: expected utf-8",
            content.media
        ));
    }
    faults
}

fn mode_fault(spec: &ChannelSpec, text: &str) -> Option<String> {
    match InputMode::from_name(text) {
        Some(mode) if spec.modes.contains(&mode) => None,
        Some(mode) => Some(format!("TrainingInputMode \"{mode}\" is not supported: {}", spec.mode_reason)),
        None => {
            // For a reader, FastFile is the same as File.
            let modes = spec.modes.iter().filter(|mode| **mode != InputMode::FastFile);
            let modes: Vec<&str> = modes.map(|mode| mode.as_str()).collect();
            Some(format!(
                "TrainingInputMode \"{}\" is not known: expected {}",
                shown(text),
                modes.join(" or ")
            ))
        }
    }
}

fn distribution_fault(spec: &ChannelSpec, text: &str) -> Option<String> {
    let expected: Vec<&str> = spec.distributions.iter().map(|distribution| distribution.as_str()).collect();
    let problem = match Distribution::from_name(text) {
        Some(distribution) if spec.distributions.contains(&distribution) => return None,
        Some(_) => "is not supported",
        None => "is not known",
    };
    Some(format!("S3DistributionType \"{}\" {problem}: expected {}", shown(text), expected.join(" or ")))
}
