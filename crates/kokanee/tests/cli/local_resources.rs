//! Requests and data for the longer tests of `kokanee local`.

use serde_json::{Value, json};

use crate::local::Local;

pub(crate) const IMAGE: &str = "174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:1";
pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/KokaneeRole";

/// Fills the bucket `bucket` with ten rows around each of three points in `in/rows.csv`.
pub(crate) fn fill_bucket(server: &Local) {
    let row = |number: usize| format!("{},{}\n", number % 3 * 50, number as f64 / 10.0);
    let rows = (0..30).map(row).collect::<String>();
    let put = |path: &str, body: &[u8]| server.put(path, body).expect("answers");
    assert_eq!((put("/bucket", b""), put("/bucket/in/rows.csv", rows.as_bytes())), (200, 200));
}

/// A training job with an image and these hyperparameters.
pub(crate) fn training_job(name: &str, image: &str, hyperparameters: &Value) -> Value {
    json!({
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "HyperParameters": hyperparameters,
        "RoleArn": ROLE,
        "InputDataConfig": [{
            "ChannelName": "train", "ContentType": "text/csv;label_size=0",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in"}},
        }],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    })
}

/// A k-means job on the rows of [`fill_bucket`].
pub(crate) fn kmeans_job(name: &str, epochs: usize) -> Value {
    let hyperparameters =
        json!({"k": "3", "feature_dim": "2", "mini_batch_size": "30", "epochs": epochs.to_string()});
    training_job(name, IMAGE, &hyperparameters)
}

pub(crate) fn has_ended(job: &Value) -> bool {
    ["Completed", "Failed", "Stopped"].contains(&job["TrainingJobStatus"].as_str().unwrap_or_default())
}

/// Creates the endpoint `ep` with the model of a job: model `m`, endpoint configuration `c`, one instance of the variant `A`.
pub(crate) fn host(server: &Local, job: &str) {
    server.until("DescribeTrainingJob", &json!({"TrainingJobName": job}), "TrainingJobStatus", "Completed");
    let data = format!("s3://bucket/out/{job}/output/model.tar.gz");
    let container = json!({"Image": IMAGE, "ModelDataUrl": data});
    let model = json!({"ModelName": "m", "PrimaryContainer": container, "ExecutionRoleArn": ROLE});
    for (operation, input) in [
        ("CreateModel", model),
        ("CreateEndpointConfig", endpoint_config("c")),
        ("CreateEndpoint", json!({"EndpointName": "ep", "EndpointConfigName": "c"})),
    ] {
        let (status, answer) = server.operation(operation, &input).expect("answers");
        assert_eq!(status, 200, "{answer}");
    }
    server.until("DescribeEndpoint", &json!({"EndpointName": "ep"}), "EndpointStatus", "InService");
}

/// A configuration with one instance of the model `m`.
pub(crate) fn endpoint_config(name: &str) -> Value {
    let variant = json!({
        "VariantName": "A", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large",
    });
    json!({"EndpointConfigName": name, "ProductionVariants": [variant]})
}
