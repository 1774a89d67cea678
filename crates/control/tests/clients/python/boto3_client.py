"""boto3 as a client of S3: `boto3_client.py URL TOPIC ROUND FOLDER`. It fails where an answer is not what AWS gives."""

import base64
import datetime
import hashlib
import io
import os
import random
import sys
import time
import urllib.error
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

URL, TOPIC, ROUND, FOLDER = sys.argv[1:]
IS_FIRST = ROUND == "first"
S3 = boto3.client("s3", endpoint_url=URL, config=Config(retries={"total_max_attempts": 1}))
BUCKET = "bucket"
MIB = 1 << 20


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert found == (code, status), f"{found}, not {(code, status)}: {error}"
        return error.response
    raise AssertionError(f"{code} was expected of {arguments}")


def put(key, body=b"", **more):
    return S3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def get(key, **more):
    return S3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def buckets():
    if IS_FIRST:
        S3.create_bucket(Bucket="west", CreateBucketConfiguration={"LocationConstraint": "us-west-1"})
        S3.create_bucket(Bucket="sagemaker-us-west-2-123456789012")
        put("x")
    names = {bucket["Name"]: bucket for bucket in S3.list_buckets()["Buckets"]}
    assert list(names) == [BUCKET, "sagemaker-us-west-2-123456789012", "west"], names
    age = datetime.datetime.now(datetime.timezone.utc) - names["west"]["CreationDate"]
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5), age
    assert boto3.resource("s3", endpoint_url=URL).Bucket("west").creation_date
    assert S3.get_bucket_location(Bucket="west")["LocationConstraint"] == "us-west-1"
    assert S3.head_bucket(Bucket="west")["BucketRegion"] == "us-west-1"
    S3.head_bucket(Bucket="west", ExpectedBucketOwner="123456789012")
    refused("403", 403, S3.head_bucket, Bucket="west", ExpectedBucketOwner="111111111111")
    refused("404", 404, S3.head_bucket, Bucket="nothing")
    refused("NoSuchBucket", 404, S3.list_objects_v2, Bucket="nothing")
    refused("NoSuchBucket", 404, S3.put_object, Bucket="nothing", Key="x", Body=b"x" * MIB)
    refused("BucketAlreadyOwnedByYou", 409, S3.create_bucket, Bucket="west",
            CreateBucketConfiguration={"LocationConstraint": "us-west-1"})
    refused("InvalidBucketName", 400, S3.create_bucket, Bucket="no.-..Bucket")
    refused("BucketNotEmpty", 409, S3.delete_bucket, Bucket=BUCKET)
    assert "Status" not in S3.get_bucket_versioning(Bucket="west")
    assert S3.get_bucket_acl(Bucket="west")["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert S3.get_object_acl(Bucket=BUCKET, Key="x")["Owner"]["ID"] == "123456789012"
    refused("NoSuchTagSet", 404, S3.get_bucket_tagging, Bucket="west")
    refused("NoSuchBucketPolicy", 404, S3.get_bucket_policy, Bucket="west")
    refused("NoSuchCORSConfiguration", 404, S3.get_bucket_cors, Bucket="west")
    refused("NoSuchLifecycleConfiguration", 404, S3.get_bucket_lifecycle_configuration, Bucket="west")
    refused("ServerSideEncryptionConfigurationNotFoundError", 404, S3.get_bucket_encryption, Bucket="west")
    refused("NoSuchPublicAccessBlockConfiguration", 404, S3.get_public_access_block, Bucket="west")
    assert "TopicConfigurations" not in S3.get_bucket_notification_configuration(Bucket="west")
    refused("NotImplemented", 501, S3.put_bucket_versioning, Bucket="west",
            VersioningConfiguration={"Status": "Enabled"})
    refused("AccessControlListNotSupported", 400, S3.put_object_acl, Bucket=BUCKET, Key="x", ACL="public-read")
    if not IS_FIRST:
        S3.delete_bucket(Bucket="west")
        refused("NoSuchBucket", 404, S3.delete_bucket, Bucket="west")


def objects():
    keys = ["plain", "a b+c%20&?#=.txt", "Grüße/€/\U0001f41f", "/leading", "trailing/", "a//b", "../up", "./here", "nul\0",
            "line\nbreak", "a", "a/b", "<&>\"'", "x" * 1024]
    if IS_FIRST:
        for key in keys:
            put(key, key.encode())
        put("described", b"1", ContentType="text/csv", CacheControl="no-cache", ContentDisposition="attachment",
            ContentEncoding="gzip", ContentLanguage="de", Metadata={"Note": "hello", "other": "1"},
            Tagging="a=1&b=%20x", StorageClass="STANDARD_IA", Expires=datetime.datetime(2030, 1, 1))
    for key in keys:
        assert get(key) == key.encode(), key
    listed = [item["Key"] for item in S3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert sorted(listed, key=str.encode) == listed and set(keys) <= set(listed), listed
    assert open(os.path.join(FOLDER, BUCKET, "a b+c%2520&?#=.txt"), "rb").read() == b"a b+c%20&?#=.txt"

    head = S3.head_object(Bucket=BUCKET, Key="described")
    want = {"ContentType": "text/csv", "CacheControl": "no-cache", "ContentDisposition": "attachment", "ContentEncoding": "gzip",
            "ContentLanguage": "de", "Metadata": {"note": "hello", "other": "1"}, "ContentLength": 1,
            "StorageClass": "STANDARD_IA", "ETag": '"c4ca4238a0b923820dcc509a6f75849b"', "AcceptRanges": "bytes",
            "TagCount": 2}
    assert {name: head.get(name) for name in want} == want, head
    assert head["ResponseMetadata"]["RequestId"] and head["ResponseMetadata"]["HTTPHeaders"]["date"]
    tags = S3.get_object_tagging(Bucket=BUCKET, Key="described")["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": " x"}], tags
    assert S3.head_object(Bucket=BUCKET, Key="plain")["ContentType"] == "binary/octet-stream"

    put("digits", b"0123456789")
    etag, changed = S3.head_object(Bucket=BUCKET, Key="digits")["ETag"], S3.head_object(Bucket=BUCKET, Key="digits")["LastModified"]
    for text, body in [("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")]:
        answer = S3.get_object(Bucket=BUCKET, Key="digits", Range=text)
        assert answer["Body"].read() == body and answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert S3.get_object(Bucket=BUCKET, Key="digits", Range="bytes=2-4")["ContentRange"] == "bytes 2-4/10"
    refused("InvalidRange", 416, S3.get_object, Bucket=BUCKET, Key="digits", Range="bytes=10-")
    assert get("digits", IfMatch=etag, Range="bytes=0-0") == b"0"
    refused("PreconditionFailed", 412, S3.get_object, Bucket=BUCKET, Key="digits", IfMatch='"0"')
    refused("304", 304, S3.get_object, Bucket=BUCKET, Key="digits", IfNoneMatch=etag)
    refused("304", 304, S3.head_object, Bucket=BUCKET, Key="digits", IfModifiedSince=changed)
    refused("412", 412, S3.head_object, Bucket=BUCKET, Key="digits", IfUnmodifiedSince=changed - datetime.timedelta(days=1))
    assert get("digits", IfUnmodifiedSince=changed) == b"0123456789"
    answer = S3.get_object(Bucket=BUCKET, Key="digits", ResponseContentType="a/b", ResponseContentDisposition="c")
    assert (answer["ContentType"], answer["ContentDisposition"]) == ("a/b", "c")
    refused("PreconditionFailed", 412, S3.put_object, Bucket=BUCKET, Key="digits", Body=b"", IfNoneMatch="*")
    refused("PreconditionFailed", 412, S3.put_object, Bucket=BUCKET, Key="digits", Body=b"", IfMatch='"0"')
    put("digits", b"0123456789", IfMatch=etag)
    refused("NoSuchKey", 404, S3.get_object, Bucket=BUCKET, Key="plain/x")
    refused("404", 404, S3.head_object, Bucket=BUCKET, Key="nothing")
    refused("KeyTooLongError", 400, S3.put_object, Bucket=BUCKET, Key="x" * 1025, Body=b"")
    refused("MetadataTooLarge", 400, S3.put_object, Bucket=BUCKET, Key="x", Body=b"", Metadata={"a": "b" * 2048})
    refused("NotImplemented", 501, S3.get_object_torrent, Bucket=BUCKET, Key="digits")
    attributes = S3.get_object_attributes(Bucket=BUCKET, Key="digits", ObjectAttributes=["ETag", "ObjectSize", "Checksum"])
    assert attributes["ObjectSize"] == 10 and attributes["Checksum"]["ChecksumType"] == "FULL_OBJECT", attributes

    S3.put_object_tagging(Bucket=BUCKET, Key="digits", Tagging={"TagSet": [{"Key": "k", "Value": "<v>"}]})
    assert S3.get_object_tagging(Bucket=BUCKET, Key="digits")["TagSet"] == [{"Key": "k", "Value": "<v>"}]
    S3.delete_object_tagging(Bucket=BUCKET, Key="digits")
    assert S3.get_object_tagging(Bucket=BUCKET, Key="digits")["TagSet"] == [] and get("digits") == b"0123456789"

    put("gone", b"")
    assert S3.delete_object(Bucket=BUCKET, Key="gone")["ResponseMetadata"]["HTTPStatusCode"] == 204
    S3.delete_object(Bucket=BUCKET, Key="gone")
    some = ["nothing", "digits", "\x01control"]
    put("\x01control")
    answer = S3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in some[:2]]})
    assert [item["Key"] for item in answer["Deleted"]] == some[:2] and "Errors" not in answer
    S3.delete_object(Bucket=BUCKET, Key=some[2])
    if not IS_FIRST:
        bucket = boto3.resource("s3", endpoint_url=URL).Bucket(BUCKET)
        bucket.objects.filter(Prefix="a").delete()
        assert get("plain") == b"plain"
        for key in listed:
            S3.delete_object(Bucket=BUCKET, Key=key)
        assert os.listdir(os.path.join(FOLDER, BUCKET)) == []
        S3.delete_bucket(Bucket=BUCKET)


