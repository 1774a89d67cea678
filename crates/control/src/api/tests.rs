use std::sync::Arc;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::store::now_ms;
use crate::wire::Protocol;

/// Objects in the bucket `data` only.
struct OneBucket;

impl Objects for OneBucket {
    fn has_any(&self, bucket: &str, prefix: &str) -> Result<bool, String> {
        match bucket {
            "data" => Ok("train/part".starts_with(prefix)),
            _ => Err("The specified bucket does not exist".to_owned()),
        }
    }

    fn has(&self, bucket: &str, key: &str) -> Result<bool, String> {
        Ok((bucket, key) == ("data", "model.tar.gz"))
    }
}

struct Place {
    control: Control,
    _folder: TempDir,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    Place { control: Control::new(store, Arc::new(OneBucket), "123456789012".into()), _folder: folder }
}

impl Place {
    fn ask(&self, service: Service, operation: &str, input: Value) -> Result<Value, ApiError> {
        let Value::Object(input) = input else { panic!("an object") };
        let call =
            Call { service: Some(service), operation: operation.into(), input, protocol: Protocol::Json11 };
        self.control.answer(&call, &Caller { region: "us-west-2".into() })
    }

    #[track_caller]
    fn say(&self, operation: &str, input: Value) -> Value {
        self.ask(Service::SageMaker, operation, input).unwrap()
    }

