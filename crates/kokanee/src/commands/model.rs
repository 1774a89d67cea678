//! From a model's path to what answers for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_endpoint::Backend;
use kokanee_endpoint::config::DEFAULT_BODY_BYTES;
use kokanee_formats::folder_update;
use kokanee_seq2seq_nn::artifact::{CONFIG_FILE, OpenedFolder, PARAMETERS_FILE};
use kokanee_seq2seq_nn::decode::Search;
use kokanee_seq2seq_serve::{Service, ServiceSettings};

use super::search_options::SearchOptions;

/// How a model shall answer.
pub(crate) struct LoadOptions {
    /// How sentences are decoded.
    pub(crate) search: SearchOptions,
    /// The most sentences that wait.
    pub(crate) queue: usize,
    /// Whether texts of requests and answers are written to the log.
    pub(crate) log_text: bool,
    /// Memory in bytes for all requests, by the size of the largest body that the model takes by default.
    pub(crate) memory_bytes: Box<dyn Fn(usize) -> usize + Send>,
}

/// Loads a model. `tell` gets what of it this version does not know.
///
/// # Errors
/// When it cannot be loaded, or not with these options.
pub(crate) fn load(model: &Path, options: &LoadOptions, tell: impl Fn(&str)) -> Result<Arc<dyn Backend>> {
    let LoadOptions { search, queue, log_text, memory_bytes } = options;
    let translator = search.open_telling(model, 1, false, tell)?;
    let identity = BTreeMap::from([
        ("search".to_owned(), searched(&translator.search)),
        ("weights".to_owned(), search.identity(&translator)?),
    ]);
    let memory_bytes = memory_bytes(DEFAULT_BODY_BYTES);
    let settings = ServiceSettings { queue: *queue, log_text: *log_text, memory_bytes, identity };
    Ok(Arc::new(Service::start(translator, settings)?))
}

/// The files of a model that its answers depend on: its archive, or those in its folder.
///
/// # Errors
/// When the folder cannot be opened.
pub(crate) fn files(model: &Path) -> Result<Vec<PathBuf>> {
    if !model.is_dir() {
        return Ok(vec![model.to_owned()]);
    }
    let opened = OpenedFolder::open(model)?;
    let names = [CONFIG_FILE, PARAMETERS_FILE, VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE];
    Ok(names.map(|name| folder_update::path_of(opened.path(), name)).to_vec())
}

/// The settings of a search that its answers depend on.
fn searched(search: &Search) -> String {
    let Search { beam_size, rule, length_penalty_alpha, length_penalty_beta, .. } = search;
    format!(
        "beam {beam_size}, rule {rule:?}, length penalty {length_penalty_alpha} and {length_penalty_beta}"
    )
}
