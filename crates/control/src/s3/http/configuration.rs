//! Bucket configurations that S3 supports and this server does not: reading them returns the result for a bucket that was never configured.

use axum::http::{Method, StatusCode};
use axum::response::Response;

use super::buckets::check_acl;
use super::lists::owner;
use super::service::{Call, empty, unknown, xml};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::xml::Document;

/// The root of a document, or an error with its message.
type Unconfigured = std::result::Result<&'static str, (ErrorCode, &'static str)>;

/// The response of a bucket that was never configured: an error, or an empty document.
const UNCONFIGURED: &[(&str, Unconfigured)] = &[
    ("versioning", Ok("VersioningConfiguration")),
    ("notification", Ok("NotificationConfiguration")),
    ("logging", Ok("BucketLoggingStatus")),
    ("accelerate", Ok("AccelerateConfiguration")),
    ("tagging", Err((ErrorCode::NoSuchTagSet, "The TagSet does not exist"))),
    ("policy", Err((ErrorCode::NoSuchBucketPolicy, "The bucket policy does not exist"))),
    ("policyStatus", Err((ErrorCode::NoSuchBucketPolicy, "The bucket policy does not exist"))),
    ("cors", Err((ErrorCode::NoSuchCORSConfiguration, "The CORS configuration does not exist"))),
    (
        "lifecycle",
        Err((ErrorCode::NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist")),
    ),
    (
        "website",
        Err((
            ErrorCode::NoSuchWebsiteConfiguration,
            "The specified bucket does not have a website configuration",
        )),
    ),
    (
        "encryption",
        Err((
            ErrorCode::ServerSideEncryptionConfigurationNotFoundError,
            "The server side encryption configuration was not found",
        )),
    ),
    (
        "publicAccessBlock",
        Err((
            ErrorCode::NoSuchPublicAccessBlockConfiguration,
            "The public access block configuration was not found",
        )),
    ),
    (
        "ownershipControls",
        Err((ErrorCode::OwnershipControlsNotFoundError, "The bucket ownership controls were not found")),
    ),
    (
        "replication",
        Err((
            ErrorCode::ReplicationConfigurationNotFoundError,
            "The replication configuration was not found",
        )),
    ),
    (
        "object-lock",
        Err((
            ErrorCode::ObjectLockConfigurationNotFoundError,
            "Object Lock configuration does not exist for this bucket",
        )),
    ),
];

/// Configurations whose deletion always succeeds, since they never exist.
const DELETABLE: &[&str] = &[
    "tagging",
    "policy",
    "cors",
    "lifecycle",
    "website",
    "encryption",
    "publicAccessBlock",
    "ownershipControls",
    "replication",
];

/// Answers a request about a bucket's configuration.
pub(super) async fn answer(call: &Call, method: &Method, resource: &str) -> Result<Response> {
    let name = call.bucket();
    let is_known = resource == "acl"
        || resource == "requestPayment"
        || UNCONFIGURED.iter().any(|(name, _)| *name == resource);
    if !is_known || !matches!(*method, Method::GET | Method::PUT | Method::DELETE) {
        return Err(unknown(method, resource));
    }
    call.blocking(move |store| store.bucket(&name)).await?;
    match (method, resource) {
        (&Method::GET, "acl") => Ok(acl(call)),
        (&Method::PUT, "acl") => put_acl(call).await,
        (&Method::GET, "requestPayment") => {
            Ok(xml(Document::write("RequestPaymentConfiguration", |document| {
                document.text("Payer", "BucketOwner");
            })))
        }
        (&Method::GET, _) => match UNCONFIGURED.iter().find(|(name, _)| *name == resource) {
            Some((_, Ok(root))) => Ok(xml(Document::write(root, |_| {}))),
            Some((_, Err((code, message)))) => {
                Err(S3Error::new(*code, *message).with("BucketName", call.bucket()))
            }
            None => Err(unknown(method, resource)),
        },
        (&Method::DELETE, resource) if DELETABLE.contains(&resource) => Ok(empty(StatusCode::NO_CONTENT)),
        _ => Err(unknown(method, resource)),
    }
}

/// `GetObjectAcl`.
pub(super) async fn object_acl(call: &Call) -> Result<Response> {
    let (bucket, key) = (call.bucket(), call.key());
    call.blocking(move |store| store.stat(&bucket, &key)).await?;
    Ok(acl(call))
}

/// `PutBucketAcl` and `PutObjectAcl`: only values that change nothing are accepted.
pub(super) async fn put_acl(call: &Call) -> Result<Response> {
    check_acl(call)?;
    if !call.headers.contains_key("x-amz-acl") {
        let message =
            "The bucket does not allow ACLs: only x-amz-acl: private or bucket-owner-full-control is taken";
        return Err(S3Error::new(ErrorCode::AccessControlListNotSupported, message));
    }
    if !call.address.key.is_empty() {
        let (bucket, key) = (call.bucket(), call.key());
        call.blocking(move |store| store.stat(&bucket, &key)).await?;
    }
    Ok(empty(StatusCode::OK))
}

/// An access control list that gives the owner full control.
fn acl(call: &Call) -> Response {
    let account = &call.service.settings.account;
    xml(Document::write("AccessControlPolicy", |document| {
        owner(document, "Owner", account);
        document.element("AccessControlList", |document| {
            document.element("Grant", |document| {
                let grantee = "Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"";
                owner(document, grantee, account);
                document.text("Permission", "FULL_CONTROL");
            });
        });
    }))
}
