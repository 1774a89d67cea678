"""Automatic scaling of `kokanee local`, used by boto3, the AWS CLI and plain HTTP.

    local_scaling.py KOKANEE DATA
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

kokanee, data = sys.argv[1:]
client = boto3.client("sagemaker")
scaling = boto3.client("application-autoscaling")
cloudwatch = boto3.client("cloudwatch")
region = client.meta.region_name
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def about(variant, **more):
    resource = f"endpoint/MyEndpoint/variant/{variant}"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION, **more}


def refused(code, part, call, **arguments):
    """The call is refused with this code and a text that contains this part."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert part in error.response["Error"]["Message"], error
        return
    raise AssertionError(f"not refused: {code}")


def until(condition):
    """Waits for something that comes by itself."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


def aws(*words):
    """What the AWS CLI says."""
    command = [sys.executable, "-W", "ignore", "-m", "awscli", *words]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(said) if said.strip() else None


def instances(variant):
    """What a variant has and is to have, once the endpoint is in service."""
    described = client.describe_endpoint(EndpointName="MyEndpoint")
    if described["EndpointStatus"] != "InService":
        return None
    (found,) = [one for one in described["ProductionVariants"] if one["VariantName"] == variant]
    return found["CurrentInstanceCount"], found["DesiredInstanceCount"]


def measure(variant, minutes, value):
    """The metric has this value in each of the last minutes, in this one and in the next two."""
    minute = time.time() // 60 * 60
    cloudwatch.put_metric_data(
        Namespace="own",
        MetricData=[
            {
                "MetricName": "Load",
                "Dimensions": [{"Name": "Variant", "Value": variant}],
                "Timestamp": minute - ago * 60,
                "Value": value,
            }
            for ago in range(-2, minutes + 1)
        ],
    )


def tracking(variant, **more):
    """A policy over that metric."""
    return about(
        variant,
        PolicyName=f"load-{variant}",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0,
            "CustomizedMetricSpecification": {
                "MetricName": "Load",
                "Namespace": "own",
                "Dimensions": [{"Name": "Variant", "Value": variant}],
                "Statistic": "Average",
            },
            **more,
        },
    )


# An endpoint of a trivial program.
Path("serve.py").write_text(
    """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
)
command = [kokanee, "local", "--data", data, "image", "add", "own:1", "--serve", f"{sys.executable} serve.py"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
client.create_model(ModelName="own", PrimaryContainer={"Image": "own:1"})
client.create_endpoint_config(
    EndpointConfigName="own",
    ProductionVariants=[
        {"VariantName": name, "ModelName": "own", "InitialInstanceCount": count, "InstanceType": "ml.m5.large"}
        for name, count in (("MyVariant", 1), ("Busy", 1), ("Quiet", 3))
    ],
)
client.create_endpoint(EndpointName="MyEndpoint", EndpointConfigName="own")
client.get_waiter("endpoint_in_service").wait(EndpointName="MyEndpoint", WaiterConfig={"Delay": 1})

# The guide's commands. It spells the endpoint in two ways, and names clash whatever their case.
target = ["--service-namespace", "sagemaker", "--scalable-dimension", DIMENSION]
told = aws(
    "application-autoscaling", "register-scalable-target", *target,
    "--resource-id", "endpoint/MyEndPoint/variant/MyVariant", "--min-capacity", "1", "--max-capacity", "8",
)  # fmt: skip
assert told["ScalableTargetARN"].startswith(f"arn:aws:application-autoscaling:{region}:000000000000:scalable-target/")
Path("config.json").write_text(
    """
{
    "TargetValue": 70.0,
    "PredefinedMetricSpecification":
    {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    },
    "ScaleInCooldown": 600,
    "ScaleOutCooldown": 300
}
"""
)
target += ["--resource-id", "endpoint/MyEndpoint/variant/MyVariant"]
put = aws(
    "application-autoscaling", "put-scaling-policy", *target, "--policy-name", "myscalablepolicy",
    "--policy-type", "TargetTrackingScaling", "--target-tracking-scaling-policy-configuration", "file://config.json",
)  # fmt: skip
names = [alarm["AlarmName"] for alarm in put["Alarms"]]
assert [name.split("-")[-6] for name in names] == ["AlarmHigh", "AlarmLow"], names
(policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
assert policy["PolicyARN"] == put["PolicyARN"] and policy["Alarms"] == put["Alarms"], policy
assert policy["TargetTrackingScalingPolicyConfiguration"]["ScaleInCooldown"] == 600, policy
alarms = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
assert [(alarm["Threshold"], alarm["EvaluationPeriods"]) for alarm in alarms] == [(70.0, 3), (63.0, 15)], alarms
assert alarms[0]["Dimensions"] == [
    {"Name": "EndpointName", "Value": "MyEndpoint"},
    {"Name": "VariantName", "Value": "MyVariant"},
]
told = aws("cloudwatch", "describe-alarms", "--alarm-name-prefix", "TargetTracking-endpoint/MyEndpoint")["MetricAlarms"]
assert [alarm["AlarmName"] for alarm in told] == names, told

# The guide's request, as it is sent without an SDK.
request = urllib.request.Request(
    os.environ["AWS_ENDPOINT_URL"],
    json.dumps(about("MyVariant", MinCapacity=2, MaxCapacity=8)).encode(),
    {
        "X-Amz-Target": "AnyScaleFrontendService.RegisterScalableTarget",
        "X-Amz-Date": "20160506T182145Z",
        "User-Agent": "aws-cli/1.10.23 Python/2.7.11 Darwin/15.4.0 botocore/1.4.8",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=A/20160506/{region}/application-autoscaling/aws4_request, "
        "SignedHeaders=host, Signature=0",
    },
)
assert json.load(urllib.request.urlopen(request))["ScalableTargetARN"]
until(lambda: instances("MyVariant") == (2, 2))

# A metric of one's own: more instances for one variant, fewer for another.
for variant, most in (("Busy", 3), ("Quiet", 3)):
    scaling.register_scalable_target(**about(variant, MinCapacity=1, MaxCapacity=most))
measure("Busy", 4, 30.0)
measure("Quiet", 17, 1.0)
scaling.put_scaling_policy(**tracking("Busy"))
scaling.put_scaling_policy(**tracking("Quiet", DisableScaleIn=True))
until(lambda: instances("Busy") == (3, 3))
# It was looked at as often as the other one.
assert instances("Quiet") == (3, 3)
scaling.put_scaling_policy(**tracking("Quiet"))
until(lambda: instances("Quiet") == (1, 1))


def activities(variant):
    resource = f"endpoint/MyEndpoint/variant/{variant}"
    answer = scaling.describe_scaling_activities(ServiceNamespace="sagemaker", ResourceId=resource)
    return answer["ScalingActivities"]


until(lambda: activities("Quiet")[0]["StatusCode"] == "Successful")
(out,), (fewer,), (bound,) = activities("Busy"), activities("Quiet"), activities("MyVariant")
assert out["Description"] == "Setting desired instance count to 3.", out
assert "AlarmHigh" in out["Cause"] and out["Cause"].endswith("in state ALARM triggered policy load-Busy"), out
assert "AlarmLow" in fewer["Cause"] and fewer["EndTime"] >= fewer["StartTime"], fewer
assert bound["Cause"] == "minimum capacity was set to 2", bound
pages = scaling.get_paginator("describe_scaling_activities")
pages = pages.paginate(ServiceNamespace="sagemaker", PaginationConfig={"PageSize": 2})
assert [len(page["ScalingActivities"]) for page in pages] == [2, 1]

# What is refused.
refused("ValidationException", "No variant found", scaling.register_scalable_target, **about("None", MinCapacity=1, MaxCapacity=2))
refused("ValidationException", "at least 1", scaling.register_scalable_target, **about("Busy", MinCapacity=0))
refused(
    "ValidationException",
    "StepScaling",
    scaling.put_scaling_policy,
    **about("Busy", PolicyName="step", PolicyType="StepScaling", StepScalingPolicyConfiguration={}),
)
client.create_endpoint_config(
    EndpointConfigName="larger",
    ProductionVariants=[
        {"VariantName": name, "ModelName": "own", "InitialInstanceCount": 1, "InstanceType": "ml.m5.xlarge"}
        for name in ("MyVariant", "Busy", "Quiet")
    ],
)
refused(
    "ValidationException",
    "must be deregistered",
    client.update_endpoint,
    EndpointName="MyEndpoint",
    EndpointConfigName="larger",
)

# The end.
aws("application-autoscaling", "delete-scaling-policy", *target, "--policy-name", "myscalablepolicy")
refused(
    "ObjectNotFoundException",
    "myscalablepolicy",
    scaling.delete_scaling_policy,
    **about("MyVariant", PolicyName="myscalablepolicy"),
)
aws("application-autoscaling", "deregister-scalable-target", *target)
refused("ObjectNotFoundException", "No scalable target", scaling.deregister_scalable_target, **about("MyVariant"))
client.delete_endpoint(EndpointName="MyEndpoint")
client.get_waiter("endpoint_deleted").wait(EndpointName="MyEndpoint", WaiterConfig={"Delay": 1})
assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
assert len(activities("Busy")) == 1, "activities outlive their targets"
print("all as expected")
