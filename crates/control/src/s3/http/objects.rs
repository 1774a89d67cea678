//! Operations on objects: putting, getting, deleting.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::StreamBody;
use hyper::body::Frame;
use kokanee_http::{Counted, Share};

use super::body::{Announced, of_shell, receive, receive_small};
use super::buckets::check_acl;
use super::described::{describe, description, stamp, written};
use super::service::{Call, empty, set, xml};
use crate::s3::conditions::{Conditions, Span, Verdict, range, unquoted};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::listing::MAX_KEYS;
use crate::s3::names::check_key;
use crate::s3::record::Record;
use crate::s3::store::{Object, WriteCondition};
use crate::s3::xml::{Document, Element, malformed};

/// Bytes read at a time; a response holds twice as many.
const PIECE_BYTES: usize = 512 << 10;
/// Size of a list of 1000 keys of 1024 bytes, each byte escaped, with their elements.
const MAX_DELETE_BYTES: u64 = 8 << 20;

/// The conditions of a write.
pub(super) fn write_condition(call: &Call) -> Result<WriteCondition> {
    let is_new = match call.header("if-none-match") {
        None => false,
        Some("*") => true,
        Some(_) => {
            let message = "A header you provided implies functionality that is not implemented: If-None-Match takes * only";
            return Err(S3Error::new(ErrorCode::NotImplemented, message).with("Header", "If-None-Match"));
        }
    };
    let etag = call.header("if-match").map(|etag| unquoted(etag).to_owned());
    Ok(WriteCondition { is_new, etag })
}

/// `PutObject`.
pub(super) async fn put(call: &Call) -> Result<Response> {
    check_key(&call.address.key)?;
    check_acl(call)?;
    let announced = Announced::of(&call.headers)?.proven(&call.proof);
    let description = description(&call.headers)?;
    let condition = write_condition(call)?;
    let (bucket, key) = (call.bucket(), call.key());
    let (name, path, early) = (bucket.clone(), key.clone(), condition.clone());
    // Refused objects need not be sent.
    call.blocking(move |store| {
        store.bucket(&name)?;
        if early == WriteCondition::default() {
            return Ok(());
        }
        early.check(&store.stat(&name, &path), &path)
    })
    .await?;
    let body = call.take_body();
    let staged = receive(&call.service, body, &announced, None).await?;
    let record = Record {
        etag: staged.digests.etag(),
        description,
        checksum: announced.algorithm().and_then(|algorithm| staged.digests.of(algorithm)).cloned(),
        ..Record::default()
    };
    let record = call.blocking(move |store| store.put(&bucket, &key, staged, record, &condition)).await?;
    let mut response = empty(StatusCode::OK);
    written(&mut response, &record);
    Ok(response)
}

/// The requested bytes of an object, and the status of the response.
fn chosen(call: &Call, record: &Record) -> Result<(Option<Span>, StatusCode)> {
    let size = record.size;
    let Some(number) = call.query.get("partNumber") else {
        let span = range(call.header("range"), size)?;
        let status = if span.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        return Ok((span, status));
    };
    let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).ok_or_else(|| {
        S3Error::argument(
            "partNumber",
            number,
            "Part number must be an integer between 1 and 10000, inclusive",
        )
    })?;
    let whole = [size];
    let parts = if record.parts.is_empty() { &whole[..] } else { &record.parts[..] };
    let Some(&bytes) = parts.get(index) else {
        let message = "The requested partnumber is not satisfiable";
        return Err(
            S3Error::new(ErrorCode::InvalidRange, message).with("ActualPartCount", parts.len().to_string())
        );
    };
    let start = parts[..index].iter().sum();
    Ok((Some(Span { start, bytes }).filter(|span| span.bytes > 0), StatusCode::PARTIAL_CONTENT))
}

/// `GetObject` and `HeadObject`.
pub(super) async fn get(call: &Call) -> Result<Response> {
    let (bucket, key) = (call.bucket(), call.key());
    let is_head = call.method == Method::HEAD;
    let (record, file) = call
        .blocking(move |store| {
            if is_head {
                return Ok((store.stat(&bucket, &key)?, None));
            }
            let Object { file, record, .. } = store.get(&bucket, &key)?;
            Ok((record, Some(file)))
        })
        .await?;
    if Conditions::of(&call.headers, "").judge(&record)? == Verdict::NotModified {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        stamp(&mut response, &record);
        return Ok(response);
    }
    let (span, status) = chosen(call, &record)?;
    let Span { start, bytes } = span.unwrap_or(Span { start: 0, bytes: record.size });
    let body = match file {
        Some(file) if bytes > 0 => {
            let mut share = call.service.memory.share();
            let held = usize::try_from(bytes).unwrap_or(usize::MAX).min(2 * PIECE_BYTES);
            share.grow(held).await.map_err(of_shell)?;
            send(file, start, bytes, share)
        }
        _ => Body::empty(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    describe(&mut response, call, &record, span.is_none_or(|span| span.bytes == record.size));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    if let Some(span) = span {
        set(&mut response, "content-range", &span.content_range(record.size));
    }
    if call.query.has("partNumber") && !record.parts.is_empty() {
        set(&mut response, "x-amz-mp-parts-count", &record.parts.len().to_string());
    }
    Ok(response)
}

/// Reads a piece while the previous one is sent.
fn send(file: File, start: u64, bytes: u64, share: Share) -> Body {
    let read = |mut file: File, at: Option<u64>, left: u64, share: Share| {
        tokio::task::spawn_blocking(move || {
            if let Some(at) = at {
                file.seek(SeekFrom::Start(at))?;
            }
            let mut piece = Vec::with_capacity(usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES));
            let count = (&mut file).take(left.min(PIECE_BYTES as u64)).read_to_end(&mut piece)?;
            if count == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            }
            Ok((file, piece, share))
        })
    };
    let first = read(file, Some(start), bytes, share);
    let frames = unfold(Some((first, bytes)), move |state| async move {
        let (reading, left) = state?;
        let read_piece = match reading.await {
            Ok(Ok(read_piece)) => read_piece,
            Ok(Err(error)) => return Some((Err(error), None)),
            Err(error) => return Some((Err(std::io::Error::other(error)), None)),
        };
        let (file, piece, mut share) = read_piece;
        let left = left - piece.len() as u64;
        let counted = Counted { share: share.split(piece.len().min(PIECE_BYTES)), bytes: piece };
        let next = (left > 0).then(|| {
            // Takes memory for the next piece, as far as earlier ones have been sent.
            let missing = (2 * PIECE_BYTES).saturating_sub(share.bytes()).min(PIECE_BYTES);
            share.try_grow(missing);
            (read(file, None, left, share), left)
        });
        let frame: std::io::Result<Frame<Bytes>> = Ok(Frame::data(Bytes::from_owner(counted)));
        Some((frame, next))
    });
    Body::new(StreamBody::new(frames))
}

