//! Errors that end a training job, divided by who must act.

use std::io;
use std::path::{Path, PathBuf};

use kokanee_contract::algorithms::seq2seq::WeightTying;
use kokanee_formats::FileError;
use kokanee_kernels::TeamError;
use kokanee_seq2seq_data::DataError;
use kokanee_seq2seq_nn::config::ConfigError;
use kokanee_seq2seq_nn::{ArtifactError, FormatError};

use crate::Divergence;
use crate::memory::TooLarge;
use crate::metrics::MetricError;

/// An error that ends a training job, other than a [`StopReason`](crate::StopReason).
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Vocabularies or records cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The hyperparameters describe an invalid model.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model cannot answer in the number format that `inference_precision` asks for.
    #[error("inference_precision: {0}")]
    Format(#[from] FormatError),
    /// It would need more memory than is available.
    #[error(transparent)]
    Memory(#[from] TooLarge),
    /// The system refuses threads.
    #[error(transparent)]
    Threads(#[from] TeamError),
    /// A channel without a pair for training or validation.
    #[error("{0}")]
    NoPairs(String),
    /// A loss or a gradient is not finite any more.
    #[error("{0}")]
    Diverged(Box<Divergence>),
    /// Weights of both languages are tied, but their words are not the same.
    #[error(
        "weight_tying={0} looks source and target words up in one matrix, so both need the same vocabulary, but \
         vocab.src.json and vocab.trg.json differ; prepare the data with --single-vocab"
    )]
    TwoVocabularies(WeightTying),
    /// The model to start from does not match the one to train.
    #[error(
        "the initial model cannot be trained on with these hyperparameters: {}; set them as the model has them, or start \
         without it",
        .0.join("; ")
    )]
    AnotherArchitecture(Vec<String>),
    /// The model to start from lacks a vocabulary.
    #[error(
        "{} has no {file}: without its vocabulary a model cannot be trained on; copy it from where the model was made",
        model.display()
    )]
    NoVocabulary {
        /// The model.
        model: PathBuf,
        /// The missing file.
        file: &'static str,
    },
    /// There is nothing to resume from.
    #[error(
        "nothing to resume in {}: {problem}; start without resuming, or give the folder that the interrupted run wrote its \
         checkpoints to",
        folder.display()
    )]
    NoState {
        /// The folder that was searched.
        folder: PathBuf,
        /// The missing part.
        problem: String,
    },
    /// The state belongs to another run.
    #[error(
        "the state in {} belongs to another run and cannot be continued: {}; restore what differs, or start without resuming",
        folder.display(), differences.join("; ")
    )]
    AnotherRun {
        /// The folder of the state.
        folder: PathBuf,
        /// Each difference, with both values.
        differences: Vec<String>,
    },
    /// The state cannot be read.
    #[error(
        "the state in {} cannot be used: {problem}; start without resuming, or restore the folder from a copy",
        path.display()
    )]
    DamagedState {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        problem: String,
    },
    /// A model's or a state's tensors cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The operating system returned an error.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The attempted action, as a verb phrase without its object: "create the folder".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A metric had impossible input.
    #[error("internal error while measuring BLEU: {0}")]
    Metric(#[from] MetricError),
}

impl From<FileError> for TrainError {
    fn from(error: FileError) -> Self {
        ArtifactError::from(error).into()
    }
}

impl TrainError {
    /// Whether the user who started the job can fix it: data, hyperparameters, files. Otherwise it is a fault of this program.
    pub fn is_user_error(&self) -> bool {
        !matches!(self, TrainError::Metric(_))
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| TrainError::Io { action, path, source }
    }
}
