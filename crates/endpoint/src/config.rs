//! The settings of a server, and SageMaker's environment variables for them.

use std::time::Duration;

use kokanee_http::Bounds;
use thiserror::Error;

/// Bytes in the MB that payload limits are given in.
pub const MEGABYTE: usize = 1 << 20;
/// How long SageMaker waits for a response.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How long SageMaker waits for the response to a ping.
pub const PING_LIMIT: Duration = Duration::from_secs(2);
/// Memory for all requests together; more where a single request may need more.
pub const REQUEST_MEMORY_BYTES: usize = 128 << 20;
/// SageMaker's own default.
pub const DEFAULT_MAX_PAYLOAD_MB: u64 = 6;
/// The largest body for a backend that states no other limit.
pub const DEFAULT_BODY_BYTES: usize = DEFAULT_MAX_PAYLOAD_MB as usize * MEGABYTE;
/// SageMaker's own bound for `MaxPayloadInMB`; also the most of a body that is held in memory where the length is unlimited.
pub const MAX_PAYLOAD_MB: u64 = 100;
/// A second request is read and checked while the first is decoded; more than a few only take memory.
pub const DEFAULT_CONCURRENT_TRANSFORMS: u32 = 4;
/// SageMaker's own bound.
pub(crate) const MAX_CONCURRENT_TRANSFORMS: u32 = 100;
/// How long batch transform waits for a response, unless `InvocationsTimeoutInSeconds` sets another limit.
const BATCH_DEADLINE: Duration = Duration::from_secs(600);

/// How a server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The largest body, in units of 1,048,576 bytes; 0 for any length. Where it is not set, batch transform is told SageMaker's 6, and a
    /// backend uses its default.
    pub max_payload_mb: Option<u64>,
    /// What batch transform should send.
    pub batch_strategy: BatchStrategy,
    /// How many requests batch transform should have open, 1 to 100. Where it is not set, the backend's default applies.
    pub max_concurrent_transforms: Option<u32>,
    /// The time limit for a response.
    pub deadline: Duration,
    /// The prefix of all paths, such as `/translate`; may be empty.
    pub url_prefix: String,
    /// Whether messages that may quote a request are written to the log.
    pub log_text: bool,
    /// The bounds of the server's connections.
    pub bounds: Bounds,
}

/// How many records a request of batch transform holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStrategy {
    /// One.
    SingleRecord,
    /// As many as fit.
    MultiRecord,
}

impl BatchStrategy {
    /// The name in SageMaker's container contract.
    pub fn name(self) -> &'static str {
        match self {
            BatchStrategy::SingleRecord => "SINGLE_RECORD",
            BatchStrategy::MultiRecord => "MULTI_RECORD",
        }
    }
}

/// The faults of settings, each with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_payload_mb: None,
            batch_strategy: BatchStrategy::MultiRecord,
            max_concurrent_transforms: None,
            deadline: DEADLINE,
            url_prefix: String::new(),
            log_text: false,
            bounds: Bounds::default(),
        }
    }
}

