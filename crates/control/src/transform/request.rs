//! The request for a transform job, checked as far as possible without reading objects.

use std::collections::BTreeMap;
use std::time::Duration;

use kokanee_contract::channels::{Distribution, InputMode};
use kokanee_transform::{
    AssembleWith, BatchStrategy, CompressionType, DEFAULT_MAX_PAYLOAD_MB, DataProcessing, JoinSource,
    JsonPath, MEGABYTE, Settings, SplitType,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::s3_uri::S3Uri;
use crate::training::{ChannelRequest, RequestError};

/// SageMaker's default, for requests without `ModelClientConfig`.
const DEFAULT_TIMEOUT_SECONDS: u64 = 600;
const DEFAULT_RETRIES: u64 = 3;
/// The maximum size of all parallel payloads together.
const MOST_MB_AT_WORK: u64 = 100;

/// The members of `CreateTransformJob` that a run needs.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformRequest {
    /// The location of the input.
    pub input: ChannelRequest,
    /// The location of the output.
    pub output: S3Uri,
    /// The requested number of machines.
    pub instances: u64,
    /// The time limit for a response.
    pub timeout: Duration,
    /// How often a failed request is retried.
    pub retries: u64,
    settings: Settings,
    asked: Defaults,
}

/// Settings that a request may leave to the container, which answers `/execution-parameters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Defaults {
    /// Number of parallel requests.
    pub max_concurrent_transforms: Option<u64>,
    /// `MULTI_RECORD` or `SINGLE_RECORD`.
    #[serde(deserialize_with = "strategy")]
    pub batch_strategy: Option<BatchStrategy>,
    /// Maximum size of a request.
    #[serde(rename = "MaxPayloadInMB")]
    pub max_payload_mb: Option<u64>,
}

impl TransformRequest {
    /// Parses the members of `CreateTransformJob`, which were checked against the table.
    ///
    /// # Errors
    /// If they contradict each other, or request something unsupported.
    pub fn parse(request: &Map<String, Value>) -> Result<Self, RequestError> {
        let request = Value::Object(request.clone());
        let refused = |problem: &str| RequestError(problem.to_owned());
        let (input, output) = (&request["TransformInput"], &request["TransformOutput"]);
        let source = &input["DataSource"]["S3DataSource"];
        let is_manifest = match source["S3DataType"].as_str() {
            Some("S3Prefix") => false,
            Some("ManifestFile") => true,
            other => {
                return Err(RequestError(format!(
                    "The S3DataType {} of the input is not offered on your own machine: use S3Prefix or ManifestFile",
                    other.unwrap_or_default()
                )));
            }
        };
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let processing = &request["DataProcessing"];
        let path = |name: &str| match processing[name].as_str() {
            None => Ok(JsonPath::root()),
            Some(path) => JsonPath::parse(path).map_err(|fault| RequestError(format!("{name}: {fault}"))),
        };
        let settings = Settings {
            split_type: named(input, "SplitType", SplitType::from_name).unwrap_or(SplitType::None),
            assemble_with: named(output, "AssembleWith", AssembleWith::from_name)
                .unwrap_or(AssembleWith::None),
            compression_type: named(input, "CompressionType", CompressionType::from_name)
                .unwrap_or(CompressionType::None),
            data_processing: DataProcessing {
                input_filter: path("InputFilter")?,
                join_source: named(processing, "JoinSource", JoinSource::from_name)
                    .unwrap_or(JoinSource::None),
                output_filter: path("OutputFilter")?,
            },
            ..Settings::new(&text(input, "ContentType"), &text(output, "Accept"))
        };
        if settings.check().is_err() {
            return Err(refused(
                "DataProcessing works on JSON lines and CSV: set ContentType and Accept to application/jsonlines or text/csv, the same for \
                 a join, and SplitType and AssembleWith to Line",
            ));
        }
        let asked = Defaults {
            max_concurrent_transforms: request["MaxConcurrentTransforms"].as_u64(),
            batch_strategy: named(&request, "BatchStrategy", BatchStrategy::from_name),
            max_payload_mb: request["MaxPayloadInMB"].as_u64(),
        };
        let at_work =
            asked.max_concurrent_transforms.unwrap_or(1).saturating_mul(asked.max_payload_mb.unwrap_or(1));
        if at_work > MOST_MB_AT_WORK {
            return Err(refused(
                "The product of MaxConcurrentTransforms and MaxPayloadInMB must not be more than 100 MB",
            ));
        }
        let client = &request["ModelClientConfig"];
        let timeout = client["InvocationsTimeoutInSeconds"].as_u64().unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        Ok(Self {
            input: ChannelRequest {
                name: "input".to_owned(),
                content_type: None,
                mode: InputMode::File,
                distribution: Distribution::FullyReplicated,
                source: S3Uri::parse(&text(source, "S3Uri"))?,
                is_manifest,
                // Files are decompressed while they are read.
                is_gzip: false,
                is_wrapped: false,
                shuffle_seed: None,
            },
            output: S3Uri::parse(&text(output, "S3OutputPath"))?,
            instances: request["TransformResources"]["InstanceCount"].as_u64().unwrap_or(1),
            timeout: Duration::from_secs(timeout),
            retries: client["InvocationsMaxRetries"].as_u64().unwrap_or(DEFAULT_RETRIES),
            settings,
            asked,
        })
    }

