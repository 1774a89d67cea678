//! CloudWatch's metrics: points in SQLite, put together by periods when they are asked for.
//!
//! | file | what stands in it |
//! |---|---|
//! | `point` | metrics, their dimensions and points |
//! | `instance` | what programs use of their machine |
//! | `store` | points in the database: written, listed, forgotten |
//! | `statistics` | points put together by periods |

mod instance;
mod point;
mod statistics;
mod store;

pub use instance::InstanceMeter;
pub(crate) use point::is_taken;
pub use point::{Dimensions, Metric, Point, Sample};
pub use statistics::{Bucket, CurvePoint, Direction, Percentile, Range, Statistic, StatisticError};
pub(crate) use store::SCHEMA;
pub(crate) use store::put;
pub use store::{KEPT_MS, ListQuery, Metrics};

/// The namespace of the instances of endpoints.
pub const ENDPOINTS: &str = "/aws/sagemaker/Endpoints";
/// The namespace of requests to endpoints.
pub const INVOCATIONS: &str = "AWS/SageMaker";
/// The namespace of what training jobs log, and of the instances that they run on.
pub const TRAINING_JOBS: &str = "/aws/sagemaker/TrainingJobs";
/// The namespace of metrics of transform jobs.
pub const TRANSFORM_JOBS: &str = "/aws/sagemaker/TransformJobs";

#[cfg(test)]
mod tests;
