//! CloudWatch's metrics: points in SQLite, aggregated by periods in queries.
//!
//! | file | content |
//! |---|---|
//! | `point` | metrics, their dimensions and points |
//! | `instance` | the resources that programs use |
//! | `store` | points in the database: writing, listing, deleting |
//! | `statistics` | aggregation of points by periods |

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
/// The namespace of the metrics that training jobs log, and of their instances.
pub const TRAINING_JOBS: &str = "/aws/sagemaker/TrainingJobs";
/// The namespace of metrics of transform jobs.
pub const TRANSFORM_JOBS: &str = "/aws/sagemaker/TransformJobs";

#[cfg(test)]
mod tests;
