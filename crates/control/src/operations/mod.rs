//! The table of operations: service, name, shapes of request and response, errors.
//!
//! Its data are AWS's own service models, reduced by `xtask/python/cut_models.py` and embedded (`models/`). Requests are checked against it
//! as on AWS ([`check()`]), and tests check responses ([`faults_of_answer`]).

mod answer;
mod check;
mod model;

use std::sync::OnceLock;

pub use answer::faults_of_answer;
pub use check::{Refusal, check};
pub use model::{Kind, Model, Operation, Shape};

/// A service whose operations are in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// SageMaker itself.
    SageMaker,
    /// CloudWatch Logs.
    Logs,
    /// CloudWatch.
    CloudWatch,
    /// Application Auto Scaling.
    AutoScaling,
    /// The Security Token Service.
    Sts,
    /// Identity and Access Management.
    Iam,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 6] =
        [Self::SageMaker, Self::Logs, Self::CloudWatch, Self::AutoScaling, Self::Sts, Self::Iam];

    /// Its operations and their shapes.
    pub fn model(self) -> &'static Model {
        static MODELS: [OnceLock<Model>; 6] = [const { OnceLock::new() }; 6];
        let (index, text) = match self {
            Self::SageMaker => (0, include_str!("../../models/sagemaker.json")),
            Self::Logs => (1, include_str!("../../models/logs.json")),
            Self::CloudWatch => (2, include_str!("../../models/cloudwatch.json")),
            Self::AutoScaling => (3, include_str!("../../models/application-autoscaling.json")),
            Self::Sts => (4, include_str!("../../models/sts.json")),
            Self::Iam => (5, include_str!("../../models/iam.json")),
        };
        MODELS[index].get_or_init(|| serde_json::from_str(text).expect("the embedded models are tested"))
    }

    /// Its name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SageMaker => "SageMaker",
            Self::Logs => "CloudWatch Logs",
            Self::CloudWatch => "CloudWatch",
            Self::AutoScaling => "Application Auto Scaling",
            Self::Sts => "STS",
            Self::Iam => "IAM",
        }
    }
}

#[cfg(test)]
mod tests;
