"""What AWS's notebooks of seq2seq and its guide's estimator of k-means call, in their order, on data that is made here."""

import json
import logging
import random
import struct
import time
from io import BytesIO

import boto3
import numpy as np
import sagemaker
from sagemaker import KMeans, get_execution_role
from sagemaker.amazon.amazon_estimator import get_image_uri
from sagemaker.amazon.record_pb2 import Record
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer, JSONSerializer

logging.disable()
# Clients wait for half a minute where AWS takes many; here they are less patient, and ask all the same.
patient = time.sleep
time.sleep = lambda seconds: patient(min(seconds, 0.2))

region_name = boto3.Session().region_name
role = get_execution_role()
bucket = sagemaker.Session().default_bucket()
prefix = "sagemaker/DEMO-seq2seq"

# Words that stand for words, as create_vocab_proto.py writes them.
words = {f"w{number}": f"v{number}" for number in range(8)}
vocabulary = ["<pad>", "<unk>", "<s>", "</s>"]
source_ids = {word: number for number, word in enumerate([*vocabulary, *words])}
target_ids = {word: number for number, word in enumerate([*vocabulary, *words.values()])}
dice = random.Random(1)
sentences = [[dice.choice(list(words)) for _ in range(dice.randint(1, 6))] for _ in range(120)]


def framed(records):
    """RecordIO."""
    out = BytesIO()
    for record in records:
        data = record.SerializeToString()
        out.write(struct.pack("<II", 0xCED7230A, len(data)) + data + bytes(-len(data) % 4))
    return out.getvalue()


def unframed(data):
    while data:
        magic, length = struct.unpack("<II", data[:8])
        assert magic == 0xCED7230A, magic
        record = Record()
        record.ParseFromString(data[8 : 8 + length])
        yield record
        data = data[8 + length + -length % 4 :]


def pair(source, target):
    record = Record()
    record.features["source"].int32_tensor.values.extend(source)
    record.features["target"].int32_tensor.values.extend(target)
    return record


def upload_to_s3(bucket, prefix, channel, name, body):
    s3 = boto3.resource("s3")
    s3.Bucket(bucket).put_object(Key=f"{prefix}/{channel}/{name}", Body=body)


pairs = [pair([source_ids[word] for word in line], [target_ids[words[word]] for word in line]) for line in sentences]


def upload(bucket, prefix):
    upload_to_s3(bucket, prefix, "train", "train.rec", framed(pairs[:100]))
    upload_to_s3(bucket, prefix, "validation", "val.rec", framed(pairs[100:]))
    upload_to_s3(bucket, prefix, "vocab", "vocab.src.json", json.dumps(source_ids).encode())
    upload_to_s3(bucket, prefix, "vocab", "vocab.trg.json", json.dumps(target_ids).encode())


def channel(bucket, prefix, name):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{prefix}/{name}/", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


HYPERPARAMETERS = {
    "max_seq_len_source": "10",
    "max_seq_len_target": "10",
    "optimized_metric": "bleu",
    "bleu_sample_size": "0",
    "batch_size": "16",
    "checkpoint_frequency_num_batches": "20",
    "max_num_batches": "40",
    "rnn_num_hidden": "16",
    "num_layers_encoder": "1",
    "num_layers_decoder": "1",
    "num_embed_source": "16",
    "num_embed_target": "16",
}


def train(client, job_name, image, bucket, prefix):
    client.create_training_job(
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        RoleArn=role,
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/{prefix}/"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.p2.xlarge", "VolumeSizeInGB": 50},
        TrainingJobName=job_name,
        HyperParameters=HYPERPARAMETERS,
        StoppingCondition={"MaxRuntimeInSeconds": 48 * 3600},
        InputDataConfig=[channel(bucket, prefix, name) for name in ("train", "vocab", "validation")],
    )
    status = client.describe_training_job(TrainingJobName=job_name)["TrainingJobStatus"]
    while status == "InProgress":
        status = client.describe_training_job(TrainingJobName=job_name)["TrainingJobStatus"]
        time.sleep(60)
    described = client.describe_training_job(TrainingJobName=job_name)
    assert status == "Completed", described
    return described["ModelArtifacts"]["S3ModelArtifacts"]


def deploy(client, name, image, model_data):
    container = {"Image": image, "ModelDataUrl": model_data}
    client.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"InstanceType": "ml.m4.xlarge", "InitialInstanceCount": 1, "ModelName": name, "VariantName": "AllTraffic"}
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert client.describe_endpoint(EndpointName=name)["EndpointStatus"] in ("Creating", "InService")
    waiter = client.get_waiter("endpoint_in_service")
    assert waiter.config.delay == 1, waiter.config.delay
    waiter.wait(EndpointName=name)


