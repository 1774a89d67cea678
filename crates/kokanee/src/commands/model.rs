//! Finds the algorithm for a model's path.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use kokanee_algorithm::{Algorithm, LoadOptions, ModelError, model_folder};
use kokanee_endpoint::Backend;

use super::search_options::SearchOptions;
use crate::algorithms::ALGORITHMS;

/// The options of a model for answering requests.
pub(crate) struct AnswerOptions {
    /// The number of threads, and the options of decoding for models of sentences.
    pub(crate) search: SearchOptions,
    /// The largest number of waiting instances.
    pub(crate) queue: usize,
    /// Whether texts of requests and answers are written to the log.
    pub(crate) log_text: bool,
    /// Memory in bytes for all requests, by the size of the largest body that the model takes by default.
    pub(crate) memory_bytes: Box<dyn Fn(usize) -> usize + Send>,
}

/// The algorithm of the model at a path. If no algorithm recognises it, the first of the table reports what is missing.
///
/// # Errors
/// When a model is damaged, or was written by a later program.
pub(crate) fn algorithm_of(model: &Path) -> Result<&'static dyn Algorithm> {
    match model_folder::algorithm_of(model, ALGORITHMS) {
        Ok(algorithm) => Ok(algorithm),
        Err(ModelError::NotFound { .. } | ModelError::NoModel { .. } | ModelError::Archive(_)) => {
            Ok(ALGORITHMS[0])
        }
        Err(error) => Err(error.into()),
    }
}

/// Loads a model. `tell` is called with each part of it that this version does not know.
///
/// # Errors
/// When it cannot be loaded, or not with these options.
pub(crate) fn load(model: &Path, options: &AnswerOptions, tell: impl Fn(&str)) -> Result<Arc<dyn Backend>> {
    let AnswerOptions { search, queue, log_text, memory_bytes } = options;
    let options = LoadOptions {
        threads: search.threads(),
        queue: *queue,
        log_text: *log_text,
        memory_bytes,
        settings: search.settings(),
        tell: &tell,
    };
    Ok(algorithm_of(model)?.load(model, &options)?)
}

/// The files of a model that determine its answers: its archive, or those in its folder.
///
/// # Errors
/// When the folder cannot be opened.
pub(crate) fn files(model: &Path) -> Result<Vec<PathBuf>> {
    Ok(algorithm_of(model)?.files(model)?)
}