/// `DeleteObject`.
pub(super) async fn delete(call: &Call) -> Result<Response> {
    let (bucket, key) = (call.bucket(), call.key());
    let condition = WriteCondition { is_new: false, ..write_condition(call)? };
    let results = call.blocking(move |store| store.delete(&bucket, [key.as_str()], &condition)).await?;
    results.into_iter().collect::<Result<()>>()?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `DeleteObjects`.
pub(super) async fn delete_many(call: &Call) -> Result<Response> {
    let announced = Announced::of(&call.headers)?.proven(&call.proof);
    let body = call.take_body();
    let (bytes, _share) = receive_small(&call.service, body, &announced, MAX_DELETE_BYTES).await?;
    let request = Element::parse(&bytes)?.expect("Delete")?;
    let is_quiet = request.child("Quiet").is_some_and(|quiet| quiet.trim() == "true");
    let mut keys = Vec::new();
    for object in request.all("Object") {
        let is_null = object.child("VersionId").is_none_or(|version| version.is_empty() || version == "null");
        keys.push((object.required("Key")?.to_owned(), is_null));
    }
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(malformed("it names 1 to 1000 objects"));
    }
    let bucket = call.bucket();
    let results = call
        .blocking(move |store| {
            let present = keys.iter().filter(|(_, is_null)| *is_null).map(|(key, _)| key.as_str());
            let mut results = store.delete(&bucket, present, &WriteCondition::default())?.into_iter();
            let missing = || {
                let message = "The specified version does not exist.";
                Err(S3Error::new(ErrorCode::NoSuchVersion, message))
            };
            let results: Vec<(String, Result<()>)> = keys
                .iter()
                .map(|(key, is_null)| {
                    let result = if *is_null { results.next().unwrap_or(Ok(())) } else { missing() };
                    (key.clone(), result)
                })
                .collect();
            Ok(results)
        })
        .await?;
    Ok(xml(Document::write("DeleteResult", |document| {
        for (key, result) in &results {
            match result {
                Ok(()) if is_quiet => {}
                Ok(()) => document.element("Deleted", |document| document.text("Key", key)),
                Err(error) => document.element("Error", |document| {
                    document.text("Key", key);
                    document.text("Code", error.code.name());
                    document.text("Message", &error.message);
                }),
            }
        }
    })))
}

/// `GetObjectAttributes`.
pub(super) async fn attributes(call: &Call) -> Result<Response> {
    let (bucket, key) = (call.bucket(), call.key());
    let record = call.blocking(move |store| store.stat(&bucket, &key)).await?;
    let names: Vec<&str> = call
        .headers
        .get_all("x-amz-object-attributes")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let has = |name: &str| names.contains(&name);
    if names.is_empty() {
        let message =
            "The x-amz-object-attributes header specifying the attributes to be retrieved is missing";
        return Err(S3Error::new(ErrorCode::InvalidRequest, message));
    }
    let mut response = xml(Document::write("GetObjectAttributesResponse", |document| {
        if has("ETag") {
            document.text("ETag", &record.etag);
        }
        if let Some(checksum) = record.checksum.as_ref().filter(|_| has("Checksum")) {
            document.element("Checksum", |document| {
                document.text(checksum.algorithm.element(), &checksum.value);
                document.text("ChecksumType", checksum.kind().name());
            });
        }
        if has("ObjectParts") && !record.parts.is_empty() {
            document.element("ObjectParts", |document| {
                document.text("PartsCount", &record.parts.len().to_string());
            });
        }
        if has("StorageClass") {
            document.text("StorageClass", "STANDARD");
        }
        if has("ObjectSize") {
            document.text("ObjectSize", &record.size.to_string());
        }
    }));
    stamp(&mut response, &record);
    response.headers_mut().remove(header::ETAG);
    Ok(response)
}
