//! What SageMaker promises about sequence-to-sequence, as data.
//!
//! Everything here is knowledge, not machinery: which hyperparameters exist and what they may be
//! ([`hyperparameters::TABLE`]), how strings become one checked [`Hyperparameters`] ([`resolve`]), where a training
//! container finds its input and leaves its output ([`layout`], [`channels`], [`resources`]), how a metric looks in a
//! log line ([`metrics`]), and which ids are special ([`special_ids`]). It uses no other crate of the workspace.

pub mod channels;
pub mod config_file;
pub mod docs;
pub mod faults;
pub mod hyperparameters;
pub mod layout;
pub mod media;
pub mod metrics;
mod nearest;
pub mod resolve;
pub mod resources;
mod rules;
pub mod special_ids;
pub mod stored;
pub mod warnings;

pub use channels::{ChannelError, InputDataConfig, TrainingChannels};
pub use config_file::ConfigFileError;
pub use faults::{Fault, FaultKind, Faults};
pub use hyperparameters::choices::{
    BeamSearchRule, CheckpointAveragingStrategy, CnnActivationType, GradientClippingType, InferencePrecision,
    LossType, LrSchedulerType, Metric, NetworkType, OptimizerType, OverlongSequences, Precision,
    RnnAttentionType, RnnCellType, RnnDecoderStateInit, TrainingMetric, WeightInitType, WeightTying,
    XavierFactorType,
};
pub use hyperparameters::table::Hyperparameters;
pub use layout::Layout;
pub use media::{ContentType, MediaType};
pub use nearest::nearest;
pub use resources::ResourceConfig;
pub use stored::Stored;
pub use warnings::warnings;
