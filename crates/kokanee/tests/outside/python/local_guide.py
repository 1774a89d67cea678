"""The listings of SageMaker's Developer Guide for k-means, low level and high level, on digits that are made here."""

import io
import json
import logging
import time
from time import gmtime, strftime
from urllib.parse import urlparse

import boto3
import numpy
import sagemaker as sdk
from sagemaker import get_execution_role
from sagemaker.amazon.amazon_estimator import get_image_uri
from sagemaker.amazon.common import write_numpy_to_dense_tensor

logging.disable()
# Clients wait for half a minute where AWS takes many; here they are less patient, and ask all the same.
patient = time.sleep
time.sleep = lambda seconds: patient(min(seconds, 0.2))

role = get_execution_role()
region = boto3.Session().region_name
bucket = "bucket-name"
boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})

# Images of 28 by 28 pixels, ten kinds of them.
dice = numpy.random.default_rng(1)
kinds = dice.random((10, 784)) > 0.8


def digits(count):
    labels = numpy.arange(count) % 10
    return (kinds[labels] + dice.normal(0, 0.05, (count, 784))).clip(0, 1).astype("float32"), labels


train_set, valid_set = digits(1000), digits(100)

# "Transform the Training Dataset and Upload It to S3": the object has the whole prefix as its key.
data_key = "kmeans_lowlevel_example/data"
data_location = "s3://{}/{}".format(bucket, data_key)
buf = io.BytesIO()
write_numpy_to_dense_tensor(buf, train_set[0], train_set[1])
buf.seek(0)
boto3.resource("s3").Bucket(bucket).Object(data_key).upload_fileobj(buf)

# "Create and Run a Training Job (AWS SDK for Python)", on two machines.
job_name = "kmeans-lowlevel-" + strftime("%Y-%m-%d-%H-%M-%S", gmtime())
image = get_image_uri(region, "kmeans")
create_training_params = {
    "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
    "RoleArn": role,
    "OutputDataConfig": {"S3OutputPath": "s3://{}/kmeans_lowlevel_example/output".format(bucket)},
    "ResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.c4.8xlarge", "VolumeSizeInGB": 50},
    "TrainingJobName": job_name,
    "HyperParameters": {"k": "10", "feature_dim": "784", "mini_batch_size": "500", "init_method": "kmeans++"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60 * 60},
    "InputDataConfig": [
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": data_location,
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
            "CompressionType": "None",
            "RecordWrapperType": "None",
        }
    ],
}
sagemaker = boto3.client("sagemaker")
sagemaker.create_training_job(**create_training_params)
assert sagemaker.describe_training_job(TrainingJobName=job_name)["TrainingJobStatus"] in ("InProgress", "Completed")
sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job_name)
info = sagemaker.describe_training_job(TrainingJobName=job_name)
assert info["TrainingJobStatus"] == "Completed", info

# "Deploy the Model to Amazon SageMaker Hosting Services".
model_name = job_name
primary_container = {"Image": image, "ModelDataUrl": info["ModelArtifacts"]["S3ModelArtifacts"]}
created = sagemaker.create_model(ModelName=model_name, ExecutionRoleArn=role, PrimaryContainer=primary_container)
assert created["ModelArn"].endswith(":model/" + model_name), created
endpoint_config_name = "KMeansEndpointConfig-" + strftime("%Y-%m-%d-%H-%M-%S", gmtime())
created = sagemaker.create_endpoint_config(
    EndpointConfigName=endpoint_config_name,
    ProductionVariants=[
        {
            "InstanceType": "ml.m4.xlarge",
            "InitialInstanceCount": 1,
            "ModelName": model_name,
            "VariantName": "AllTraffic",
        }
    ],
)
assert created["EndpointConfigArn"].endswith(":endpoint-config/" + endpoint_config_name.lower()), created
endpoint_name = "KMeansEndpoint-" + strftime("%Y-%m-%d-%H-%M-%S", gmtime())
created = sagemaker.create_endpoint(EndpointName=endpoint_name, EndpointConfigName=endpoint_config_name)
sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=endpoint_name)
resp = sagemaker.describe_endpoint(EndpointName=endpoint_name)
assert resp["EndpointArn"] == created["EndpointArn"] and resp["EndpointStatus"] == "InService", resp


