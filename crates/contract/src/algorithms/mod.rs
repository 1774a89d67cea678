//! The SageMaker contract of each algorithm: one folder per image name.

pub mod kmeans;
pub mod seq2seq;

use crate::resolve::TUNING_OBJECTIVE;

const INTERNAL: &str = "it belongs to SageMaker's own service";

/// Names that every numeric container accepts besides its own hyperparameters. Names such as `sagemaker_program`, which SDKs send to
/// containers that run a user's script, are not included: the numeric containers refuse them.
const NUMERIC_SERVICE_HYPERPARAMETERS: &[(&str, &str)] = &[
    (
        TUNING_OBJECTIVE,
        "SageMaker's tuner adds it to tell the algorithm which metric it optimizes; it must be one of the metrics below, or empty",
    ),
    ("_num_gpus", INTERNAL),
    ("_num_kv_servers", INTERNAL),
    ("_kvstore", INTERNAL),
    ("_log_level", INTERNAL),
    ("_enable_profiler", INTERNAL),
    ("_disable_wait_to_read", INTERNAL),
    ("_num_slices", INTERNAL),
    ("_ftp_port", INTERNAL),
];
