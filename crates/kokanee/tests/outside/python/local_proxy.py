"""Clients that find `kokanee local` as their proxy: with `AWS_ENDPOINT_URL` beside it (mode proxy), or by nothing else (proxy-only)."""

import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import boto3
import requests
import sagemaker
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

KOKANEE, DATA, MODE = sys.argv[1:]
assert ("AWS_ENDPOINT_URL" in os.environ) == (MODE == "proxy"), MODE
assert "AWS_DATA_PATH" not in os.environ
proxy = os.environ["HTTPS_PROXY"].removeprefix("http://")
port = int(proxy.rpartition(":")[2])
region = boto3.session.Session().region_name
bundle = os.environ["AWS_CA_BUNDLE"]
client = boto3.client("sagemaker")
s3 = boto3.client("s3")
is_alone = MODE == "proxy-only"
if is_alone:
    assert client.meta.endpoint_url == f"https://api.sagemaker.{region}.amazonaws.com"

# STS, whose address SageMaker's SDK chooses, and its telemetry, which nobody gets.
session = sagemaker.Session()
bucket = session.default_bucket()
assert bucket == f"sagemaker-{region}-000000000000", bucket
role = sagemaker.get_execution_role(session)
assert role.endswith(":role/KokaneeRole"), role
answer = requests.get(f"https://sm-pysdk-t-{region}.s3.{region}.amazonaws.com/telemetry?x-accountId=1")
assert (answer.status_code, answer.text) == (200, ""), answer.text

# S3: with a proxy alone, buckets stand in hosts, and bodies come in chunks with a trailer.
seen = []
s3.meta.events.register("before-send.s3", lambda request, **_: seen.append(request))
s3.put_object(Bucket=bucket, Key="a b/ü+c", Body=b"hello")
assert s3.get_object(Bucket=bucket, Key="a b/ü+c")["Body"].read() == b"hello"
if is_alone:
    assert seen[0].url.startswith(f"https://{bucket}.s3."), seen[0].url
    assert b"aws-chunked" in seen[0].headers["Content-Encoding"], seen[0].headers
big = os.urandom(20 << 20)
with open("big", "wb") as file:
    file.write(big)
s3.upload_file("big", bucket, "big", Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
s3.download_file(bucket, "big", "again")
assert open("again", "rb").read() == big
keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
assert keys == ["a b/ü+c", "big"], keys
dotted = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
dotted.create_bucket(Bucket="my.dotted.bucket", CreateBucketConfiguration={"LocationConstraint": region})
dotted.put_object(Bucket="my.dotted.bucket", Key="x", Body=b"1")
url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "big"})
assert urllib.request.urlopen(url).read() == big
try:
    s3.get_object(Bucket=bucket, Key="none")
    raise AssertionError("there is no such object")
except s3.exceptions.NoSuchKey:
    pass

# A training.
rows = "".join(f"{point + number / 100},{-point}\n" for point in (0, 50, 100) for number in range(10))
s3.put_object(Bucket=bucket, Key="in/rows.csv", Body=rows.encode())
estimator = sagemaker.estimator.Estimator(
    sagemaker.image_uris.retrieve("kmeans", region),
    role,
    instance_count=1,
    instance_type="ml.c5.xlarge",
    hyperparameters={"k": 3, "feature_dim": 2, "mini_batch_size": 30},
    sagemaker_session=session,
)
data = sagemaker.inputs.TrainingInput(f"s3://{bucket}/in", content_type="text/csv;label_size=0")
estimator.fit({"train": data}, wait=False)
name = estimator.latest_training_job.name
client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name, WaiterConfig={"Delay": 1})
job = client.describe_training_job(TrainingJobName=name)
assert job["TrainingJobStatus"] == "Completed", job
assert boto3.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs")["logStreams"]

# The AWS CLI and curl, by the same variables.
aws = [sys.executable, "-m", "awscli"]
listed = subprocess.run([*aws, "s3", "ls", f"s3://{bucket}/"], text=True, capture_output=True)
assert listed.returncode == 0 and "big" in listed.stdout, listed
listed = subprocess.run([*aws, "sts", "get-caller-identity"], text=True, capture_output=True)
assert json.loads(listed.stdout)["Account"] == "000000000000", listed
line = ["curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code} %{http_version}"]
said = subprocess.run([*line, f"https://{bucket}.s3.{region}.amazonaws.com/big"], text=True, capture_output=True)
assert said.stdout == "200 1.1", said


