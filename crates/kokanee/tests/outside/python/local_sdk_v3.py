"""SageMaker's SDK v3 as a client of `kokanee local`: ModelTrainer, ModelBuilder, Transformer and its resources.

Called with the program `kokanee` and the data folder of the server that the environment names.
"""

import json
import logging
import subprocess
import sys
import tarfile
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, Tag, TrainingJob, TransformJob
from sagemaker.core.shapes import StoppingCondition
from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig, SourceCode
from sagemaker.core.transformer import Transformer
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer

KOKANEE, DATA = sys.argv[1:3]
logging.disable()
session = Session()
region = session.boto_region_name
account = boto3.client("sts").get_caller_identity()["Account"]
bucket = session.default_bucket()
assert bucket == f"sagemaker-{region}-{account}", bucket
role = get_execution_role(session)
assert role == f"arn:aws:iam::{account}:role/KokaneeRole", role
compute = Compute(instance_type="ml.c5.xlarge", instance_count=1, volume_size_in_gb=5)
s3 = boto3.client("s3")


def read(uri):
    name, key = uri.removeprefix("s3://").split("/", 1)
    return s3.get_object(Bucket=name, Key=key)["Body"]


# A built-in algorithm, with a folder of this machine as its channel: ten rows around each of three points.
image = image_uris.retrieve("kmeans", region)
rows = "".join(f"{point + number / 100},{-point}\n" for point in (0, 50, 100) for number in range(10))
Path("rows").mkdir()
Path("rows/rows.csv").write_text(rows)
trainer = ModelTrainer(
    training_image=image,
    role=role,
    sagemaker_session=session,
    base_job_name="points",
    compute=compute,
    stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/models"),
    hyperparameters={"k": "3", "feature_dim": 2, "mini_batch_size": "30", "init_method": "kmeans++"},
)
trainer.train(
    input_data_config=[InputData(channel_name="train", data_source="rows", content_type="text/csv;label_size=0")]
)
job = TrainingJob.get(trainer._latest_training_job.training_job_name)
assert job.training_job_status == "Completed" and job.secondary_status == "Completed", job
model_data = job.model_artifacts.s3_model_artifacts
assert model_data == f"s3://{bucket}/models/{job.training_job_name}/output/model.tar.gz", model_data
with tarfile.open(fileobj=read(model_data), mode="r|gz") as archive:
    assert "model_algo-1" in archive.getnames()
metrics = {metric.metric_name: metric.value for metric in job.final_metric_data_list}
assert 0 <= metrics["train:msd"] < 1, metrics

# Script mode: the SDK brings a script of its own, which runs yours in an image of yours.
register = [KOKANEE, "local", "image", "add", "scripts:1", "--train", "false", "--data", DATA]
subprocess.run(register, check=True, capture_output=True)
Path("source").mkdir()
Path("source/train.py").write_text(
    "import argparse, json, os\n"
    "parser = argparse.ArgumentParser()\n"
    "parser.add_argument('--epochs', type=int)\n"
    "told = {'epochs': parser.parse_args().epochs, 'rows': os.listdir(os.environ['SM_CHANNEL_TRAIN'])}\n"
    "with open(os.path.join(os.environ['SM_MODEL_DIR'], 'told.json'), 'w') as file:\n"
    "    json.dump(told, file)\n"
    "print('loss=0.25;')\n"
)
scripted = ModelTrainer(
    training_image=f"{account}.dkr.ecr.{region}.amazonaws.com/scripts:1",
    role=role,
    sagemaker_session=session,
    base_job_name="scripted",
    compute=compute,
    source_code=SourceCode(source_dir="source", entry_script="train.py"),
    hyperparameters={"epochs": 3},
)
scripted.train(input_data_config=[InputData(channel_name="train", data_source="rows")])
job = TrainingJob.get(scripted._latest_training_job.training_job_name)
assert job.training_job_status == "Completed", job.failure_reason
with tarfile.open(fileobj=read(job.model_artifacts.s3_model_artifacts), mode="r|gz") as archive:
    for member in archive:
        if member.name == "told.json":
            told = json.load(archive.extractfile(member))
assert told == {"epochs": 3, "rows": ["rows.csv"]}, told