impl ServerSettings {
    /// Reads the settings from the environment, with defaults for what is not set. A batch transform job (`SAGEMAKER_BATCH=true`) waits 600
    /// seconds for a response, since a request may be as large as the payload limit allows.
    ///
    /// # Errors
    /// Names every variable with an invalid value.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let (mut settings, mut faults) = (Self::default(), Vec::new());
        let mut take = |name: &str, expected: &str, mut parse: Box<dyn FnMut(&str) -> bool + '_>| {
            // Shells and job definitions write an empty value to leave a variable out.
            if let Some(value) = variable(name).filter(|value| !value.trim().is_empty())
                && !parse(value.trim())
            {
                faults.push(format!("{name}={value:?}: expected {expected}"));
            }
        };
        let Self { max_payload_mb, batch_strategy, max_concurrent_transforms, deadline, .. } = &mut settings;
        take(
            "SAGEMAKER_BATCH",
            "true or false",
            Box::new(|value| match value.to_ascii_lowercase().as_str() {
                "true" => {
                    *deadline = BATCH_DEADLINE;
                    true
                }
                other => other == "false",
            }),
        );
        take(
            "SAGEMAKER_MAX_PAYLOAD_IN_MB",
            "a whole number from 0 (any length) to 100",
            Box::new(|value| {
                let mut given = 0;
                let is_valid = store(&mut given, value, 0..=MAX_PAYLOAD_MB);
                *max_payload_mb = is_valid.then_some(given);
                is_valid
            }),
        );
        take(
            "SAGEMAKER_BATCH_STRATEGY",
            "SINGLE_RECORD or MULTI_RECORD",
            Box::new(|value| {
                // The API of CreateTransformJob spells them without the underscore.
                *batch_strategy = match value.to_ascii_uppercase().replace('_', "").as_str() {
                    "SINGLERECORD" => BatchStrategy::SingleRecord,
                    "MULTIRECORD" => BatchStrategy::MultiRecord,
                    _ => return false,
                };
                true
            }),
        );
        take(
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
            "a whole number from 0 (as the server likes) to 100",
            Box::new(|value| {
                let mut given = 0;
                let is_valid = store(&mut given, value, 0..=MAX_CONCURRENT_TRANSFORMS);
                *max_concurrent_transforms = (given > 0).then_some(given);
                is_valid
            }),
        );
        if faults.is_empty() { Ok(settings) } else { Err(SettingsError(faults)) }
    }

    /// The payload limit reported to batch transform.
    pub(crate) fn payload_mb(&self) -> u64 {
        self.max_payload_mb.unwrap_or(DEFAULT_MAX_PAYLOAD_MB)
    }

    /// Whether bodies may have any length.
    pub(crate) fn takes_any_length(&self) -> bool {
        self.max_payload_mb == Some(0)
    }

    /// The largest body in bytes that is buffered as a whole; `default` where no limit is set.
    pub fn max_held_bytes(&self, default: usize) -> usize {
        match self.max_payload_mb {
            None => default,
            Some(0) => MAX_PAYLOAD_MB as usize * MEGABYTE,
            Some(megabytes) => usize::try_from(megabytes << 20).unwrap_or(usize::MAX),
        }
    }

    /// Memory for all requests together; `default` is the largest body in bytes where no limit is set. One request may use half of it, and
    /// the largest body with its decoded data needs more than twice its size.
    pub fn memory_bytes(&self, default: usize) -> usize {
        REQUEST_MEMORY_BYTES.max(5 * self.max_held_bytes(default))
    }
}

fn store<N: std::str::FromStr + PartialOrd>(
    to: &mut N,
    value: &str,
    range: std::ops::RangeInclusive<N>,
) -> bool {
    match value.parse() {
        Ok(number) if range.contains(&number) => {
            *to = number;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: Result<ServerSettings, &[&str]>) {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        match (ServerSettings::from_environment(find), expected) {
            (Ok(settings), Ok(expected)) => assert_eq!(settings, expected),
            (Err(error), Err(parts)) => {
                for part in parts {
                    assert!(error.to_string().contains(part), "{error} lacks {part:?}");
                }
                assert_eq!(error.0.len(), parts.len());
            }
            (got, expected) => panic!("{variables:?}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_environment_is_honoured() {
        let default = ServerSettings::default;
        check(&[], Ok(default()));
        check(&[("SAGEMAKER_BATCH", ""), ("SAGEMAKER_MAX_PAYLOAD_IN_MB", " ")], Ok(default()));
        let all = [
            ("SAGEMAKER_BATCH", "true"),
            ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0"),
            ("SAGEMAKER_BATCH_STRATEGY", "SINGLE_RECORD"),
            ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "8"),
        ];
        let expected = ServerSettings {
            max_payload_mb: Some(0),
            batch_strategy: BatchStrategy::SingleRecord,
            max_concurrent_transforms: Some(8),
            deadline: BATCH_DEADLINE,
            ..default()
        };
        check(&all, Ok(expected));
        check(
            &[("SAGEMAKER_BATCH_STRATEGY", "MultiRecord"), ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "0")],
            Ok(default()),
        );
    }

    #[test]
    fn all_faults_are_told() {
        check(
            &[
                ("SAGEMAKER_BATCH", "yes"),
                ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "101"),
                ("SAGEMAKER_BATCH_STRATEGY", "ALL"),
                ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "-1"),
            ],
            Err(&[
                "SAGEMAKER_BATCH=\"yes\": expected true or false",
                "SAGEMAKER_MAX_PAYLOAD_IN_MB=\"101\": expected a whole number from 0 (any length) to 100",
                "SAGEMAKER_BATCH_STRATEGY=\"ALL\": expected SINGLE_RECORD or MULTI_RECORD",
                "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS=\"-1\"",
            ]),
        );
    }
}
