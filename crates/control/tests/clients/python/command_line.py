"""The AWS CLI as a client of S3: `command_line.py URL all ROUND FOLDER`. It fails where an answer is not what AWS gives."""

import json
import os
import random
import subprocess
import sys
import urllib.request

URL, _, ROUND, FOLDER = sys.argv[1:]
os.environ["AWS_ENDPOINT_URL"] = URL
MIB = 1 << 20


def aws(*words, status=0):
    result = subprocess.run([sys.executable, "-m", "awscli", *words], capture_output=True, text=True)
    assert result.returncode == status, (words, result.returncode, result.stdout, result.stderr)
    return result.stdout + result.stderr


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


if ROUND != "first":
    assert "tree/a.csv" in aws("s3", "ls", "--recursive", "s3://bucket/")
    aws("s3", "rb", "--force", "s3://bucket")
    assert os.listdir(FOLDER) != [] and not os.path.exists(os.path.join(FOLDER, "bucket"))
else:
    large = random.Random(3).randbytes(20 * MIB)
    write("local/a.csv", b"1,2\n")
    write("local/deep/b+ü.csv", b"3,4\n")
    write("local/large", large)
    assert "make_bucket: bucket" in aws("s3", "mb", "s3://bucket")
    aws("s3", "cp", "local/a.csv", "s3://bucket/one/a.csv")
    assert aws("s3", "cp", "s3://bucket/one/a.csv", "-") == "1,2\n"
    assert len(aws("s3", "sync", "local", "s3://bucket/tree").splitlines()) >= 3
    # Nothing is sent twice.
    assert aws("s3", "sync", "local", "s3://bucket/tree").strip() == ""
    aws("s3", "sync", "s3://bucket/tree", "back")
    assert open("back/large", "rb").read() == large and open("back/deep/b+ü.csv", "rb").read() == b"3,4\n"
    # Large objects are copied by the server, in parts.
    aws("s3", "cp", "s3://bucket/tree/large", "s3://bucket/copy")
    assert open(os.path.join(FOLDER, "bucket", "copy"), "rb").read() == large
    aws("s3", "mv", "s3://bucket/copy", "s3://bucket/moved")
    listed = aws("s3", "ls", "s3://bucket/")
    assert "PRE one/" in listed and "moved" in listed and "copy" not in listed, listed
    assert "bucket" in aws("s3", "ls")
    url = aws("s3", "presign", "s3://bucket/one/a.csv").strip()
    assert urllib.request.urlopen(url).read() == b"1,2\n"
    aws("s3", "rm", "s3://bucket/one/a.csv")
    aws("s3", "rm", "--recursive", "s3://bucket/tree/deep")
    assert "NoSuchKey" in aws("s3api", "get-object", "--bucket", "bucket", "--key", "one/a.csv", "out", status=255)
    objects = json.loads(aws("s3api", "list-objects-v2", "--bucket", "bucket", "--page-size", "1"))["Contents"]
    assert [item["Key"] for item in objects] == ["moved", "tree/a.csv", "tree/large"], objects
print("all as expected")
