"""SDK v3's tuner as a client of `kokanee local`: every strategy and both warm starts, with k-means."""

import logging

import boto3
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter, IntegerParameter
from sagemaker.core.resources import HyperParameterTuningJob, TrainingJob
from sagemaker.core.shapes import (
    HyperbandStrategyConfig, HyperParameterTuningJobStrategyConfig, HyperParameterTuningJobWarmStartConfig,
    ParentHyperParameterTuningJob, StoppingCondition)
from sagemaker.core.training.configs import Compute, InputData
from sagemaker.train import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

logging.disable()
session = Session()
bucket = session.default_bucket()
rows = "".join(f"{number % 3 * 50},{number / 10}\n" for number in range(60))
boto3.client("s3").put_object(Bucket=bucket, Key="points/rows.csv", Body=rows)
inputs = [InputData(channel_name=channel, data_source=f"s3://{bucket}/points", content_type="text/csv;label_size=0")
          for channel in ("train", "test")]
KINDS = {"init_method": CategoricalParameter(["random", "kmeans++"]), "k": CategoricalParameter(["2", "3", "4"])}
RANGES = {"k": IntegerParameter(2, 8), "local_lloyd_tol": ContinuousParameter(0.0001, 0.5, "Logarithmic"),
          "init_method": CategoricalParameter(["random", "kmeans++"])}


def tune(name, ranges=RANGES, **more):
    """A tuning job that has ended, and its trainings."""
    trainer = ModelTrainer(
        training_image=image_uris.retrieve("kmeans", session.boto_region_name), role=get_execution_role(session),
        sagemaker_session=session, compute=Compute(instance_type="ml.c5.xlarge", instance_count=1, volume_size_in_gb=5),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
        hyperparameters={"feature_dim": "2", "mini_batch_size": "60", "epochs": "2"},
    )
    more = {"max_jobs": 4, **more}
    tuner = HyperparameterTuner(trainer, "test:msd", ranges, objective_type="Minimize", max_parallel_jobs=2, **more)
    tuner.tune(inputs, job_name=name, wait=False)
    tuner.latest_tuning_job.wait(poll=1)
    job = HyperParameterTuningJob.get(name)
    assert job.hyper_parameter_tuning_job_status == "Completed", job
    assert tuner.best_training_job() == job.best_training_job.training_job_name
    trainings = list(job.get_all_training_jobs())
    assert len(trainings) == more["max_jobs"] and set(trainings[0].tuned_hyper_parameters) == set(ranges), trainings
    return job


first = tune("bayes", random_seed=5)
best = TrainingJob.get(first.best_training_job.training_job_name)
assert best.tuning_job_arn == first.hyper_parameter_tuning_job_arn and best.hyper_parameters["epochs"] == "2", best
tune("random", strategy="Random")
tune("grid", ranges=KINDS, strategy="Grid", max_jobs=6)
hyperband = HyperbandStrategyConfig(min_resource=1, max_resource=3)
tune("hyperband", strategy="Hyperband",
     strategy_config=HyperParameterTuningJobStrategyConfig(hyperband_strategy_config=hyperband))
for name, kind in ("identical", "IdenticalDataAndAlgorithm"), ("transfer", "TransferLearning"):
    parents = [ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=parent) for parent in ("bayes", "random")]
    warm = tune(name, early_stopping_type="Auto", warm_start_config=HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=parents, warm_start_type=kind))
    has_overall = bool(getattr(warm.overall_best_training_job, "training_job_name", None))
    assert has_overall == (name == "identical"), warm.overall_best_training_job
names = sorted(job.hyper_parameter_tuning_job_name for job in HyperParameterTuningJob.get_all())
assert names == ["bayes", "grid", "hyperband", "identical", "random", "transfer"], names
print("all as expected")
