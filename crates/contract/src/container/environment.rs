//! The environment variables that a container reads, all declared here.
//!
//! A parent process writes them with [`Environment::variables`], its child reads them with [`Environment::read`].

use std::collections::BTreeMap;

/// Declares the struct and the list of its variables from one list of rows.
macro_rules! environment {
    ($( $(#[doc = $doc:literal])+ $field:ident = $name:literal; )+) => {
        /// The values of the environment variables; a variable that is unset or empty is `None`.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Environment {
            $( $(#[doc = $doc])+ pub $field: Option<String>, )+
        }

        impl Environment {
            /// The name of every variable.
            pub const NAMES: &'static [&'static str] = &[$( $name, )+];

            /// Reads the value of each name with `variable`.
            pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
                let said = |name| variable(name).filter(|value| !value.trim().is_empty());
                Self { $( $field: said($name), )+ }
            }

            /// The variables that are set.
            pub fn variables(&self) -> BTreeMap<&'static str, &str> {
                let all = [$( ($name, &self.$field), )+];
                all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
            }
        }
    };
}

environment! {
    /// `TRAINING_JOB_NAME`: the name of the training job.
    training_job_name = "TRAINING_JOB_NAME";
    /// `TRAINING_JOB_ARN`: its resource name.
    training_job_arn = "TRAINING_JOB_ARN";
    /// `KOKANEE_ALGORITHM`: the algorithm, by the name of its image. In SageMaker the image itself determines the algorithm.
    algorithm = "KOKANEE_ALGORITHM";
    /// `SAGEMAKER_BATCH`: `true` in a batch transform.
    batch = "SAGEMAKER_BATCH";
    /// `SAGEMAKER_BATCH_STRATEGY`: `SINGLE_RECORD` or `MULTI_RECORD`.
    batch_strategy = "SAGEMAKER_BATCH_STRATEGY";
    /// `SAGEMAKER_MAX_PAYLOAD_IN_MB`: the longest body of a request, in MiB; 0 for any length.
    max_payload_mb = "SAGEMAKER_MAX_PAYLOAD_IN_MB";
    /// `SAGEMAKER_MAX_CONCURRENT_TRANSFORMS`: parallel requests in a batch transform; 0 lets the server decide.
    max_concurrent_transforms = "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parent_writes_its_child_reads() {
        let parent = Environment {
            training_job_name: Some("job-1".to_owned()),
            algorithm: Some("kmeans".to_owned()),
            batch: Some("true".to_owned()),
            ..Environment::default()
        };
        let variables = parent.variables();
        assert_eq!(variables.len(), 3);
        assert_eq!(variables["TRAINING_JOB_NAME"], "job-1");
        let child = Environment::read(|name| variables.get(name).map(|&value| value.to_owned()));
        assert_eq!(child, parent);
    }

    #[test]
    fn nothing_is_not_set() {
        assert_eq!(Environment::read(|_| Some(" ".to_owned())), Environment::default());
        let all = Environment::read(|name| Some(name.to_lowercase()));
        assert_eq!(all.variables().len(), Environment::NAMES.len());
    }
}
