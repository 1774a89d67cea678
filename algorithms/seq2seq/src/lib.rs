//! Sequence to sequence as one of Kokanee's algorithms, assembled from its parts.
//!
//! The parts are crates beside this one: `data` (text and records), `nn` (the model), `train` (the training) and `serve` (requests).

pub mod describe;
pub mod search;
mod train;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kokanee_algorithm::{Algorithm, AlgorithmError, Console, LoadOptions, Report, TrainingJob};
use kokanee_contract::AlgorithmContract;
use kokanee_contract::algorithms::seq2seq::CONTRACT;
use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_endpoint::Backend;
use kokanee_endpoint::config::DEFAULT_BODY_BYTES;
use kokanee_formats::folder_update;
use kokanee_seq2seq_nn::artifact::{CONFIG_FILE, OpenedFolder, PARAMETERS_FILE};
use kokanee_seq2seq_serve::{Service, ServiceSettings};

pub use search::{SearchError, SearchSettings};
pub use train::ShownProgress;

/// SageMaker's sequence to sequence.
#[derive(Clone, Copy, Debug)]
pub struct Seq2Seq;

impl Algorithm for Seq2Seq {
    fn contract(&self) -> &'static AlgorithmContract {
        &CONTRACT
    }

    fn train(&self, job: &TrainingJob, console: &dyn Console) -> Result<(), AlgorithmError> {
        train::run(job, console)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn first_file(&self) -> Option<&'static str> {
        Some(PARAMETERS_FILE)
    }

    fn recognises(&self, folder: &Path) -> bool {
        folder.join(CONFIG_FILE).is_file() && folder.join(PARAMETERS_FILE).is_file()
    }

    fn load(&self, model: &Path, options: &LoadOptions<'_>) -> Result<Arc<dyn Backend>, AlgorithmError> {
        let settings = SearchSettings::parse(&options.settings).map_err(AlgorithmError::user)?;
        let translator = settings.open(model, options.threads, 1, false, options.tell);
        let translator = translator.map_err(AlgorithmError::user)?;
        let identity = settings.identity(&translator).map_err(AlgorithmError::user)?;
        let settings = ServiceSettings {
            queue: options.queue,
            log_text: options.log_text,
            memory_bytes: (options.memory_bytes)(DEFAULT_BODY_BYTES),
            identity,
        };
        Ok(Arc::new(Service::start(translator, settings).map_err(AlgorithmError::user)?))
    }

    fn files(&self, model: &Path) -> Result<Vec<PathBuf>, AlgorithmError> {
        if !model.is_dir() {
            return Ok(vec![model.to_owned()]);
        }
        let opened = OpenedFolder::open(model).map_err(AlgorithmError::user)?;
        let names = [CONFIG_FILE, PARAMETERS_FILE, VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE];
        Ok(names.map(|name| folder_update::path_of(opened.path(), name)).to_vec())
    }

    fn describe(&self, model: &Path, head: usize) -> Result<Report, AlgorithmError> {
        describe::model(model, head).map_err(AlgorithmError::user)
    }
}
