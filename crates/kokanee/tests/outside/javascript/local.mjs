// AWS's SDK for JavaScript as a client of `kokanee local`. It finds the server by its environment alone; its packages lie below the folder
// of the only argument.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { Readable } from "node:stream";

const require = createRequire(`${process.argv[2]}/`);
const sm = require("@aws-sdk/client-sagemaker");
const runtime = require("@aws-sdk/client-sagemaker-runtime");
const s3 = require("@aws-sdk/client-s3");
const logs = require("@aws-sdk/client-cloudwatch-logs");
const metrics = require("@aws-sdk/client-cloudwatch");
const sts = require("@aws-sdk/client-sts");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const sagemaker = new sm.SageMakerClient({});
const invoker = new runtime.SageMakerRuntimeClient({});
const objects = new s3.S3Client({});
const cloudwatch = new metrics.CloudWatchClient({});
const logging = new logs.CloudWatchLogsClient({});
const patience = { client: sagemaker, minDelay: 1, maxDelay: 1, maxWaitTime: 120 };

/** The call is refused with this name and a text that contains this part. */
async function refused(name, part, call) {
  await assert.rejects(call, (error) => {
    assert.equal(error.name, name, error);
    assert.ok(error.message.includes(part), error.message);
    return true;
  });
}

async function collected(pages, member) {
  const all = [];
  for await (const page of pages) all.push(...(page[member] ?? []));
  return all;
}

// Who one is, and a bucket with data: ten rows around each of three points, which are far from each other.
const identity = await new sts.STSClient({}).send(new sts.GetCallerIdentityCommand({}));
assert.match(identity.Arn, /^arn:aws:sts::\d{12}:assumed-role\//);
const role = `arn:aws:iam::${identity.Account}:role/KokaneeRole`;
const bucket = "from-javascript";
const region = await sagemaker.config.region();
await objects.send(
  new s3.CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: region } }),
);
const points = [0, 50, 100];
const rows = points.flatMap((point) => Array.from({ length: 10 }, (_, number) => `${point + number / 100},${-point}`));
await objects.send(new s3.PutObjectCommand({ Bucket: bucket, Key: "in/a b/rows ü.csv", Body: rows.join("\n") + "\n" }));
await objects.send(new s3.PutObjectCommand({ Bucket: bucket, Key: "ask/rows.csv", Body: "0,0\n50,-50\n100,-100\n" }));
const listed = await objects.send(new s3.ListObjectsV2Command({ Bucket: bucket, Prefix: "in/" }));
assert.deepEqual(listed.Contents.map((item) => item.Key), ["in/a b/rows ü.csv"]);
await refused("NoSuchKey", "", () => objects.send(new s3.GetObjectCommand({ Bucket: bucket, Key: "none" })));
// Streams of unknown length go in parts or in chunks, ranges come back.
const stream = new s3.PutObjectCommand({ Bucket: bucket, Key: "stream", Body: Readable.from([Buffer.from("0123456789")]), ContentLength: 10 });
await objects.send(stream);
const ranged = await objects.send(new s3.GetObjectCommand({ Bucket: bucket, Key: "stream", Range: "bytes=2-4" }));
assert.equal(await ranged.Body.transformToString(), "234");

// Presigned URLs, which need no credentials. That of a PUT has the checksum of an empty body in its query.
const put = await getSignedUrl(objects, new s3.PutObjectCommand({ Bucket: bucket, Key: "signed" }), { expiresIn: 60 });
const putting = await fetch(put, { method: "PUT", body: "signed" });
assert.equal(putting.status, 200, await putting.text());
const get = await getSignedUrl(objects, new s3.GetObjectCommand({ Bucket: bucket, Key: "signed" }), { expiresIn: 60 });
assert.equal(await (await fetch(get)).text(), "signed");

