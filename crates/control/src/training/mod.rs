//! Training jobs: what is known of them, and what happens to them.
//!
//! [`TrainingState`] knows what can happen to a job when, and the times; a runner tells how jobs get on ([`TrainingJobs::enter`],
//! [`TrainingJobs::measured`]) and how they end ([`TrainingJobs::finish`]).

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
