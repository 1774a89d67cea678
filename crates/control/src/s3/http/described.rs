//! Conversion between headers and the description of an object.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::response::Response;

use super::body::has_aws_chunked;
use super::service::{Call, quoted, set};
use crate::s3::address::Query;
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::record::{DEFAULT_TYPE, Description, Record};
use crate::times::http_date;

/// Headers of an object that are stored and returned. Encryption is included for clients that require it; files are not encrypted.
const KEPT: &[&str] = &[
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-website-redirect-location",
];
/// Parts of header names whose features are not supported.
const REFUSED: &[&str] =
    &["x-amz-server-side-encryption-customer-", "x-amz-object-lock-", "x-amz-write-offset-"];
const USER: &str = "x-amz-meta-";
const MAX_USER_BYTES: usize = 2 << 10;
/// Parameters of a request that override headers of its response.
const OVERRIDES: &[(&str, &str)] = &[
    ("response-content-type", "content-type"),
    ("response-content-language", "content-language"),
    ("response-expires", "expires"),
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
];

/// Reads the description of an object from a request.
///
/// # Errors
/// `MetadataTooLarge`, `InvalidTag`, `InvalidArgument`; `NotImplemented` for features that would be ignored.
pub(super) fn description(headers: &HeaderMap) -> Result<Description> {
    let mut description = Description::default();
    for name in headers.keys() {
        let name = name.as_str();
        if let Some(refused) = REFUSED.iter().find(|refused| name.starts_with(**refused)) {
            let message =
                format!("A header you provided implies functionality that is not implemented: {refused}*");
            return Err(S3Error::new(ErrorCode::NotImplemented, message).with("Header", name));
        }
        let user = name.strip_prefix(USER);
        if user.is_none() && !KEPT.contains(&name) {
            continue;
        }
        let values: Vec<&str> = headers
            .get_all(name)
            .iter()
            .map(|value| {
                let text = std::str::from_utf8(value.as_bytes());
                text.map_err(|_| S3Error::argument(name, "", "The header is not UTF-8."))
            })
            .collect::<Result<_>>()?;
        let value = values.join(",");
        match user {
            Some(user) => description.user.insert(user.to_owned(), value),
            None => description.headers.insert(name.to_owned(), value),
        };
    }
    // `aws-chunked` describes the transfer, not the object.
    if let Some(encoding) = description.headers.remove("content-encoding") {
        let kept: Vec<&str> = encoding
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty() && !has_aws_chunked(one))
            .collect();
        if !kept.is_empty() {
            description.headers.insert("content-encoding".to_owned(), kept.join(","));
        }
    }
    check_user(&description.user)?;
    if let Some(tagging) = headers.get("x-amz-tagging") {
        let text = tagging.to_str().unwrap_or_default();
        let tags = Query::parse(text).map_err(|_| invalid_tag("x-amz-tagging is not an encoded query"))?;
        for (name, value) in tags.iter() {
            add_tag(&mut description.tags, name, value)?;
        }
    }
    Ok(description)
}

/// Checks the size of the user's metadata.
pub(super) fn check_user(user: &BTreeMap<String, String>) -> Result<()> {
    let bytes: usize = user.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes <= MAX_USER_BYTES {
        return Ok(());
    }
    let message = "Your metadata headers exceed the maximum allowed metadata size";
    let error = S3Error::new(ErrorCode::MetadataTooLarge, message).with("Size", bytes.to_string());
    Err(error.with("MaxSizeAllowed", MAX_USER_BYTES.to_string()))
}

/// Adds a tag, checking S3's rules.
pub(super) fn add_tag(tags: &mut BTreeMap<String, String>, name: &str, value: &str) -> Result<()> {
    if name.is_empty() || name.chars().count() > 128 || value.chars().count() > 256 {
        return Err(invalid_tag("a tag has a name of 1 to 128 characters and a value of at most 256"));
    }
    if tags.insert(name.to_owned(), value.to_owned()).is_some() {
        return Err(invalid_tag("Cannot provide multiple Tags with the same key"));
    }
    if tags.len() > 10 {
        return Err(invalid_tag("Object tags cannot be greater than 10"));
    }
    Ok(())
}

fn invalid_tag(message: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidTag, message)
}

/// Sets the headers that describe an object, with the request's overrides.
pub(super) fn describe(response: &mut Response, call: &Call, record: &Record, is_whole: bool) {
    set(response, "accept-ranges", "bytes");
    set(response, "content-type", DEFAULT_TYPE);
    stamp(response, record);
    let Description { headers, user, tags } = &record.description;
    for (name, value) in headers {
        // The default class is not reported.
        if (name.as_str(), value.as_str()) != ("x-amz-storage-class", "STANDARD") {
            set(response, name, value);
        }
    }
    for (name, value) in user {
        set(response, &format!("{USER}{name}"), value);
    }
    if !tags.is_empty() {
        set(response, "x-amz-tagging-count", &tags.len().to_string());
    }
    for (parameter, header) in OVERRIDES {
        if let Some(value) = call.query.get(parameter) {
            set(response, header, value);
        }
    }
    let is_asked =
        call.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    if is_asked && is_whole {
        checksum(response, record);
    }
}

/// Sets ETag and time, also for responses without an object.
pub(super) fn stamp(response: &mut Response, record: &Record) {
    set(response, "etag", &quoted(&record.etag));
    set(response, "last-modified", &http_date(record.modified_ns));
}

/// Sets the checksum of an object and its type.
pub(super) fn checksum(response: &mut Response, record: &Record) {
    if let Some(checksum) = &record.checksum {
        set(response, checksum.algorithm.header(), &checksum.value);
        set(response, "x-amz-checksum-type", checksum.kind().name());
    }
}

/// Sets the headers of the response to a write: ETag, checksum, and the requested encryption.
pub(super) fn written(response: &mut Response, record: &Record) {
    set(response, "etag", &quoted(&record.etag));
    checksum(response, record);
    for (name, value) in &record.description.headers {
        if name.starts_with("x-amz-server-side-encryption") {
            set(response, name, value);
        }
    }
}
