//! Uploads in parts.

use axum::http::StatusCode;
use axum::response::Response;

use super::body::{Announced, receive, receive_small};
use super::buckets::check_acl;
use super::described::description;
use super::objects::write_condition;
use super::service::{Call, empty, quoted, set, xml};
use crate::s3::checksums::{Algorithm, ChecksumType};
use crate::s3::conditions::unquoted;
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::multipart::{ListedPart, ListedParts, MAX_PARTS};
use crate::s3::xml::{Document, Element, malformed};

/// 10,000 parts with their checksums.
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

/// The id of the upload.
pub(super) fn upload_id(call: &Call) -> String {
    call.query.get("uploadId").unwrap_or_default().to_owned()
}

/// `UploadPart`.
pub(super) async fn put_part(call: &Call) -> Result<Response> {
    let announced = Announced::of(&call.headers)?;
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
    // The checksum in the head is that of the object, not of this body.
    let mut headers = call.headers.clone();
    let object = Algorithm::ALL.into_iter().find_map(|algorithm| {
        let value = headers.remove(algorithm.header())?;
        Some((algorithm, value.to_str().unwrap_or_default().to_owned()))
    });
    let announced = Announced::of(&headers)?;
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
    let record =
        call.blocking(move |store| store.complete_upload(&bucket, &key, &id, &listed, &condition)).await?;
    let mut response = xml(Document::write("CompleteMultipartUploadResult", |document| {
        let host = call.header("host").unwrap_or("localhost");
        document.text("Location", &format!("http://{host}{}", call.uri.path()));
        document.text("Bucket", &call.bucket());
        document.text("Key", &call.key());
        document.text("ETag", &quoted(&record.etag));
        if let Some(checksum) = &record.checksum {
            document.text(checksum.algorithm.element(), &checksum.value);
            document.text("ChecksumType", checksum.kind().name());
        }
    }));
    for (name, value) in &record.description.headers {
        if name.starts_with("x-amz-server-side-encryption") {
            set(&mut response, name, value);
        }
    }
    Ok(response)
}

/// `AbortMultipartUpload`.
pub(super) async fn abort(call: &Call) -> Result<Response> {
    let (bucket, key, id) = (call.bucket(), call.key(), upload_id(call));
    call.blocking(move |store| store.abort_upload(&bucket, &key, &id)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