def listing():
    folder = os.path.join(FOLDER, BUCKET)
    if IS_FIRST:
        # By hand, so that it does not take 10,000 fsyncs; a few are put.
        for number in range(10_000):
            os.makedirs(os.path.join(folder, f"many/{number % 10}"), exist_ok=True)
            open(os.path.join(folder, f"many/{number % 10}/{number:05}"), "wb").close()
        for key in ["many-other", "ü b", "z/1/x", "z/2/x", "z/2/y", "z/3"]:
            put(key, b"123")
    pages = list(S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET))
    keys = [item["Key"] for page in pages for item in page["Contents"]]
    assert len(keys) == 10_006 and keys == sorted(keys, key=str.encode), len(keys)
    assert [page["KeyCount"] for page in pages] == [1000] * 10 + [6]
    first = [page for page in S3.get_paginator("list_objects").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 700})]
    assert [item["Key"] for page in first for item in page["Contents"]] == keys

    def ask(call=S3.list_objects_v2, **arguments):
        page = call(Bucket=BUCKET, **arguments)
        return ([item["Key"] for item in page.get("Contents", [])],
                [item["Prefix"] for item in page.get("CommonPrefixes", [])], page["IsTruncated"])

    assert ask(Delimiter="/") == (["many-other", "ü b"], ["many/", "z/"], False)
    assert ask(S3.list_objects, Delimiter="/") == (["many-other", "ü b"], ["many/", "z/"], False)
    assert ask(Prefix="many/", Delimiter="/") == ([], [f"many/{number}/" for number in range(10)], False)
    assert ask(Prefix="z/2") == (["z/2/x", "z/2/y"], [], False)
    assert ask(Prefix="z/2/x", Delimiter="/") == (["z/2/x"], [], False)
    assert ask(Prefix="z/", StartAfter="z/2/x") == (["z/2/y", "z/3"], [], False)
    assert ask(Prefix="z/", MaxKeys=1) == (["z/1/x"], [], True)
    assert ask(MaxKeys=0) == ([], [], False)
    assert ask(Prefix="nothing") == ([], [], False)
    pages = S3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="z/", Delimiter="/", PaginationConfig={"PageSize": 1})
    assert [page.get("CommonPrefixes", page.get("Contents"))[0] for page in pages][:2] == [{"Prefix": "z/1/"}, {"Prefix": "z/2/"}]
    page = S3.list_objects_v2(Bucket=BUCKET, Prefix="ü", FetchOwner=True)["Contents"][0]
    assert (page["Size"], page["Owner"]["ID"], page["StorageClass"]) == (3, "123456789012", "STANDARD"), page
    assert page["ETag"] == '"202cb962ac59075b964b07152d234b70"' and page["LastModified"].microsecond % 1000 == 0
    versions = S3.list_object_versions(Bucket=BUCKET, Prefix="z/")["Versions"]
    assert [(item["Key"], item["VersionId"], item["IsLatest"]) for item in versions][0] == ("z/1/x", "null", True)
    refused("InvalidArgument", 400, S3.list_objects_v2, Bucket=BUCKET, ContinuationToken="?")
    refused("InvalidArgument", 400, S3.list_objects_v2, Bucket=BUCKET, MaxKeys=-1)


