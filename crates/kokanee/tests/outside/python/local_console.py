"""The call of boto3 that a page of a job shows creates the same job again; so does that of a batch transform."""

import html
import re
import struct
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3

program, data = sys.argv[1:]
client = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")
s3 = boto3.client("s3")
address = client.meta.endpoint_url
quick = {"Delay": 1, "MaxAttempts": 120}
role = "arn:aws:iam::000000000000:role/local"
registry = "000000000000.dkr.ecr.us-west-2.amazonaws.com"


def page(path, form=None, file=("", b"")):
    """A page; with a form, as a browser sends it, the file last."""
    body, headers = None, {}
    if form is not None:
        name, content = file
        fields = [(f'name="{key}"', value.encode()) for key, value in form.items()]
        parts = fields + [(f'name="file"; filename="{name}"', content)]
        head = '--xx\r\nContent-Disposition: form-data; '
        body = b"".join(f"{head}{key}\r\n\r\n".encode() + value + b"\r\n" for key, value in parts) + b"--xx--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=xx"}
    request = urllib.request.Request(address + "/console" + path, data=body, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def shown(text, name):
    """The text of the code with this name."""
    found = re.search(f'<pre[^>]*aria-label="{name}"[^>]*><code>(.*?)</code>', text, re.S)
    assert found, (name, text)
    return html.unescape(found.group(1))


def same(describe, member, first, answer):
    """Two jobs were asked for with the same request, but for their names."""
    changing = re.compile(
        r"(Name|Arn|Time|Status|Transitions|ModelArtifacts|FinalMetricDataList|InSeconds|ResponseMetadata)$"
    )
    asked = []
    for name in [first, answer[member].rsplit("/", 1)[1]]:
        described = describe(**{name_member: name})
        kept = {key: value for key, value in described.items() if not changing.search(key) or key == "ModelName"}
        asked.append(kept | {"StoppingCondition": described.get("StoppingCondition")})
    assert asked[0] == asked[1], asked
    assert len(asked[0]) > 5, asked[0]


s3.create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
s3.put_object(Bucket="data", Key="train/rows.csv", Body="".join(f"{i % 7},{i % 5}\n" for i in range(200)))
Path("quoting.sh").write_text('echo "loss=1.5"\n')
subprocess.run(
    [program, "local", "image", "add", "quoting:1", "--data", data, "--train", "sh quoting.sh"], check=True
)
common = {
    "RoleArn": role,
    "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
}
client.create_training_job(
    TrainingJobName="built-in",
    AlgorithmSpecification={"TrainingImage": f"{registry}/kmeans:1", "TrainingInputMode": "File"},
    HyperParameters={"k": "3", "feature_dim": "2"},
    InputDataConfig=[
        {
            "ChannelName": "train",
            "ContentType": "text/csv;label_size=0",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/"}},
        }
    ],
    StoppingCondition={"MaxRuntimeInSeconds": 600},
    Tags=[{"Key": "team", "Value": "it is ours"}],
    **common,
)
client.create_training_job(
    TrainingJobName="own-" + "x" * 59,
    AlgorithmSpecification={
        "TrainingImage": "quoting:1",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": 'loss=([0-9.]+)["\\\\]?'}],
    },
    HyperParameters={"text": "it's \"quoted\" \\ ${x} <b> ä '''", "true": "True", "none": "null"},
    StoppingCondition={"MaxRuntimeInSeconds": 600},
    Environment={"A": "1"},
    **common,
)
name_member = "TrainingJobName"
for job in ["built-in", "own-" + "x" * 59]:
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job, WaiterConfig=quick)
    code = shown(page(f"/jobs/training/{job}"), "boto3 call")
    lines = code.splitlines()
    call = lines.index('boto3.client("sagemaker").create_training_job(')
    lines[call] = "answer = " + lines[call]
    scope = {}
    exec("\n".join(lines), scope)
    same(client.describe_training_job, "TrainingJobArn", job, scope["answer"])
    again = client.describe_training_job(TrainingJobName=scope["answer"]["TrainingJobArn"].rsplit("/", 1)[1])
    tags = client.list_tags(ResourceArn=again["TrainingJobArn"])["Tags"]
    assert tags == client.list_tags(ResourceArn=client.describe_training_job(TrainingJobName=job)["TrainingJobArn"])["Tags"]
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=again["TrainingJobName"], WaiterConfig=quick)

model = client.describe_training_job(TrainingJobName="built-in")["ModelArtifacts"]["S3ModelArtifacts"]
client.create_model(
    ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": f"{registry}/kmeans:1", "ModelDataUrl": model}
)
client.create_transform_job(
    TransformJobName="rows",
    ModelName="m",
    TransformInput={
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/"}},
        "ContentType": "text/csv",
        "SplitType": "Line",
    },
    TransformOutput={"S3OutputPath": "s3://data/answers", "Accept": "text/csv"},
    TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
)
client.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName="rows", WaiterConfig=quick)
name_member = "TransformJobName"
code = shown(page("/jobs/transform/rows"), "boto3 call")
scope = {}
exec(code.replace('boto3.client("sagemaker").create', 'answer = boto3.client("sagemaker").create'), scope)
same(client.describe_transform_job, "TransformJobArn", "rows", scope["answer"])

# What was sent to an endpoint by hand can be sent again, by curl and by boto3.
variant = {
    "VariantName": "AllTraffic",
    "ModelName": "m",
    "InitialInstanceCount": 1,
    "InstanceType": "ml.m5.large",
    "InitialVariantWeight": 1,
}
client.create_endpoint_config(EndpointConfigName="m", ProductionVariants=[variant])
client.create_endpoint(EndpointName="m", EndpointConfigName="m")
client.get_waiter("endpoint_in_service").wait(EndpointName="m", WaiterConfig=quick)
recordio = "application/x-recordio-protobuf"
Path("it's my rows.csv").write_text("1,2\n3,4\n")
Path("rows.rec").write_bytes(
    # A record of RecordIO whose features have two numbers.
    struct.pack("<2I", 0xCED7230A, 24)
    + b"\x0a\x16\x0a\x06values\x12\x0c\x12\x0a\x0a\x08" + struct.pack("<2f", 1, 2)
)
for kind, body, file in [
    ("text/csv", "1,2\n3,4", None),
    (recordio, "1.0,2.0\n3.0,4.0", None),
    ("text/csv", "not sent", "it's my rows.csv"),
    (recordio, "not sent", "rows.rec"),
]:
    form = {"content_type": kind, "accept": "application/json", "body": body}
    text = page("/endpoints/m", form, (file, Path(file).read_bytes()) if file else ("", b""))
    assert "closest_cluster" in text and "Response: 200" in text, text
    if file:
        assert f'open("{file}", "rb")' in html.unescape(text) and "not sent" not in shown(text, "curl command"), text
    scope = {}
    exec(shown(text, "boto3 call").replace('print(response["Body"].read())', 'read = response["Body"].read()'), scope)
    told = subprocess.run(["sh", "-c", shown(text, "curl command")], capture_output=True, check=True).stdout
    assert told == scope["read"] and b"closest_cluster" in told, (told, scope["read"])

print("all as expected")