# A job that fails says why.
failing = ModelTrainer(
    training_image=image,
    role=role,
    sagemaker_session=session,
    base_job_name="failing",
    compute=compute,
    hyperparameters={"k": "3", "feature_dim": 3, "mini_batch_size": "30"},
)
try:
    failing.train(
        input_data_config=[InputData(channel_name="train", data_source="rows", content_type="text/csv;label_size=0")]
    )
    raise AssertionError("not failed")
except Exception as error:
    assert "the row has 2 columns" in str(error), error

# What the resources say of jobs: each item of a list is described.
names = [job.training_job_name.rsplit("-", 1)[0] for job in TrainingJob.get_all(sort_by="CreationTime", sort_order="Ascending")]
assert names == ["points", "scripted", "failing"], names
(points,) = TrainingJob.get_all(name_contains="points")
assert points.hyper_parameters["k"] == "3" and points.resource_config.instance_count == 1, points
try:
    points.stop()
    raise AssertionError("stopped")
except ClientError as error:
    assert "in status Completed" in str(error), error
try:
    TrainingJob.get("none")
    raise AssertionError("found")
except ClientError as error:
    assert error.response["Error"]["Code"] == "ValidationException", error

# Tags.
Tag.add_tags(resource_arn=points.training_job_arn, tags=[{"key": "team", "value": "ü"}])
tags = {tag.key: tag.value for tag in Tag.get_all(resource_arn=points.training_job_arn)}
assert tags == {"team": "ü"}, tags

# A model behind an endpoint. `deploy` with `wait` would sleep for half a minute.
builder = ModelBuilder(
    image_uri=image,
    s3_model_data_url=model_data,
    role_arn=role,
    sagemaker_session=session,
    instance_type="ml.m4.xlarge",
)
model = builder.build(model_name="points")
assert model.model_name == "points" and Model.get("points").primary_container.model_data_url == model_data
endpoint = builder.deploy(endpoint_name="points", initial_instance_count=1, instance_type="ml.m4.xlarge", wait=False)
endpoint = Endpoint.get("points")
endpoint.wait_for_status("InService", poll=1)
answer = endpoint.invoke(body=b"0,0\n100,-100\n", content_type="text/csv")
clusters = [row["closest_cluster"] for row in json.load(answer.body)["predictions"]]
assert len(set(clusters)) == 2 and answer.invoked_production_variant == "AllTraffic", answer
try:
    endpoint.invoke(body=b"1,2,3\n", content_type="text/csv")
    raise AssertionError("not refused")
except ClientError as error:
    assert error.response["Error"]["Code"] == "ModelError", error
    assert "Received client error (400)" in str(error), error

# Another configuration, whose instance count the SDK sends with a weight that it leaves out when it is 0.
first = EndpointConfig.get(endpoint.endpoint_config_name)
variant = first.production_variants[0]
variant.initial_instance_count = 2
EndpointConfig.create(endpoint_config_name="wider", production_variants=[variant])
endpoint.endpoint_config_name = "wider"
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
endpoint.refresh()
assert endpoint.endpoint_config_name == "wider" and endpoint.production_variants[0].current_instance_count == 2, endpoint

# Batch transform.
transformer = Transformer(
    model_name="points",
    instance_count=1,
    instance_type="ml.m4.xlarge",
    accept="application/jsonlines",
    assemble_with="Line",
    output_path=f"s3://{bucket}/answers",
    sagemaker_session=session,
)
s3.put_object(Bucket=bucket, Key="ask/rows.csv", Body=rows.encode())
transformer.transform(data=f"s3://{bucket}/ask", content_type="text/csv", split_type="Line", job_name="points")
(transformed,) = TransformJob.get_all()
assert transformed.transform_job_status == "Completed", transformed
answers = [json.loads(line) for line in read(f"s3://{bucket}/answers/rows.csv.out").read().splitlines()]
assert len(answers) == 30 and len({row["closest_cluster"] for row in answers}) == 3, answers

# Everything goes again.
endpoint.delete()
endpoint.wait_for_delete(poll=1)
for configuration in EndpointConfig.get_all():
    configuration.delete()
for kept in Model.get_all():
    kept.delete()
assert list(Endpoint.get_all()) == list(EndpointConfig.get_all()) == list(Model.get_all()) == []
points.delete()
points.wait_for_delete(poll=1)
assert [job.training_job_name for job in TrainingJob.get_all(name_contains="points")] == []
print("all as expected")
