//! Training jobs: what is known of them, and what happens to them.
//!
//! [`TrainingJobs`] is where the API and a runner meet: the API creates and stops jobs, the runner takes those that wait
//! ([`TrainingJobs::next_waiting`]), tells how they get on ([`TrainingJobs::enter`], [`TrainingJobs::measured`]) and how they end
//! ([`TrainingJobs::finish`]). [`TrainingState`] knows which of that is possible when, and the times.

mod jobs;
mod list;
mod request;
mod state;

pub(crate) use jobs::FOLDER;
pub use jobs::{JobError, JobId, LOG_GROUP, NewTrainingJob, TrainingJob, TrainingJobs};
pub use list::Listed;
pub use request::{
    ChannelRequest, CheckpointRequest, Packing, ProgramRequest, RequestError, TrainingRequest,
};
pub use state::{FinalMetric, Outcome, Refused, Secondary, Status, TrainingState, Transition};

#[cfg(test)]
mod tests;