def answers(runtime, name, count, unknown):
    """A batch of JSON, attention, and a batch of RecordIO say the same."""
    asked = [" ".join(line) for line in sentences[:count]]
    body = json.dumps({"instances": [{"data": line} for line in asked]})
    response = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=body)
    predictions = json.loads(response["Body"].read().decode("utf-8"))["predictions"]
    targets = [prediction["target"].split() for prediction in predictions]
    assert len(targets) == count and all(word in target_ids for target in targets for word in target), targets

    body = json.dumps({"instances": [{"data": asked[0], "configuration": {"attention_matrix": "true"}}]})
    response = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=body)
    (attended,) = json.loads(response["Body"].read().decode("utf-8"))["predictions"]
    assert len(attended["matrix"]) == len(attended["target"].split()), attended

    records = [pair([source_ids[word] for word in line], []) for line in sentences[:count]]
    records += [pair([source_ids.get(word, 1) for word in ("none", f"w{number}")], []) for number in range(unknown)]
    response = runtime.invoke_endpoint(
        EndpointName=name, ContentType="application/x-recordio-protobuf", Body=framed(records)
    )
    names = {number: word for word, number in target_ids.items()}
    read = [
        [names[number] for number in record.features["target"].int32_tensor.values]
        for record in unframed(response["Body"].read())
    ]
    assert read[:count] == targets and len(read) == count + unknown, (read, targets)


# English to German.
upload(bucket, prefix)
client = boto3.Session().client(service_name="sagemaker")
image = get_image_uri(region_name, "seq2seq")
job_name = "DEMO-seq2seq-en-de-" + time.strftime("%Y-%m-%d-%H", time.gmtime())
model_data = train(client, job_name, image, bucket, prefix)
deploy(client, job_name, image, model_data)
runtime = boto3.client(service_name="runtime.sagemaker")
answers(runtime, job_name, 4, 0)
client.delete_endpoint(EndpointName=job_name)

# Word pronunciation: a bucket of its own, the image's latest tag, and letters that the vocabulary lacks.
own = "words-of-mine"
boto3.client("s3").create_bucket(Bucket=own, CreateBucketConfiguration={"LocationConstraint": region_name})
upload(own, "words")
image = f"433757028032.dkr.ecr.{region_name}.amazonaws.com/seq2seq:latest"
name = "seq2seq-pronunciation"
deploy(client, name, image, train(client, name, image, own, "words"))
answers(runtime, name, 6, 3)
client.delete_endpoint(EndpointName=name)

# Estimator: fit with logs, attach, analytics, deploy, predict, and what is left is removed.
session = sagemaker.Session()
estimator = Estimator(
    sagemaker.image_uris.retrieve("seq2seq", region_name),
    role,
    instance_count=1,
    instance_type="ml.p3.2xlarge",
    output_path=f"s3://{bucket}/estimator",
    hyperparameters=HYPERPARAMETERS,
    sagemaker_session=session,
)
estimator.fit({name: f"s3://{bucket}/{prefix}/{name}" for name in ("train", "validation", "vocab")}, logs=True)
attached = Estimator.attach(estimator.latest_training_job.name, sagemaker_session=session)
assert attached.model_data == estimator.model_data, attached.model_data
assert attached.hyperparameters()["rnn_num_hidden"] == "16", attached.hyperparameters()
frame = TrainingJobAnalytics(estimator.latest_training_job.name, ["validation:perplexity"]).dataframe()
assert len(frame) >= 1 and (frame["value"] > 0).all(), frame
predictor = attached.deploy(
    1, "ml.m4.xlarge", serializer=JSONSerializer(), deserializer=JSONDeserializer(), endpoint_name="translator"
)
said = predictor.predict({"instances": [{"data": "w1 w2"}]})
assert "target" in said["predictions"][0], said
assert Predictor("translator", session, JSONSerializer(), JSONDeserializer()).predict({"instances": [{"data": "w1 w2"}]}) == said
predictor.delete_model()
predictor.delete_endpoint()

# The guide's k-means: arrays become shards in S3, two machines are asked for, and answers are records.
points = np.array([[point + number / 100, -point] for point in (0, 50, 100) for number in range(20)], dtype="float32")
kmeans = KMeans(
    role=role,
    instance_count=2,
    instance_type="ml.c4.8xlarge",
    output_path=f"s3://{bucket}/kmeans/output",
    k=3,
    data_location=f"s3://{bucket}/kmeans/data",
    sagemaker_session=session,
)
# With logs, `fit` looks at the status every 30 seconds by the clock.
kmeans.fit(kmeans.record_set(points), logs=False)
predictor = kmeans.deploy(initial_instance_count=1, instance_type="ml.m4.xlarge")
found = [int(result.label["closest_cluster"].float32_tensor.values[0]) for result in predictor.predict(points)]
assert len(found) == 60 and all(len(set(found[start : start + 20])) == 1 for start in (0, 20, 40)), found
assert len(set(found)) == 3, found
by_text = Predictor(predictor.endpoint_name, session, CSVSerializer(), JSONDeserializer()).predict(points[:1])
assert by_text["predictions"][0]["closest_cluster"] == found[0], by_text
transformer = kmeans.transformer(1, "ml.m4.xlarge", output_path=f"s3://{bucket}/kmeans/transformed")
upload_to_s3(bucket, "kmeans", "ask", "rows.csv", "".join(f"{x},{y}\n" for x, y in points).encode())
transformer.transform(f"s3://{bucket}/kmeans/ask", content_type="text/csv", split_type="Line", wait=False)
transformer.wait(logs=False)
text = boto3.client("s3").get_object(Bucket=bucket, Key="kmeans/transformed/rows.csv.out")["Body"].read().decode()
assert text.count("closest_cluster") == 60, text[:200]
predictor.delete_model()
predictor.delete_endpoint()
print("all as expected")