# A host that is not AWS's gets the connection as it is; here it is one of this machine, with TLS of its own.
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_):
        pass


def connect(target, more=""):
    """The first line and the rest of the answer to a CONNECT, and the connection."""
    stream = socket.create_connection(("127.0.0.1", port))
    stream.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{more}\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        assert byte, head
        head += byte
    return head.decode().partition("\r\n")[0], stream


other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
threading.Thread(target=other.serve_forever, daemon=True).start()
status, stream = connect(f"127.0.0.1:{other.server_port}")
assert status == "HTTP/1.1 200 OK", status
stream.sendall(b"GET / HTTP/1.0\r\nHost: any.example\r\n\r\n")
assert stream.makefile("rb").read().endswith(b"any.example")
other.shutdown()
other.server_close()
assert connect(f"127.0.0.1:{other.server_port}")[0].startswith("HTTP/1.1 502"), "nobody listens there"
for target, want in [
    ("s3.amazonaws.com:80", 403),
    ("no-such-host.invalid:443", 502),
    ("s3.amazonaws.com", 400),
    ("s3.amazonaws.com:443", 200),
]:
    status, stream = connect(target)
    assert status.startswith(f"HTTP/1.1 {want}"), (target, status)
    stream.close()


# Within TLS the rules are the same: for hosts, pages, and what is asked for.
def asked(name, request):
    """The answer to a request in a connection to S3 whose certificate is asked for by this name."""
    _, stream = connect("s3.amazonaws.com:443")
    context = ssl.create_default_context(cafile=bundle)
    context.check_hostname = name is not None
    with context.wrap_socket(stream, server_hostname=name) as secured:
        secured.sendall(request.encode())
        return secured.makefile("rb").read().decode()


head = "GET / HTTP/1.1\r\nConnection: close\r\n"
assert asked("s3.amazonaws.com", head + "Host: s3.amazonaws.com\r\n\r\n").startswith("HTTP/1.1 200")
assert asked(None, head + "Host: s3.amazonaws.com\r\n\r\n").startswith("HTTP/1.1 200"), "no name at all"
assert asked("s3.amazonaws.com", head + "Host: evil.example\r\n\r\n").startswith("HTTP/1.1 403")
page = "Host: s3.amazonaws.com\r\nOrigin: https://evil.example\r\n\r\n"
assert asked("s3.amazonaws.com", head + page).startswith("HTTP/1.1 403")
nested = "CONNECT s3.amazonaws.com:443 HTTP/1.1\r\nHost: s3.amazonaws.com:443\r\nConnection: close\r\n\r\n"
assert asked("s3.amazonaws.com", nested).startswith("HTTP/1.1 405")
try:
    asked("evil.example", head + "Host: s3.amazonaws.com\r\n\r\n")
    raise AssertionError("there is no certificate for a name that is not ours")
except ssl.SSLError as error:
    assert "ALERT" in str(error).upper(), error

# The port itself speaks TLS, too; without the authority nobody believes it.
own = f"https://127.0.0.1:{port}"
assert boto3.client("s3", endpoint_url=own).list_objects_v2(Bucket=bucket)["KeyCount"] > 2
assert boto3.client("sagemaker", endpoint_url=f"https://localhost:{port}").list_models()["Models"] == []
try:
    urllib.request.urlopen(f"{own}/_kokanee/health", context=ssl.create_default_context())
    assert "SSL_CERT_FILE" in os.environ
except urllib.error.URLError as error:
    raise AssertionError("SSL_CERT_FILE is what Python trusts") from error
for name in [name for name in os.environ if name.endswith(("_BUNDLE", "CERT_FILE"))]:
    del os.environ[name]
try:
    urllib.request.urlopen(f"{own}/_kokanee/health", context=ssl.create_default_context())
    raise AssertionError("nobody else knows the authority")
except urllib.error.URLError as error:
    assert "CERTIFICATE_VERIFY_FAILED" in str(error), error

# The key is for its owner, and a second server has the same authority.
assert os.stat(f"{DATA}/proxy/authority.pem").st_mode & 0o777 == 0o600
line = [KOKANEE, "local", "env", "--data", DATA, "--mode", MODE]
said = subprocess.run(line, text=True, capture_output=True, check=True).stdout
assert f"export HTTPS_PROXY='http://{proxy}'" in said, said
print("all as expected")
