"""Training jobs of one's own programs, and every way in which their data comes and goes, with boto3 against `kokanee local`.

Called with the program `kokanee` and the data folder of the server that the environment names.
"""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import textwrap
import time

import boto3

KOKANEE, DATA = sys.argv[1:3]
ROLE = "arn:aws:iam::000000000000:role/KokaneeRole"
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
LIMIT_S = 300
client = boto3.client("sagemaker")
s3 = boto3.client("s3")
region = client.meta.region_name
s3.create_bucket(Bucket="own", CreateBucketConfiguration={"LocationConstraint": region})

# The program: what it does is a hyperparameter. It finds its folders as a container does, or where it is told.
PROGRAM = '''
import json, os, signal, struct, sys, time
root = os.environ["KOKANEE_PREFIX"]
config = {name: json.load(open(f"{root}/input/config/{name}.json"))
          for name in ("hyperparameters", "inputdataconfig", "resourceconfig")}
task = sys.argv[1] if len(sys.argv) > 1 else config["hyperparameters"]["task"]

def tell(what, folder="model", name="told.json"):
    with open(f"{root}/{folder}/{name}", "w") as file:
        json.dump(what, file)

def files(folder):
    return {os.path.relpath(os.path.join(place, name), folder): open(os.path.join(place, name)).read()
            for place, _, names in os.walk(folder) for name in names}

if task == "tell":
    os.makedirs(f"{root}/output/data/deep", exist_ok=True)
    tell({"data": 1}, "output/data/deep", "more.json")
    names = ("TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION", "MINE")
    tell({**config, "environment": {name: os.environ.get(name) for name in names},
          "files": files(f"{root}/input/data"), "folder": os.getcwd(), "arguments": sys.argv[1:]})
    print("loss=2.5; loss=0.5;", flush=True)
    print("loss=nan;", flush=True)
elif task == "fail":
    open(f"{root}/output/failure", "w").write("Ünlucky: " + "x" * 2000)
    tell({"seen": True}, "output/data", "why.json")
    sys.exit(1)
elif task == "exit":
    sys.exit(3)
elif task == "client":
    import boto3
    boto3.client("s3").put_object(Bucket="own", Key="from/inside", Body=b"x")
elif task == "nothing":
    pass
elif task == "pipe":
    def read(epoch):
        with open(f"{root}/input/data/train_{epoch}", "rb") as pipe:
            return pipe.read().decode("latin-1")
    tell([read(epoch) for epoch in range(3)])
elif task == "wait":
    def end(*_):
        tell("stopped")
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    print("ready=1;", flush=True)
    while True:
        time.sleep(0.1)
elif task == "checkpoint":
    state = f"{root}/checkpoints/state"
    step = int(open(state).read()) if os.path.exists(state) else 0
    with open(state, "w") as file:
        file.write(str(step + 1))
    tell(step)
else:
    sys.exit(f"what is {task}?")
'''
os.makedirs("program", exist_ok=True)
with open("program/train.py", "w") as file:
    file.write(textwrap.dedent(PROGRAM))


def image(*arguments):
    command = [KOKANEE, "local", "--data", DATA, "image", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def put(key, body):
    s3.put_object(Bucket="own", Key=key, Body=body)


def channel(prefix, name="train", **members):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://own/{prefix}"}
    source.update(members.pop("source", {}))
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **members}


def create(name, task, *channels, algorithm=None, **members):
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": f"{ECR}/my-algo:1",
            "TrainingInputMode": "File",
            **(algorithm or {}),
        },
        "HyperParameters": {"task": task},
        "RoleArn": ROLE,
        "InputDataConfig": list(channels),
        "OutputDataConfig": {"S3OutputPath": "s3://own/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **members,
    }
    if not channels:
        del request["InputDataConfig"]
    return client.create_training_job(**request)


def until(name, is_so):
    end = time.monotonic() + LIMIT_S
    while True:
        job = client.describe_training_job(TrainingJobName=name)
        if is_so(job):
            return job
        assert time.monotonic() < end and job["TrainingJobStatus"] not in ("Completed", "Failed", "Stopped"), job
        time.sleep(0.02)