# "Validate a Model Deployed to Amazon SageMaker Hosting Services": one image, and a hundred.
def np2csv(arr):
    csv = io.BytesIO()
    numpy.savetxt(csv, arr, delimiter=",", fmt="%g")
    return csv.getvalue().decode().rstrip()


runtime = boto3.Session().client("sagemaker-runtime")


def predictions(images):
    response = runtime.invoke_endpoint(EndpointName=endpoint_name, ContentType="text/csv", Body=np2csv(images))
    return json.loads(response["Body"].read().decode())["predictions"]


(one,) = predictions(train_set[0][30:31])
assert sorted(one) == ["closest_cluster", "distance_to_cluster"], one
clusters = [p["closest_cluster"] for p in predictions(valid_set[0][0:100])]
assert len(clusters) == 100 and clusters == [clusters[label] for label in valid_set[1]], clusters

# "Deploy the Model to Amazon SageMaker Batch Transform", with the high-level library: the input is one object.
input_key = "kmeans_batch_example/input/valid-data.csv"
numpy.savetxt("valid-data.csv", valid_set[0], delimiter=",", fmt="%g")
s3_client = boto3.client("s3")
s3_client.upload_file("valid-data.csv", bucket, input_key)
transformer = sdk.transformer.Transformer(
    base_transform_job_name="Batch-Transform",
    model_name=model_name,
    instance_count=1,
    instance_type="ml.c4.xlarge",
    output_path="s3://{}/kmeans_batch_example/output".format(bucket),
)
# With logs, waiting looks at the status every 30 seconds by the clock.
transformer.transform("s3://{}/{}".format(bucket, input_key), content_type="text/csv", split_type="Line", wait=False)
transformer.wait(logs=False)
s3_client.download_file(bucket, "kmeans_batch_example/output/valid-data.csv.out", "valid-result")
with open("valid-result") as f:
    high_level = f.read()
assert high_level.count("closest_cluster") == 100, high_level[:300]

# The same with boto3: the input is a prefix.
batch_job_name = "Batch-Transform-" + strftime("%Y-%m-%d-%H-%M-%S", gmtime()) + "-low"
input_location = "s3://{}/kmeans_batch_low/input".format(bucket)
output_location = "s3://{}/kmeans_batch_low/output".format(bucket)
s3_client.upload_file("valid-data.csv", bucket, "{}/valid_data.csv".format(urlparse(input_location).path.lstrip("/")))
sagemaker.create_transform_job(
    TransformJobName=batch_job_name,
    ModelName=model_name,
    MaxConcurrentTransforms=4,
    MaxPayloadInMB=6,
    BatchStrategy="MultiRecord",
    TransformOutput={"S3OutputPath": output_location},
    TransformInput={
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": input_location}},
        "ContentType": "text/csv",
        "SplitType": "Line",
        "CompressionType": "None",
    },
    TransformResources={"InstanceType": "ml.m4.xlarge", "InstanceCount": 1},
)
while True:
    response = sagemaker.describe_transform_job(TransformJobName=batch_job_name)
    if response["TransformJobStatus"] != "InProgress":
        break
    time.sleep(30)
assert response["TransformJobStatus"] == "Completed", response
output_key = "{}/valid_data.csv.out".format(urlparse(output_location).path.lstrip("/"))
s3_client.download_file(bucket, output_key, "valid-result")
with open("valid-result") as f:
    assert f.read() == high_level
listed = sagemaker.list_transform_jobs(
    StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending", MaxResults=20
)
assert [job["TransformJobName"] for job in listed["TransformJobSummaries"]][0] == batch_job_name, listed
assert len(listed["TransformJobSummaries"]) == 2, listed

# "Clean up".
sagemaker.delete_endpoint(EndpointName=endpoint_name)
sagemaker.delete_endpoint_config(EndpointConfigName=endpoint_config_name)
sagemaker.delete_model(ModelName=model_name)
print("all as expected")
