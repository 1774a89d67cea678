//! The hyperparameters of k-means. Each row is a field of [`Hyperparameters`] and an entry of its table at once.
//!
//! Names, valid values, defaults and tuning ranges are those of the Amazon SageMaker developer guide, sections "K-Means
//! Hyperparameters" and "Tuning a K-Means Model". Upper limits are ours.

use std::ops::Bound::Included;

use super::choices::{EvalMetric, InitMethod};
use crate::spec::{AutoOr, DefaultValue, Group, Kind, MOST_COUNTED, Spec, TuningRange, hyperparameters};

/// From files to mini-batches.
const DATA: Group = Group("Data and batches");
/// The passes over the data.
const STREAM: Group = Group("Streaming clusters");
/// From the streamed centres to k.
const SHRINK: Group = Group("Final clustering");
/// What is measured.
const EVALUATION: Group = Group("Metrics");
/// The machine rather than the model.
const RUN: Group = Group("Run");

/// Every group, in the order of the documentation.
pub(super) const GROUPS: &[Group] = &[DATA, STREAM, SHRINK, EVALUATION, RUN];

/// Greatest number of clusters, columns, and rows of a batch: 2^24. Answers give the number of a cluster as a 32-bit float, which
/// tells no two numbers above it apart.
const LARGEST_SIZE: i128 = 16_777_216;

const SIZE: Kind = Kind::integer(1, LARGEST_SIZE);
const COUNT: Kind = Kind::integer(1, MOST_COUNTED);
const EVAL_METRIC: Kind = EvalMetric::KIND;
const BOTH_METHODS: &[TuningRange] = &[TuningRange::categorical(InitMethod::NAMES)];

hyperparameters! {
    /// The hyperparameters of one training job: typed, in range, free of contradictions.
    ///
    /// Made by [`resolve`](crate::resolve()). Sizes are counts of rows, columns or clusters.
    Hyperparameters;

    /// Columns of a row. SageMaker requires it; here it follows from the first record where it is not given, and must be the
    /// width of every record where it is.
    feature_dim: Option<usize> = Spec::optional(DATA, SIZE, DefaultValue::Unset);

    /// Rows of a mini-batch. The first one is also where centres start, so that it cannot be less than their number.
    mini_batch_size: usize = Spec::sagemaker(DATA, SIZE, "5000")
        .tuned(&[TuningRange::integer(3000, 15000)]);

    /// Passes over the training data.
    epochs: usize = Spec::sagemaker(DATA, COUNT, "1")
        .tuned(&[TuningRange::integer(1, 10)]);

    /// Whether sparse rows are expanded; no effect, since both forms give the same model. SageMaker's SDK always sends `True`.
    force_dense: bool = Spec::sagemaker(DATA, Kind::Boolean, "true");

    /// Clusters of the model.
    k: usize = Spec::required(STREAM, SIZE);

    /// How the first centres are chosen from the first mini-batch: at random (`random`), or far from each other (`kmeans++`).
    init_method: InitMethod = Spec::sagemaker(STREAM, InitMethod::KIND, "random")
        .tuned(BOTH_METHODS);

    /// While streaming there are k times as many centres, which are clustered down to k at the end. `auto` takes at most 10, and
    /// fewer where the first mini-batch has too few rows; 1 leaves out the final clustering.
    extra_center_factor: AutoOr<usize> = Spec::sagemaker(STREAM, Kind::or_auto(&SIZE), "auto")
        .tuned(&[TuningRange::integer(4, 10)]);

    /// Rows after which the weight of a row in its centre has halved; 0 for never.
    half_life_time_size: u64 = Spec::sagemaker(STREAM, Kind::integer(0, MOST_COUNTED), "0");

    /// How each trial of the final clustering chooses its first centres.
    local_lloyd_init_method: InitMethod = Spec::sagemaker(SHRINK, InitMethod::KIND, "kmeans++");

    /// Most iterations of a trial of the final clustering.
    local_lloyd_max_iter: usize = Spec::sagemaker(SHRINK, COUNT, "300");

    /// Trials of the final clustering, of which the best is kept; `auto` makes 10.
    local_lloyd_num_trials: AutoOr<usize> = Spec::sagemaker(SHRINK, Kind::or_auto(&COUNT), "auto");

    /// A trial ends when its loss falls by no more than this share of it.
    local_lloyd_tol: f64 = Spec::sagemaker(SHRINK, Kind::double(Included(0.0), Included(1.0)), "0.0001");

    /// What is measured on the test channel: the mean (`msd`) or the sum (`ssd`) of the squared distances of the rows to their
    /// centres.
    eval_metrics: Vec<EvalMetric> =
        Spec::sagemaker(EVALUATION, Kind::some_of(&EVAL_METRIC, EvalMetric::ALL.len()), r#"["msd"]"#);

    /// Seed of every random choice. The same seed, data and hyperparameters give the same model, on any number of threads.
    seed as "_seed": u64 = Spec::extension(RUN, Kind::integer(0, u64::MAX as i128), "0");

    /// Threads to compute with; 0 for as many as the machine has cores.
    num_threads: usize = Spec::extension(RUN, Kind::integer(0, 1024), "0");
}

#[cfg(test)]
mod tests;
