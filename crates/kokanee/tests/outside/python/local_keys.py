"""A local SageMaker that was started with keys: clients that have them are served, others refused in the words of each service."""

import os
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
import sagemaker
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

KOKANEE, DATA = sys.argv[1:]
address = os.environ["AWS_ENDPOINT_URL"]
access, secret = os.environ["KOKANEE_ACCESS_KEY"], os.environ["KOKANEE_SECRET_KEY"]
assert os.environ["AWS_ACCESS_KEY_ID"] == access and os.environ["AWS_SECRET_ACCESS_KEY"] == secret


def client(service, **arguments):
    config = arguments.pop("config", Config(retries={"max_attempts": 0}))
    return boto3.client(service, config=config, **arguments)


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert found == (code, status), (found, error)
        return
    raise AssertionError(f"not refused: {code}")


def kokanee(*arguments, **environment):
    """What the command line says, without the keys of this process unless they are named."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KOKANEE_")}
    line = [KOKANEE, "local", *arguments, "--data", DATA]
    return subprocess.run(line, env=kept | environment, text=True, capture_output=True)


# Everything that is signed with the keys.
CALLS = [
    ("sagemaker", "list_training_jobs", {}),
    ("logs", "describe_log_groups", {}),
    ("sts", "get_caller_identity", {}),
    ("iam", "get_role", {"RoleName": "any"}),
    ("cloudwatch", "list_metrics", {}),
    ("s3", "list_buckets", {}),
]
for service, call, arguments in CALLS:
    getattr(client(service), call)(**arguments)
session = sagemaker.Session()
bucket = session.default_bucket()
sagemaker.get_execution_role(session)
boto3.client("s3").upload_fileobj(open(__file__, "rb"), bucket, "in/file")
refused("ValidationError", 400, client("sagemaker-runtime").invoke_endpoint, EndpointName="none", Body=b"x" * 100_000)
# Credentials of a role are of use, too.
role = client("sts").assume_role(RoleArn="arn:aws:iam::000000000000:role/R", RoleSessionName="session")["Credentials"]
boto3.client(
    "sagemaker",
    aws_access_key_id=role["AccessKeyId"],
    aws_secret_access_key=role["SecretAccessKey"],
    aws_session_token=role["SessionToken"],
).list_models()

# Others.
WRONG = {
    "sagemaker": ("InvalidSignatureException", 400, "UnrecognizedClientException", 400, "MissingAuthenticationTokenException", 400),
    "logs": ("InvalidSignatureException", 400, "UnrecognizedClientException", 400, "MissingAuthenticationTokenException", 400),
    "cloudwatch": ("InvalidSignatureException", 400, "UnrecognizedClientException", 400, "MissingAuthenticationTokenException", 400),
    "sts": ("SignatureDoesNotMatch", 403, "InvalidClientTokenId", 403, "MissingAuthenticationToken", 403),
    "iam": ("SignatureDoesNotMatch", 403, "InvalidClientTokenId", 403, "MissingAuthenticationToken", 403),
    "s3": ("SignatureDoesNotMatch", 403, "InvalidAccessKeyId", 403, "AccessDenied", 403),
    "sagemaker-runtime": ("InvalidSignatureException", 403, "UnrecognizedClientException", 403, "MissingAuthenticationTokenException", 403),
}
for service, call, arguments in [*CALLS, ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "none", "Body": b"x"})]:
    by_secret, by_key, unsigned = zip(*[iter(WRONG[service])] * 2)
    wrong = client(service, aws_access_key_id=access, aws_secret_access_key="another-secret")
    refused(*by_secret, getattr(wrong, call), **arguments)
    wrong = client(service, aws_access_key_id="another", aws_secret_access_key=secret)
    refused(*by_key, getattr(wrong, call), **arguments)
    wrong = client(service, config=Config(signature_version=UNSIGNED, retries={"max_attempts": 0}))
    refused(*unsigned, getattr(wrong, call), **arguments)

# A call whose body was changed on its way, and one for another operation.
for body, target in ((b'{"MaxResults": 2}', "SageMaker.ListModels"), (b"{}", "SageMaker.ListTags")):
    headers = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"{address}/", data=b"{}", headers=headers)
    SigV4Auth(Credentials(access, secret), "sagemaker", "us-west-2").add_auth(request)
    sent = urllib.request.Request(request.url, data=body, headers=dict(request.headers) | {"X-Amz-Target": target})
    try:
        urllib.request.urlopen(sent)
        raise AssertionError(f"not refused: {target}")
    except urllib.error.HTTPError as error:
        assert error.status == 400 and b"InvalidSignatureException" in error.read()

# The server's own pages, for this machine.
for page in ("health", "metrics"):
    assert urllib.request.urlopen(f"{address}/_kokanee/{page}").status == 200

# The command line finds the keys in a file that is its owner's, as the folder is.
mode = lambda path: stat.S_IMODE(os.stat(path).st_mode)
assert mode(DATA) == 0o700 and mode(f"{DATA}/keys.json") == 0o600, (oct(mode(DATA)), oct(mode(f"{DATA}/keys.json")))
assert kokanee("ps", "--all").returncode == 0, kokanee("ps", "--all")
said = kokanee("env").stdout
assert f"export AWS_ACCESS_KEY_ID='{access}'" in said and f"export AWS_SECRET_ACCESS_KEY='{secret}'" in said, said
wrong = kokanee("ps", KOKANEE_ACCESS_KEY=access, KOKANEE_SECRET_KEY="another-secret")
assert wrong.returncode != 0 and "InvalidSignatureException" in wrong.stderr, wrong

# By way of the proxy, signatures are of names of AWS; they are verified as any.
LISTS = "import boto3, sys; print(len(boto3.client('s3').list_objects_v2(Bucket=sys.argv[1])['Contents']))"
for mode in ("proxy", "proxy-only"):
    for given, want in ((secret, "1\n"), ("another-secret", "SignatureDoesNotMatch")):
        keys = f"export AWS_SECRET_ACCESS_KEY={given}"
        line = f'unset AWS_DATA_PATH; eval "$({KOKANEE} local env --data {DATA} --mode {mode})"; {keys}; exec "$@"'
        line = ["sh", "-c", line, "sh", sys.executable, "-c", LISTS, bucket]
        said = subprocess.run(line, text=True, capture_output=True)
        assert want in said.stdout + said.stderr, (mode, said)

# Other machines are served with keys only.
for arguments, environment, part in (
    (("--host", "0.0.0.0"), {}, "KOKANEE_SECRET_KEY"),
    (("--access-key", "only"), {}, "without a secret key"),
    ((), {"KOKANEE_SECRET_KEY": "only-secret"}, "without an access key"),
    (("--access-key", "a b"), {"KOKANEE_SECRET_KEY": "only-secret"}, "an access key has"),
    (("--access-key", "key", "--secret-key", "short"), {}, "a secret key has"),
):
    said = kokanee(*arguments, "--port", "0", **environment)
    assert said.returncode != 0 and part in said.stderr and "only-secret" not in said.stderr, said

# A server that other machines reach: what it does is told to who has the keys.
given = {"KOKANEE_ACCESS_KEY": access, "KOKANEE_SECRET_KEY": secret}
line = [KOKANEE, "local", "--host", "0.0.0.0", "--port", "0", "--data", "open"]
server = subprocess.Popen(line, env=os.environ | given, text=True, stdout=subprocess.PIPE)
try:
    said = server.stdout.readline()
    url = said.split()[3].rstrip(",")
    while "other machines" not in said:
        line = server.stdout.readline()
        assert line, said
        said += line
    assert f"AWS_ACCESS_KEY_ID={access}" in said and secret not in said, said
    assert urllib.request.urlopen(f"{url}/_kokanee/health").status == 200
    try:
        urllib.request.urlopen(f"{url}/_kokanee/metrics")
        raise AssertionError("metrics without a signature")
    except urllib.error.HTTPError as error:
        assert error.status == 403 and b"Missing Authentication Token" in error.read()
    request = AWSRequest("GET", f"{url}/_kokanee/metrics")
    SigV4Auth(Credentials(access, secret), "kokanee", "any").add_auth(request)
    assert urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers))).status == 200
    # Nor is it a proxy for the world.
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as stream:
        stream.sendall(b"CONNECT pypi.org:443 HTTP/1.1\r\nHost: pypi.org:443\r\n\r\n")
        answer = stream.recv(4096)
    assert answer.startswith(b"HTTP/1.1 403") and b"passes nothing on" in answer, answer
finally:
    server.terminate()
    server.wait()
assert not os.path.exists("open/keys.json")

print("all as expected")
