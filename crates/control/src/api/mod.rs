//! The operations that are answered, one file per resource.

mod absent;
mod alarms;
mod endpoint_configs;
mod endpoints;
mod iam;
mod input;
mod lists;
mod log_writing;
mod logs;
mod metric_data;
mod metrics;
mod models;
mod records;
mod scaling;
mod scaling_tags;
mod sts;
mod tags;
mod training_image;
mod training_jobs;
mod transform_jobs;
mod tuning_definition;
mod tuning_jobs;
mod tuning_limits;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use training_image::{Image, ImageError};

use self::input::Input;
use crate::hosting::{Endpoints, Records};
use crate::jobs::JobError;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::operations::{Service, faults_of_answer};
use crate::scaling::{Pace, Scaler, Scaling};
use crate::signature::Keys;
use crate::store::{Store, StoreError};
use crate::training::TrainingJobs;
use crate::transform::TransformJobs;
use crate::tuning::TuningJobs;
use crate::wire::{ApiError, Call};

/// The resources that operations work with.
pub struct Control {
    pub(crate) store: Arc<Store>,
    /// The training jobs; a runner uses them too.
    pub training_jobs: TrainingJobs,
    /// The transform jobs; a transformer uses them too.
    pub transform_jobs: TransformJobs,
    /// The tuning jobs; a tuner uses them too.
    pub tuning_jobs: TuningJobs,
    /// The models.
    pub models: Records,
    /// The endpoint configurations.
    pub endpoint_configs: Records,
    /// The endpoints; a fleet uses them too.
    pub endpoints: Endpoints,
    /// The logs; the parts that run programs use them too.
    pub logs: Logs,
    /// The metrics; the parts that measure use them too.
    pub metrics: Metrics,
    /// Scalable targets and scaling policies.
    pub(crate) scaling: Scaling,
    objects: Arc<dyn Objects>,
    account: String,
    keys: Option<Arc<Keys>>,
}

/// The questions that operations ask S3.
pub trait Objects: Send + Sync + 'static {
    /// Whether there is an object in `bucket` whose key begins with `prefix`.
    ///
    /// # Errors
    /// In the words of S3, for instance that the bucket does not exist.
    fn has_any(&self, bucket: &str, prefix: &str) -> Result<bool, String>;

    /// Whether there is an object in `bucket` with this key.
    ///
    /// # Errors
    /// In the words of S3, for instance that the bucket does not exist.
    fn has(&self, bucket: &str, key: &str) -> Result<bool, String>;
}

/// The caller of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The region, from the signature's scope.
    pub region: String,
}