def multipart():
    data = random.Random(1).randbytes(30 * MIB + 5)
    if IS_FIRST:
        config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)
        S3.upload_fileobj(io.BytesIO(data), BUCKET, "large", Config=config, ExtraArgs={"ContentType": "a/b"})
        parts = [hashlib.md5(data[at:at + 8 * MIB]).digest() for at in range(0, len(data), 8 * MIB)]
        assert S3.head_object(Bucket=BUCKET, Key="large")["ETag"] == f'"{hashlib.md5(b"".join(parts)).hexdigest()}-4"'
    back = io.BytesIO()
    S3.download_fileobj(BUCKET, "large", back, Config=TransferConfig(multipart_threshold=8 * MIB, max_concurrency=4))
    assert back.getvalue() == data
    assert open(os.path.join(FOLDER, BUCKET, "large"), "rb").read() == data
    head = S3.head_object(Bucket=BUCKET, Key="large", ChecksumMode="ENABLED")
    assert head["ContentType"] == "a/b" and head["ChecksumCRC32"].endswith("-4"), head
    part = S3.get_object(Bucket=BUCKET, Key="large", PartNumber=4)
    assert part["Body"].read() == data[24 * MIB:] and part["PartsCount"] == 4

    def begin(key, **more):
        return S3.create_multipart_upload(Bucket=BUCKET, Key=key, **more)["UploadId"]

    def part(key, upload, number, body, **more):
        return S3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=body, **more)["ETag"]

    def complete(key, upload, parts, **more):
        return dict(Bucket=BUCKET, Key=key, UploadId=upload, **more,
                    MultipartUpload={"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]})

    upload = begin("parts", Metadata={"a": "b"})
    second = part("parts", upload, 2, b"end")
    part("parts", upload, 1, b"never mind")
    first = part("parts", upload, 1, data[:5 * MIB])
    seventh = part("parts", upload, 7, data[5 * MIB:10 * MIB])
    listed = S3.list_parts(Bucket=BUCKET, Key="parts", UploadId=upload)["Parts"]
    assert [(item["PartNumber"], item["ETag"], item["Size"]) for item in listed] == [
        (1, first, 5 * MIB), (2, second, 3), (7, seventh, 5 * MIB)], listed
    listed = list(S3.get_paginator("list_parts").paginate(Bucket=BUCKET, Key="parts", UploadId=upload, PaginationConfig={"PageSize": 1}))
    assert [page["Parts"][0]["PartNumber"] for page in listed] == [1, 2, 7]
    uploads = S3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [(item["Key"], item["UploadId"]) for item in uploads] == [("parts", upload)]
    finish = S3.complete_multipart_upload
    refused("InvalidPart", 400, finish, **complete("parts", upload, [(1, first), (3, second)]))
    refused("InvalidPart", 400, finish, **complete("parts", upload, [(1, second)]))
    refused("InvalidPartOrder", 400, finish, **complete("parts", upload, [(2, second), (1, first)]))
    refused("EntityTooSmall", 400, finish, **complete("parts", upload, [(1, first), (2, second), (7, seventh)]))
    refused("NoSuchUpload", 404, finish, **complete("other", upload, [(1, first)]))
    refused("NoSuchUpload", 404, S3.list_parts, Bucket=BUCKET, Key="parts", UploadId="../../" + upload)
    refused("InvalidArgument", 400, S3.upload_part, Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=10001, Body=b"")
    done = finish(**complete("parts", upload, [(1, first), (2, second)]))
    assert done["ETag"].endswith('-2"') and get("parts") == data[:5 * MIB] + b"end"
    assert S3.head_object(Bucket=BUCKET, Key="parts")["Metadata"] == {"a": "b"}
    # The answer was lost, and the client asks again.
    assert finish(**complete("parts", upload, [(1, first), (2, second)]))["ETag"] == done["ETag"]
    upload = begin("parts")
    # Checksums of parts are passed on by some clients whatever the upload was begun with.
    first = S3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"1", ChecksumAlgorithm="CRC32")
    finish(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": first["ETag"], "ChecksumCRC32": first["ChecksumCRC32"]}]})
    upload = begin("parts", ChecksumAlgorithm="SHA256")
    first = S3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"1", ChecksumAlgorithm="SHA256")
    refused("InvalidPart", 400, finish, Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": first["ETag"], "ChecksumSHA256": base64.b64encode(bytes(32)).decode()}]})
    refused("InvalidRequest", 400, S3.upload_part, Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"1",
            ChecksumAlgorithm="CRC32")
    S3.abort_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload)
    refused("NoSuchUpload", 404, S3.abort_multipart_upload, Bucket=BUCKET, Key="parts", UploadId=upload)
    refused("NoSuchUpload", 404, S3.upload_part, Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"")
    upload = begin("new")
    first = part("new", upload, 1, b"1")
    finish(**complete("new", upload, [(1, first)], IfNoneMatch="*"))
    upload = begin("new")
    first = part("new", upload, 1, b"2")
    refused("PreconditionFailed", 412, finish, **complete("new", upload, [(1, first)], IfNoneMatch="*"))
    S3.abort_multipart_upload(Bucket=BUCKET, Key="new", UploadId=upload)
    assert get("new") == b"1" and "Uploads" not in S3.list_multipart_uploads(Bucket=BUCKET)
    S3.delete_object(Bucket=BUCKET, Key="new")


def copies():
    data = random.Random(2).randbytes(12 * MIB)
    put("from ü+", data, ContentType="a/b", Metadata={"x": "1"}, Tagging="t=1")
    source = {"Bucket": BUCKET, "Key": "from ü+"}
    result = S3.copy_object(Bucket=BUCKET, Key="to", CopySource=source)["CopyObjectResult"]
    head = S3.head_object(Bucket=BUCKET, Key="to")
    assert get("to") == data and (head["ContentType"], head["Metadata"], head["TagCount"]) == ("a/b", {"x": "1"}, 1), head
    assert result["ETag"] == head["ETag"] and result["LastModified"]
    S3.copy_object(Bucket=BUCKET, Key="to", CopySource=source, MetadataDirective="REPLACE", ContentType="c/d", TaggingDirective="REPLACE")
    head = S3.head_object(Bucket=BUCKET, Key="to")
    assert (head["ContentType"], head["Metadata"], head.get("TagCount")) == ("c/d", {}, None), head
    refused("InvalidRequest", 400, S3.copy_object, Bucket=BUCKET, Key="to", CopySource=f"{BUCKET}/to")
    S3.copy_object(Bucket=BUCKET, Key="to", CopySource=f"{BUCKET}/to", MetadataDirective="REPLACE", Metadata={"y": "2"})
    assert S3.head_object(Bucket=BUCKET, Key="to")["Metadata"] == {"y": "2"} and get("to") == data
    refused("NoSuchKey", 404, S3.copy_object, Bucket=BUCKET, Key="to", CopySource=f"{BUCKET}/nothing")
    refused("PreconditionFailed", 412, S3.copy_object, Bucket=BUCKET, Key="to", CopySource=source, CopySourceIfMatch='"0"')
    refused("PreconditionFailed", 412, S3.copy_object, Bucket=BUCKET, Key="to", CopySource=source, CopySourceIfNoneMatch=result["ETag"])
    S3.copy(source, BUCKET, "in parts", Config=TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB))
    assert get("in parts") == data
    upload = S3.create_multipart_upload(Bucket=BUCKET, Key="range")["UploadId"]
    arguments = dict(Bucket=BUCKET, Key="range", UploadId=upload, PartNumber=1, CopySource=source)
    part = S3.upload_part_copy(**arguments, CopySourceRange="bytes=5-9")["CopyPartResult"]
    refused("InvalidRange", 416, S3.upload_part_copy, **arguments, CopySourceRange=f"bytes={12 * MIB}-{12 * MIB}")
    refused("InvalidArgument", 400, S3.upload_part_copy, **arguments, CopySourceRange="bytes=5-")
    S3.complete_multipart_upload(Bucket=BUCKET, Key="range", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert get("range") == data[5:10]


def presigned():
    put("a b/ü", b"0123")
    signers = [S3, boto3.client("s3", endpoint_url=URL, config=Config(signature_version="s3v4")),
               boto3.client("s3", endpoint_url=URL, config=Config(signature_version="s3"))]
    for signer in signers:
        url = signer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a b/ü", "ResponseContentType": "x/y"})
        with urllib.request.urlopen(url) as answer:
            assert (answer.read(), answer.headers["content-type"]) == (b"0123", "x/y")
        url = signer.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "put"})
        # As the SDK of JavaScript does: a checksum of nothing in the query is not the body's.
        url += "&x-amz-checksum-crc32=AAAAAA%3D%3D&x-id=PutObject"
        urllib.request.urlopen(urllib.request.Request(url, data=b"new", method="PUT"))
        assert get("put") == b"new"
    short = [signer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "put"}, ExpiresIn=1) for signer in signers]
    time.sleep(2.1)
    for url in short:
        try:
            urllib.request.urlopen(url)
            raise AssertionError("it has expired")
        except urllib.error.HTTPError as error:
            assert error.code == 403 and b"Request has expired" in error.read()
    post = S3.generate_presigned_post(BUCKET, "up/${filename}", Fields={"Content-Type": "text/x"},
                                      Conditions=[{"Content-Type": "text/x"}, ["content-length-range", 1, 10]])

    def form(fields, body):
        lines = b"".join(b'--xx\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value.encode())
                         for name, value in fields.items())
        lines += b'--xx\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + body + b"\r\n--xx--\r\n"
        request = urllib.request.Request(post["url"], data=lines, headers={"Content-Type": "multipart/form-data; boundary=xx"})
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            return error.read().split(b"<Code>")[1].split(b"<")[0].decode()

    assert form(post["fields"], b"hello") == 204 and get("up/f") == b"hello"
    assert S3.head_object(Bucket=BUCKET, Key="up/f")["ContentType"] == "text/x"
    assert form(post["fields"], b"x" * 11) == "EntityTooLarge"
    assert form(post["fields"], b"") == "EntityTooSmall"
    assert form({**post["fields"], "x-amz-meta-a": "b"}, b"x") == "AccessDenied"
    assert form({**post["fields"], "key": "down/f"}, b"x") == "AccessDenied"
    assert get("up/f") == b"hello"