// A job, from its request to its model, logs and metrics.
const image = `174872318107.dkr.ecr.${region}.amazonaws.com/kmeans:1`;
const job = {
  TrainingJobName: "js-job",
  AlgorithmSpecification: { TrainingImage: image, TrainingInputMode: "File" },
  HyperParameters: { k: "3", feature_dim: "2", mini_batch_size: "30", init_method: "kmeans++" },
  RoleArn: role,
  InputDataConfig: [
    {
      ChannelName: "train",
      ContentType: "text/csv;label_size=0",
      DataSource: { S3DataSource: { S3DataType: "S3Prefix", S3Uri: `s3://${bucket}/in` } },
    },
  ],
  OutputDataConfig: { S3OutputPath: `s3://${bucket}/out` },
  ResourceConfig: { InstanceType: "ml.c5.xlarge", InstanceCount: 1, VolumeSizeInGB: 5 },
  StoppingCondition: { MaxRuntimeInSeconds: 60 },
  Tags: [{ Key: "team", Value: "ü" }],
};
const { TrainingJobArn: arn } = await sagemaker.send(new sm.CreateTrainingJobCommand(job));
await refused("ResourceInUse", arn, () => sagemaker.send(new sm.CreateTrainingJobCommand(job)));
await sm.waitUntilTrainingJobCompletedOrStopped(patience, { TrainingJobName: "js-job" });
const done = await sagemaker.send(new sm.DescribeTrainingJobCommand({ TrainingJobName: "js-job" }));
assert.equal(done.TrainingJobStatus, "Completed", done.FailureReason);
assert.ok(done.TrainingEndTime >= done.TrainingStartTime && done.TrainingStartTime >= done.CreationTime, done);
assert.ok(done.FinalMetricDataList.some((metric) => metric.MetricName === "train:msd"), done.FinalMetricDataList);
const model = done.ModelArtifacts.S3ModelArtifacts;
assert.equal(model, `s3://${bucket}/out/js-job/output/model.tar.gz`);
const archive = await objects.send(
  new s3.GetObjectCommand({ Bucket: bucket, Key: model.slice(`s3://${bucket}/`.length), Range: "bytes=0-1" }),
);
assert.deepEqual([...(await archive.Body.transformToByteArray())], [0x1f, 0x8b]);

const group = "/aws/sagemaker/TrainingJobs";
const streams = await collected(
  logs.paginateDescribeLogStreams({ client: logging }, { logGroupName: group, logStreamNamePrefix: "js-job/" }),
  "logStreams",
);
assert.equal(streams.length, 1);
const events = await collected(
  logs.paginateFilterLogEvents({ client: logging }, { logGroupName: group, logStreamNamePrefix: "js-job/" }),
  "events",
);
assert.ok(events.some((event) => event.message.includes("#quality_metric")), events);
const page = await logging.send(
  new logs.GetLogEventsCommand({ logGroupName: group, logStreamName: streams[0].logStreamName, startFromHead: true }),
);
assert.deepEqual(page.events.map((event) => event.message), events.map((event) => event.message));
const dimension = { Name: "TrainingJobName", Value: "js-job" };
const statistics = await cloudwatch.send(
  new metrics.GetMetricStatisticsCommand({
    Namespace: group,
    MetricName: "train:msd",
    Dimensions: [dimension],
    StartTime: done.TrainingStartTime,
    EndTime: new Date(done.TrainingEndTime.getTime() + 60000),
    Period: 60,
    Statistics: ["Average"],
  }),
);
assert.ok(statistics.Datapoints.length > 0 && statistics.Datapoints[0].Average >= 0, statistics);
const known = await collected(
  metrics.paginateListMetrics({ client: cloudwatch }, { Namespace: group, Dimensions: [dimension] }),
  "Metrics",
);
assert.ok(known.some((metric) => metric.MetricName === "train:msd"), known);

// Tags.
await sagemaker.send(new sm.AddTagsCommand({ ResourceArn: arn, Tags: [{ Key: "stage", Value: "" }] }));
await sagemaker.send(new sm.DeleteTagsCommand({ ResourceArn: arn, TagKeys: ["team"] }));
const tags = await collected(sm.paginateListTags({ client: sagemaker }, { ResourceArn: arn }), "Tags");
assert.deepEqual(tags, [{ Key: "stage", Value: "" }]);

// A model, an endpoint, and an answer.
await sagemaker.send(
  new sm.CreateModelCommand({
    ModelName: "js-model",
    ExecutionRoleArn: role,
    PrimaryContainer: { Image: image, ModelDataUrl: model },
  }),
);
const variant = {
  VariantName: "AllTraffic",
  ModelName: "js-model",
  InstanceType: "ml.m4.xlarge",
  InitialInstanceCount: 1,
};
await sagemaker.send(
  new sm.CreateEndpointConfigCommand({ EndpointConfigName: "js-configuration", ProductionVariants: [variant] }),
);
await sagemaker.send(
  new sm.CreateEndpointCommand({ EndpointName: "js-endpoint", EndpointConfigName: "js-configuration" }),
);
await sm.waitUntilEndpointInService(patience, { EndpointName: "js-endpoint" });
const ask = (Body, more = {}) =>
  invoker.send(
    new runtime.InvokeEndpointCommand({ EndpointName: "js-endpoint", ContentType: "text/csv", Body, ...more }),
  );