    #[track_caller]
    fn check_refused(&self, operation: &str, input: Value, code: &str, part: &str) {
        let error = self.ask(Service::SageMaker, operation, input).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
}

/// A request for `seq2seq`, which has a default for each hyperparameter; `changes` replace members, null removes them.
fn request(changes: Value) -> Value {
    let mut request = json!({
        "TrainingJobName": "Job-1",
        "AlgorithmSpecification": {
            "TrainingImage": "433757028032.dkr.ecr.us-west-2.amazonaws.com/seq2seq:1", "TrainingInputMode": "File",
        },
        "RoleArn": "arn:aws:iam::123456789012:role/Role",
        "InputDataConfig": [{
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train"}},
        }],
        "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
        "ResourceConfig": {"InstanceType": "ml.p9.huge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    });
    let changes: Map<String, Value> = changes.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(changes);
    request
}

#[test]
fn a_job_is_described_as_it_was_asked_for() {
    let place = place();
    let answer = place.say(
        "CreateTrainingJob",
        request(json!({"DebugHookConfig": {"S3OutputPath": "s3://data/d"}, "New": [1]})),
    );
    let arn = "arn:aws:sagemaker:us-west-2:123456789012:training-job/job-1";
    assert_eq!(answer, json!({"TrainingJobArn": arn}));
    let answer = place.say("DescribeTrainingJob", json!({"TrainingJobName": "job-1"}));
    assert_eq!(answer["TrainingJobName"], "Job-1");
    assert_eq!(answer["New"], json!([1]));
    assert_eq!(answer["OutputDataConfig"], json!({"S3OutputPath": "s3://data/out", "KmsKeyId": ""}));
    assert_eq!(answer["SecondaryStatus"], "Starting");
    assert!(!answer["AlgorithmSpecification"]["MetricDefinitions"].as_array().unwrap().is_empty());
    assert_eq!(
        answer["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3DataDistributionType"],
        "FullyReplicated"
    );
    let job = place.control.training_jobs.next_waiting().unwrap().unwrap();
    assert_eq!(job.state.algorithm.as_deref(), Some("seq2seq"));
}

#[test]
fn requests_are_refused_in_the_words_of_aws() {
    let place = place();
    place.say("CreateTrainingJob", request(json!({})));
    let check = |changes: Value, code: &str, part: &str| {
        place.check_refused("CreateTrainingJob", request(changes), code, part);
    };
    check(
        json!({"TrainingJobName": "JOB-1"}),
        "ResourceInUse",
        "with this name already exists (arn:aws:sagemaker:",
    );
    check(
        json!({"TrainingJobName": "-"}),
        "ValidationException",
        "1 validation error detected: Value '-' at 'trainingJobName'",
    );
    check(
        json!({"AlgorithmSpecification": null}),
        "ValidationException",
        "Value null at 'algorithmSpecification'",
    );
    check(json!({"ResourceConfig": null}), "ValidationException", "Value null at 'resourceConfig'");
    check(
        json!({"ResourceConfig": {"VolumeSizeInGB": 1}}),
        "ValidationException",
        "'resourceConfig.instanceType'",
    );
    check(json!({"RoleArn": "me"}), "ValidationException", "2 validation errors detected");
    check(json!({"Tags": [{"Key": "aws:x", "Value": ""}]}), "ValidationException", "reserved");
    let image = |tag: &str| format!("433757028032.dkr.ecr.us-west-2.amazonaws.com/seq2seq:{tag}");
    let algorithm = json!({"TrainingImage": image("7"), "TrainingInputMode": "File"});
    check(json!({"AlgorithmSpecification": algorithm}), "ValidationException", "seq2seq:1");
    let metrics = json!([{"Name": "a", "Regex": "b"}]);
    let algorithm =
        json!({"TrainingImage": image("1"), "TrainingInputMode": "File", "MetricDefinitions": metrics});
    check(
        json!({"AlgorithmSpecification": algorithm}),
        "ValidationException",
        "You can't override the metric definitions",
    );
    let channel = |uri: &str| {
        let source = json!({"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}});
        json!({"InputDataConfig": [{"ChannelName": "train", "DataSource": source}]})
    };
    check(
        channel("s3://data/nothing"),
        "ValidationException",
        "No S3 objects found under S3 URL \"s3://data/nothing\"",
    );
    check(
        channel("s3://gone/x"),
        "ValidationException",
        "Error message from S3: The specified bucket does not exist",
    );
    check(channel("https://gone.s3-us-west-2.amazonaws.com/x"), "ValidationException", "on bucket \"gone\"");
    place.check_refused(
        "DescribeTrainingJob",
        json!({"TrainingJobName": "x"}),
        "ValidationException",
        "Requested resource not found.",
    );
    place.check_refused(
        "CreateNotebookInstance",
        json!({}),
        "UnknownOperationException",
        "on your own machine",
    );
    place.check_refused("MakeCoffee", json!({}), "UnknownOperationException", "no operation \"MakeCoffee\"");
}

#[test]
fn hyperparameters_fail_the_job_and_not_the_call() {
    let place = place();
    place.say("CreateTrainingJob", request(json!({"HyperParameters": {"no_such_name": "1"}})));
    let answer = place.say("DescribeTrainingJob", json!({"TrainingJobName": "Job-1"}));
    assert_eq!(answer["TrainingJobStatus"], "Failed");
    let reason = answer["FailureReason"].as_str().unwrap();
    assert!(reason.starts_with("ClientError: ") && reason.contains("no_such_name"), "{reason}");
    assert_eq!(place.control.training_jobs.next_waiting().unwrap(), None);
    let stop = json!({"TrainingJobName": "Job-1"});
    let part = "The request was rejected because the training job is in status Failed.";
    place.check_refused("StopTrainingJob", stop, "ValidationException", part);
}

#[test]
fn a_job_is_listed_stopped_and_deleted() {
    let place = place();
    for name in ["a", "b", "c"] {
        place.say("CreateTrainingJob", request(json!({"TrainingJobName": name})));
    }
    let page =
        place.say("ListTrainingJobs", json!({"MaxResults": 2, "SortBy": "Name", "SortOrder": "Descending"}));
    let names = |page: &Value| {
        let jobs = page["TrainingJobSummaries"].as_array().unwrap().clone();
        jobs.into_iter().map(|job| job["TrainingJobName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ["c", "b"]);
    let next =
        json!({"MaxResults": 2, "SortBy": "Name", "SortOrder": "Descending", "NextToken": page["NextToken"]});
    let page = place.say("ListTrainingJobs", next);
    assert_eq!((names(&page), page.get("NextToken")), (vec!["a".to_owned()], None));
    place.check_refused("ListTrainingJobs", json!({"NextToken": "x"}), "ValidationException", "token");
    place.say("StopTrainingJob", json!({"TrainingJobName": "a"}));
    let page = place.say("ListTrainingJobs", json!({"StatusEquals": "Stopped"}));
    assert_eq!(names(&page), ["a"]);
    place.say("DeleteTrainingJob", json!({"TrainingJobName": "a"}));
    place.check_refused(
        "DeleteTrainingJob",
        json!({"TrainingJobName": "b"}),
        "ValidationException",
        "InProgress",
    );
    let change = json!({"TrainingJobName": "b", "ResourceConfig": {"KeepAlivePeriodInSeconds": 60}});
    place.say("UpdateTrainingJob", change);
    let answer = place.say("DescribeTrainingJob", json!({"TrainingJobName": "b"}));
    assert_eq!(answer["ResourceConfig"]["KeepAlivePeriodInSeconds"], 60);
    assert_eq!(answer["ResourceConfig"]["InstanceCount"], 1);
}

#[test]
fn tags_belong_to_a_resource() {
    let place = place();
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    let arn =
        place.say("CreateTrainingJob", request(json!({"Tags": [tag("a", "1")]})))["TrainingJobArn"].clone();
    let answer = place.say("AddTags", json!({"ResourceArn": arn, "Tags": [tag("b", "2"), tag("a", "3")]}));
    assert_eq!(answer["Tags"], json!([tag("a", "3"), tag("b", "2")]));
    place.say("DeleteTags", json!({"ResourceArn": arn, "TagKeys": ["a", "unknown"]}));
    assert_eq!(place.say("ListTags", json!({"ResourceArn": arn}))["Tags"], json!([tag("b", "2")]));
    let many: Vec<Value> = (0..50).map(|number| tag(&format!("k{number}"), "")).collect();
    place.check_refused("AddTags", json!({"ResourceArn": arn, "Tags": many}), "ResourceLimitExceeded", "51");
    assert_eq!(place.say("ListTags", json!({"ResourceArn": arn}))["Tags"], json!([tag("b", "2")]));
    let other = "arn:aws:sagemaker:us-west-2:123456789012:training-job/other";
    place.check_refused("ListTags", json!({"ResourceArn": other}), "ValidationException", "Could not find");
}

#[test]
fn everything_else_that_is_listed_is_empty() {
    let place = place();
    assert_eq!(place.say("ListNotebookInstances", json!({})), json!({"NotebookInstances": []}));
    assert_eq!(place.say("ListModels", json!({})), json!({"Models": []}));
}

#[test]
fn everybody_has_a_role_that_may_do_everything() {
    let place = place();
    let identity = place.ask(Service::Sts, "GetCallerIdentity", json!({})).unwrap();
    assert_eq!(identity["Arn"], "arn:aws:sts::123456789012:assumed-role/KokaneeRole/kokanee");
    let role = place.ask(Service::Iam, "GetRole", json!({"RoleName": "KokaneeRole"})).unwrap();
    assert_eq!(role["Role"]["Arn"], "arn:aws:iam::123456789012:role/KokaneeRole");
    let asked = json!({"PolicySourceArn": role["Role"]["Arn"], "ActionNames": ["a:b", "c:d"]});
    let said = place.ask(Service::Iam, "SimulatePrincipalPolicy", asked).unwrap();
    assert_eq!(said["EvaluationResults"][1]["EvalDecision"], "allowed");
    let assumed =
        json!({"RoleArn": "arn:aws:iam::123456789012:role/service-role/R", "RoleSessionName": "me"});
    let said = place.ask(Service::Sts, "AssumeRole", assumed).unwrap();
    assert_eq!(said["AssumedRoleUser"]["Arn"], "arn:aws:sts::123456789012:assumed-role/R/me");
    place.ask(Service::Sts, "GetSessionToken", json!({})).unwrap();
}

#[test]
fn logs_are_refused_in_the_words_of_aws() {
    let place = place();
    place.control.logs.add_stream("us-west-2", "/group", "a/1", "none").unwrap();
    let refused = |operation: &str, input: Value, code: &str, part: &str| {
        let error = place.ask(Service::Logs, operation, input).unwrap_err();
        assert!(error.code == code && error.message.contains(part), "{error}");
    };
    let both = json!({"logGroupName": "/group", "logGroupIdentifier": "/group", "logStreamName": "a/1"});
    refused("GetLogEvents", both, "InvalidParameterException", "mutually exclusive");
    refused("GetLogEvents", json!({"logStreamName": "a/1"}), "InvalidParameterException", "must be given");
    let token = json!({"logGroupName": "/group", "nextToken": "x"});
    refused("FilterLogEvents", token.clone(), "InvalidParameterException", "nextToken");
    refused("DescribeLogStreams", token, "InvalidParameterException", "nextToken");
    let backwards = json!({"logGroupName": "/group", "startFromHead": false});
    refused("FilterLogEvents", backwards, "InvalidParameterException", "startFromHead");
    let limit = json!({"logGroupName": "/group", "logStreamName": "a/1", "limit": 10_001});
    refused("GetLogEvents", limit, "ValidationException", "less than or equal to 10000");

    let put = |events: Value| json!({"logGroupName": "/group", "logStreamName": "a/1", "logEvents": events});
    let invalid = "InvalidParameterException";
    let event = |at_ms: i64, message: &str| json!({"timestamp": at_ms, "message": message});
    refused("PutLogEvents", put(json!([event(2, "a"), event(1, "b")])), invalid, "chronological");
    refused("PutLogEvents", put(json!([event(2, "a"), event(90_000_000, "b")])), invalid, "24 hours");
    refused("PutLogEvents", put(json!([event(2, &"a".repeat(262_145))])), invalid, "Log event too large");
    refused("PutLogEvents", put(json!(vec![event(2, &"a".repeat(200_000)); 6])), invalid, "Upload too large");
    refused("PutLogEvents", put(json!([event(2, "a")])), invalid, "written by a job");
    let retention = json!({"logGroupName": "/group", "retentionInDays": 2});
    refused("PutRetentionPolicy", retention, invalid, "retentionInDays");
    refused(
        "CreateLogGroup",
        json!({"logGroupName": "/group"}),
        "ResourceAlreadyExistsException",
        "log group",
    );

    let arn = "arn:aws:logs:us-west-2:123456789012:log-group:/group";
    let answer = place.ask(Service::Logs, "DescribeLogStreams", json!({"logGroupIdentifier": arn}));
    assert_eq!(answer.unwrap()["logStreams"][0]["arn"], format!("{arn}:log-stream:a/1"));
    let answer = place.ask(Service::Logs, "DescribeLogGroups", json!({"logGroupIdentifiers": [arn]}));
    assert_eq!(answer.unwrap()["logGroups"][0]["logGroupArn"], arn);
}

#[test]
fn data_of_metrics_are_checked() {
    let place = place();
    let now = now_ms() as f64 / 1000.0;
    let refused = |data: Value, code: &str, part: &str| {
        let input = json!({"Namespace": "Mine", "MetricData": data});
        let error = place.ask(Service::CloudWatch, "PutMetricData", input).unwrap_err();
        assert!(error.code == code && error.message.contains(part), "{error}");
    };
    refused(json!([]), "MissingRequiredParameterException", "MetricData");
    let value = |changes: Value| {
        let mut datum = json!({"MetricName": "m"});
        datum.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!([datum])
    };
    let invalid = "InvalidParameterValueException";
    let combination = "InvalidParameterCombinationException";
    refused(value(json!({"Value": 1e200})), invalid, "MetricData.member.1.Value");
    refused(value(json!({"Value": 1, "Timestamp": now - 15.0 * 86_400.0})), invalid, "past two weeks");
    refused(value(json!({"Value": 1, "Timestamp": now + 9_000.0})), invalid, "future");
    refused(value(json!({})), combination, "At least one");
    refused(value(json!({"Value": 1, "Values": [1]})), combination, "mutually exclusive");
    refused(value(json!({"Values": [1, 2], "Counts": [1]})), combination, "same size");
    refused(value(json!({"Values": [1], "Counts": [0]})), invalid, "greater than 0");
    let set = json!({"SampleCount": 0, "Sum": 1, "Minimum": 1, "Maximum": 1});
    refused(value(json!({"StatisticValues": set})), invalid, "SampleCount");
    refused(json!(vec![json!({"MetricName": "m", "Value": 1}); 1001]), invalid, "1000");

    let data = value(json!({"Values": [1, 4], "Counts": [3, 1], "Timestamp": now}));
    place
        .ask(Service::CloudWatch, "PutMetricData", json!({"Namespace": "Mine", "MetricData": data}))
        .unwrap();
    let statistics = json!({
        "Namespace": "Mine", "MetricName": "m", "StartTime": now, "EndTime": now + 60.0, "Period": 60,
        "Statistics": ["Sum", "SampleCount"],
    });
    let answer = place.ask(Service::CloudWatch, "GetMetricStatistics", statistics).unwrap();
    assert_eq!(
        (&answer["Datapoints"][0]["Sum"], &answer["Datapoints"][0]["SampleCount"]),
        (&json!(7.0), &json!(4.0))
    );
    let nothing = json!({
        "Namespace": "Mine", "MetricName": "other", "StartTime": now, "EndTime": now + 60.0, "Period": 60,
        "ExtendedStatistics": ["p99.9"],
    });
    let answer = place.ask(Service::CloudWatch, "GetMetricStatistics", nothing).unwrap();
    assert_eq!(answer, json!({"Label": "other", "Datapoints": []}));
}

const IMAGE: &str = "174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:1";

/// A model and a configuration `config` that runs it.
fn hosting(place: &Place) {
    let container = json!({"Image": IMAGE, "ModelDataUrl": "s3://data/model.tar.gz"});
    place.say("CreateModel", json!({"ModelName": "Model", "PrimaryContainer": container}));
    let variant = json!({"VariantName": "A", "ModelName": "model", "InitialInstanceCount": 1, "InstanceType": "ml.m4.xlarge"});
    place.say(
        "CreateEndpointConfig",
        json!({"EndpointConfigName": "Config", "ProductionVariants": [variant]}),
    );
}

#[test]
fn models_are_described_and_refused_in_the_words_of_aws() {
    let place = place();
    hosting(&place);
    let arn = "arn:aws:sagemaker:us-west-2:123456789012:model/model";
    let answer = place.say("DescribeModel", json!({"ModelName": "MODEL"}));
    assert_eq!((&answer["ModelArn"], &answer["ModelName"]), (&json!(arn), &json!("Model")));
    let container = json!({
        "Image": IMAGE, "ModelDataUrl": "s3://data/model.tar.gz", "Mode": "SingleModel", "Environment": {},
    });
    assert_eq!(answer["PrimaryContainer"], container);
    let check = |request: Value, part: &str| {
        place.check_refused("CreateModel", request, "ValidationException", part);
    };
    let with = |name: &str, value: Value| {
        let mut container = json!({"Image": IMAGE});
        container[name] = value;
        json!({"ModelName": "m", "PrimaryContainer": container})
    };
    check(
        with("ModelDataUrl", json!("s3://data/none.tar.gz")),
        "Could not find model data at s3://data/none.tar.gz.",
    );
    check(
        with("ModelDataUrl", json!("https://gone.s3-us-west-2.amazonaws.com/x")),
        "Could not find model data at s3://gone/x.",
    );
    check(with("ModelPackageName", json!("p")), "ModelPackageName is not offered");
    check(with("Mode", json!("MultiModel")), "MultiModel");
    check(with("Image", json!("174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:9")), "kmeans:1");
    check(json!({"ModelName": "m"}), "no container");
    check(json!({"ModelName": "m", "Containers": [{"Image": "a"}, {"Image": "b"}]}), "pipelines");
    let again = json!({"ModelName": "mOdel", "PrimaryContainer": {"Image": IMAGE}});
    check(again, &format!("Cannot create already existing model \"{arn}\"."));
    place.say("CreateModel", json!({"ModelName": "one", "Containers": [{"Image": "own"}]}));
    let page = place.say("ListModels", json!({"MaxResults": 1, "SortBy": "Name", "SortOrder": "Ascending"}));
    assert_eq!(page["Models"][0]["ModelName"], "Model");
    let next = json!({"SortBy": "Name", "SortOrder": "Ascending", "NextToken": page["NextToken"]});
    assert_eq!(place.say("ListModels", next)["Models"][0]["ModelName"], "one");
    place.say("DeleteModel", json!({"ModelName": "model"}));
    let gone = json!({"ModelName": "model"});
    place.check_refused(
        "DescribeModel",
        gone.clone(),
        "ValidationException",
        &format!("Could not find model \"{arn}\"."),
    );
    place.check_refused("DeleteModel", gone, "ValidationException", "Could not find model");
}

#[test]
fn endpoint_configurations_have_variants() {
    let place = place();
    hosting(&place);
    let answer = place.say("DescribeEndpointConfig", json!({"EndpointConfigName": "config"}));
    assert_eq!(answer["ProductionVariants"][0]["InitialVariantWeight"], 1.0);
    let check = |changes: Value, variant: Value, part: &str| {
        let mut one = json!({"VariantName": "A", "ModelName": "Model", "InitialInstanceCount": 1, "InstanceType": "ml.a.b"});
        one.as_object_mut().unwrap().extend(variant.as_object().unwrap().clone());
        let mut request = json!({"EndpointConfigName": "c", "ProductionVariants": [one]});
        request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        place.check_refused("CreateEndpointConfig", request, "ValidationException", part);
    };
    check(
        json!({}),
        json!({"ModelName": "x"}),
        "Could not find model \"arn:aws:sagemaker:us-west-2:123456789012:model/x\".",
    );
    check(json!({}), json!({"ModelName": null}), "Value null at 'productionVariants.1.member.modelName'");
    check(json!({}), json!({"InitialVariantWeight": -1}), "greater than or equal to 0");
    check(
        json!({}),
        json!({"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}),
        "ServerlessConfig",
    );
    check(json!({"AsyncInferenceConfig": {"OutputConfig": {}}}), json!({}), "AsyncInferenceConfig");
    let capture = |is_on: bool| {
        json!({"DataCaptureConfig": {
            "EnableCapture": is_on, "InitialSamplingPercentage": 1, "DestinationS3Uri": "s3://d", "CaptureOptions": [{"CaptureMode": "Input"}],
        }})
    };
    check(capture(true), json!({}), "EnableCapture");
    let variant = json!({"VariantName": "A", "ModelName": "Model", "InitialInstanceCount": 1, "InstanceType": "ml.a.b"});
    check(json!({"ProductionVariants": [variant, variant]}), json!({}), "more than once");
    let mut off = capture(false);
    off["EndpointConfigName"] = json!("off");
    off["ProductionVariants"] = json!([variant]);
    place.say("CreateEndpointConfig", off);
    let page = place.say("ListEndpointConfigs", json!({"NameContains": "off"}));
    assert_eq!(page["EndpointConfigs"].as_array().unwrap().len(), 1);
    place.say("DeleteEndpointConfig", json!({"EndpointConfigName": "OFF"}));
    let part = "Could not find endpoint configuration \"arn:aws:sagemaker:us-west-2:123456789012:endpoint-config/off\".";
    place.check_refused(
        "DescribeEndpointConfig",
        json!({"EndpointConfigName": "off"}),
        "ValidationException",
        part,
    );
}

#[test]
fn an_endpoint_keeps_what_it_was_created_from() {
    let place = place();
    hosting(&place);
    let tags = json!([{"Key": "a", "Value": "1"}]);
    let request = json!({"EndpointName": "Ep", "EndpointConfigName": "config", "Tags": tags});
    let arn = place.say("CreateEndpoint", request.clone())["EndpointArn"].clone();
    assert_eq!(arn, "arn:aws:sagemaker:us-west-2:123456789012:endpoint/ep");
    assert_eq!(place.say("ListTags", json!({"ResourceArn": arn}))["Tags"], tags);
    place.say("DeleteEndpointConfig", json!({"EndpointConfigName": "config"}));
    place.say("DeleteModel", json!({"ModelName": "model"}));
    let named = json!({"EndpointName": "ep"});
    let answer = place.say("DescribeEndpoint", named.clone());
    assert_eq!(
        (&answer["EndpointStatus"], &answer["EndpointConfigName"]),
        (&json!("Creating"), &json!("Config"))
    );
    let variant = &answer["ProductionVariants"][0];
    assert_eq!((&variant["DesiredWeight"], &variant["DesiredInstanceCount"]), (&json!(1.0), &json!(1)));
    let resolved = variant["DeployedImages"][0]["ResolvedImage"].as_str().unwrap();
    assert!(
        resolved.starts_with("174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans@sha256:"),
        "{resolved}"
    );
    let in_progress = format!("Cannot update in-progress endpoint {arn}.");
    place.check_refused("DeleteEndpoint", named.clone(), "ValidationException", &in_progress);
    let id = place.control.endpoints.all().unwrap()[0];
    let generation = place.control.endpoints.get(id).unwrap().unwrap().state.pending.unwrap().generation;
    place.control.endpoints.deployed(id, generation).unwrap();
    let again = json!({"EndpointName": "Ep", "EndpointConfigName": "config"});
    place.check_refused(
        "UpdateEndpoint",
        again,
        "ValidationException",
        "Could not find endpoint configuration",
    );
    let wish = |wish: Value| json!({"EndpointName": "Ep", "DesiredWeightsAndCapacities": [wish]});
    let check = |wished: Value, code: &str, part: &str| {
        place.check_refused("UpdateEndpointWeightsAndCapacities", wish(wished), code, part);
    };
    check(
        json!({"VariantName": "B"}),
        "ValidationException",
        "The variant name(s) \"B\" is/are not present within endpoint configuration \"Config\".",
    );
    check(
        json!({"VariantName": "A", "DesiredInstanceCount": 0}),
        "ValidationException",
        "greater than or equal to 1",
    );
    check(json!({"VariantName": "A", "DesiredInstanceCount": 100_000}), "ResourceLimitExceeded", "at most");
    place.say(
        "UpdateEndpointWeightsAndCapacities",
        wish(json!({"VariantName": "A", "DesiredInstanceCount": 2})),
    );
    let answer = place.say("DescribeEndpoint", named.clone());
    assert_eq!(answer["EndpointStatus"], "Updating");
    assert_eq!(answer["ProductionVariants"][0]["DesiredWeight"], 1.0);
    let page = place.say("ListEndpoints", json!({"StatusEquals": "Updating", "SortBy": "Status"}));
    assert_eq!(page["Endpoints"][0]["EndpointName"], "Ep");
    place.control.endpoints.settled(id).unwrap();
    place.say("DeleteEndpoint", named.clone());
    assert_eq!(place.say("DescribeEndpoint", named.clone())["EndpointStatus"], "Deleting");
    place.control.endpoints.forget(id).unwrap();
    place.check_refused(
        "DescribeEndpoint",
        named,
        "ValidationException",
        &format!("Could not find endpoint {arn}."),
    );
    place.check_refused("ListTags", json!({"ResourceArn": arn}), "ValidationException", "Could not find");
}

mod documented;
mod scaling;