def checksums():
    body = b"hello" * 1000
    for name, value in [("CRC32", None), ("CRC32C", None), ("CRC64NVME", None),
                        ("SHA1", hashlib.sha1(body).digest()), ("SHA256", hashlib.sha256(body).digest())]:
        if value is None:
            # What the server computes when it is asked to; botocore checks it when it gets the object.
            try:
                answer = put("x", body, ChecksumAlgorithm=name)
            except Exception as error:
                assert type(error).__name__ == "MissingDependencyException", error
                continue
        else:
            value = base64.b64encode(value).decode()
            answer = put("x", body, **{f"Checksum{name}": value})
            assert answer[f"Checksum{name}"] == value
        head = S3.head_object(Bucket=BUCKET, Key="x", ChecksumMode="ENABLED")
        assert head[f"Checksum{name}"] == answer[f"Checksum{name}"] and head["ChecksumType"] == "FULL_OBJECT", head
        assert get("x", ChecksumMode="ENABLED") == body
    wrong = base64.b64encode(bytes(32)).decode()
    refused("BadDigest", 400, S3.put_object, Bucket=BUCKET, Key="x", Body=body, ChecksumSHA256=wrong)
    refused("BadDigest", 400, S3.put_object, Bucket=BUCKET, Key="x", Body=body, ContentMD5=base64.b64encode(bytes(16)).decode())
    refused("InvalidDigest", 400, S3.put_object, Bucket=BUCKET, Key="x", Body=body, ContentMD5="AAAA")
    refused("InvalidRequest", 400, S3.put_object, Bucket=BUCKET, Key="x", Body=body, ChecksumSHA256="AAAA")
    request = urllib.request.Request(f"{URL}/{BUCKET}/x", data=b"other", method="PUT", headers={"x-amz-content-sha256": hashlib.sha256(body).hexdigest()})
    try:
        urllib.request.urlopen(request)
        raise AssertionError("it has another SHA-256")
    except urllib.error.HTTPError as error:
        assert b"XAmzContentSHA256Mismatch" in error.read()
    assert get("x") == body


if IS_FIRST:
    S3.create_bucket(Bucket=BUCKET)
globals()[TOPIC]()
print("all as expected")
