"""Models and endpoints of `kokanee local`, used by boto3 and SageMaker's SDK v2.

    local_hosting.py KOKANEE DATA
"""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from botocore.exceptions import ClientError, WaiterError
from sagemaker.amazon.common import RecordDeserializer, RecordSerializer
from sagemaker.deserializers import JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

kokanee, data = sys.argv[1:]
logging.disable()
client = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")
s3 = boto3.client("s3")
region = client.meta.region_name
session = sagemaker.Session()
account = session.account_id()
bucket = session.default_bucket()
role = sagemaker.get_execution_role(session)
image = sagemaker.image_uris.retrieve("kmeans", region)


def refused(code, part, call, **arguments):
    """The call is refused with this code and a text that contains this part."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert part in error.response["Error"]["Message"], error
        return error.response
    raise AssertionError(f"not refused: {code}")


def train(name, points):
    """The address of a model with a centre at each of the points."""
    rows = "".join(f"{point + number / 100},{-point}\n" for point in points for number in range(10))
    s3.put_object(Bucket=bucket, Key=f"{name}/train/rows.csv", Body=rows.encode())
    client.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters={"k": str(len(points)), "feature_dim": "2", "mini_batch_size": "30", "init_method": "kmeans++"},
        RoleArn=role,
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv;label_size=0",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{name}/train"}},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/{name}/out"},
        ResourceConfig={"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    waiter = client.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1})
    return client.describe_training_job(TrainingJobName=name)["ModelArtifacts"]["S3ModelArtifacts"]


def variant(name, model, count=1, **more):
    return {
        "VariantName": name,
        "ModelName": model,
        "InitialInstanceCount": count,
        "InstanceType": "ml.m4.xlarge",
        **more,
    }


def wait(name):
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return client.describe_endpoint(EndpointName=name)


def invoke(**more):
    """The distance of (100, -100) to its centre, and the variant that tells it."""
    request = {"EndpointName": "Points", "ContentType": "text/csv", "Body": b"100.0,-100.0", **more}
    answer = runtime.invoke_endpoint(**request)
    prediction = json.loads(answer["Body"].read())["predictions"][0]
    return prediction["distance_to_cluster"], answer["InvokedProductionVariant"]


def until(condition):
    """Waits for something that comes by itself; files may go while they are read."""
    end = time.monotonic() + 60
    while True:
        try:
            if condition():
                return
        except FileNotFoundError:
            pass
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


# Two models: one has a centre where the test asks, the other has none near it.
near, far = train("near", (0, 50, 100)), train("far", (0, 20, 40))
container = {"Image": image, "ModelDataUrl": near}
arn = client.create_model(ModelName="Near", PrimaryContainer=container, ExecutionRoleArn=role)["ModelArn"]
assert arn == f"arn:aws:sagemaker:{region}:{account}:model/near", arn
described = client.describe_model(ModelName="Near")
assert described["PrimaryContainer"]["ModelDataUrl"] == near and described["PrimaryContainer"]["Environment"] == {}
host, key = f"https://{bucket}.s3-{region}.amazonaws.com", far.split("/", 3)[3]
client.create_model(ModelName="Far", Containers=[{"Image": image, "ModelDataUrl": f"{host}/{key}"}])
refused(
    "ValidationException",
    f"Could not find model data at s3://{bucket}/none.tar.gz.",
    client.create_model,
    ModelName="none",
    PrimaryContainer={"Image": image, "ModelDataUrl": f"s3://{bucket}/none.tar.gz"},
)
refused(
    "ValidationException",
    f'Cannot create already existing model "{arn}".',
    client.create_model,
    ModelName="near",
    PrimaryContainer=container,
)

# An endpoint of two variants.
client.create_endpoint_config(
    EndpointConfigName="both",
    ProductionVariants=[variant("Near", "Near", 2), variant("Far", "Far", InitialVariantWeight=3)],
)
missing = f'Could not find endpoint configuration "arn:aws:sagemaker:{region}:{account}:endpoint-config/none".'
refused("ValidationException", missing, client.create_endpoint, EndpointName="Points", EndpointConfigName="none")
refused("ValidationError", f"Endpoint Points of account {account} not found.", invoke)
endpoint = client.create_endpoint(EndpointName="Points", EndpointConfigName="both", Tags=[{"Key": "a", "Value": "1"}])
endpoint = endpoint["EndpointArn"]
assert client.list_tags(ResourceArn=endpoint)["Tags"] == [{"Key": "a", "Value": "1"}]
described = wait("Points")
assert described["EndpointConfigName"] == "both"
shown = {
    one["VariantName"]: (one["CurrentWeight"], one["CurrentInstanceCount"], one["DesiredInstanceCount"])
    for one in described["ProductionVariants"]
}
assert shown == {"Near": (1.0, 2, 2), "Far": (3.0, 1, 1)}, shown

# Each variant, and both by their weights.
assert invoke(TargetVariant="Near")[0] < 1 < invoke(TargetVariant="Far")[0]
told = [invoke()[1] for _ in range(200)]
assert 25 <= told.count("Near") <= 80, told.count("Near")

# What clients send and get: CSV, JSON, RecordIO, custom attributes.
answer = runtime.invoke_endpoint(
    EndpointName="points",
    ContentType="application/json",
    Accept="application/json",
    Body=json.dumps({"instances": [{"features": [100.0, -100.0]}] * 3}),
    TargetVariant="Near",
    CustomAttributes="trace=1",
)
assert len(json.loads(answer["Body"].read())["predictions"]) == 3 and answer["ContentType"] == "application/json"
rows = np.array([[100.0, -100.0], [0.0, 0.0]], dtype="float32")
predictor = Predictor("Points", session, serializer=RecordSerializer(), deserializer=RecordDeserializer())
records = predictor.predict(rows, target_variant="Near")
assert len(records) == 2 and records[0].label["distance_to_cluster"].float32_tensor.values[0] < 1
predictor = Predictor("Points", session, serializer=CSVSerializer(), deserializer=JSONDeserializer())
assert len(predictor.predict(rows)["predictions"]) == 2

# What is refused, by the model and before it.
response = refused("ModelError", "Received client error (4", invoke, Body=b"a,b,c", TargetVariant="Near")
assert response["ResponseMetadata"]["HTTPStatusCode"] == 424 and response["OriginalStatusCode"] in range(400, 500)
assert response["OriginalMessage"] in response["Error"]["Message"], response
assert response["LogStreamArn"].endswith("log-group:/aws/sagemaker/Endpoints/Points"), response
refused("ModelError", "See https://", invoke, ContentType="image/png")
refused("ValidationError", "Variant None not found", invoke, TargetVariant="None")
response = refused("ValidationError", "6291456", invoke, Body=b"1" * 6291457)
assert response["ResponseMetadata"]["HTTPStatusCode"] == 413, response
refused("ValidationError", "TargetModel", invoke, TargetModel="a.tar.gz")
refused(
    "UnknownOperationException",
    "InvokeEndpointAsync",
    runtime.invoke_endpoint_async,
    EndpointName="Points",
    InputLocation=f"s3://{bucket}/a",
)

# Requests go on while an instance is killed, weights change, and another configuration takes over.
failures, answers, is_over = [], [], threading.Event()


def ask():
    own = boto3.session.Session().client("sagemaker-runtime")
    while not is_over.is_set():
        try:
            answer = own.invoke_endpoint(EndpointName="Points", ContentType="text/csv", Body=b"100.0,-100.0")
            answers.append(json.loads(answer["Body"].read())["predictions"][0]["distance_to_cluster"])
        except Exception as error:
            failures.append(error)


threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
client.update_endpoint_weights_and_capacities(
    EndpointName="Points",
    DesiredWeightsAndCapacities=[
        {"VariantName": "Near", "DesiredWeight": 0.0, "DesiredInstanceCount": 1},
        {"VariantName": "Far", "DesiredInstanceCount": 2},
    ],
)
described = wait("Points")
shown = {one["VariantName"]: (one["CurrentWeight"], one["CurrentInstanceCount"]) for one in described["ProductionVariants"]}
assert shown == {"Near": (0.0, 1), "Far": (3.0, 2)}, shown
assert all(invoke()[1] == "Far" for _ in range(20))
refused(
    "ValidationException",
    'The variant name(s) "None" is/are not present within endpoint configuration "both".',
    client.update_endpoint_weights_and_capacities,
    EndpointName="Points",
    DesiredWeightsAndCapacities=[{"VariantName": "None", "DesiredWeight": 1.0}],
)
refused(
    "ValidationException", "current", client.update_endpoint, EndpointName="Points", EndpointConfigName="both"
)
for name, model in (("one", "Near"), ("two", "Far"), ("three", "Near")):
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant("Only", model, 2)])
    client.update_endpoint(EndpointName="Points", EndpointConfigName=name)
    described = client.describe_endpoint(EndpointName="Points")
    if described["EndpointStatus"] == "Updating":
        assert described["PendingDeploymentSummary"]["EndpointConfigName"] == name, described
    described = wait("Points")
    assert described["EndpointConfigName"] == name, described
    assert (invoke()[0] < 1) == (model == "Near")
assert not failures, failures
count = len(answers)
until(lambda: len(answers) > count)

# An instance that is killed comes back; the other one answers meanwhile.
folder = Path(data, "endpoints", region, "Points")


def processes():
    """The processes of the instances that answer."""
    return {json.loads(file.read_text())["pid"] for file in folder.glob("*/Only-*/ready.json")}


until(lambda: len(processes()) == 2)
killed = min(processes())
os.kill(killed, signal.SIGKILL)
until(lambda: len(processes() - {killed}) == 2)
count = len(answers)
until(lambda: len(answers) > count + 100)
is_over.set()
for thread in threads:
    thread.join()
# A request that the instance had begun to answer is lost with it, and no other.
assert len(failures) <= 4, failures
assert all(error.response["Error"]["Code"] == "ModelError" for error in failures), failures
until(
    lambda: client.describe_endpoint(EndpointName="Points")["ProductionVariants"][0]["CurrentInstanceCount"] == 2
)

# A model that cannot be served fails an endpoint, and leaves one that serves another.
broken = io.BytesIO()
with tarfile.open(fileobj=broken, mode="w:gz") as archive:
    entry = tarfile.TarInfo("model_algo-1")
    entry.size = 3
    archive.addfile(entry, io.BytesIO(b"bad"))
s3.put_object(Bucket=bucket, Key="broken.tar.gz", Body=broken.getvalue())
client.create_model(ModelName="Broken", PrimaryContainer={"Image": image, "ModelDataUrl": f"s3://{bucket}/broken.tar.gz"})
client.create_endpoint_config(EndpointConfigName="broken", ProductionVariants=[variant("AllTraffic", "Broken")])
client.create_endpoint(EndpointName="broken", EndpointConfigName="broken")
try:
    wait("broken")
    raise AssertionError("it serves")
except WaiterError:
    pass
described = client.describe_endpoint(EndpointName="broken")
assert described["EndpointStatus"] == "Failed", described
assert described["FailureReason"].startswith(
    "The primary container for production variant AllTraffic did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
), described
refused("ValidationException", "Failed", client.update_endpoint, EndpointName="broken", EndpointConfigName="both")
client.update_endpoint(EndpointName="Points", EndpointConfigName="broken")
described = wait("Points")
assert described["EndpointConfigName"] == "three" and "ping health check" in described["FailureReason"], described
assert invoke()[0] < 1

# A program of one's own, which answers with its model, its variables and what it was sent.
Path("serve.py").write_text(
    """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"fail":
            return self.answer(500, b"as you wish")
        if body == b"die":
            os._exit(3)
        self.answer(200, json.dumps({
            "model": open(os.path.join(os.environ["KOKANEE_PREFIX"], "model/m.txt")).read(),
            "variable": os.environ["COLOUR"], "body": body.decode(), "accept": self.headers["Accept"],
            "attributes": self.headers["X-Amzn-SageMaker-Custom-Attributes"],
        }).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/x-own")
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen")
        self.end_headers()
        self.wfile.write(body)

print("serving", sys.argv[1:], flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
)
command = [kokanee, "local", "--data", data, "image", "add", "own:1", "--serve", f"{sys.executable} serve.py"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
own = io.BytesIO()
with tarfile.open(fileobj=own, mode="w:gz") as archive:
    entry = tarfile.TarInfo("m.txt")
    entry.size = 5
    archive.addfile(entry, io.BytesIO(b"hello"))
s3.put_object(Bucket=bucket, Key="own.tar.gz", Body=own.getvalue())
own = {"Image": "own:1", "ModelDataUrl": f"s3://{bucket}/own.tar.gz", "Environment": {"COLOUR": "red"}}
client.create_model(ModelName="own", PrimaryContainer=own)
client.create_endpoint_config(EndpointConfigName="own", ProductionVariants=[variant("V", "own")])
client.create_endpoint(EndpointName="own", EndpointConfigName="own")
wait("own")
answer = runtime.invoke_endpoint(EndpointName="own", Body="ü", Accept="text/x", CustomAttributes="trace=2")
assert (answer["ContentType"], answer["CustomAttributes"]) == ("application/x-own", "seen"), answer
said = json.loads(answer["Body"].read())
want = {"model": "hello", "variable": "red", "body": "ü", "accept": "text/x", "attributes": "trace=2"}
assert said == want, said
response = refused("ModelError", "as you wish", runtime.invoke_endpoint, EndpointName="own", Body=b"fail")
assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (500, "as you wish"), response
refused("ModelError", "Received server error (0)", runtime.invoke_endpoint, EndpointName="own", Body=b"die")
answer = runtime.invoke_endpoint(EndpointName="own", Body=b"again")
assert json.loads(answer["Body"].read())["body"] == "again"
logs = boto3.client("logs")
streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/own")["logStreams"]
assert [stream["logStreamName"].split("/")[0] for stream in streams] == ["V"], streams
events = logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/own", filterPattern="serving")["events"]
assert len(events) == 2, events
client.delete_endpoint(EndpointName="own")
client.get_waiter("endpoint_deleted").wait(EndpointName="own", WaiterConfig={"Delay": 1})
assert len(logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/own")["events"]) > 2
assert not Path(data, "endpoints", region, "own").exists()
client.delete_endpoint_config(EndpointConfigName="own")
client.delete_model(ModelName="own")

# Lists, by pages.
for number in range(3):
    client.create_model(ModelName=f"m-{number}", PrimaryContainer=container)
pages = client.get_paginator("list_models").paginate(NameContains="m-", PaginationConfig={"PageSize": 2})
assert [model["ModelName"] for model in pages.search("Models[]")] == ["m-2", "m-1", "m-0"]
configs = client.list_endpoint_configs(SortBy="Name", SortOrder="Ascending")["EndpointConfigs"]
assert [config["EndpointConfigName"] for config in configs] == ["both", "broken", "one", "three", "two"], configs
failed = client.list_endpoints(StatusEquals="Failed")["Endpoints"]
assert [endpoint["EndpointName"] for endpoint in failed] == ["broken"], failed

# The SDK: deploy, predict, and remove everything, the configuration before the endpoint.
model = sagemaker.Model(image_uri=image, model_data=near, role=role, sagemaker_session=session, predictor_cls=Predictor)
predictor = model.deploy(
    1, "ml.m4.xlarge", serializer=CSVSerializer(), deserializer=JSONDeserializer(), endpoint_name="sdk"
)
assert predictor.predict(rows)["predictions"][0]["distance_to_cluster"] < 1
client.delete_endpoint_config(EndpointConfigName="sdk")
assert len(predictor.predict(rows)["predictions"]) == 2
session.delete_endpoint("sdk")
for name in ("Points", "broken"):
    client.delete_endpoint(EndpointName=name)
for name in ("Points", "broken", "sdk"):
    client.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})
refused("ValidationError", "not found", invoke)
refused(
    "ValidationException",
    f'Could not find endpoint "arn:aws:sagemaker:{region}:{account}:endpoint/points".',
    client.describe_endpoint,
    EndpointName="Points",
)
for config in client.list_endpoint_configs()["EndpointConfigs"]:
    client.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
for found in client.list_models()["Models"]:
    client.delete_model(ModelName=found["ModelName"])
assert client.list_models()["Models"] == [] and client.list_endpoints()["Endpoints"] == []
print("all as expected")
