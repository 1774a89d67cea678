"""A local SageMaker whose buckets are in another S3, which is a second one with keys.

The outer half starts both, stops the S3 and starts it again; the inner half is the client, in the environment of `kokanee local run --s3`.
"""

import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import boto3
import sagemaker
from botocore.config import Config
from botocore.exceptions import ClientError

KOKANEE, HALF = sys.argv[1:3]
LIMIT_S = 120
ROLE = "arn:aws:iam::000000000000:role/KokaneeRole"
ECR = "123456789012.dkr.ecr.us-west-2.amazonaws.com"

# What is trained: it reads two epochs of a pipe, and leaves a model of several parts and a checkpoint.
PROGRAM = """
import os, time
root = os.environ["KOKANEE_PREFIX"]
told = []
for epoch in range(2):
    with open(f"{root}/input/data/train_{epoch}", "rb") as pipe:
        told.append(len(pipe.read()))
state = f"{root}/checkpoints/deep/state"
os.makedirs(os.path.dirname(state), exist_ok=True)
before = open(state).read() if os.path.exists(state) else "0"
open(state, "w").write(str(int(before) + 1))
open(f"{root}/model/told", "w").write(f"{told} {before}")
open(f"{root}/model/big", "wb").write(os.urandom(20 << 20))
open("WORK/waits", "w").close()
while not os.path.exists("WORK/go"):
    time.sleep(0.01)
os.remove("WORK/go")
"""


def wait_for(what, condition):
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < LIMIT_S, f"waited in vain: {what}"
        time.sleep(0.01)


def outer():
    os.makedirs("program", exist_ok=True)
    Path("program/train.py").write_text(PROGRAM.replace("WORK", os.getcwd()))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_", "KOKANEE_"))}
    clean |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    keys = {"KOKANEE_ACCESS_KEY": "team", "KOKANEE_SECRET_KEY": "a/secret+with=odd~characters"}

    def start(port):
        line = [KOKANEE, "local", "--data", "other", "--port", port]
        server = subprocess.Popen(line, env=clean | keys, text=True, stdout=subprocess.PIPE)
        return server, server.stdout.readline().split()[3].rstrip(",")

    def run(*arguments, **more):
        line = [KOKANEE, "local", "run", "--region", "us-west-2", "--jobs", "1", *arguments]
        return subprocess.Popen(line, env=clean | more, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    own = {"AWS_ACCESS_KEY_ID": keys["KOKANEE_ACCESS_KEY"], "AWS_SECRET_ACCESS_KEY": keys["KOKANEE_SECRET_KEY"]}
    command = ["--", sys.executable, "-W", "ignore", __file__, KOKANEE, "inner"]
    line = [KOKANEE, "local", "--data", "here", "image", "add", "mine:1", "--train", f"{sys.executable} program/train.py"]
    subprocess.run(line, check=True, env=clean, stdout=subprocess.DEVNULL)
    other, url = start("0")
    try:
        # The S3 goes while a job runs, and comes back before, or a little after, the job has something for it.
        inner = run("--data", "here", "--s3", url, *command, **own)
        wait_for("the job", lambda: os.path.exists("waits") or inner.poll() is not None)
        other.kill()
        other.wait()
        Path("go").touch()
        time.sleep(0.5)
        other, again = start(url.rpartition(":")[2])
        assert again == url
        said, problems = inner.communicate()
        assert inner.returncode == 0 and "inner as expected" in said, (said, problems)

        # Wrong keys, keys that contradict each other, none, and no address.
        wrong = {**own, "AWS_SECRET_ACCESS_KEY": "another-secret"}
        for arguments, more, part in (
            (("--s3", url), {}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
            (("--s3", "minio:9000"), own, "expected http://host:port"),
            (("--s3", url), {**keys, **wrong}, "one pair of keys"),
        ):
            said = run("--data", "wrong", *arguments, "--", "true", **more).communicate()
            assert part in said[1], said
        command[-1] = "refused"
        inner = run("--data", "wrong", "--s3", url, *command, **wrong)
        said = inner.communicate()
        assert "refused as expected: 403" in said[0], said
    finally:
        other.kill()
        other.wait()
    # An S3 that is gone.
    inner = run("--data", "gone", "--s3", url, *command, **own)
    said = inner.communicate()
    assert "refused as expected: gone" in said[0], said
    print("all as expected")


def request(name, channel):
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "InputDataConfig": [channel],
        "OutputDataConfig": {"S3OutputPath": "s3://there/out"},
        "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 300},
    }


def channel(uri, **more):
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}, **more}


def kmeans(name, uri):
    image = sagemaker.image_uris.retrieve("kmeans", "us-west-2")
    return {
        **request(name, channel(uri, ContentType="text/csv;label_size=0")),
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "HyperParameters": {"k": "3", "feature_dim": "2", "mini_batch_size": "30"},
    }


def ended(client, name):
    describe = lambda: client.describe_training_job(TrainingJobName=name)
    wait_for(name, lambda: describe()["TrainingJobStatus"] not in ("InProgress", "Stopping"))
    return describe()


