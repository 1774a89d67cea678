//! Batch transform jobs: their state, and their requests.

mod jobs;
mod request;
mod state;

pub(crate) use jobs::{FOLDER, SCHEMA};
pub use jobs::{LOG_GROUP, NewTransformJob, Transform, TransformJob, TransformJobs};
pub use request::{Defaults, TransformRequest};
pub use state::{Outcome, TransformState};
