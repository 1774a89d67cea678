"""Batch transform of `kokanee local`, used by boto3 and SageMaker's SDK v2."""

import gzip
import json
import logging
import re

import boto3
import sagemaker
from botocore.exceptions import ClientError, WaiterError
from sagemaker.transformer import Transformer

logging.disable()
client = boto3.client("sagemaker")
logs = boto3.client("logs")
s3 = boto3.client("s3")
session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role(session)
image = sagemaker.image_uris.retrieve("kmeans", client.meta.region_name)
points = (0, 50, 100)


def put(key, text):
    s3.put_object(Bucket=bucket, Key=key, Body=text if isinstance(text, bytes) else text.encode())


def keys(prefix):
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def lines(key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()


def refused(code, part, call, **arguments):
    """The call is refused with this code and a text that contains this part."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert part in error.response["Error"]["Message"], error
        return
    raise AssertionError(f"not refused: {code}")


# A model with a centre at each of the points.
put("train/rows.csv", "".join(f"{point + number / 100},{-point}\n" for point in points for number in range(10)))
client.create_training_job(
    TrainingJobName="model",
    AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
    HyperParameters={"k": "3", "feature_dim": "2", "mini_batch_size": "30", "init_method": "kmeans++"},
    RoleArn=role,
    InputDataConfig=[
        {
            "ChannelName": "train",
            "ContentType": "text/csv;label_size=0",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train"}},
        }
    ],
    OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models"},
    ResourceConfig={"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
    StoppingCondition={"MaxRuntimeInSeconds": 60},
)
client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="model", WaiterConfig={"Delay": 1})
data = client.describe_training_job(TrainingJobName="model")["ModelArtifacts"]["S3ModelArtifacts"]
client.create_model(
    ModelName="model", PrimaryContainer={"Image": image, "ModelDataUrl": data}, ExecutionRoleArn=role
)


def request(name, source, output, split="Line", content="text/csv", **more):
    asked = {
        "TransformJobName": name,
        "ModelName": "model",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{source}"}},
            "ContentType": content,
            "SplitType": split,
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{bucket}/{output}", "Accept": "application/jsonlines", "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
    }
    for member, value in more.items():
        asked[member] = {**asked[member], **value} if isinstance(value, dict) and member in asked else value
    return asked


def run(name, *arguments, **more):
    """Runs a job to its end."""
    asked = request(name, *arguments, **more)
    client.create_transform_job(**asked)
    try:
        waiter = client.get_waiter("transform_job_completed_or_stopped")
        waiter.wait(TransformJobName=name, WaiterConfig={"Delay": 1})
    except WaiterError:
        pass
    return client.describe_transform_job(TransformJobName=name)


def clusters(key):
    """The cluster of each row."""
    return [json.loads(line)["closest_cluster"] for line in lines(key)]


# Every file has its answers, in the order of its rows.
rows = [f"{points[number % 3] + number / 1000},{-points[number % 3]}" for number in range(300)]
put("in/a/one.csv", "\n".join(rows[:100]) + "\n")
put("in/two.csv", "\n".join(rows[100:]))
arn = client.create_transform_job(**request("All", "in/", "out/all", Tags=[{"Key": "team", "Value": "a"}]))
assert arn["TransformJobArn"].endswith(":transform-job/all"), arn
client.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName="all", WaiterConfig={"Delay": 1})
job = client.describe_transform_job(TransformJobName="all")
assert job["TransformJobStatus"] == "Completed", job
assert job["TransformEndTime"] >= job["TransformStartTime"] >= job["CreationTime"], job
assert job["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}, job
assert keys("out/all") == ["out/all/a/one.csv.out", "out/all/two.csv.out"], keys("out/all")
first, second = clusters("out/all/a/one.csv.out"), clusters("out/all/two.csv.out")
assert (len(first), len(second)) == (100, 200)
assert len(set(first)) == 3 and all((first + second)[number] == first[number % 3] for number in range(300))
assert client.list_tags(ResourceArn=arn["TransformJobArn"])["Tags"] == [{"Key": "team", "Value": "a"}]

# What the request says of records goes to the log about records; the container has a stream of its own.
group = "/aws/sagemaker/TransformJobs"
streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="All/")["logStreams"]
names = [stream["logStreamName"] for stream in streams]
assert len(names) == 2 and names[1] == names[0] + "/data-log", names
events = logs.get_log_events(logGroupName=group, logStreamName=names[1], startFromHead=True)["events"]
said = r"\[sagemaker logs\]: MaxConcurrentTransforms=\d+, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"
assert re.fullmatch(said, events[0]["message"]), events
assert logs.get_log_events(logGroupName=group, logStreamName=names[0], startFromHead=True)["events"]

# A key, a manifest, compressed files, single records, several at a time.
run("key", "in/two.csv", "out/key", MaxConcurrentTransforms=4, BatchStrategy="SingleRecord", MaxPayloadInMB=1)
assert keys("out/key") == ["out/key/two.csv.out"] and clusters("out/key/two.csv.out") == second
put("manifest.json", json.dumps([{"prefix": f"s3://{bucket}/in/"}, "two.csv"]))
source = {"DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": f"s3://{bucket}/manifest.json"}}}
job = run("manifest", "", "out/manifest", TransformInput=source)
assert job["TransformJobStatus"] == "Completed" and clusters("out/manifest/two.csv.out") == second, job
put("packed/two.csv.gz", gzip.compress("\n".join(rows[100:]).encode()))
job = run("packed", "packed", "out/packed", TransformInput={"CompressionType": "Gzip"})
assert job["TransformJobStatus"] == "Completed", job
assert clusters("out/packed/two.csv.gz.out") == second
records = "".join(json.dumps({"features": [float(x) for x in row.split(",")]}) + "\n" for row in rows[100:])
put("lines/rows.jsonl", records)
job = run("lines", "lines", "out/lines", content="application/jsonlines")
assert job["TransformJobStatus"] == "Completed" and clusters("out/lines/rows.jsonl.out") == second, job

# Rows with their ids, joined with their answers: what AWS's documentation shows first.
named = [f"row-{number},{row}" for number, row in enumerate(rows[100:])]
put("named/rows.csv", "\n".join(named))
job = run(
    "named",
    "named",
    "out/named",
    TransformOutput={"Accept": "text/csv"},
    DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,3]"},
)
assert job["TransformJobStatus"] == "Completed", job
answers = [line.split(",") for line in lines("out/named/rows.csv.out")]
assert [name for name, _ in answers] == [f"row-{number}" for number in range(200)]
assert [float(cluster) for _, cluster in answers] == [float(cluster) for cluster in second], answers[:3]

# One file that the model refuses fails the job; the answers to the others are there.
put("mixed/bad.csv", "1,2\n1,2,3\n")
put("mixed/good.csv", "\n".join(rows[:3]))
job = run("mixed", "mixed", "out/mixed")
assert job["TransformJobStatus"] == "Failed", job
assert job["FailureReason"].startswith("ClientError: See job logs for more information. bad.csv: "), job
assert "status 400" in job["FailureReason"], job
assert keys("out/mixed") == ["out/mixed/good.csv.out"], keys("out/mixed")
stream = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="mixed/")["logStreams"][1]
events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
assert any("mixed/bad.csv: ClientError" in event["message"] for event in events), events

# A model that does not come up, and one that is deleted meanwhile.
put("odd.tar.gz", b"no archive")
client.create_model(
    ModelName="odd",
    PrimaryContainer={"Image": image, "ModelDataUrl": f"s3://{bucket}/odd.tar.gz"},
    ExecutionRoleArn=role,
)
client.create_transform_job(**{**request("odd", "in/", "out/odd"), "ModelName": "odd"})
client.delete_model(ModelName="odd")
try:
    client.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName="odd", WaiterConfig={"Delay": 1})
except WaiterError:
    pass
job = client.describe_transform_job(TransformJobName="odd")
assert job["TransformJobStatus"] == "Failed" and "odd.tar.gz" in job["FailureReason"], job
assert keys("out/odd") == [], keys("out/odd")

# A job that is stopped leaves nothing. One job runs at a time, so that the second still waits.
put("long/rows.csv", "\n".join(rows * 400))
for name in ("long", "waits"):
    client.create_transform_job(**request(name, "long", f"out/{name}", BatchStrategy="SingleRecord"))
client.stop_transform_job(TransformJobName="waits")
client.stop_transform_job(TransformJobName="long")
for name in ("waits", "long"):
    client.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName=name, WaiterConfig={"Delay": 1})
    assert client.describe_transform_job(TransformJobName=name)["TransformJobStatus"] == "Stopped"
    assert keys(f"out/{name}") == [], keys(f"out/{name}")
refused("ValidationException", "in status Stopped", client.stop_transform_job, TransformJobName="long")

# Lists begin with the newest.
listed = client.list_transform_jobs()["TransformJobSummaries"]
names = [job["TransformJobName"] for job in listed]
assert names == ["waits", "long", "odd", "mixed", "named", "lines", "packed", "manifest", "key", "All"], names
failed = client.list_transform_jobs(StatusEquals="Failed", SortBy="Name", SortOrder="Ascending")["TransformJobSummaries"]
assert [job["TransformJobName"] for job in failed] == ["mixed", "odd"], failed
assert "FailureReason" in failed[0], failed

# What is refused.
refused("ResourceInUse", "Transform job names must be unique", client.create_transform_job, **request("ALL", "in/", "o"))
refused("ValidationException", "Requested resource not found.", client.describe_transform_job, TransformJobName="x")
refused(
    "ValidationException",
    "Could not find model",
    client.create_transform_job,
    **{**request("x", "in/", "o"), "ModelName": "gone"},
)
refused("ValidationException", "No S3 objects found", client.create_transform_job, **request("x", "nothing/", "o"))
refused(
    "ValidationException",
    "100 MB",
    client.create_transform_job,
    **request("x", "in/", "o", MaxConcurrentTransforms=100, MaxPayloadInMB=6),
)

# The SDK.
transformer = Transformer(
    model_name="model",
    instance_count=1,
    instance_type="ml.c5.xlarge",
    output_path=f"s3://{bucket}/out/sdk",
    accept="application/jsonlines",
    assemble_with="Line",
    sagemaker_session=session,
)
transformer.transform(
    f"s3://{bucket}/in/two.csv", content_type="text/csv", split_type="Line", job_name="sdk", wait=False, logs=False
)
transformer.wait(logs=False)
assert clusters("out/sdk/two.csv.out") == second
print("all as expected")
