//! Batch transform jobs: what is known of them, and what a request asks for.

mod jobs;
mod request;
mod state;

pub(crate) use jobs::{FOLDER, SCHEMA};
pub use jobs::{LOG_GROUP, NewTransformJob, Transform, TransformJob, TransformJobs};
pub use request::{Defaults, TransformRequest};
pub use state::{Outcome, TransformState};
