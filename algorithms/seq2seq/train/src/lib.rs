//! The training loop, and the rules that decide when a model is good enough.
//!
//! [`TrainingJob`] turns resolved hyperparameters and files into a [`Trainer`], which runs updates and checkpoints until a
//! [`StopReason`] holds, reports events to [`Observer`]s, keeps the best model complete in its folder, and leaves a state that
//! another run continues bit for bit ([`checkpoint`]).
//!
//! Updates count from 1; epochs and batches, as in the log lines, from 0. Losses and negative log-likelihoods are in nats;
//! tokens are real target tokens, `</s>` included.

pub mod averaging;
pub mod checkpoint;
pub mod divergence;
pub mod early_stopping;
mod error;
mod gradients;
pub mod initial;
pub mod job;
pub mod log;
pub mod lr_scheduler;
pub mod memory;
pub mod metrics;
pub mod model_folder;
pub mod observer;
pub mod optim;
pub mod precision;
pub mod report;
pub mod run_state;
mod stop;
pub mod summary;
pub mod trainer;
pub mod validation;
pub mod word_vectors;

pub use divergence::Divergence;
pub use error::TrainError;
pub use initial::InitialModel;
pub use job::{TrainingData, TrainingJob};
pub use log::LogLines;
pub use observer::{Level, Observer, Progress};
pub use report::{CheckpointReport, Report};
pub use run_state::Outcome;
pub use stop::StopReason;
pub use summary::Summary;
pub use trainer::Trainer;