def ended(name, status="Completed"):
    job = until(name, lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"))
    assert job["TrainingJobStatus"] == status, job
    return job


def run(name, task, *channels, status="Completed", **members):
    create(name, task, *channels, **members)
    return ended(name, status)


def archive(uri):
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def told(job):
    return json.loads(archive(job["ModelArtifacts"]["S3ModelArtifacts"])["told.json"])


def refused(part, *arguments, **members):
    try:
        create(*arguments, **members)
    except client.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException", error
        assert part in error.response["Error"]["Message"], error
        return
    raise AssertionError(f"not refused: {part}")


# Registering, while the server runs. A name of ECR is the same image in every account and region.
train = f"{sys.executable} train.py"
added = image("add", "000000000000.dkr.ecr.us-east-1.amazonaws.com/my-algo", "--train", train, "--directory", "program")
assert added.returncode == 0 and added.stdout == "my-algo:latest is registered\n", added
listed = image("list").stdout
assert "my-algo:latest" in listed and "train.py" in listed, listed
missing = image("add", "other:1", "--train", "no-such-program-at-all x")
assert missing.returncode != 0 and "there is no program no-such-program-at-all" in missing.stderr, missing

# The contract of the guide: what a program finds, and what becomes of what it leaves.
put("in/a", "1")
put("in/deep/b", "2")
put("inner", "3")
texts = {"task": "tell", "text": "ü \"quoted\" {} \\ 'x' $HOME"}
job = run(
    "Contract-1",
    "tell",
    channel("in", ContentType="text/plain"),
    channel("in", "second", InputMode="File", source={"S3DataDistributionType": "ShardedByS3Key"}),
    channel("in/a", "third"),
    channel("inn", "fourth"),
    HyperParameters=texts,
    Environment={"MINE": "yes ü", "TRAINING_JOB_NAME": "mine"},
    algorithm={"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}, {"Name": "no", "Regex": "no=(.*)"}]},
)
found = told(job)
assert found["hyperparameters"] == texts, found
plain = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
assert found["inputdataconfig"] == {
    "train": {"ContentType": "text/plain", **plain},
    "second": {**plain, "S3DistributionType": "ShardedByS3Key"},
    "third": plain,
    "fourth": plain,
}, found
assert found["resourceconfig"] == {
    "current_host": "algo-1",
    "current_instance_type": "ml.m5.large",
    "current_group_name": "homogeneousCluster",
    "hosts": ["algo-1"],
    "instance_groups": [
        {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}
    ],
    "network_interface_name": "lo",
}, found
assert found["environment"] == {
    "TRAINING_JOB_NAME": "Contract-1",
    "TRAINING_JOB_ARN": job["TrainingJobArn"],
    "AWS_REGION": region,
    "MINE": "yes ü",
}, found
assert found["files"] == {
    "train/a": "1",
    "train/deep/b": "2",
    "train/inner": "3",
    "second/a": "1",
    "second/deep/b": "2",
    "second/inner": "3",
    "third/a": "1",
    "fourth/inner": "3",
}, found
assert found["folder"].endswith("program"), found
metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
assert metrics == {"loss": 2.5}, metrics
assert archive("s3://own/out/Contract-1/output/output.tar.gz") == {"deep/more.json": b'{"data": 1}'}
statuses = [step["Status"] for step in job["SecondaryStatusTransitions"]]
assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"], statuses

# Success and failure.
failed = run("fail", "fail", status="Failed")
assert failed["FailureReason"].startswith("Ünlucky: xx") and len(failed["FailureReason"]) == 1024, failed
assert json.loads(archive("s3://own/out/fail/output/output.tar.gz")["why.json"]) == {"seen": True}
failed = run("exit", "exit", status="Failed")
assert failed["FailureReason"].startswith("AlgorithmError: ") and "exit code 3" in failed["FailureReason"], failed
assert archive(run("nothing", "nothing")["ModelArtifacts"]["S3ModelArtifacts"]) == {}

# A program that is a client itself finds this server.
run("client", "client")
assert s3.get_object(Bucket="own", Key="from/inside")["Body"].read() == b"x"

# Objects that are compressed, or listed.
put("zip/a.csv.gz", gzip.compress(b"1,2"))
put("zip/b", gzip.compress(b"3,4"))
put("lists/one", json.dumps([{"prefix": "s3://own/in/"}, "deep/b", "a"]))
job = run(
    "forms",
    "tell",
    channel("zip/", "zip", CompressionType="Gzip"),
    channel("lists/one", "list", source={"S3DataType": "ManifestFile"}),
)
assert told(job)["files"] == {"zip/a.csv": "1,2", "zip/b": "3,4", "list/deep/b": "2", "list/a": "1"}, told(job)
put("lists/gone", json.dumps([{"prefix": "s3://own/in/"}, "nowhere"]))
gone = run("gone", "tell", channel("lists/gone", source={"S3DataType": "ManifestFile"}), status="Failed")
assert gone["FailureReason"].startswith("ClientError: channel train: s3://own/in/nowhere"), gone
bad = run("no-gzip", "tell", channel("in/", CompressionType="Gzip"), status="Failed")
assert "s3://own/in/a cannot be decompressed" in bad["FailureReason"], bad

# Streams: for each epoch all objects, as they are, decompressed, wrapped into records, in a drawn order. One is never opened.
pipe = {"InputMode": "Pipe"}
assert told(run("pipe", "pipe", channel("in/", **pipe), channel("in/", "unread", **pipe))) == ["12"] * 3
whole = told(run("pipe-zip", "pipe", channel("zip/", CompressionType="Gzip"), algorithm={"TrainingInputMode": "Pipe"}))
assert whole == ["1,23,4"] * 3, whole
frame = lambda text: b"\x0a\x23\xd7\xce" + len(text).to_bytes(4, "little") + text + b"\0" * (-len(text) % 4)
wrapped = run("pipe-records", "pipe", channel("zip/", CompressionType="Gzip", RecordWrapperType="RecordIO", **pipe))
assert told(wrapped) == [(frame(b"1,2") + frame(b"3,4")).decode("latin-1")] * 3, told(wrapped)
for number in range(9):
    put(f"many/{number}", str(number))
drawn = told(run("pipe-shuffled", "pipe", channel("many/", ShuffleConfig={"Seed": 7}, **pipe)))
assert len(set(drawn)) > 1 and {"".join(sorted(epoch)) for epoch in drawn} == {"012345678"}, drawn
cut = run("pipe-bad", "pipe", channel("in/", CompressionType="Gzip", **pipe), status="Failed")
assert "s3://own/in/a cannot be decompressed" in cut["FailureReason"], cut

# Built-in algorithms: one reads streams, one does not; one works for machines that are not there, and says so.
s3.put_object(Bucket="own", Key="rows/x.csv", Body="".join(f"{n % 3 * 50 + n / 100},{n}\n" for n in range(60)).encode())
kmeans = {"TrainingImage": f"{ECR}/kmeans:1"}
rows = channel("rows/", ContentType="text/csv;label_size=0", **pipe)
hyperparameters = {"k": "3", "feature_dim": "2", "mini_batch_size": "30", "epochs": "3"}
resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
job = run("kmeans", "", rows, algorithm=kmeans, HyperParameters=hyperparameters, ResourceConfig=resources)
assert "model_algo-1" in archive(job["ModelArtifacts"]["S3ModelArtifacts"]), job
message = [step["StatusMessage"] for step in job["SecondaryStatusTransitions"] if step["Status"] == "Training"][0]
assert "InstanceCount is 2, but this machine is the only one" in message, message
channels = [channel("rows/", name, **pipe) for name in ("train", "validation", "vocab")]
seq2seq = {"TrainingImage": f"{ECR}/seq2seq:1"}
failed = run("seq2seq", "", *channels, algorithm=seq2seq, HyperParameters={}, status="Failed")
assert 'TrainingInputMode "Pipe" is not supported' in failed["FailureReason"], failed

# Stopping: the program has time to save a model.
create("stop", "wait", algorithm={"MetricDefinitions": [{"Name": "ready", "Regex": "ready=(.*?);"}]})
until("stop", lambda job: job.get("FinalMetricDataList"))
client.stop_training_job(TrainingJobName="stop")
assert told(ended("stop", "Stopped")) == "stopped"

# Checkpoints outlive jobs; a job's last one is in S3 when the job has ended.
checkpoints = {"CheckpointConfig": {"S3Uri": "s3://own/state"}}
for step in range(3):
    job = run(f"checkpoint-{step}", "checkpoint", **checkpoints)
    assert told(job) == step and job["CheckpointConfig"] == checkpoints["CheckpointConfig"], job
    assert s3.get_object(Bucket="own", Key="state/state")["Body"].read() == str(step + 1).encode()
spot = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}
job = run("spot", "checkpoint", **checkpoints, EnableManagedSpotTraining=True, StoppingCondition=spot)
assert job["EnableManagedSpotTraining"] and job["StoppingCondition"] == spot, job

# Artefacts as objects of their own.
job = run("plain", "tell", OutputDataConfig={"S3OutputPath": "s3://own/plain/", "CompressionType": "NONE"})
assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://own/plain/plain/output/model/", job
keys = [item["Key"] for item in s3.list_objects_v2(Bucket="own", Prefix="plain/")["Contents"]]
assert keys == ["plain/plain/output/data/deep/more.json", "plain/plain/output/model/told.json"], keys

# Another program than the image's own, and other arguments.
job = run("arguments", "exit", algorithm={"ContainerArguments": ["tell"]})
assert told(job)["arguments"] == ["tell"], told(job)
script = "echo '\"from a shell\"' > $KOKANEE_PREFIX/model/told.json"
job = run("entry", "exit", algorithm={"ContainerEntrypoint": ["/bin/sh"], "ContainerArguments": ["-c", script]})
assert told(job) == "from a shell"

# What is refused, and an image that nothing runs.
refused("It must be present and be greater", "r", "tell", EnableManagedSpotTraining=True)
refused("Invalid LocalPath /tmp/x", "r", "tell", CheckpointConfig={"S3Uri": "s3://own/c", "LocalPath": "/tmp/x"})
refused("is for Pipe mode", "r", "tell", channel("in", RecordWrapperType="RecordIO"))
refused("are for images of your own", "r", "", rows, algorithm={**kmeans, "ContainerArguments": ["x"]})
unknown = run("unknown", "tell", algorithm={"TrainingImage": f"{ECR}/nobodys:1"}, status="Failed")
assert "kokanee local image add nobodys:1 --train" in unknown["FailureReason"], unknown
assert image("rm", "my-algo").returncode == 0
assert "no program is registered" in image("rm", "my-algo").stderr
print("all as expected")