const answer = await ask("0,0\n100,-100\n");
const { predictions } = JSON.parse(Buffer.from(answer.Body).toString());
assert.equal(predictions.length, 2);
assert.notEqual(predictions[0].closest_cluster, predictions[1].closest_cluster);
assert.equal(answer.InvokedProductionVariant, "AllTraffic");
await assert.rejects(ask("1,2,3\n"), (error) => {
  assert.equal(error.name, "ModelError");
  assert.equal(error.OriginalStatusCode, 400);
  assert.equal(error.$metadata.httpStatusCode, 424);
  assert.ok(error.OriginalMessage.length > 0 && error.LogStreamArn.includes("js-endpoint"), error);
  return true;
});
await refused("ValidationError", "Endpoint none of account", () => ask("0,0\n", { EndpointName: "none" }));

// Batch transform.
await sagemaker.send(
  new sm.CreateTransformJobCommand({
    TransformJobName: "js-transform",
    ModelName: "js-model",
    TransformInput: {
      DataSource: { S3DataSource: { S3DataType: "S3Prefix", S3Uri: `s3://${bucket}/ask` } },
      ContentType: "text/csv",
      SplitType: "Line",
    },
    TransformOutput: { S3OutputPath: `s3://${bucket}/answers`, Accept: "application/jsonlines", AssembleWith: "Line" },
    TransformResources: { InstanceType: "ml.m4.xlarge", InstanceCount: 1 },
  }),
);
await sm.waitUntilTransformJobCompletedOrStopped(patience, { TransformJobName: "js-transform" });
const transformed = await objects.send(new s3.GetObjectCommand({ Bucket: bucket, Key: "answers/rows.csv.out" }));
const clusters = (await text(transformed.Body)).trim().split("\n").map((line) => JSON.parse(line).closest_cluster);
assert.equal(new Set(clusters).size, 3, clusters);

// Lists by pages, and errors.
const named = async (pages, list, name) => (await collected(pages, list)).map((item) => item[name]);
const one = { client: sagemaker, pageSize: 1 };
assert.deepEqual(await named(sm.paginateListTrainingJobs(one, {}), "TrainingJobSummaries", "TrainingJobName"), ["js-job"]);
assert.deepEqual(await named(sm.paginateListModels(one, {}), "Models", "ModelName"), ["js-model"]);
assert.deepEqual(await named(sm.paginateListEndpoints(one, {}), "Endpoints", "EndpointName"), ["js-endpoint"]);
assert.deepEqual(await named(sm.paginateListTransformJobs(one, {}), "TransformJobSummaries", "TransformJobName"), [
  "js-transform",
]);
await refused("ValidationException", "Requested resource not found.", () =>
  sagemaker.send(new sm.DescribeTrainingJobCommand({ TrainingJobName: "none" })),
);
await refused("ValidationException", "at 'trainingJobName' failed to satisfy constraint", () =>
  sagemaker.send(new sm.CreateTrainingJobCommand({ ...job, TrainingJobName: "a_b" })),
);
await assert.rejects(sm.waitUntilTrainingJobCompletedOrStopped(patience, { TrainingJobName: "none" }));

// Everything goes again.
await sagemaker.send(new sm.DeleteEndpointCommand({ EndpointName: "js-endpoint" }));
await sm.waitUntilEndpointDeleted(patience, { EndpointName: "js-endpoint" });
await sagemaker.send(new sm.DeleteEndpointConfigCommand({ EndpointConfigName: "js-configuration" }));
await sagemaker.send(new sm.DeleteModelCommand({ ModelName: "js-model" }));
const left = await collected(s3.paginateListObjectsV2({ client: objects }, { Bucket: bucket }), "Contents");
await objects.send(
  new s3.DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: left.map((item) => ({ Key: item.Key })) } }),
);
await objects.send(new s3.DeleteBucketCommand({ Bucket: bucket }));
console.log("all as expected");
