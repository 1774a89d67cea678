"""What jobs log and measure, asked for by boto3, SageMaker's SDK v2 and bare requests against `kokanee local`."""

import datetime
import json
import logging
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import boto3
import sagemaker
from botocore.exceptions import ClientError
from sagemaker.analytics import TrainingJobAnalytics

logging.disable()
KOKANEE, DATA = sys.argv[1:]
region = os.environ["AWS_REGION"]
address = os.environ["AWS_ENDPOINT_URL"]
client, logs, cloudwatch = (boto3.client(name) for name in ("sagemaker", "logs", "cloudwatch"))
session = sagemaker.Session()
bucket = session.default_bucket()
GROUP = "/aws/sagemaker/TrainingJobs"


def refused(code, part, call, **arguments):
    """The call is refused with this code and a text that contains this part."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert part in error.response["Error"]["Message"], error
        return
    raise AssertionError(f"not refused: {code}")


# Two jobs; nothing is there before them.
assert logs.describe_log_groups()["logGroups"] == []
refused(
    "ResourceNotFoundException",
    "The specified log group does not exist.",
    logs.describe_log_streams,
    logGroupName=GROUP,
)
rows = "".join(f"{point + number / 100},{-point}\n" for point in (0, 50, 100) for number in range(10))
boto3.client("s3").put_object(Bucket=bucket, Key="in/train/rows.csv", Body=rows.encode())
source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/train"}
for name in ("job", "job-2"):
    client.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": sagemaker.image_uris.retrieve("kmeans", region),
            "TrainingInputMode": "File",
        },
        HyperParameters={"k": "3", "feature_dim": "2", "mini_batch_size": "30"},
        RoleArn=sagemaker.get_execution_role(session),
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv;label_size=0",
                "DataSource": {"S3DataSource": source},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
        ResourceConfig={"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )

# As `aws logs tail --follow` does it, while the first job runs: from the newest event on, without those that are known.
tailed, newest, is_over = {}, 0, False
while not is_over:
    is_over = client.describe_training_job(TrainingJobName="job")["TrainingJobStatus"] != "InProgress"
    arguments = {"startTime": newest} if newest else {}
    try:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, logStreamNamePrefix="job/", interleaved=True, **arguments
        )
        for event in pages.search("events[]"):
            tailed[event["eventId"]] = event["message"]
            newest = max(newest, event["timestamp"])
    except logs.exceptions.ResourceNotFoundException:
        pass
    time.sleep(0.05)
for name in ("job", "job-2"):
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name, WaiterConfig={"Delay": 1})
done = client.describe_training_job(TrainingJobName="job")
assert done["TrainingJobStatus"] == "Completed", done

# The log of a job, as the SDK shows it of a job that has ended.
session.logs_for_job("job", wait=False)
(stream,) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="job/")["logStreams"]
assert re.fullmatch(r"job/algo-1-\d{10}", stream["logStreamName"]), stream
assert stream["firstEventTimestamp"] <= stream["lastEventTimestamp"] <= time.time() * 1000
streams = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=1)
assert len(streams["logStreams"]) == 1 and streams["nextToken"], streams
pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 1})
assert len(list(pages.search("logStreams[]"))) == 2
refused(
    "InvalidParameterException",
    "Cannot order by LastEventTime with a logStreamNamePrefix.",
    logs.describe_log_streams,
    logGroupName=GROUP,
    logStreamNamePrefix="job",
    orderBy="LastEventTime",
)
(group,) = logs.describe_log_groups(logGroupNamePrefix="/aws/")["logGroups"]
assert group["logGroupName"] == GROUP and group["storedBytes"] > 0, group

# Forwards and backwards, page by page.
names = {"logGroupName": GROUP, "logStreamName": stream["logStreamName"]}
whole = logs.get_log_events(**names, startFromHead=True)["events"]
assert any("#quality_metric" in event["message"] for event in whole), whole
assert list(tailed.values()) == [event["message"] for event in whole], tailed
assert [event["timestamp"] for event in whole] == sorted(event["timestamp"] for event in whole)
forwards, arguments = [], {"startFromHead": True}
while True:
    page = logs.get_log_events(**names, limit=3, **arguments)
    if not page["events"]:
        assert page["nextForwardToken"] == arguments["nextToken"], page
        break
    forwards += page["events"]
    arguments["nextToken"] = page["nextForwardToken"]
assert forwards == whole
backwards, arguments = [], {}
while True:
    page = logs.get_log_events(**names, limit=3, **arguments)
    if not page["events"]:
        break
    backwards = page["events"] + backwards
    arguments["nextToken"] = page["nextBackwardToken"]
assert backwards == whole
refused("InvalidParameterException", "nextToken", logs.get_log_events, **names, nextToken="f/1")


def aws(*words):
    """What the AWS CLI prints."""
    result = subprocess.run([sys.executable, "-m", "awscli", *words], capture_output=True, text=True)
    assert result.returncode == 0, (words, result.stderr)
    return json.loads(result.stdout)


told = aws("logs", "get-log-events", "--log-group-name", GROUP, "--log-stream-name", stream["logStreamName"])
assert [event["message"] for event in told["events"]] == [event["message"] for event in whole]
told = aws("logs", "filter-log-events", "--log-group-name", GROUP, "--filter-pattern", "?msd ?#quality", "--page-size", "2")
assert told["events"] and all("msd" in event["message"] or "#quality" in event["message"] for event in told["events"])
refused(
    "ResourceNotFoundException",
    "The specified log stream does not exist.",
    logs.get_log_events,
    logGroupName=GROUP,
    logStreamName="x",
)

# Across streams.
pages = logs.get_paginator("filter_log_events")
found = list(pages.paginate(logGroupName=GROUP, limit=7).search("events[]"))
assert len({event["eventId"] for event in found}) == len(found) > len(whole)
assert [event["timestamp"] for event in found] == sorted(event["timestamp"] for event in found)
assert [event["message"] for event in found if event["logStreamName"] == stream["logStreamName"]] == [
    event["message"] for event in whole
]
quality = list(pages.paginate(logGroupName=GROUP, filterPattern='"#quality_metric" msd').search("events[]"))
assert quality and all("#quality_metric" in event["message"] for event in quality), quality
later = logs.filter_log_events(
    logGroupName=GROUP, logStreamNames=[stream["logStreamName"]], startTime=stream["lastEventTimestamp"] + 1
)
assert later["events"] == [] and "nextToken" not in later, later
refused("InvalidParameterException", "JSON", logs.filter_log_events, logGroupName=GROUP, filterPattern="{ $.a = 1 }")

# A stream of one's own.
logs.create_log_group(logGroupName="/mine")
logs.create_log_stream(logGroupName="/mine", logStreamName="a")
now_ms = int(time.time() * 1000)
events = [{"timestamp": now_ms, "message": "one\ntwo \\n"}, {"timestamp": now_ms + 1, "message": "ü"}]
answer = logs.put_log_events(logGroupName="/mine", logStreamName="a", logEvents=events)
assert "rejectedLogEventsInfo" not in answer, answer
answer = logs.put_log_events(logGroupName="/mine", logStreamName="a", logEvents=events[:1])
assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}, answer
page = logs.get_log_events(logGroupName="/mine", logStreamName="a")
assert [event["message"] for event in page["events"]] == [event["message"] for event in events], page
logs.put_retention_policy(logGroupName="/mine", retentionInDays=7)
assert logs.describe_log_groups(logGroupNamePattern="min")["logGroups"][0]["retentionInDays"] == 7
refused(
    "ResourceAlreadyExistsException",
    "The specified log group already exists",
    logs.create_log_group,
    logGroupName="/mine",
)
logs.delete_log_group(logGroupName="/mine")
assert len(logs.describe_log_groups()["logGroups"]) == 1

# Metrics of the log.
final = {metric["MetricName"]: metric["Value"] for metric in done["FinalMetricDataList"]}
table = TrainingJobAnalytics("job", metric_names=["train:msd"], sagemaker_session=session).dataframe()
assert abs(table["value"].iloc[-1] - final["train:msd"]) <= 1e-9 * abs(final["train:msd"]), table
dimensions = [{"Name": "TrainingJobName", "Value": "job"}]
pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace=GROUP, Dimensions=dimensions)
listed = list(pages.search("Metrics[]"))
assert "train:msd" in [metric["MetricName"] for metric in listed], listed

told = aws("cloudwatch", "list-metrics", "--namespace", GROUP)["Metrics"]
assert {"Name": "TrainingJobName", "Value": "job-2"} in [metric["Dimensions"][0] for metric in told], told

# Points of one's own: more than boto3 sends without compressing them. Statistics equal those of a loop.
now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
start = now.replace(second=0) - datetime.timedelta(minutes=20)
points = [(start + datetime.timedelta(seconds=7 * number), (number * 37) % 101 / 4) for number in range(170)]
data = [
    {
        "MetricName": "loss",
        "Timestamp": at,
        "Value": value,
        "Unit": "Count",
        "Dimensions": [{"Name": "Run", "Value": "a"}, {"Name": "Host", "Value": "b"}],
    }
    for at, value in points
]
cloudwatch.put_metric_data(Namespace="Mine", MetricData=data)
dimensions = [{"Name": "Host", "Value": "b"}, {"Name": "Run", "Value": "a"}]
for period in (60, 300):
    end = start + datetime.timedelta(seconds=1200)
    answer = cloudwatch.get_metric_statistics(
        Namespace="Mine",
        MetricName="loss",
        Dimensions=dimensions,
        StartTime=start + datetime.timedelta(seconds=20),
        EndTime=end,
        Period=period,
        Statistics=["Average", "Sum", "Minimum", "Maximum", "SampleCount"],
    )
    buckets = {}
    for at, value in points:
        if at < end:
            buckets.setdefault(int((at - start).total_seconds()) // period, []).append(value)
    datapoints = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    assert len(datapoints) == len(buckets), datapoints
    for point, (number, values) in zip(datapoints, sorted(buckets.items())):
        assert point["Timestamp"] == start + datetime.timedelta(seconds=number * period), point
        assert point["SampleCount"] == len(values) and point["Unit"] == "Count", point
        assert abs(point["Sum"] - sum(values)) < 1e-9 and abs(point["Average"] - sum(values) / len(values)) < 1e-9
        assert (point["Minimum"], point["Maximum"]) == (min(values), max(values)), point
percentiles = cloudwatch.get_metric_statistics(
    Namespace="Mine",
    MetricName="loss",
    Dimensions=dimensions,
    StartTime=start,
    EndTime=now,
    Period=3600,
    ExtendedStatistics=["p0", "p100"],
)["Datapoints"][0]["ExtendedStatistics"]
inside = [value for at, value in points if at < now]
assert percentiles == {"p0": min(inside), "p100": max(inside)}, percentiles
stat = {
    "Metric": {"Namespace": "Mine", "MetricName": "loss", "Dimensions": dimensions},
    "Period": 60,
    "Stat": "Maximum",
}
queries = [{"Id": "a", "MetricStat": stat}, {"Id": "b", "MetricStat": {**stat, "Stat": "p50"}, "Label": "middle"}]
times = {"StartTime": start, "EndTime": now}
whole = cloudwatch.get_metric_data(MetricDataQueries=queries, **times)
results = {result["Id"]: result for result in whole["MetricDataResults"]}
assert results["a"]["StatusCode"] == "Complete" and results["b"]["Label"] == "middle", results
assert results["a"]["Timestamps"] == sorted(results["a"]["Timestamps"], reverse=True)
for scan in ("TimestampDescending", "TimestampAscending"):
    paged = {"a": [], "b": []}
    pages = cloudwatch.get_paginator("get_metric_data")
    for page in pages.paginate(MetricDataQueries=queries, **times, ScanBy=scan, MaxDatapoints=7):
        for result in page["MetricDataResults"]:
            paged[result["Id"]] += zip(result["Timestamps"], result["Values"])
    for name, found in paged.items():
        want = list(zip(results[name]["Timestamps"], results[name]["Values"]))
        assert found == (want if scan == "TimestampDescending" else want[::-1]), (scan, name)
refused(
    "ValidationError",
    "metric math",
    cloudwatch.get_metric_data,
    MetricDataQueries=[*queries, {"Id": "c", "Expression": "a + b"}],
    **times,
)
refused("InvalidParameterValue", "AWS/", cloudwatch.put_metric_data, Namespace="AWS/Mine", MetricData=data[:1])
refused(
    "InvalidParameterCombination",
    "exceeds the limit of 1,440",
    cloudwatch.get_metric_statistics,
    Namespace="Mine",
    MetricName="loss",
    StartTime=now - datetime.timedelta(days=2),
    EndTime=now,
    Period=60,
    Statistics=["Sum"],
)

# The query protocol, as older clients speak it: a form, answered in XML.
authorization = f"AWS4-HMAC-SHA256 Credential=K/20260101/{region}/monitoring/aws4_request, SignedHeaders=host, Signature=0"
form = (
    "Action=GetMetricStatistics&Version=2010-08-01&Namespace=Mine&MetricName=loss&Period=3600&Statistics.member.1=Sum"
    "&Dimensions.member.1.Name=Run&Dimensions.member.1.Value=a&Dimensions.member.2.Name=Host&Dimensions.member.2.Value=b"
    f"&StartTime={start:%Y-%m-%dT%H:%M:%SZ}&EndTime={now:%Y-%m-%dT%H:%M:%SZ}"
)
request = urllib.request.Request(
    address,
    form.encode(),
    {"content-type": "application/x-www-form-urlencoded", "authorization": authorization},
)
answer = ElementTree.fromstring(urllib.request.urlopen(request).read())
space = "{http://monitoring.amazonaws.com/doc/2010-08-01/}"
(member,) = answer.iterfind(f".//{space}Datapoints/{space}member")
assert abs(float(member.find(f"{space}Sum").text) - sum(inside)) < 1e-9
assert member.find(f"{space}Timestamp").text == f"{start:%Y-%m-%dT%H:%M:%SZ}"


# CBOR, as some SDKs do not do without it.
def text(value):
    return bytes([0x78, len(value)]) + value.encode()


body = bytes([0xA1]) + text("Namespace") + text("Mine")
path = "/service/GraniteServiceVersion20100801/operation/ListMetrics"
headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor", "authorization": authorization}
answer = urllib.request.urlopen(urllib.request.Request(address + path, body, headers))
assert answer.headers["smithy-protocol"] == "rpc-v2-cbor" and answer.headers["content-type"] == "application/cbor"
assert b"MetricName" in (content := answer.read()) and b"loss" in content, content
try:
    urllib.request.urlopen(urllib.request.Request(address + path, b"\xff", headers))
    raise AssertionError("this is no CBOR")
except urllib.error.HTTPError as error:
    assert error.code == 400 and b"SerializationException" in error.read()

# A log outlives its job; the next job of the name has a stream of its own.
client.delete_training_job(TrainingJobName="job")
assert logs.get_log_events(**names, startFromHead=True)["events"] == forwards

# For people without boto3 at hand: a log is shown, and goes with its job.
def kokanee(*words):
    result = subprocess.run([KOKANEE, "local", "--data", DATA, *words], capture_output=True, text=True)
    assert result.returncode == 0, result
    return result.stdout


assert "#quality_metric" in kokanee("logs", "job-2")
assert "removed" in kokanee("rm", "job-2")
(left,) = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
assert left["logStreamName"] == stream["logStreamName"], left
logs.delete_log_stream(**names)
left = [path for folder in ("logs", "jobs") for _, _, files in os.walk(f"{DATA}/{folder}") for path in files]
assert left == [], left
print("all as expected")
