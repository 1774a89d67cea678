"""A training with nothing but boto3 and the wheel."""

import shutil
import sys
import time

import boto3

assert shutil.which("kokanee").startswith(sys.prefix), shutil.which("kokanee")
s3, client = boto3.client("s3"), boto3.client("sagemaker")
s3.create_bucket(Bucket="bucket")
s3.put_object(Bucket="bucket", Key="in/rows.csv", Body="0,0\n0,1\n9,9\n9,8\n")
client.create_training_job(
    TrainingJobName="job",
    AlgorithmSpecification={
        "TrainingImage": "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1", "TrainingInputMode": "File"},
    HyperParameters={"k": "2", "feature_dim": "2", "mini_batch_size": "4"},
    RoleArn="arn:aws:iam::000000000000:role/KokaneeRole",
    InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv;label_size=0", "DataSource": {
        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in"}}}],
    OutputDataConfig={"S3OutputPath": "s3://bucket/out"},
    ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    StoppingCondition={"MaxRuntimeInSeconds": 600},
)
deadline = time.time() + 300
while (job := client.describe_training_job(TrainingJobName="job"))["TrainingJobStatus"] == "InProgress":
    assert time.time() < deadline, job
    time.sleep(0.1)
assert job["TrainingJobStatus"] == "Completed", job
assert s3.head_object(Bucket="bucket", Key="out/job/output/model.tar.gz")["ContentLength"] > 0
print("all as expected")
