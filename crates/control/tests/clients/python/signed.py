"""S3 with keys: what botocore signs is accepted, however odd, and nothing else is."""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import sys
import urllib.parse
import zlib

import boto3
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

address, _, round_ = sys.argv[1:4]
access, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
host = urllib.parse.urlsplit(address).netloc
credentials = Credentials(access, secret)
BUCKET = "signed-bucket"


def client(secret=secret, access=access, version="s3v4", **config):
    config = Config(signature_version=version, retries={"max_attempts": 0}, **config)
    # The environment of clients has a token, which is signed, too.
    keys = {"aws_access_key_id": access, "aws_secret_access_key": secret, "aws_session_token": "any token"}
    return boto3.client("s3", endpoint_url=address, config=config, **keys)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"not refused: {code}")


def fetch(url, data=None, method=None, headers={}):
    """Status, body and error code of a request that is sent as it is."""
    connection = http.client.HTTPConnection(host)
    connection.request(method or "GET", url.removeprefix(address), body=data, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    code = body.split(b"<Code>")[1].split(b"</Code>")[0].decode() if b"<Code>" in body else None
    connection.close()
    return answer.status, body, code


s3 = client()
if round_ == "first":
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})

# Clients with other keys, or none.
refused("SignatureDoesNotMatch", client(secret="another-secret").list_buckets)
refused("InvalidAccessKeyId", client(access="another").list_buckets)
refused("SignatureDoesNotMatch", client(secret="another-secret", version="s3").list_buckets)
assert fetch("/")[::2] == (403, "AccessDenied")
assert fetch(f"/{BUCKET}/key", data=b"x", method="PUT")[::2] == (403, "AccessDenied")

