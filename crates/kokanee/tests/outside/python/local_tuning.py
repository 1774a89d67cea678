"""Hyperparameter tuning with boto3 and SDK v2: every strategy, early stopping, criteria, warm starts, refusals.

Called with the program `kokanee` and the data folder of the server that the environment names.
"""

import json
import subprocess
import sys
import time

import boto3
import botocore
import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.tuner import (
    CategoricalParameter, ContinuousParameter, HyperparameterTuner, IntegerParameter, WarmStartConfig, WarmStartTypes)

KOKANEE, DATA = sys.argv[1:3]
ROLE = "arn:aws:iam::000000000000:role/KokaneeRole"
LIMIT_S = 300
client = boto3.client("sagemaker")
s3 = boto3.client("s3")
region = client.meta.region_name
s3.create_bucket(Bucket="tuning", CreateBucketConfiguration={"LocationConstraint": region})
rows = "".join(f"{number % 3 * 50},{number / 10}\n" for number in range(60))
for channel in "train", "test":
    s3.put_object(Bucket="tuning", Key=f"{channel}/rows.csv", Body=rows)

# A program whose loss is known: a bowl around lr=0.01, depth=4, and "b" is better than "a". Each epoch halves what is missing.
PROGRAM = '''
import json, math, os, sys, time
p = json.load(open(os.environ["KOKANEE_PREFIX"] + "/input/config/hyperparameters.json"))
if p.get("task") == "fail": sys.exit("it is on purpose")
loss = (math.log10(float(p.get("lr", 0.01))) + 2) ** 2 + (int(p.get("depth", 4)) - 4) ** 2 / 10 + (p.get("kind", "b") == "a")
for epoch in range(int(p.get("epochs", 1))):
    print(f"loss={loss + 2.0 ** -epoch};", flush=True)
    time.sleep(float(p.get("pause", 0)))
'''
open("program.py", "w").write(PROGRAM)
subprocess.run([KOKANEE, "local", "image", "add", "bowl:1", "--data", DATA, "--train", f"{sys.executable} program.py",
                "--directory", "."], check=True, stdout=subprocess.DEVNULL)
BOWL = "123456789012.dkr.ecr.us-west-2.amazonaws.com/bowl:1"
RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "lr", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"}],
    "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "9"}],
    "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
}


def definition(**statics):
    return {
        "StaticHyperParameters": statics,
        "AlgorithmSpecification": {"TrainingImage": BOWL, "TrainingInputMode": "File",
                                   "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}]},
        "RoleArn": ROLE,
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://tuning/train"}}}],
        "OutputDataConfig": {"S3OutputPath": "s3://tuning/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def create(name, strategy="Bayesian", jobs=6, parallel=2, ranges=RANGES, statics=None, config=None, **more):
    limits = {"MaxParallelTrainingJobs": parallel}
    if jobs:
        limits["MaxNumberOfTrainingJobs"] = jobs
    return client.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": limits,
            "ParameterRanges": ranges,
            **(config or {}),
        },
        TrainingJobDefinition=definition(**(statics or {})),
        **more,
    )


def wait(name, status="Completed"):
    deadline = time.time() + LIMIT_S
    while True:
        job = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if job["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping"):
            break
        assert time.time() < deadline, job
        time.sleep(0.1)
    assert job["HyperParameterTuningJobStatus"] == status, job
    return job


def children(name, **more):
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    more.setdefault("SortBy", "CreationTime")
    return [child for page in pages.paginate(HyperParameterTuningJobName=name, **more)
            for child in page["TrainingJobSummaries"]]


def value(child):
    return child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]


def refused(code, part, call, *args, **more):
    try:
        call(*args, **more)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code and part in error.response["Error"]["Message"], error
    else:
        raise AssertionError(f"not refused: {part}")


# Bayesian: everything that the API shows.
arn = create("bayes", jobs=12, Tags=[{"Key": "team", "Value": "fish"}],
             config={"RandomSeed": 7})["HyperParameterTuningJobArn"]
assert arn == f"arn:aws:sagemaker:{region}:000000000000:hyper-parameter-tuning-job/bayes", arn
job = wait("bayes")
assert job["TrainingJobStatusCounters"] == {
    "Completed": 12, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0}, job
assert job["ObjectiveStatusCounters"] == {"Succeeded": 12, "Pending": 0, "Failed": 0}, job
assert job["TrainingJobDefinition"]["StaticHyperParameters"] == {"_tuning_objective_metric": "loss"}, job
assert job["HyperParameterTuningEndTime"] >= job["CreationTime"] and job["ConsumedResources"]["RuntimeInSeconds"] >= 1
listed = children("bayes")
assert len(listed) == 12 and len({child["TrainingJobName"] for child in listed}) == 12
for number, child in enumerate(listed, 1):
    prefix, middle, code = child["TrainingJobName"].rsplit("-", 2)
    assert prefix == "bayes" and middle == f"{number:03}" and len(code) == 8, child
    assert child["ObjectiveStatus"] == "Succeeded" and set(child["TunedHyperParameters"]) == {"lr", "depth", "kind"}
