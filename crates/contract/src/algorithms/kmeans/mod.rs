//! K-means (image `kmeans`): groups rows of numbers into k clusters.
//!
//! Source: the guide's chapter "K-Means Algorithm", and what public runs of the real container show.

mod channels;
mod choices;
pub mod metrics;
mod rules;
mod table;

pub use channels::{TEST, TRAIN};
pub use choices::{EvalMetric, InitMethod};
pub use table::Hyperparameters;

use crate::algorithm_contract::{AlgorithmContract, Hosts};
use crate::algorithms::NUMERIC_SERVICE_HYPERPARAMETERS;
use crate::container::input_data::folders_are_there;
use crate::media::MediaType;
use crate::resolve::check;
use crate::spec::{Conventions, Rows as _};

/// The algorithm.
pub static CONTRACT: AlgorithmContract = AlgorithmContract {
    name: "kmeans",
    title: "K-means",
    summary: "Finds k groups of similar rows in one or a few passes over data of any size.",
    remarks: REMARKS,
    hyperparameters: Hyperparameters::SPECS,
    groups: table::GROUPS,
    service_hyperparameters: NUMERIC_SERVICE_HYPERPARAMETERS,
    check: check::<Hyperparameters>,
    channels: channels::CHANNELS,
    look_into: |job| folders_are_there(job, channels::CHANNELS),
    metrics: metrics::METRICS,
    epochs: "epochs",
    hosts: Hosts::Many,
    accepts: &[MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Csv],
    answers: &[MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Csv],
    conventions: Conventions::Toolkit,
};

const REMARKS: &str = "
Valid values are those of the guide, with an upper limit for each size and count. `feature_dim` need not be given.

Rules between hyperparameters: neither `k` nor `k` times a given `extra_center_factor` may be above `mini_batch_size`, since
centres start as distinct rows of the first mini-batch. `num_threads` and `_seed` are Kokanee's.

Names such as `sagemaker_program`, which SDKs send to containers that run a user's script, are refused as unknown.
";
