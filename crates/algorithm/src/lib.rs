//! The interface of every algorithm: train a job, load a model that answers requests, describe a model to a person.
//!
//! [`Algorithm`] is implemented once in the crate of each algorithm, and one table in the program lists the implementations. Shared parts
//! stand beside it: the job and its console ([`job`], [`console`]), channels of numeric rows in File and Pipe mode ([`row_channel`]), the
//! log of the numeric containers ([`numeric_log`]), and a model's folder ([`model_folder`]).

pub mod console;
pub mod error;
pub use kokanee_pages::human;
pub mod job;
pub mod model_folder;
pub mod numeric_log;
pub mod report;
pub mod row_channel;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kokanee_contract::AlgorithmContract;
use kokanee_endpoint::Backend;

pub use console::{Console, Progress};
pub use error::{AlgorithmError, Blame};
pub use job::{JobFiles, LoadOptions, Resume, StopFlag, TrainingJob};
pub use model_folder::{ModelError, OpenedModel, algorithm_of};
pub use report::{Block, Report, Table};

/// A built-in algorithm.
pub trait Algorithm: Sync {
    /// Its SageMaker contract.
    fn contract(&self) -> &'static AlgorithmContract;

    /// Trains until the model is in its folder or the job is asked to stop.
    ///
    /// # Errors
    /// When hyperparameters, channels or data are wrong, or the training fails.
    fn train(&self, job: &TrainingJob, console: &dyn Console) -> Result<(), AlgorithmError>;

    /// Whether it keeps a state from which a later run can resume.
    fn resumes(&self) -> bool {
        false
    }

    /// The first file of its archives, if that alone distinguishes them from those of other algorithms. Large archives then need not be
    /// unpacked to find their algorithm.
    fn first_file(&self) -> Option<&'static str> {
        None
    }

    /// Whether a folder holds a model of this algorithm that does not name its algorithm, such as one that a real container or another
    /// library wrote.
    fn recognises(&self, folder: &Path) -> bool;

    /// Loads a model from a folder or an archive, ready to answer requests.
    ///
    /// # Errors
    /// When the model is missing or damaged, or the options do not fit it.
    fn load(&self, model: &Path, options: &LoadOptions<'_>) -> Result<Arc<dyn Backend>, AlgorithmError>;

    /// The model files on disk that its answers depend on.
    ///
    /// # Errors
    /// When the model is missing.
    fn files(&self, model: &Path) -> Result<Vec<PathBuf>, AlgorithmError>;

    /// Describes a model to a person; lists have `head` rows at most.
    ///
    /// # Errors
    /// When the model is missing or damaged.
    fn describe(&self, model: &Path, head: usize) -> Result<Report, AlgorithmError>;
}