# Whatever boto3 does, in both versions.
KEYS = ["plain", "with space", "a+b", "~tilde", "ü/ñ/漢字", "a//b///c", "per%20cent", "q?u=e&s#t", "(*)!'$,;:@", "a/./b/../c", "=", "%"]
for version in ("s3v4", "s3"):
    s3 = client(version=version)
    for key in KEYS:
        body = key.encode() + version.encode()
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"spaces": "two  spaces"})
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
        assert s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=0-0")["Body"].read() == body[:1]
        s3.copy_object(Bucket=BUCKET, Key=key + " copy", CopySource={"Bucket": BUCKET, "Key": key})
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=key, MaxKeys=100, Delimiter="|")
        assert key in [one["Key"] for one in listed["Contents"]], key
        for method in ("get_object", "head_object"):
            url = s3.generate_presigned_url(method, {"Bucket": BUCKET, "Key": key}, ExpiresIn=60)
            verb = "GET" if method == "get_object" else "HEAD"
            status, found, _ = fetch(url, method=verb)
            assert status == 200 and found == (body if verb == "GET" else b""), (url, status, found)
        url = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": key}, ExpiresIn=60)
        assert fetch(url, b"presigned", "PUT")[0] == 200, url
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"presigned"
        # An address holds for its own request.
        assert fetch(url)[::2] == (403, "SignatureDoesNotMatch")
        assert fetch(url.replace("signed-bucket/", "signed-bucket/x", 1), b"x", "PUT")[2] == "SignatureDoesNotMatch"
        assert fetch(url, b"x", "PUT", {"x-amz-copy-source": f"/{BUCKET}/plain"})[0] == 403
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key}, {"Key": key + " copy"}]})
    url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "k"}, ExpiresIn=-5)
    expired = "AuthorizationQueryParametersError" if version == "s3v4" else "AccessDenied"
    assert fetch(url)[2] == expired, fetch(url)
    # Parts.
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="big")["UploadId"]
    parts = []
    for number in (2, 1):
        etag = s3.upload_part(Bucket=BUCKET, Key="big", UploadId=upload, PartNumber=number, Body=b"p" * (5 << 20))["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    parts.sort(key=lambda part: part["PartNumber"])
    s3.complete_multipart_upload(Bucket=BUCKET, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket=BUCKET, Key="big")["ContentLength"] == 10 << 20
    # Forms.
    post = s3.generate_presigned_post(BUCKET, "form/${filename}", Conditions=[["content-length-range", 1, 9]])

    def form(fields, bucket=BUCKET):
        lines = b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        )
        body = lines + b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'
        return fetch(f"/{bucket}", body, "POST", {"Content-Type": "multipart/form-data; boundary=b"})

    assert form(post["fields"])[0] == 204, form(post["fields"])
    assert s3.get_object(Bucket=BUCKET, Key="form/f")["Body"].read() == b"content"
    policy = json.loads(base64.b64decode(post["fields"]["policy"]))
    policy["expiration"] = "2099-01-01T00:00:00Z"
    forged = base64.b64encode(json.dumps(policy).encode()).decode()
    assert form({**post["fields"], "policy": forged})[2] == "SignatureDoesNotMatch"
    assert form({"key": "form/x"})[2] == "AccessDenied"
    assert form({"key": "form/x", "policy": post["fields"]["policy"]})[0] in (400, 403)
    # The field names the bucket of the policy, and the address another.
    if round_ == "first" and version == "s3v4":
        s3.create_bucket(Bucket="other-bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    assert form({"bucket": BUCKET, **post["fields"]}, "other-bucket")[2] == "AccessDenied"

# Odd requests, signed by botocore and sent as they were signed.
QUERIES = ["", "acl", "acl=", "prefix=a&prefix=b", "prefix=%20%2B~", "prefix=a%2Fb&delimiter=%2F", "z&a=&m", "prefix=%C3%BC", "a=%26%3D", "&&prefix=x&"]
s3 = client()
s3.put_object(Bucket=BUCKET, Key="plain", Body=b"plain")
for query in QUERIES:
    for signer in (
        S3SigV4Auth(credentials, "s3", "eu-north-1"),
        S3SigV4QueryAuth(credentials, "s3", "eu-north-1", expires=60),
        HmacV1Auth(credentials),
        HmacV1QueryAuth(credentials, expires=60),
    ):
        for path in (f"/{BUCKET}", f"/{BUCKET}/plain", f"/{BUCKET}/~a%2520//b%2B", "/"):
            url = f"{address}{path}" + (f"?{query}" if query else "")
            request = AWSRequest("GET", url, headers={"X-Amz-Meta-Odd": "  a   b ", "x-amz-request-payer": "requester"})
            if isinstance(signer, (S3SigV4QueryAuth, HmacV1QueryAuth)):
                request = AWSRequest("GET", url)
            if query.startswith("&") and isinstance(signer, S3SigV4Auth):
                continue
            signer.add_auth(request)
            prepared = request.prepare()
            status, body, code = fetch(prepared.url, headers=dict(prepared.headers))
            assert code not in ("SignatureDoesNotMatch", "AccessDenied", "InvalidAccessKeyId"), (url, signer, code, body)
            assert status != 403, (url, signer, code, body)

# A body that is not the one that was signed, and a clock that is wrong.
request = AWSRequest("PUT", f"{address}/{BUCKET}/plain", data=b"signed")
S3SigV4Auth(credentials, "s3", "us-west-2").add_auth(request)
assert fetch(request.url, b"forged", "PUT", dict(request.headers))[2] == "XAmzContentSHA256Mismatch"
assert fetch(request.url, b"signed", "PUT", dict(request.headers))[0] == 200


def sign_at(moment):
    """Signs with the server's clock at another moment."""
    request = AWSRequest("GET", f"{address}/{BUCKET}/plain")
    signer = S3SigV4Auth(credentials, "s3", "us-west-2")
    request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signature = signer.signature(text, request)
    headers = signer.signed_headers(signer.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={headers}, Signature={signature}"
    )
    return fetch(request.url, headers=dict(request.headers))


now = datetime.datetime.now(datetime.timezone.utc)
assert sign_at(now)[0] == 200, sign_at(now)
for minutes in (-20, 20):
    assert sign_at(now + datetime.timedelta(minutes=minutes))[2] == "RequestTimeTooSkewed"


# Bodies that are signed chunk by chunk, which botocore does not do.
def upload(data, forge=None, trailer=None):
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date[:8]}/us-west-2/s3/aws4_request"
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    headers = {
        "content-encoding": "aws-chunked",
        "host": host,
        "x-amz-content-sha256": payload,
        "x-amz-date": date,
        "x-amz-decoded-content-length": str(sum(map(len, data))),
    }
    if trailer:
        headers["x-amz-trailer"] = trailer.split(":")[0]
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    sha256 = lambda text: hashlib.sha256(text).hexdigest()
    sign = lambda text: hmac.new(key, text.encode(), "sha256").hexdigest()
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"PUT\n/{BUCKET}/chunks\n\n{lines}\n{names}\n{payload}"
    signature = sign(f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{sha256(canonical.encode())}")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access}/{scope},SignedHeaders={names},Signature={signature}"
    )
    body = b""
    for number, chunk in enumerate([*data, b""]):
        signature = sign(f"AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{signature}\n{sha256(b'')}\n{sha256(chunk)}")
        sent = b"x" * len(chunk) if forge == number else chunk
        body += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + sent + (b"\r\n" if chunk else b"")
    if trailer:
        signature = sign(f"AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{signature}\n{sha256((trailer + chr(10)).encode())}")
        signature = "0" * 64 if forge == "trailer" else signature
        body += f"{trailer}\r\nx-amz-trailer-signature:{signature}\r\n".encode()
    return fetch(f"/{BUCKET}/chunks", body + b"\r\n", "PUT", headers)[::2]


DATA = [b"a" * 70_000, b"b" * 8_192, b"c"]
crc32 = "x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(b"".join(DATA)).to_bytes(4, "big")).decode()
for trailer in (None, crc32):
    assert upload(DATA, trailer=trailer) == (200, None), trailer
    assert s3.get_object(Bucket=BUCKET, Key="chunks")["Body"].read() == b"".join(DATA)
    for forge in (0, 1, 2) + (("trailer",) if trailer else ()):
        assert upload(DATA, forge, trailer) == (403, "SignatureDoesNotMatch"), (trailer, forge)
assert s3.get_object(Bucket=BUCKET, Key="chunks")["Body"].read() == b"".join(DATA)

print("all as expected")
