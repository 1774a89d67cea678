//! Uploading files as objects: small ones in one request, others in parts.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use hyper::body::Bytes;
use hyper::{Method, header};

use super::Remote;
use super::client::{Answer, Question};
use crate::s3::{Element, ErrorCode, MAX_PARTS, Result, S3Error};

/// The maximum size of an upload in one request, and the size of parts unless there would be too many. A part is held in memory.
const PART_BYTES: u64 = 8 << 20;

/// Uploads a file as an object. Returns false, and creates no object, if the file was changed meanwhile.
pub(super) fn upload(
    remote: &Remote,
    bucket: &str,
    key: &str,
    path: &Path,
    is_current: &dyn Fn() -> bool,
) -> Result<bool> {
    let problem = |error| S3Error::io(path, "read the file")(error);
    let mut file = File::open(path).map_err(problem)?;
    let size = file.metadata().map_err(problem)?.len();
    let part_bytes = part_bytes(size);
    let first = read(&mut file, part_bytes).map_err(problem)?;
    if (first.len() as u64) < part_bytes {
        if !is_current() {
            return Ok(false);
        }
        let question = Question { body: first, ..Question::new(Method::PUT, bucket, key) };
        return remote.ask(&question).map(Answer::finish).map(|()| true);
    }
    let begin = Question { query: vec![("uploads", "")], ..Question::new(Method::POST, bucket, key) };
    let id = Element::parse(&remote.ask(&begin)?.text()?)?.required("UploadId")?.to_owned();
    let sent = parts(remote, bucket, key, &id, first, || read(&mut file, part_bytes).map_err(problem));
    let done = sent.and_then(|list| match is_current() {
        true => complete(remote, bucket, key, &id, list).map(|()| true),
        false => Ok(false),
    });
    if !matches!(done, Ok(true)) {
        // Uncompleted parts would be kept, and would cost money.
        let abort = Question { query: vec![("uploadId", &id)], ..Question::new(Method::DELETE, bucket, key) };
        if let Err(error) = remote.ask(&abort).map(Answer::finish) {
            tracing::warn!(%error, "an upload that ended early could not be removed");
        }
    }
    done
}

/// The size of parts, so that there are at most as many as S3 allows.
fn part_bytes(size: u64) -> u64 {
    PART_BYTES.max(size.div_ceil(u64::from(MAX_PARTS)))
}

fn read(file: &mut File, most: u64) -> std::io::Result<Bytes> {
    let mut part = Vec::new();
    file.take(most).read_to_end(&mut part)?;
    Ok(part.into())
}

/// Sends all parts; returns the document that lists them.
fn parts(
    remote: &Remote,
    bucket: &str,
    key: &str,
    id: &str,
    first: Bytes,
    mut next: impl FnMut() -> Result<Bytes>,
) -> Result<String> {
    let mut list = "<CompleteMultipartUpload>".to_owned();
    let mut part = first;
    for number in 1_u32.. {
        if part.is_empty() {
            break;
        }
        let number = number.to_string();
        let query = vec![("partNumber", &*number), ("uploadId", id)];
        let question = Question { query, body: part, ..Question::new(Method::PUT, bucket, key) };
        let answer = remote.ask(&question)?;
        let etag = answer.header(header::ETAG.as_str()).unwrap_or_default().replace('"', "&quot;");
        answer.finish();
        let _ = write!(list, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        part = next()?;
    }
    Ok(list + "</CompleteMultipartUpload>")
}

/// Completes the object from its parts. The response may contain an error although its status is a success.
fn complete(remote: &Remote, bucket: &str, key: &str, id: &str, list: String) -> Result<()> {
    let question = Question {
        query: vec![("uploadId", id)],
        body: list.into(),
        ..Question::new(Method::POST, bucket, key)
    };
    let answer = Element::parse(&remote.ask(&question)?.text()?)?;
    if answer.name == "CompleteMultipartUploadResult" {
        return Ok(());
    }
    let said = answer.child("Message").or(answer.child("Code")).unwrap_or("the answer is none of S3");
    let address = remote.client.address_of(&question);
    Err(S3Error::new(ErrorCode::InternalError, format!("POST {address}: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough() {
        for size in [0, PART_BYTES, 80 << 30, (80 << 30) + 1, 5 << 40] {
            assert!(size.div_ceil(part_bytes(size)) <= u64::from(MAX_PARTS), "{size}");
        }
        assert_eq!(part_bytes(PART_BYTES * 3), PART_BYTES);
    }
}
