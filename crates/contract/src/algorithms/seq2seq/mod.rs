//! Sequence to sequence (image `seq2seq`): maps text to text.

pub mod channels;
mod choices;
pub mod metrics;
mod rules;
pub mod special_ids;
mod table;
mod warnings;

pub use channels::TrainingChannels;
pub use choices::{
    BeamSearchRule, CheckpointAveragingStrategy, CnnActivationType, GradientClippingType, InferencePrecision,
    LossType, LrSchedulerType, Metric, NetworkType, OptimizerType, OverlongSequences, Precision,
    RnnAttentionType, RnnCellType, RnnDecoderStateInit, TrainingMetric, WeightInitType, WeightTying,
    XavierFactorType,
};
pub use table::Hyperparameters;
pub use warnings::warnings;

use crate::algorithm_contract::{AlgorithmContract, Hosts};
use crate::media::MediaType;
use crate::resolve::{TUNING_OBJECTIVE, check};
use crate::spec::{Conventions, Rows as _};

/// The algorithm.
pub static CONTRACT: AlgorithmContract = AlgorithmContract {
    name: "seq2seq",
    title: "Sequence-to-sequence",
    summary: "Learns from pairs of texts to answer a text with a text, as in translation and summarisation.",
    remarks: REMARKS,
    hyperparameters: Hyperparameters::SPECS,
    groups: table::GROUPS,
    service_hyperparameters: &[(
        TUNING_OBJECTIVE,
        "SageMaker's tuner adds it to tell the algorithm which metric it optimizes; Kokanee logs every metric anyway",
    )],
    check: check::<Hyperparameters>,
    channels: channels::CHANNELS,
    look_into: |channels| TrainingChannels::locate(channels).map(drop),
    metrics: metrics::METRICS,
    epochs: "max_num_epochs",
    hosts: Hosts::One,
    accepts: &[MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Text],
    answers: &[MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Text],
    conventions: Conventions::Sockeye,
};

const REMARKS: &str = "
Valid values are those of the guide, with these differences:

- Infinite and undefined numbers are refused, and sizes and counts have an upper limit.
- Limits hold for a number as it is used, which is in single precision but for the length penalty: `0.99999999` is refused where
  the limit is 1, and so is what single precision cannot tell from 0 (below 1.2e-38) or from infinity.
- Whole numbers count digit by digit, in any spelling: `64.00000000000000001` is none.
- A dropout probability of exactly 1 is refused: it would set everything to zero.
- `learning_rate` must be above 0, `weight_decay` at least 0, `momentum` in [0, 1), `plateau_reduce_lr_factor` in (0, 1].
- `clip_gradient` may not be 0, which would clip every gradient to nothing; a negative value clips nothing.
- `weight_init_scale` must be above 0 for `xavier` and may not be 0 for `uniform`.
- `cnn_kernel_width_encoder` must be odd, and neither kernel wider than 4096.
- `checkpoint_threshold` may be -1, as in Sockeye; `max_num_batches` may not be 0.

Rules between hyperparameters: `momentum` only with `sgd`; `min_num_epochs` not above `max_num_epochs`;
`rnn_residual_connections` only with more than one layer, and then `rnn_first_residual_layer` at least 2;
`rnn_recurrent_dropout` only with `lstm`; `rnn_num_hidden` equal to `cnn_num_hidden` where a recurrent encoder precedes
a convolutional decoder; with `weight_tying`, the sizes equal that share a matrix.

Which test shows what a hyperparameter does stands in [hyperparameter-tests.md](../hyperparameter-tests.md).
";