    /// The settings, with the container's defaults for what the request leaves open. At most `most_concurrent` requests run in parallel.
    pub fn settings(&self, container: Defaults, most_concurrent: usize) -> Settings {
        let asked = self.asked;
        let concurrent = asked.max_concurrent_transforms.or(container.max_concurrent_transforms).unwrap_or(1);
        let concurrent = match usize::try_from(concurrent).unwrap_or(usize::MAX) {
            0 => most_concurrent,
            some => some.min(most_concurrent),
        };
        let megabytes = asked.max_payload_mb.or(container.max_payload_mb).unwrap_or(DEFAULT_MAX_PAYLOAD_MB);
        Settings {
            batch_strategy: asked
                .batch_strategy
                .or(container.batch_strategy)
                .unwrap_or(BatchStrategy::MultiRecord),
            max_payload_bytes: megabytes.saturating_mul(MEGABYTE),
            max_concurrent: concurrent.max(1),
            ..self.settings.clone()
        }
    }

    /// The environment variables for the container, from the user's settings.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let Defaults { max_concurrent_transforms, batch_strategy, max_payload_mb } = self.asked;
        let strategy = batch_strategy.map(|strategy| match strategy {
            BatchStrategy::MultiRecord => "MULTI_RECORD".to_owned(),
            BatchStrategy::SingleRecord => "SINGLE_RECORD".to_owned(),
        });
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let variables = [
            ("SAGEMAKER_BATCH", Some("true".to_owned())),
            ("SAGEMAKER_MAX_PAYLOAD_IN_MB", number(max_payload_mb)),
            ("SAGEMAKER_BATCH_STRATEGY", strategy),
            ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", number(max_concurrent_transforms)),
        ];
        variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn named<T>(structure: &Value, member: &str, from_name: impl Fn(&str) -> Option<T>) -> Option<T> {
    from_name(structure[member].as_str()?)
}

fn strategy<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<BatchStrategy>, D::Error> {
    let name: Option<String> = Deserialize::deserialize(deserializer)?;
    Ok(match name.as_deref() {
        Some("MULTI_RECORD" | "MultiRecord") => Some(BatchStrategy::MultiRecord),
        Some("SINGLE_RECORD" | "SingleRecord") => Some(BatchStrategy::SingleRecord),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(members: Value) -> Result<TransformRequest, String> {
        let mut request = json!({
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in"}}},
            "TransformOutput": {"S3OutputPath": "s3://b/out"},
            "TransformResources": {"InstanceType": "ml.m4.xlarge", "InstanceCount": 1},
        });
        request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        TransformRequest::parse(request.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_request_goes_before_the_container_and_the_container_before_the_defaults() {
        let container: Defaults = serde_json::from_str(
            r#"{"MaxConcurrentTransforms":8,"BatchStrategy":"SINGLE_RECORD","MaxPayloadInMB":1}"#,
        )
        .unwrap();
        let shown = |settings: Settings| {
            (settings.max_concurrent, settings.batch_strategy, settings.max_payload_bytes / MEGABYTE)
        };
        let plain = parse(json!({})).unwrap();
        assert_eq!(shown(plain.settings(Defaults::default(), 4)), (1, BatchStrategy::MultiRecord, 6));
        assert_eq!(shown(plain.settings(container, 4)), (4, BatchStrategy::SingleRecord, 1));
        assert_eq!(plain.environment().len(), 1);
        let asked =
            parse(json!({"MaxConcurrentTransforms": 2, "BatchStrategy": "MultiRecord", "MaxPayloadInMB": 0}))
                .unwrap();
        assert_eq!(shown(asked.settings(container, 4)), (2, BatchStrategy::MultiRecord, 0));
        assert_eq!(asked.environment()["SAGEMAKER_BATCH_STRATEGY"], "MULTI_RECORD");
        let all = parse(json!({"MaxConcurrentTransforms": 0})).unwrap();
        assert_eq!(all.settings(Defaults::default(), 4).max_concurrent, 4);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let check = |members: Value, part: &str| {
            let said = parse(members).unwrap_err();
            assert!(said.contains(part), "{said}");
        };
        check(json!({"MaxConcurrentTransforms": 11, "MaxPayloadInMB": 10}), "100 MB");
        check(json!({"DataProcessing": {"JoinSource": "Input"}}), "JSON lines and CSV");
        check(json!({"DataProcessing": {"InputFilter": "$$"}}), "InputFilter");
        check(json!({"TransformOutput": {"S3OutputPath": "ftp://x"}}), "ftp://x");
        let source = json!({"S3DataSource": {"S3DataType": "AugmentedManifestFile", "S3Uri": "s3://b/in"}});
        check(json!({"TransformInput": {"DataSource": source}}), "AugmentedManifestFile");
    }
}
