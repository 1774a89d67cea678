#!/bin/bash
# make_local.sh PROGRAM FOLDER: the data folder of a local SageMaker with one thing of every kind, in FOLDER/local. Run it from the root of the repository;
# it needs curl.
set -e
K=$(realpath "$1"); O=$(realpath -m "$2")/local
W=$(mktemp -d); D=$W/data
trap 'kill $server 2>/dev/null; rm -rf $W' EXIT
$K local image add own:1 --data $D --directory / --train "true"
$K local --data $D --port 0 >$W/out 2>&1 & server=$!
until [ -f $D/server.json ]; do sleep 0.1; done
A=http://$(grep -o '127.0.0.1:[0-9]*' $D/server.json | head -1)
call() { # call TARGET BODY
  curl -sSf -X POST $A/ -H "X-Amz-Target: $1" -H "Content-Type: application/x-amz-json-1.1" -d "$2" || { echo "failed: $1" >&2; exit 1; }
}
sagemaker() { call SageMaker.$1 "$2"; }
until_is() { until sagemaker $1 "$2" | grep -q "\"$3\""; do sleep 0.1; done; }
curl -sSf -X PUT $A/bucket
for row in 0,0 0,1 50,0 50,1; do echo $row; done >$W/rows.csv
curl -sSf -T $W/rows.csv "$A/bucket/in/rows.csv"
curl -sSf -T $W/rows.csv "$A/bucket/odd%20key/%C3%BC" -H "x-amz-meta-note: kept" -H "x-amz-tagging: a=b"
I=174872318107.dkr.ecr.us-west-2.amazonaws.com
R=arn:aws:iam::000000000000:role/KokaneeRole
job() { # job NAME IMAGE HYPERPARAMETERS
  sagemaker CreateTrainingJob '{"TrainingJobName":"'$1'","AlgorithmSpecification":{"TrainingImage":"'$I/$2'","TrainingInputMode":"File"},"HyperParameters":'"$3"',"RoleArn":"'$R'","InputDataConfig":[{"ChannelName":"train","ContentType":"text/csv;label_size=0","DataSource":{"S3DataSource":{"S3DataType":"S3Prefix","S3Uri":"s3://bucket/in"}}}],"OutputDataConfig":{"S3OutputPath":"s3://bucket/out"},"ResourceConfig":{"InstanceType":"ml.m5.large","InstanceCount":1,"VolumeSizeInGB":1},"StoppingCondition":{"MaxRuntimeInSeconds":3600},"Tags":[{"Key":"team","Value":"fish"}]}'
}
job clusters kmeans:1 '{"k":"2","feature_dim":"2","mini_batch_size":"4"}'
until_is DescribeTrainingJob '{"TrainingJobName":"clusters"}' Completed
job wrong kmeans:1 '{"k":"2","feature_dim":"3","mini_batch_size":"4"}'
until_is DescribeTrainingJob '{"TrainingJobName":"wrong"}' Failed
sagemaker CreateModel '{"ModelName":"m","PrimaryContainer":{"Image":"'$I/kmeans:1'","ModelDataUrl":"s3://bucket/out/clusters/output/model.tar.gz"},"ExecutionRoleArn":"'$R'"}'
sagemaker CreateEndpointConfig '{"EndpointConfigName":"c","ProductionVariants":[{"VariantName":"A","ModelName":"m","InitialInstanceCount":1,"InstanceType":"ml.m5.large"}]}'
sagemaker CreateEndpoint '{"EndpointName":"ep","EndpointConfigName":"c"}'
until_is DescribeEndpoint '{"EndpointName":"ep"}' InService
sagemaker CreateTransformJob '{"TransformJobName":"t","ModelName":"m","TransformInput":{"DataSource":{"S3DataSource":{"S3DataType":"S3Prefix","S3Uri":"s3://bucket/in"}},"ContentType":"text/csv","SplitType":"Line"},"TransformOutput":{"S3OutputPath":"s3://bucket/answers","AssembleWith":"Line"},"TransformResources":{"InstanceType":"ml.m5.large","InstanceCount":1}}'
until_is DescribeTransformJob '{"TransformJobName":"t"}' Completed
call Logs_20140328.CreateLogGroup '{"logGroupName":"mine"}'
call Logs_20140328.CreateLogStream '{"logGroupName":"mine","logStreamName":"s"}'
call Logs_20140328.PutLogEvents '{"logGroupName":"mine","logStreamName":"s","logEvents":[{"timestamp":'$(date +%s)000',"message":"said"}]}'
call AnyScaleFrontendService.RegisterScalableTarget '{"ServiceNamespace":"sagemaker","ResourceId":"endpoint/ep/variant/A","ScalableDimension":"sagemaker:variant:DesiredInstanceCount","MinCapacity":1,"MaxCapacity":2}'
kill -INT $server; wait $server || true
rm -rf $O; mkdir -p $O
(cd $D; find . -type s -delete; ls -la . ; du -a . | sort -n | tail -40)
cp -r $D/. $O/
