//! Uploads in parts.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::task::JoinHandle;

use super::body::{Announced, receive, receive_small};
use super::buckets::check_acl;
use super::described::description;
use super::objects::write_condition;
use super::service::{Call, empty, joined, quoted, set, xml};
use crate::s3::checksums::{Algorithm, ChecksumType};
use crate::s3::conditions::unquoted;
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::multipart::{ListedPart, ListedParts, MAX_PARTS};
use crate::s3::record::Description;
use crate::s3::xml::{Document, Element, malformed};

/// The time until a slow response begins, and between its bytes: clients commonly wait a minute for either.
const PATIENCE: Duration = Duration::from_secs(10);
/// Size of a list of 10,000 parts with their checksums.
const MAX_COMPLETE_BYTES: u64 = 8 << 20;

/// `CreateMultipartUpload`.
pub(super) async fn begin(call: &Call) -> Result<Response> {
    check_acl(call)?;
    let description = description(&call.headers)?;
    let algorithm = call.header("x-amz-checksum-algorithm").map(Algorithm::parse).transpose()?;
    let kind = match call.header("x-amz-checksum-type") {
        None => None,
        Some("FULL_OBJECT") => Some(ChecksumType::FullObject),
        Some("COMPOSITE") => Some(ChecksumType::Composite),
        Some(other) => {
            let message = "Value for x-amz-checksum-type header is invalid.";
            return Err(S3Error::argument("x-amz-checksum-type", other, message));
        }
    };
    let checksum = algorithm.map(|algorithm| (algorithm, kind));
    let (bucket, key) = (call.bucket(), call.key());
    let upload = call.blocking(move |store| store.begin_upload(&bucket, &key, description, checksum)).await?;
    let mut response = xml(Document::write("InitiateMultipartUploadResult", |document| {
        document.text("Bucket", &call.bucket());
        document.text("Key", &upload.key);
        document.text("UploadId", &upload.id);
    }));
    if let (Some(algorithm), Some(kind)) = (upload.algorithm, upload.kind) {
        set(&mut response, "x-amz-checksum-algorithm", algorithm.name());
        set(&mut response, "x-amz-checksum-type", kind.name());
    }
    for (name, value) in &upload.description.headers {
        if name.starts_with("x-amz-server-side-encryption") {
            set(&mut response, name, value);
        }
    }
    Ok(response)
}

/// The number of a part.
pub(super) fn part_number(call: &Call) -> Result<u32> {
    let text = call.query.get("partNumber").unwrap_or_default();
    text.parse().ok().filter(|number| (1..=MAX_PARTS).contains(number)).ok_or_else(|| {
        S3Error::argument("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive")
    })
}

/// The id of an upload.
pub(super) fn upload_id(call: &Call) -> String {
    call.query.get("uploadId").unwrap_or_default().to_owned()
}

/// `UploadPart`.
pub(super) async fn put_part(call: &Call) -> Result<Response> {
    let announced = Announced::of(&call.headers)?.proven(&call.proof);
    let number = part_number(call)?;
    let (bucket, key, id) = (call.bucket(), call.key(), upload_id(call));
    let upload = call.blocking(move |store| store.upload(&bucket, &key, &id)).await?;
    if let (Some(want), Some(came)) = (upload.algorithm, announced.algorithm())
        && want != came
    {
        let message = format!(
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            want.name(),
            came.name()
        );
        return Err(S3Error::new(ErrorCode::InvalidRequest, message));
    }
    let body = call.take_body();
    let staged = receive(&call.service, body, &announced, upload.algorithm).await?;
    let checksum = upload.algorithm.or(announced.algorithm());
    let checksum = checksum.and_then(|algorithm| staged.digests.of(algorithm)).cloned();
    let bucket = call.bucket();
    let part = call.blocking(move |store| store.put_part(&bucket, &upload, number, staged)).await?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "etag", &quoted(&part.etag()));
    if let Some(checksum) = checksum {
        set(&mut response, checksum.algorithm.header(), &checksum.value);
    }
    Ok(response)
}