type Answer = Result<Value, ApiError>;
type Handler = fn(&Control, &Caller, Input<'_>) -> Answer;

/// The handler of the operation of this name, if there is one.
fn handler(service: Service, operation: &str) -> Option<Handler> {
    let handler: Handler = match (service, operation) {
        (Service::SageMaker, "CreateTrainingJob") => training_jobs::create,
        (Service::SageMaker, "DescribeTrainingJob") => training_jobs::describe,
        (Service::SageMaker, "ListTrainingJobs") => training_jobs::list,
        (Service::SageMaker, "StopTrainingJob") => training_jobs::stop,
        (Service::SageMaker, "UpdateTrainingJob") => training_jobs::update,
        (Service::SageMaker, "DeleteTrainingJob") => training_jobs::delete,
        (Service::SageMaker, "CreateModel") => models::create,
        (Service::SageMaker, "DescribeModel") => models::describe,
        (Service::SageMaker, "ListModels") => models::list,
        (Service::SageMaker, "DeleteModel") => models::delete,
        (Service::SageMaker, "CreateEndpointConfig") => endpoint_configs::create,
        (Service::SageMaker, "DescribeEndpointConfig") => endpoint_configs::describe,
        (Service::SageMaker, "ListEndpointConfigs") => endpoint_configs::list,
        (Service::SageMaker, "DeleteEndpointConfig") => endpoint_configs::delete,
        (Service::SageMaker, "CreateEndpoint") => endpoints::create,
        (Service::SageMaker, "DescribeEndpoint") => endpoints::describe,
        (Service::SageMaker, "ListEndpoints") => endpoints::list,
        (Service::SageMaker, "UpdateEndpoint") => endpoints::update,
        (Service::SageMaker, "UpdateEndpointWeightsAndCapacities") => endpoints::reweigh,
        (Service::SageMaker, "DeleteEndpoint") => endpoints::delete,
        (Service::SageMaker, "CreateTransformJob") => transform_jobs::create,
        (Service::SageMaker, "DescribeTransformJob") => transform_jobs::describe,
        (Service::SageMaker, "ListTransformJobs") => transform_jobs::list,
        (Service::SageMaker, "StopTransformJob") => transform_jobs::stop,
        (Service::SageMaker, "CreateHyperParameterTuningJob") => tuning_jobs::create,
        (Service::SageMaker, "DescribeHyperParameterTuningJob") => tuning_jobs::describe,
        (Service::SageMaker, "ListHyperParameterTuningJobs") => tuning_jobs::list,
        (Service::SageMaker, "ListTrainingJobsForHyperParameterTuningJob") => tuning_jobs::list_trainings,
        (Service::SageMaker, "StopHyperParameterTuningJob") => tuning_jobs::stop,
        (Service::SageMaker, "DeleteHyperParameterTuningJob") => tuning_jobs::delete,
        (Service::SageMaker, "AddTags") => tags::add,
        (Service::SageMaker, "ListTags") => tags::list,
        (Service::SageMaker, "DeleteTags") => tags::delete,
        (Service::Logs, "DescribeLogGroups") => logs::describe_groups,
        (Service::Logs, "DescribeLogStreams") => logs::describe_streams,
        (Service::Logs, "GetLogEvents") => logs::get_events,
        (Service::Logs, "FilterLogEvents") => logs::filter_events,
        (Service::Logs, "CreateLogGroup") => log_writing::create_group,
        (Service::Logs, "DeleteLogGroup") => log_writing::delete_group,
        (Service::Logs, "CreateLogStream") => log_writing::create_stream,
        (Service::Logs, "DeleteLogStream") => log_writing::delete_stream,
        (Service::Logs, "PutLogEvents") => log_writing::put_events,
        (Service::Logs, "PutRetentionPolicy") => log_writing::put_retention,
        (Service::Logs, "DeleteRetentionPolicy") => log_writing::delete_retention,
        (Service::CloudWatch, "GetMetricStatistics") => metrics::get_statistics,
        (Service::CloudWatch, "GetMetricData") => metrics::get_data,
        (Service::CloudWatch, "ListMetrics") => metrics::list,
        (Service::CloudWatch, "PutMetricData") => metrics::put,
        (Service::CloudWatch, "DescribeAlarms") => alarms::describe,
        (Service::AutoScaling, "RegisterScalableTarget") => scaling::register,
        (Service::AutoScaling, "DescribeScalableTargets") => scaling::describe_targets,
        (Service::AutoScaling, "DeregisterScalableTarget") => scaling::deregister,
        (Service::AutoScaling, "PutScalingPolicy") => scaling::put_policy,
        (Service::AutoScaling, "DescribeScalingPolicies") => scaling::describe_policies,
        (Service::AutoScaling, "DeleteScalingPolicy") => scaling::delete_policy,
        (Service::AutoScaling, "DescribeScalingActivities") => scaling::describe_activities,
        (Service::AutoScaling, "TagResource") => scaling_tags::add,
        (Service::AutoScaling, "ListTagsForResource") => scaling_tags::list,
        (Service::AutoScaling, "UntagResource") => scaling_tags::remove,
        (Service::Sts, "GetCallerIdentity") => sts::get_caller_identity,
        (Service::Sts, "AssumeRole") => sts::assume_role,
        (Service::Sts, "GetSessionToken") => sts::get_session_token,
        (Service::Iam, "GetRole") => iam::get_role,
        (Service::Iam, "CreateRole") => iam::create_role,
        (Service::Iam, "AttachRolePolicy") => iam::attach_role_policy,
        (Service::Iam, "ListAttachedRolePolicies") => iam::list_attached_role_policies,
        (Service::Iam, "SimulatePrincipalPolicy") => iam::simulate_principal_policy,
        _ => return None,
    };
    Some(handler)
}

impl Control {
    /// Creates a control over this database and these objects. `account` has 12 digits.
    pub fn new(store: Arc<Store>, objects: Arc<dyn Objects>, account: String) -> Self {
        Self {
            training_jobs: TrainingJobs::new(Arc::clone(&store)),
            transform_jobs: TransformJobs::new(Arc::clone(&store)),
            tuning_jobs: TuningJobs::new(Arc::clone(&store)),
            models: Records::models(Arc::clone(&store)),
            endpoint_configs: Records::endpoint_configs(Arc::clone(&store)),
            endpoints: Endpoints::new(Arc::clone(&store)),
            logs: Logs::new(Arc::clone(&store)),
            metrics: Metrics::new(Arc::clone(&store)),
            scaling: Scaling::new(Arc::clone(&store)),
            store,
            objects,
            account,
            keys: None,
        }
    }

    /// Adds the keys that clients must sign with, so that STS can give them out.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<Arc<Keys>>) -> Self {
        self.keys = keys;
        self
    }

    /// Whether clients must sign their requests.
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Returns a scaler of endpoints that runs at this pace.
    pub fn scaler(&self, pace: Pace) -> Scaler {
        Scaler {
            scaling: self.scaling.clone(),
            endpoints: self.endpoints.clone(),
            metrics: Metrics::new(Arc::clone(&self.store)),
            pace,
        }
    }

    /// Answers a call. It blocks on the disk.
    ///
    /// # Errors
    /// AWS's refusals: the input is not valid, or what it names does not exist or is in another state.
    pub fn answer(&self, call: &Call, caller: &Caller) -> Result<Value, ApiError> {
        call.check()?;
        let Some(service) = call.service else {
            return Err(ApiError::new("InvalidAction", "there is no such service in this local SageMaker"));
        };
        let Some(handler) = handler(service, &call.operation) else {
            return absent::answer(service, &call.operation);
        };
        let answer = handler(self, caller, Input(&call.input))?;
        // This makes every test with a client check the shape of answers too.
        if cfg!(debug_assertions)
            && let Some(row) = call.row().filter(|row| !row.output.is_empty())
        {
            let faults = faults_of_answer(service.model(), &row.output, &answer);
            if !faults.is_empty() {
                return Err(ApiError::internal(format!("the answer is wrong: {}", faults.join("; "))));
            }
        }
        Ok(answer)
    }

    /// `arn:aws:sagemaker:us-east-1:000000000000:training-job/name`; names in ARNs are in lower case.
    pub(crate) fn arn(&self, caller: &Caller, kind: &str, name: &str) -> String {
        let (partition, account) = (caller.partition(), &self.account);
        format!("arn:{partition}:sagemaker:{}:{account}:{kind}/{}", caller.region, name.to_ascii_lowercase())
    }
}

impl Caller {
    /// The partition in the ARNs of this region.
    pub fn partition(&self) -> &'static str {
        if self.region.starts_with("cn-") {
            "aws-cn"
        } else if self.region.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("folder", &self.store.folder()).finish_non_exhaustive()
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Store(error) => error.into(),
            JobError::Exists { .. } => Self::new("ResourceInUse", error.to_string()),
            JobError::NotFound | JobError::Refused(_) => Self::validation(error.to_string()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed");
        Self::internal(error.to_string())
    }
}

#[cfg(test)]
mod tests;
