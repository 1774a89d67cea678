"""boto3 and SageMaker's SDK v2 as clients of `kokanee local`: they find it by their environment alone."""

import io
import logging
import tarfile

import boto3
import sagemaker
from botocore.exceptions import ClientError, WaiterError

logging.disable()
client = boto3.client("sagemaker")
region = client.meta.region_name


def refused(code, part, call, **arguments):
    """The call is refused with this code and a text that contains this part."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert part in error.response["Error"]["Message"], error
        return
    raise AssertionError(f"not refused: {code}")


# Identity and role, as `get_execution_role` asks for them: STS has an address of its own in the SDK.
identity = boto3.client("sts").get_caller_identity()
session = sagemaker.Session()
bucket = session.default_bucket()
assert bucket == f"sagemaker-{region}-{identity['Account']}", bucket
role = sagemaker.get_execution_role(session)
assert role == f"arn:aws:iam::{identity['Account']}:role/KokaneeRole", role
iam = boto3.client("iam")
trust = iam.get_role(RoleName="KokaneeRole")["Role"]["AssumeRolePolicyDocument"]
assert trust["Statement"][0]["Principal"]["Service"] == "sagemaker.amazonaws.com", trust
pages = iam.get_paginator("simulate_principal_policy").paginate(PolicySourceArn=role, ActionNames=["s3:GetObject"])
assert [result["EvalDecision"] for page in pages for result in page["EvaluationResults"]] == ["allowed"]
credentials = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
assert credentials["Expiration"].year >= 2026

# A job: ten rows around each of three points, which are far from each other.
rows = "".join(f"{point + number / 100},{-point}\n" for point in (0, 50, 100) for number in range(10))
s3 = boto3.client("s3")
s3.put_object(Bucket=bucket, Key="in/train/rows.csv", Body=rows.encode())
channel = {
    "ChannelName": "train",
    "ContentType": "text/csv;label_size=0",
    "DataSource": {
        "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": f"s3://{bucket}/in/train",
            "S3DataDistributionType": "FullyReplicated",
        }
    },
}
request = {
    "TrainingJobName": "Job-0",
    "AlgorithmSpecification": {
        "TrainingImage": sagemaker.image_uris.retrieve("kmeans", region),
        "TrainingInputMode": "File",
    },
    "HyperParameters": {"k": "3", "feature_dim": "2", "mini_batch_size": "30", "init_method": "kmeans++"},
    "RoleArn": role,
    "InputDataConfig": [channel],
    "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
    "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
arn = client.create_training_job(**request, Tags=[{"Key": "team", "Value": "ü"}])["TrainingJobArn"]
assert arn == f"arn:aws:sagemaker:{region}:{identity['Account']}:training-job/job-0", arn
described = client.describe_training_job(TrainingJobName="job-0")
for name, value in request.items():
    if name not in ("InputDataConfig", "OutputDataConfig", "AlgorithmSpecification"):
        assert described[name] == value, name
assert described["TrainingJobStatus"] == "InProgress"
names = [metric["Name"] for metric in described["AlgorithmSpecification"]["MetricDefinitions"]]
assert "train:msd" in names, names

# It runs, and leaves its model and its metrics.
client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="Job-0", WaiterConfig={"Delay": 1})
done = client.describe_training_job(TrainingJobName="Job-0")
assert done["TrainingJobStatus"] == "Completed", done
assert [step["Status"] for step in done["SecondaryStatusTransitions"]] == [
    "Starting",
    "Downloading",
    "Training",
    "Uploading",
    "Completed",
], done
metrics = {metric["MetricName"]: metric["Value"] for metric in done["FinalMetricDataList"]}
assert 0 <= metrics["train:msd"] < 1, metrics
model = done["ModelArtifacts"]["S3ModelArtifacts"]
assert model == f"s3://{bucket}/out/Job-0/output/model.tar.gz", model
archive = s3.get_object(Bucket=bucket, Key="out/Job-0/output/model.tar.gz")["Body"].read()
files = tarfile.open(fileobj=io.BytesIO(archive)).getnames()
assert "model_algo-1" in files, files

# One whose data is not what it says fails with the algorithm's own words.
client.create_training_job(
    **{**request, "TrainingJobName": "wide", "HyperParameters": {**request["HyperParameters"], "feature_dim": "3"}}
)
try:
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="wide", WaiterConfig={"Delay": 1})
except WaiterError:
    pass
wide = client.describe_training_job(TrainingJobName="wide")
assert wide["TrainingJobStatus"] == "Failed", wide
assert wide["FailureReason"].startswith("ClientError: ") and "the row has 2 columns" in wide["FailureReason"], wide
assert "/opt/ml/input/data/train/" in wide["FailureReason"], wide

# What is refused.
refused("ResourceInUse", arn, client.create_training_job, **request)
refused(
    "ValidationException",
    "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint",
    client.create_training_job,
    **{**request, "TrainingJobName": "a_b"},
)
empty = {**channel, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/none"}}}
refused(
    "ValidationException",
    "No S3 objects found under S3 URL",
    client.create_training_job,
    **{**request, "TrainingJobName": "b", "InputDataConfig": [empty]},
)
refused("ValidationException", "Requested resource not found.", client.describe_training_job, TrainingJobName="x")
refused(
    "UnknownOperationException",
    "on your own machine",
    client.create_notebook_instance,
    NotebookInstanceName="a",
    InstanceType="ml.t2.medium",
    RoleArn=role,
)
assert client.list_notebook_instances()["NotebookInstances"] == []
try:
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="x")
    raise AssertionError("waited for nothing")
except WaiterError as error:
    assert "ValidationException" in str(error), error

# Tags.
client.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": ""}])
tags = client.get_paginator("list_tags").paginate(ResourceArn=arn).build_full_result()["Tags"]
assert tags == [{"Key": "team", "Value": "ü"}, {"Key": "stage", "Value": ""}], tags
client.delete_tags(ResourceArn=arn, TagKeys=["team"])
assert len(client.list_tags(ResourceArn=arn)["Tags"]) == 1

# Lists, by pages. One job runs at a time, so that the last one still waits when it is stopped.
for number in range(1, 12):
    client.create_training_job(**{**request, "TrainingJobName": f"Job-{number}"})
client.stop_training_job(TrainingJobName="Job-11")
pages = client.get_paginator("list_training_jobs")
arguments = {"SortBy": "CreationTime", "SortOrder": "Descending", "NameContains": "Job-"}
jobs = list(pages.paginate(**arguments, PaginationConfig={"PageSize": 5}).search("TrainingJobSummaries[]"))
assert [job["TrainingJobName"] for job in jobs] == [f"Job-{number}" for number in range(11, -1, -1)], jobs
later = client.list_training_jobs(CreationTimeAfter=jobs[0]["CreationTime"])
assert later["TrainingJobSummaries"] == [], later

# A job that its hyperparameters fail, and one that is stopped.
client.create_training_job(**{**request, "TrainingJobName": "f", "HyperParameters": {"k": "many"}})
failed = client.describe_training_job(TrainingJobName="f")
assert failed["FailureReason"].startswith("ClientError: "), failed
stopped = client.list_training_jobs(StatusEquals="Stopped")["TrainingJobSummaries"]
assert [job["TrainingJobName"] for job in stopped] == ["Job-11"], stopped
refused("ValidationException", "in status Stopped", client.stop_training_job, TrainingJobName="Job-11")

# The same job elsewhere is another one.
abroad = boto3.client("sagemaker", region_name="eu-west-1")
refused("ValidationException", "not found", abroad.describe_training_job, TrainingJobName="Job-0")
print("all as expected")
