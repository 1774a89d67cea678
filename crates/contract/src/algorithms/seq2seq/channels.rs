//! The input channels of sequence-to-sequence, and the files in them: training data, vocabularies and an initial model.
//!
//! Source: the guide's section "Input/Output Interface" of sequence-to-sequence (three channels, all required), and "Incremental
//! Training" (the model channel of other algorithms).

use std::io;
use std::path::{Path, PathBuf};

use crate::channels::{
    ChannelFault, ChannelFaults, ChannelSpec, Distribution, InputChannels, InputMode, finish,
};
use crate::media::MediaType;

/// Channel of the training data.
pub const TRAIN: &str = "train";
/// Channel of the validation data.
pub const VALIDATION: &str = "validation";
/// Channel of the two vocabulary files.
pub const VOCAB: &str = "vocab";
/// Optional channel of a model to start from: incremental training, as other SageMaker algorithms have it. SageMaker's sequence-to-sequence
/// does not support it.
pub const MODEL: &str = "model";

/// The name of the training data in AWS's preparation script; any file name is read.
pub const TRAIN_FILE: &str = "train.rec";
/// The name of the validation data in AWS's preparation script; any file name is read.
pub const VALIDATION_FILE: &str = "val.rec";
/// Source vocabulary in the vocab channel and in a model.
pub const VOCAB_SOURCE_FILE: &str = "vocab.src.json";
/// Target vocabulary in the vocab channel and in a model.
pub const VOCAB_TARGET_FILE: &str = "vocab.trg.json";

/// The packed model that a training job writes, which the model channel may hold instead of the unpacked one.
pub const MODEL_ARCHIVE: &str = "model.tar.gz";

/// SageMaker's own words for a vocab channel without its files.
const NO_VOCAB: &str = "Vocab files are not present in the input directory";
/// The maximum depth of the search for a first file; S3 keys may hold slashes, which become folders.
const DEEPEST_FOLDER: usize = 8;

const RECORDS: ChannelSpec = ChannelSpec {
    name: TRAIN,
    required: true,
    content_types: &[MediaType::RecordIo],
    default_content_type: MediaType::RecordIo,
    modes: &[InputMode::File, InputMode::FastFile],
    distributions: Distribution::ALL,
    doc: "Pairs of sequences to train on, as ids.",
    content_type_advice: "`kokanee prepare` writes such files from text",
    mode_reason: "pairs are sorted into buckets by length and shuffled anew for every epoch, which a stream that is read once does \
                  not allow; use File",
    absence: "",
};

/// The channels that training reads.
pub(super) const CHANNELS: &[ChannelSpec] = &[
    RECORDS,
    ChannelSpec {
        name: VALIDATION,
        doc: "Pairs of sequences that the model is measured on at each checkpoint.",
        ..RECORDS
    },
    ChannelSpec {
        name: VOCAB,
        content_types: &[MediaType::Json, MediaType::RecordIo],
        default_content_type: MediaType::Json,
        doc: "The vocabularies `vocab.src.json` and `vocab.trg.json`.",
        absence: NO_VOCAB,
        ..RECORDS
    },
    ChannelSpec {
        name: MODEL,
        required: false,
        content_types: &[MediaType::Model],
        default_content_type: MediaType::Model,
        doc: "A model to start from: `model.tar.gz`, or its files.",
        content_type_advice: "a training job writes such a model",
        ..RECORDS
    },
];

/// The input files of a training job; every path existed when the channels were searched.
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
    /// The model to start from, if the channel exists: a folder, or the `model.tar.gz` in it.
    pub model: Option<PathBuf>,
}

impl TrainingChannels {
    /// Looks for the data and the vocabulary files of a job's channels.
    ///
    /// A channel's path is a folder or, for jobs of files that a user names, a file. Folders of train and validation must hold at
    /// least one file whose name does not start with a dot, directly or in a folder below.
    ///
    /// # Errors
    /// Every channel that is missing, empty or unreadable, and what was searched for.
    pub fn locate(channels: &InputChannels) -> Result<Self, ChannelFaults> {
        let path = |name: &str| channels.get(name).map(|channel| channel.path.clone());
        let required = |name: &str| path(name).unwrap_or_else(|| PathBuf::from(name));
        let mut faults = Vec::new();
        let mut blame = |channel: &str, message: String| {
            faults.push(ChannelFault { channel: channel.to_owned(), words: String::new(), message });
        };

        for (name, usual) in [(TRAIN, TRAIN_FILE), (VALIDATION, VALIDATION_FILE)] {
            let folder = required(name);
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

        let vocab = required(VOCAB);
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
        let model = path(MODEL).and_then(|model| match holds_a_file(&model, 0) {
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
            // The reader of the model reports the error.
            Err(_) => Some(model),
        });

        let located = Self {
            train: required(TRAIN),
            validation: required(VALIDATION),
            vocab_source: vocab.join(VOCAB_SOURCE_FILE),
            vocab_target: vocab.join(VOCAB_TARGET_FILE),
            model,
        };
        finish(faults, located)
    }
}

/// Whether a folder holds a file, or the path is a file itself.
fn holds_a_file(folder: &Path, depth: usize) -> io::Result<bool> {
    if folder.is_file() {
        return Ok(true);
    }
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