best = job["BestTrainingJob"]
assert value(best) == min(map(value, listed)) < 2, best
training = client.describe_training_job(TrainingJobName=best["TrainingJobName"])
assert training["TuningJobArn"] == arn and training["HyperParameters"] == {
    **best["TunedHyperParameters"], "_tuning_objective_metric": "loss"}, training
assert client.list_tags(ResourceArn=training["TrainingJobArn"])["Tags"] == [{"Key": "team", "Value": "fish"}]
assert [value(child) for child in children("bayes", SortBy="FinalObjectiveMetricValue", SortOrder="Descending")] == sorted(
    map(value, listed), reverse=True)
assert len(children("bayes", StatusEquals="Completed", MaxResults=5)) == 12
# The same seed begins with the same values.
create("again", jobs=4, config={"RandomSeed": 7})
wait("again")
same = [child["TunedHyperParameters"] for child in children("again")]
assert same[:2] == [child["TunedHyperParameters"] for child in listed[:2]], same

# Random, Grid and Hyperband.
create("random", "Random", jobs=4)
wait("random")
grid = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}, {"Name": "depth", "Values": ["2", "4", "6"]}]}
create("grid", "Grid", jobs=None, parallel=3, ranges=grid)
job = wait("grid")
tried = {tuple(sorted(child["TunedHyperParameters"].items())) for child in children("grid")}
assert len(tried) == 6 and job["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "b", "depth": "4"}, job
create("hyperband", "Hyperband", jobs=8, parallel=1, statics={"epochs": "9", "pause": "0.25"},
       config={"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}})
job = wait("hyperband")
counters = job["TrainingJobStatusCounters"]
assert counters["Stopped"] > 0 and counters["Completed"] + counters["Stopped"] == 8, counters

# Early stopping: a training that is worse than the median of those before it is stopped.
create("early", "Grid", jobs=None, parallel=1, statics={"epochs": "8", "pause": "0.25"},
       ranges={"CategoricalParameterRanges": [{"Name": "lr", "Values": ["0.01", "0.02", "0.03", "1", "0.9"]}]},
       config={"TrainingJobEarlyStoppingType": "Auto"})
wait("early")
statuses = {child["TunedHyperParameters"]["lr"]: child["TrainingJobStatus"] for child in children("early")}
assert statuses["1"] == "Stopped" and statuses["0.01"] == "Completed", statuses

# Completion criteria.
create("target", "Random", jobs=100, parallel=1, config={"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 50.0}})
assert sum(wait("target")["TrainingJobStatusCounters"].values()) == 1
create("plateau", "Grid", jobs=None, parallel=1, ranges={"CategoricalParameterRanges": [
    {"Name": "lr", "Values": ["0.01", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]}]},
    config={"TuningJobCompletionCriteria": {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}})
job = wait("plateau")
assert sum(job["TrainingJobStatusCounters"].values()) == 4, job
assert job["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"] == 3, job

# Failures: five are enough; a metric that is never found; a job that is stopped.
create("failing", jobs=20, statics={"task": "fail"})
job = wait("failing", "Failed")
assert job["FailureReason"].startswith("No training job succeeded after 5 attempts. For additional details, "), job
assert 5 <= job["TrainingJobStatusCounters"]["NonRetryableError"] <= 6, job
assert children("failing")[0]["ObjectiveStatus"] == "Failed" and "FailureReason" in children("failing")[0]
silent = definition()
silent["AlgorithmSpecification"]["MetricDefinitions"][0]["Regex"] = "accuracy=(.*?);"
client.create_hyper_parameter_tuning_job(
    HyperParameterTuningJobName="silent", TrainingJobDefinition=silent,
    HyperParameterTuningJobConfig={
        "Strategy": "Random", "ResourceLimits": {"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 2},
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"}, "ParameterRanges": RANGES})
assert wait("silent", "Failed")["FailureReason"].startswith("No objective metrics found after running 5 training jobs.")
create("long", jobs=9, parallel=2, statics={"epochs": "1000", "pause": "0.1"})
while client.describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="long")["TrainingJobStatusCounters"]["InProgress"] < 2:
    time.sleep(0.05)
client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="long")
counters = wait("long", "Stopped")["TrainingJobStatusCounters"]
assert counters["Stopped"] == 2 and counters["InProgress"] == 0, counters

# Warm starts.
parents = [{"HyperParameterTuningJobName": "bayes"}]
create("warm", jobs=3, parallel=1,
       WarmStartConfig={"ParentHyperParameterTuningJobs": parents, "WarmStartType": "IdenticalDataAndAlgorithm"})
job = wait("warm")
overall = job["OverallBestTrainingJob"]
assert value(overall) == min(value(best), value(job["BestTrainingJob"])) and overall["TuningJobName"] in ("bayes", "warm"), job
create("transfer", jobs=3, WarmStartConfig={
    "ParentHyperParameterTuningJobs": parents + [{"HyperParameterTuningJobName": "random"}], "WarmStartType": "TransferLearning"})
assert "OverallBestTrainingJob" not in wait("transfer")

# Refusals, in AWS's words where they are known.
refused("ResourceNotFound", "Amazon SageMaker can't find a tuning job called nobody. Type another name.",
        client.describe_hyper_parameter_tuning_job, HyperParameterTuningJobName="nobody")
refused("ResourceInUse", "bayes", create, "BAYES")
refused("ValidationException", "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
        "combinations for the provided ranges [2.0] must be equal or greater than the value of MaxNumberOfJobs, [10].",
        create, "few", jobs=10, ranges={"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}]})
refused("ValidationException", "The set of tunable plus static HyperParameter names is not the same", create, "names",
        statics={"new": "1"},
        WarmStartConfig={"ParentHyperParameterTuningJobs": parents, "WarmStartType": "TransferLearning"})
refused("ValidationException", "MinValue of the hyperparameter depth", create, "number",
        ranges={"IntegerParameterRanges": [{"Name": "depth", "MinValue": "one", "MaxValue": "9"}]})
refused("ValidationException", "Grid takes categorical", create, "numeric", "Grid", jobs=None)
refused("ValidationException", "both static and tuned", create, "both", statics={"lr": "1"})
bad = definition()
bad["AlgorithmSpecification"]["MetricDefinitions"] = []
refused("ValidationException", "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
        "definitions.", client.create_hyper_parameter_tuning_job, HyperParameterTuningJobName="none",
        TrainingJobDefinition=bad, HyperParameterTuningJobConfig={
            "Strategy": "Random", "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"}, "ParameterRanges": RANGES})

# Lists and removal.
names = [row["HyperParameterTuningJobName"] for page in client.get_paginator(
    "list_hyper_parameter_tuning_jobs").paginate(PaginationConfig={"PageSize": 5}) for row in page["HyperParameterTuningJobSummaries"]]
assert names == sorted(names) and "bayes" in names and len(names) >= 12, names
failed = client.list_hyper_parameter_tuning_jobs(StatusEquals="Failed", SortBy="CreationTime", SortOrder="Descending")
assert [row["HyperParameterTuningJobName"] for row in failed["HyperParameterTuningJobSummaries"]] == ["silent", "failing"]
client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="again")
assert "again" not in json.dumps(client.list_hyper_parameter_tuning_jobs(MaxResults=100), default=str)

# SDK v2's tuner with a built-in algorithm, its analytics, a warm start from it, and its best model.
session = sagemaker.Session(default_bucket="tuning")
image = sagemaker.image_uris.retrieve("kmeans", region)
estimator = Estimator(image, ROLE, instance_count=1, instance_type="ml.m5.large", output_path="s3://tuning/out",
                      sagemaker_session=session, hyperparameters={"feature_dim": 2, "mini_batch_size": 60})
ranges = {"k": IntegerParameter(2, 8), "init_method": CategoricalParameter(["random", "kmeans++"])}
tuner = HyperparameterTuner(estimator, "test:msd", ranges, objective_type="Minimize", max_jobs=4, max_parallel_jobs=2)
inputs = {channel: TrainingInput(f"s3://tuning/{channel}", content_type="text/csv;label_size=0") for channel in ("train", "test")}
tuner.fit(inputs, job_name="sdk", include_cls_metadata=False)
tuner.wait()
described = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="sdk")
metrics = described["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
assert metrics[-1]["Name"] == "ObjectiveMetric" and "test:msd" in [metric["Name"] for metric in metrics], metrics
assert tuner.best_training_job() == described["BestTrainingJob"]["TrainingJobName"]
frame = tuner.analytics().dataframe()
assert len(frame) == 4 and frame["FinalObjectiveValue"].min() == value(described["BestTrainingJob"]), frame
assert HyperparameterTuner.attach("sdk", sagemaker_session=session).best_training_job() == tuner.best_training_job()
next_tuner = tuner.identical_dataset_and_algorithm_tuner()
next_tuner.max_jobs = 2
next_tuner.fit(inputs, job_name="sdk-warm", include_cls_metadata=False)
next_tuner.wait()
assert "OverallBestTrainingJob" in client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="sdk-warm")
refused("ValidationException", "Choose one of the algorithm kmeans: ", HyperparameterTuner(
    estimator, "train:progress", ranges, objective_type="Minimize", max_jobs=2).fit, inputs, include_cls_metadata=False)
print("all as expected")
