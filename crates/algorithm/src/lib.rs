//! What every algorithm does: train a job, load a model that answers, describe a model to a person.
//!
//! [`Algorithm`] is implemented once in the crate of each algorithm, and one table in the program lists the implementations. What
//! several of them need stands beside it: the job and whoever watches it ([`job`], [`console`]), channels of numeric rows in File
//! and Pipe mode ([`row_channel`]), the log of the numeric containers ([`numeric_log`]), and a model's folder ([`model_folder`]).

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
    /// What SageMaker promises about it.
    fn contract(&self) -> &'static AlgorithmContract;

    /// Trains until the model is in its folder, or until the job is asked to stop.
    ///
    /// # Errors
    /// Whatever is wrong with hyperparameters, channels or data, or happens to the training.
    fn train(&self, job: &TrainingJob, console: &dyn Console) -> Result<(), AlgorithmError>;

    /// Whether it keeps a state that a later run can go on from.
    fn resumes(&self) -> bool {
        false
    }

    /// The file that its archives begin with, where that alone tells them from those of others: large archives need not be unpacked
    /// then to see whose they are.
    fn first_file(&self) -> Option<&'static str> {
        None
    }

    /// Whether a folder holds a model of this algorithm that does not say whose it is, such as one that a real container or another
    /// library wrote.
    fn recognises(&self, folder: &Path) -> bool;

    /// Loads a model, a folder or an archive, that answers requests.
    ///
    /// # Errors
    /// When the model is missing or damaged, or the options do not fit it.
    fn load(&self, model: &Path, options: &LoadOptions<'_>) -> Result<Arc<dyn Backend>, AlgorithmError>;

    /// The files of a model that its answers depend on, as they lie on the disk.
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
