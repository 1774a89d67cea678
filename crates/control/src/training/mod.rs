//! Training jobs: their state and its changes.
//!
//! [`TrainingState`] knows which change is possible when, and records the times. A runner reports the progress of jobs
//! ([`TrainingJobs::enter`], [`TrainingJobs::measured`]) and their ends ([`TrainingJobs::finish`]).

mod jobs;
mod refused;
mod request;
mod state;

pub(crate) use jobs::{FOLDER, SCHEMA};
pub use jobs::{LOG_GROUP, NewTrainingJob, Training, TrainingJob, TrainingJobs};
pub use refused::refused_hyperparameters;
pub use request::{
    ChannelRequest, CheckpointRequest, Packing, ProgramRequest, RequestError, TrainingRequest,
};
pub use state::{FinalMetric, Outcome, Secondary, TrainingState, Transition};

#[cfg(test)]
mod tests;
