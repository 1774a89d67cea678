"""The AWS CLI as a client of `kokanee local`: a model is trained, asked and removed from a shell.

Arguments name the command, `aws` of this Python if there are none. One that knows nothing of AWS_ENDPOINT_URL (before 2.13) is told the server.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

AWS = sys.argv[1:] or [sys.executable, "-m", "awscli"]
said = subprocess.run([*AWS, "--version"], capture_output=True, text=True, check=True).stdout
version = tuple(int(number) for number in re.match(r"aws-cli/(\d+)\.(\d+)", said).groups())
if (2, 0) <= version < (2, 13):
    AWS += ["--endpoint-url", os.environ["AWS_ENDPOINT_URL"]]
environment = {**os.environ, "AWS_PAGER": ""}


def aws(*words, status=0):
    """What the command prints: an object where it is one. A command that fails says why."""
    result = subprocess.run([*AWS, *words], capture_output=True, text=True, env=environment)
    assert result.returncode == status, f"{' '.join(words)}: {result.returncode}\n{result.stdout}{result.stderr}"
    if status:
        return result.stderr.strip()
    return json.loads(result.stdout) if result.stdout.startswith(("{", "[")) else result.stdout.strip()


def sagemaker(*words, status=0):
    return aws("sagemaker", *words, status=status)


def poll(words, member, while_status):
    """Describes until the status is another one; `wait` would sleep for half a minute or more."""
    while True:
        described = sagemaker(*words)
        if described[member] != while_status:
            return described
        time.sleep(0.2)


SERVICE_ERROR = 254 if version >= (2, 0) else 255

account = aws("sts", "get-caller-identity", "--query", "Account", "--output", "text")
role = aws("iam", "get-role", "--role-name", "KokaneeRole", "--query", "Role.Arn", "--output", "text")
assert role == f"arn:aws:iam::{account}:role/KokaneeRole", role

# A job, from a request in a file: ten rows around each of three points, which are far from each other.
region = os.environ["AWS_DEFAULT_REGION"]
image = f"174872318107.dkr.ecr.{region}.amazonaws.com/kmeans:1"
rows = "".join(f"{point + number / 100},{-point}\n" for point in (0, 50, 100) for number in range(10))
Path("rows.csv").write_text(rows)
aws("s3", "mb", "s3://shell")
aws("s3", "cp", "rows.csv", "s3://shell/in/rows.csv")
request = {
    "TrainingJobName": "cli-job",
    "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
    "HyperParameters": {"k": "3", "feature_dim": "2", "mini_batch_size": "30", "init_method": "kmeans++"},
    "RoleArn": role,
    "InputDataConfig": [
        {
            "ChannelName": "train",
            "ContentType": "text/csv;label_size=0",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://shell/in"}},
        }
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://shell/out"},
    "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
Path("job.json").write_text(json.dumps(request))
arn = sagemaker(
    "create-training-job", "--cli-input-json", "file://job.json", "--tags", "Key=team,Value=ü", "Key=stage,Value="
)["TrainingJobArn"]
assert arn == f"arn:aws:sagemaker:{region}:{account}:training-job/cli-job", arn
again = sagemaker("create-training-job", "--cli-input-json", "file://job.json", status=SERVICE_ERROR)
assert "An error occurred (ResourceInUse) when calling the CreateTrainingJob operation: " in again and arn in again, again
job = poll(["describe-training-job", "--training-job-name", "cli-job"], "TrainingJobStatus", "InProgress")
assert job["TrainingJobStatus"] == "Completed", job
sagemaker("wait", "training-job-completed-or-stopped", "--training-job-name", "cli-job")
missing = sagemaker("describe-training-job", "--training-job-name", "none", status=SERVICE_ERROR)
assert "(ValidationException) when calling the DescribeTrainingJob operation: Requested resource not found." in missing
waited = sagemaker("wait", "training-job-completed-or-stopped", "--training-job-name", "none", status=255)
assert "Waiter TrainingJobCompletedOrStopped failed" in waited, waited
wrong = sagemaker(
    "create-training-job", "--cli-input-json", "file://job.json", "--training-job-name", "a_b", status=SERVICE_ERROR
)
assert "Value 'a_b' at 'trainingJobName' failed to satisfy constraint" in wrong, wrong

# Its tags, and what the lists say of it.
assert sagemaker("list-tags", "--resource-arn", arn)["Tags"] == [
    {"Key": "team", "Value": "ü"},
    {"Key": "stage", "Value": ""},
]
sagemaker("delete-tags", "--resource-arn", arn, "--tag-keys", "team")
assert [tag["Key"] for tag in sagemaker("add-tags", "--resource-arn", arn, "--tags", "Key=b,Value=c")["Tags"]] == ["stage", "b"]
jobs = sagemaker("list-training-jobs", "--name-contains", "cli", "--status-equals", "Completed", "--page-size", "1")
assert [item["TrainingJobName"] for item in jobs["TrainingJobSummaries"]] == ["cli-job"], jobs

# Its log and its metrics.
group = "/aws/sagemaker/TrainingJobs"
streams = aws("logs", "describe-log-streams", "--log-group-name", group, "--log-stream-name-prefix", "cli-job/")
(stream,) = [item["logStreamName"] for item in streams["logStreams"]]
events = aws("logs", "get-log-events", "--log-group-name", group, "--log-stream-name", stream, "--start-from-head")
texts = [event["message"] for event in events["events"]]
assert any("#quality_metric" in text for text in texts), texts
if version >= (2, 0):
    tail = aws("logs", "tail", group, "--log-stream-name-prefix", "cli-job/", "--format", "short")
    assert len(tail.splitlines()) == len(texts), tail
dimension = "Name=TrainingJobName,Value=cli-job"
now = int(time.time())
window = ["--start-time", str(now - 600), "--end-time", str(now + 60)]
points = aws(
    "cloudwatch", "get-metric-statistics", "--namespace", group, "--metric-name", "train:msd", "--dimensions", dimension,
    *window, "--period", "600", "--statistics", "Average", "Maximum",
)
assert points["Datapoints"] and points["Datapoints"][0]["Average"] >= 0, points
query = {
    "Id": "m",
    "MetricStat": {
        "Metric": {
            "Namespace": group,
            "MetricName": "train:msd",
            "Dimensions": [{"Name": "TrainingJobName", "Value": "cli-job"}],
        },
        "Period": 3600,
        "Stat": "Average",
    },
}
data = aws(
    "cloudwatch", "get-metric-data", "--metric-data-queries", json.dumps([query]), *window
)["MetricDataResults"]
assert [(result["Id"], result["StatusCode"], len(result["Values"])) for result in data] == [("m", "Complete", 1)], data

# A model behind an endpoint.
model = job["ModelArtifacts"]["S3ModelArtifacts"]
sagemaker(
    "create-model", "--model-name", "cli-model", "--execution-role-arn", role,
    "--primary-container", f"Image={image},ModelDataUrl={model}",
)
sagemaker(
    "create-endpoint-config", "--endpoint-config-name", "cli-configuration", "--production-variants",
    "VariantName=AllTraffic,ModelName=cli-model,InstanceType=ml.m4.xlarge,InitialInstanceCount=1",
)
sagemaker("create-endpoint", "--endpoint-name", "cli-endpoint", "--endpoint-config-name", "cli-configuration")
described = poll(["describe-endpoint", "--endpoint-name", "cli-endpoint"], "EndpointStatus", "Creating")
assert described["EndpointStatus"] == "InService", described
sagemaker("wait", "endpoint-in-service", "--endpoint-name", "cli-endpoint")
Path("ask.csv").write_text("0,0\n100,-100\n")


def invoke(body, status=0):
    return aws(
        "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "cli-endpoint", "--content-type", "text/csv",
        "--body", body, "answer.json", status=status,
    )


assert invoke("fileb://ask.csv")["InvokedProductionVariant"] == "AllTraffic"
clusters = [row["closest_cluster"] for row in json.loads(Path("answer.json").read_text())["predictions"]]
assert len(set(clusters)) == 2, clusters
Path("wide.csv").write_text("1,2,3\n")
error = invoke("fileb://wide.csv", status=SERVICE_ERROR)
assert "An error occurred (ModelError) when calling the InvokeEndpoint operation: Received client error (400)" in error, error
sagemaker(
    "update-endpoint-weights-and-capacities", "--endpoint-name", "cli-endpoint",
    "--desired-weights-and-capacities", "VariantName=AllTraffic,DesiredInstanceCount=2",
)
grown = poll(["describe-endpoint", "--endpoint-name", "cli-endpoint"], "EndpointStatus", "Updating")
assert grown["ProductionVariants"][0]["CurrentInstanceCount"] == 2, grown

# A transform job.
aws("s3", "cp", "rows.csv", "s3://shell/ask/rows.csv")
sagemaker(
    "create-transform-job", "--transform-job-name", "cli-transform", "--model-name", "cli-model", "--transform-input",
    json.dumps(
        {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://shell/ask"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        }
    ),
    "--transform-output", "S3OutputPath=s3://shell/answers,AssembleWith=Line,Accept=application/jsonlines",
    "--transform-resources", "InstanceType=ml.m4.xlarge,InstanceCount=1",
)
done = poll(["describe-transform-job", "--transform-job-name", "cli-transform"], "TransformJobStatus", "InProgress")
assert done["TransformJobStatus"] == "Completed", done
aws("s3", "cp", "s3://shell/answers/rows.csv.out", "answers.jsonl")
answers = Path("answers.jsonl").read_text().splitlines()
assert len(answers) == 30, answers

# Everything goes again.
sagemaker("delete-endpoint", "--endpoint-name", "cli-endpoint")
sagemaker("delete-endpoint-config", "--endpoint-config-name", "cli-configuration")
sagemaker("delete-model", "--model-name", "cli-model")
assert sagemaker("list-models")["Models"] == []
aws("s3", "rb", "--force", "s3://shell")
print("all as expected")
