//! Why a training job cannot go on, split by who must act.

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

/// What ends a training job other than a [`StopReason`](crate::StopReason).
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Vocabularies or records cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The hyperparameters describe no model that can be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model cannot answer in the number format that `inference_precision` asks for.
    #[error("inference_precision: {0}")]
    Format(#[from] FormatError),
    /// It would need more memory than there is.
    #[error(transparent)]
    Memory(#[from] TooLarge),
    /// The system refuses threads.
    #[error(transparent)]
    Threads(#[from] TeamError),
    /// A channel without a pair that can be trained or measured on.
    #[error("{0}")]
    NoPairs(String),
    /// A loss or a gradient is not a number any more.
    #[error("{0}")]
    Diverged(Box<Divergence>),
    /// Weights of both languages are tied, but their words are not the same.
    #[error(
        "weight_tying={0} looks source and target words up in one matrix, so both need the same vocabulary, but \
         vocab.src.json and vocab.trg.json differ; prepare the data with --single-vocab"
    )]
    TwoVocabularies(WeightTying),
    /// The model to start from is another than the one to train.
    #[error(
        "the initial model cannot be trained on with these hyperparameters: {}; set them as the model has them, or start \
         without it",
        .0.join("; ")
    )]
    AnotherArchitecture(Vec<String>),
    /// The model to start from lacks its words.
    #[error(
        "{} has no {file}: without its vocabulary a model cannot be trained on; copy it from where the model was made",
        model.display()
    )]
    NoVocabulary {
        /// The model.
        model: PathBuf,
        /// The file that was looked for.
        file: &'static str,
    },
    /// There is nothing to resume from.
    #[error(
        "nothing to resume in {}: {problem}; start without resuming, or give the folder that the interrupted run wrote its \
         checkpoints to",
        folder.display()
    )]
    NoState {
        /// Where a state was looked for.
        folder: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// The state belongs to another run.
    #[error(
        "the state in {} belongs to another run and cannot be continued: {}; restore what differs, or start without resuming",
        folder.display(), differences.join("; ")
    )]
    AnotherRun {
        /// Where the state is.
        folder: PathBuf,
        /// Each thing that differs, with both values.
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
        /// What is wrong with it.
        problem: String,
    },
    /// A model's or a state's tensors cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase without its object: "create the folder".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A metric was computed of something impossible.
    #[error("internal error while measuring BLEU: {0}")]
    Metric(#[from] MetricError),
}

impl From<FileError> for TrainError {
    fn from(error: FileError) -> Self {
        ArtifactError::from(error).into()
    }
}

impl TrainError {
    /// Whether whoever started the job can put it right: data, hyperparameters, files. Otherwise it is a fault of this
    /// program.
    pub fn is_user_error(&self) -> bool {
        !matches!(self, TrainError::Metric(_))
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| TrainError::Io { action, path, source }
    }
}
