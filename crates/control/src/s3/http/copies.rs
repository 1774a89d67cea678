//! Server-side copies.

use axum::response::Response;

use super::buckets::check_acl;
use super::described::{description, written};
use super::objects::write_condition;
use super::service::{Call, quoted, xml};
use super::uploads::{part_number, upload_id};
use crate::s3::address::decode;
use crate::s3::checksums::{Algorithm, ChecksumType};
use crate::s3::conditions::{Conditions, Span, Verdict, range};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::names::check_key;
use crate::s3::record::Record;
use crate::s3::store::Object;
use crate::s3::xml::Document;
use crate::times::iso;

const MAX_COPY_BYTES: u64 = 5 << 30;

/// Bucket and key of the source.
fn source(call: &Call) -> Result<(String, String)> {
    let text = call.header("x-amz-copy-source").unwrap_or_default();
    let invalid = |message: &str| S3Error::argument("x-amz-copy-source", text, message);
    let (path, version) = text.split_once("?versionId=").unwrap_or((text, "null"));
    if version != "null" {
        let message = "The specified version does not exist: objects have one version, called null.";
        return Err(S3Error::new(ErrorCode::NoSuchVersion, message));
    }
    let path = decode(path).map_err(|_| invalid("The source is not percent-encoded UTF-8."))?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    match path.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Ok((bucket.to_owned(), key.to_owned()))
        }
        _ => Err(invalid("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")),
    }
}

/// Opens the source, if the conditions of the request hold.
async fn open(call: &Call) -> Result<Object> {
    let (bucket, key) = source(call)?;
    let object = call.blocking(move |store| store.get(&bucket, &key)).await?;
    match Conditions::of(&call.headers, "x-amz-copy-source-").judge(&object.record)? {
        Verdict::Go => Ok(object),
        Verdict::NotModified => Err(S3Error::precondition("x-amz-copy-source-If-None-Match")),
    }
}

/// Whether a header says `REPLACE` instead of `COPY`.
fn replaces(call: &Call, name: &str) -> Result<bool> {
    match call.header(name) {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(S3Error::argument(name, other, "Unknown directive: COPY or REPLACE.")),
    }
}

/// `CopyObject`.
pub(super) async fn copy(call: &Call) -> Result<Response> {
    check_key(&call.address.key)?;
    check_acl(call)?;
    let said = description(&call.headers)?;
    let (metadata, tagging) =
        (replaces(call, "x-amz-metadata-directive")?, replaces(call, "x-amz-tagging-directive")?);
    let condition = write_condition(call)?;
    let asked = call.header("x-amz-checksum-algorithm").map(Algorithm::parse).transpose()?;
    let is_changed = metadata
        || tagging
        || asked.is_some()
        || said
            .headers
            .keys()
            .any(|name| name.starts_with("x-amz-storage-class") || name.contains("encryption"));
    if source(call)? == (call.bucket(), call.key()) && !is_changed {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
                       metadata, storage class, website redirect location or encryption attributes.";
        return Err(S3Error::new(ErrorCode::InvalidRequest, message));
    }
    let object = open(call).await?;
    if object.record.size > MAX_COPY_BYTES {
        let message = "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120";
        return Err(S3Error::new(ErrorCode::InvalidRequest, message));
    }
    let mut description = object.record.description.clone();
    if metadata {
        description.headers = said.headers;
        description.user = said.user;
    } else {
        // These headers are never copied from the source.
        description.headers.retain(|name, _| !name.starts_with("x-amz-"));
        description.headers.extend(said.headers.into_iter().filter(|(name, _)| name.starts_with("x-amz-")));
    }
    if tagging {
        description.tags = said.tags;
    }
    let of_source =
        object.record.checksum.as_ref().filter(|checksum| checksum.kind() == ChecksumType::FullObject);
    let algorithm = asked.or(of_source.map(|checksum| checksum.algorithm));
    let (bucket, key) = (call.bucket(), call.key());
    let record = call
        .blocking(move |store| {
            store.bucket(&bucket)?;
            let mut staging = store.stage(&algorithm.into_iter().collect::<Vec<_>>())?;
            let Object { mut file, path, record } = object;
            staging.copy(&mut file, record.size, &path)?;
            let staged = staging.finish()?;
            let record = Record {
                etag: staged.digests.etag(),
                description,
                checksum: algorithm.and_then(|algorithm| staged.digests.of(algorithm)).cloned(),
                ..Record::default()
            };
            store.put(&bucket, &key, staged, record, &condition)
        })
        .await?;
    let mut response = xml(Document::write("CopyObjectResult", |document| {
        document.text("LastModified", &iso(record.modified_ns));
        document.text("ETag", &quoted(&record.etag));
        if let Some(checksum) = &record.checksum {
            document.text(checksum.algorithm.element(), &checksum.value);
            document.text("ChecksumType", checksum.kind().name());
        }
    }));
    let etag_and_more = Record { checksum: None, ..record };
    written(&mut response, &etag_and_more);
    response.headers_mut().remove("etag");
    Ok(response)
}

/// `UploadPartCopy`.
pub(super) async fn copy_part(call: &Call) -> Result<Response> {
    let number = part_number(call)?;
    let (bucket, key, id) = (call.bucket(), call.key(), upload_id(call));
    let upload = call.blocking(move |store| store.upload(&bucket, &key, &id)).await?;
    let object = open(call).await?;
    let size = object.record.size;
    let asked = call.header("x-amz-copy-source-range");
    let span = match asked {
        None => Span { start: 0, bytes: size },
        Some(text) => {
            let span = range(Some(text), size)?;
            // Unlike other ranges, this one must have both ends, and lie within the source.
            span.filter(|span| text == format!("bytes={}-{}", span.start, span.start + span.bytes - 1)).ok_or_else(
                || {
                    let message = format!("The x-amz-copy-source-range value must be of the form bytes=first-last within the {size} bytes of the source");
                    S3Error::argument("x-amz-copy-source-range", text, message)
                },
            )?
        }
    };
    if span.bytes > MAX_COPY_BYTES {
        let message = "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120";
        return Err(S3Error::new(ErrorCode::InvalidRequest, message));
    }
    let algorithm = upload.algorithm;
    let bucket = call.bucket();
    let part = call
        .blocking(move |store| {
            let mut staging = store.stage(&algorithm.into_iter().collect::<Vec<_>>())?;
            let Object { mut file, path, .. } = object;
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(span.start))
                .map_err(S3Error::io(&path, "read the file"))?;
            staging.copy(&mut file, span.bytes, &path)?;
            store.put_part(&bucket, &upload, number, staging.finish()?)
        })
        .await?;
    Ok(xml(Document::write("CopyPartResult", |document| {
        document.text("LastModified", &iso(part.modified_ns));
        document.text("ETag", &quoted(&part.etag()));
        if let Some(algorithm) = algorithm {
            document.optional(algorithm.element(), part.checksum.as_deref());
        }
    })))
}