def inner():
    other = os.environ["AWS_ENDPOINT_URL_S3"]
    assert other != os.environ["AWS_ENDPOINT_URL"]
    client, s3 = boto3.client("sagemaker"), boto3.client("s3")
    assert s3.meta.endpoint_url == other, s3.meta.endpoint_url
    s3.create_bucket(Bucket="there", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    assert not os.path.exists("here/s3"), "it keeps no buckets of its own"

    # Requests for S3 that come here all the same.
    here = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    for call in (lambda: here.list_buckets(), lambda: here.put_object(Bucket="there", Key="x", Body=b"1" * 1_000_000)):
        try:
            call()
            raise AssertionError("there are no buckets here")
        except ClientError as error:
            assert other in str(error) and "AWS_ENDPOINT_URL_S3" in str(error), error

    # Files, more than a page of them.
    rows = "".join(f"{point + number / 100},{-point}\n" for point in (0, 50, 100) for number in range(10))
    for number in range(3):
        s3.put_object(Bucket="there", Key=f"in/a {number}+ü.csv", Body=rows.encode())
    client.create_training_job(**kmeans("files", "s3://there/in"))
    job = ended(client, "files")
    assert job["TrainingJobStatus"] == "Completed", job
    archive = s3.get_object(Bucket="there", Key="out/files/output/model.tar.gz")["Body"].read()
    assert "model_algo-1" in tarfile.open(fileobj=io.BytesIO(archive)).getnames()

    # Batch transform and an endpoint with that model.
    model = {"Image": sagemaker.image_uris.retrieve("kmeans", "us-west-2"), "ModelDataUrl": "s3://there/out/files/output/model.tar.gz"}
    client.create_model(ModelName="m", PrimaryContainer=model, ExecutionRoleArn=ROLE)
    try:
        missing = {**model, "ModelDataUrl": "s3://there/none.tar.gz"}
        client.create_model(ModelName="none", PrimaryContainer=missing, ExecutionRoleArn=ROLE)
        raise AssertionError("there is no such model")
    except ClientError as error:
        assert "none.tar.gz" in str(error), error
    source = channel("s3://there/in")["DataSource"]["S3DataSource"]
    client.create_transform_job(
        TransformJobName="t",
        ModelName="m",
        TransformInput={
            "DataSource": {"S3DataSource": {name: source[name] for name in ("S3DataType", "S3Uri")}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": "s3://there/answers", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
    )
    describe = lambda: client.describe_transform_job(TransformJobName="t")
    wait_for("the transform", lambda: describe()["TransformJobStatus"] != "InProgress")
    assert describe()["TransformJobStatus"] == "Completed", describe()
    answers = s3.list_objects_v2(Bucket="there", Prefix="answers/")["Contents"]
    assert [answer["Key"] for answer in answers] == [f"answers/a {number}+ü.csv.out" for number in range(3)], answers

    # A bucket that is not there.
    try:
        client.create_training_job(**kmeans("nowhere", "s3://not-there/in"))
        raise AssertionError("there is no such bucket")
    except ClientError as error:
        assert f"{other}/not-there" in str(error) and "NoSuchBucket" in str(error), error

    # A pipe, checkpoints, a model in parts; the S3 is killed and started again while the job runs.
    s3.put_object(Bucket="there", Key="pipe/a", Body=b"x" * 3_000_000)
    s3.put_object(Bucket="there", Key="pipe/b", Body=b"y")
    s3.put_object(Bucket="there", Key="kept/deep/state", Body=b"41")
    own = {
        **request("own", channel("s3://there/pipe")),
        "AlgorithmSpecification": {"TrainingImage": f"{ECR}/mine:1", "TrainingInputMode": "Pipe"},
        "CheckpointConfig": {"S3Uri": "s3://there/kept"},
    }
    own["OutputDataConfig"]["CompressionType"] = "NONE"
    client.create_training_job(**own)
    job = ended(client, "own")
    assert job["TrainingJobStatus"] == "Completed", job
    s3 = boto3.client("s3", config=Config(retries={"max_attempts": 10}))
    read = lambda key: s3.get_object(Bucket="there", Key=key)["Body"].read()
    assert read("out/own/output/model/told") == b"[3000001, 3000001] 41"
    assert len(read("out/own/output/model/big")) == 20 << 20
    assert read("kept/deep/state") == b"42"
    assert not s3.list_multipart_uploads(Bucket="there").get("Uploads")
    print("inner as expected")


def refused():
    """What the other S3 does not answer, or refuses, is told in the answer to the call."""
    client = boto3.client("sagemaker", config=Config(retries={"max_attempts": 0}))
    try:
        client.create_training_job(**kmeans("any", "s3://there/in"))
        raise AssertionError("it cannot be there")
    except ClientError as error:
        what = "403" if "SignatureDoesNotMatch" in str(error) and "environment it was started in" in str(error) else "?"
        what = "gone" if "no answer" in str(error) and os.environ["AWS_ENDPOINT_URL_S3"] in str(error) else what
        print(f"refused as expected: {what}", error)


{"outer": outer, "inner": inner, "refused": refused}[HALF]()