/// `CompleteMultipartUpload`.
pub(super) async fn complete(call: &Call) -> Result<Response> {
    // The checksum in the head belongs to the object, not to this body.
    let mut headers = call.headers.clone();
    let object = Algorithm::ALL.into_iter().find_map(|algorithm| {
        let value = headers.remove(algorithm.header())?;
        Some((algorithm, value.to_str().unwrap_or_default().to_owned()))
    });
    let announced = Announced::of(&headers)?.proven(&call.proof);
    let condition = write_condition(call)?;
    let body = call.take_body();
    let (bytes, _share) = receive_small(&call.service, body, &announced, MAX_COMPLETE_BYTES).await?;
    let request = Element::parse(&bytes)?.expect("CompleteMultipartUpload")?;
    let mut listed = Vec::new();
    for part in request.all("Part") {
        let number =
            part.required("PartNumber")?.trim().parse().map_err(|_| malformed("a part's number is none"))?;
        let etag = unquoted(part.required("ETag")?).to_owned();
        let checksum = Algorithm::ALL
            .into_iter()
            .find_map(|algorithm| Some((algorithm, part.child(algorithm.element())?.trim().to_owned())));
        listed.push(ListedPart { number, etag, checksum });
    }
    let (bucket, key, id) = (call.bucket(), call.key(), upload_id(call));
    let size = call.header("x-amz-mp-object-size").and_then(|size| size.parse().ok());
    let listed = ListedParts { parts: listed, size, checksum: object };
    let service = Arc::clone(&call.service);
    let (host, path) = (call.header("host").unwrap_or("localhost").to_owned(), call.uri.path().to_owned());
    let mut work = tokio::task::spawn_blocking(move || {
        let record = service.store.complete_upload(&bucket, &key, &id, &listed, &condition)?;
        let text = Document::write("CompleteMultipartUploadResult", |document| {
            document.text("Location", &format!("http://{host}{path}"));
            document.text("Bucket", &bucket);
            document.text("Key", &key);
            document.text("ETag", &quoted(&record.etag));
            if let Some(checksum) = &record.checksum {
                document.text(checksum.algorithm.element(), &checksum.value);
                document.text("ChecksumType", checksum.kind().name());
            }
        });
        Ok((text, record.description))
    });
    // Joining many parts takes longer than clients wait for the first byte.
    let Ok(result) = tokio::time::timeout(PATIENCE, &mut work).await else {
        return Ok(kept_alive(work, PATIENCE));
    };
    let (text, description) = joined(result)?;
    let mut response = xml(text);
    for (name, value) in &description.headers {
        if name.starts_with("x-amz-server-side-encryption") {
            set(&mut response, name, value);
        }
    }
    Ok(response)
}

type Joining = JoinHandle<Result<(String, Description)>>;

/// A response that begins before its result is known, as in S3: it sends spaces until the work is done, and then the result, or an error
/// with a success status.
fn kept_alive(work: Joining, interval: Duration) -> Response {
    let begun =
        stream::once(async { Ok::<_, Infallible>(Bytes::from_static(Document::DECLARATION.as_bytes())) });
    let rest = stream::unfold(Some(work), move |work| async move {
        let mut work = work?;
        let Ok(result) = tokio::time::timeout(interval, &mut work).await else {
            return Some((Ok(Bytes::from_static(b" ")), Some(work)));
        };
        let text = joined(result).map_or_else(
            |error| {
                Document::plain("Error", |document| {
                    document.text("Code", error.code.name());
                    document.text("Message", &error.message);
                })
            },
            |(text, _)| text,
        );
        let text = text.strip_prefix(Document::DECLARATION).unwrap_or(&text).to_owned();
        Some((Ok(Bytes::from(text)), None))
    });
    let mut response = Response::new(Body::from_stream(begun.chain(rest)));
    set(&mut response, "content-type", "application/xml");
    response
}

/// `AbortMultipartUpload`.
pub(super) async fn abort(call: &Call) -> Result<Response> {
    let (bucket, key, id) = (call.bucket(), call.key(), upload_id(call));
    call.blocking(move |store| store.abort_upload(&bucket, &key, &id)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::s3::xml::Element;

    async fn check(result: Result<(String, Description)>, root: &str, text: &str) {
        let work = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(60));
            result
        });
        let response = kept_alive(work, Duration::from_millis(5));
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.windows(3).any(|three| three == b"   "), "{body:?}");
        let answer = Element::parse(&body).unwrap().expect(root).unwrap();
        assert_eq!(answer.children[0].text, text);
    }

    #[tokio::test]
    async fn a_long_answer_begins_at_once_and_ends_with_its_result_or_error() {
        let text = Document::write("Result", |document| document.text("Key", "k"));
        check(Ok((text, Description::default())), "Result", "k").await;
        check(Err(S3Error::new(ErrorCode::InvalidPart, "x")), "Error", "InvalidPart").await;
    }
}
