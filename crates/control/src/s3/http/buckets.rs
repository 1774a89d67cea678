//! Operations on buckets themselves.

use axum::http::StatusCode;
use axum::response::Response;

use super::body::{Announced, receive_small};
use super::lists::owner;
use super::service::{Call, empty, set, xml};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::xml::{Document, Element};
use crate::times::iso;

/// The region that buckets report as no location.
const FIRST_REGION: &str = "us-east-1";
const MAX_CONFIGURATION_BYTES: u64 = 64 << 10;

/// `ListBuckets`.
pub(super) async fn list(call: &Call) -> Result<Response> {
    let mut buckets = call.blocking(|store| store.buckets()).await?;
    if let Some(prefix) = call.query.get("prefix") {
        buckets.retain(|bucket| bucket.name.starts_with(prefix));
    }
    Ok(xml(Document::write("ListAllMyBucketsResult", |document| {
        owner(document, "Owner", &call.service.settings.account);
        document.element("Buckets", |document| {
            for bucket in &buckets {
                document.element("Bucket", |document| {
                    document.text("Name", &bucket.name);
                    document.text("CreationDate", &iso(bucket.created_ns));
                    document.text("BucketRegion", &bucket.region);
                });
            }
        });
    })))
}

/// `CreateBucket`.
pub(super) async fn create(call: &Call) -> Result<Response> {
    let announced = Announced::of(&call.headers)?.proven(&call.proof);
    let body = call.take_body();
    let has_body = call.header("content-length").is_some_and(|length| length != "0")
        || call.headers.contains_key("transfer-encoding");
    let mut region = call.service.settings.region.clone();
    if has_body {
        let (bytes, _share) = receive_small(&call.service, body, &announced, MAX_CONFIGURATION_BYTES).await?;
        let configuration = Element::parse(&bytes)?.expect("CreateBucketConfiguration")?;
        if let Some(location) = configuration.child("LocationConstraint").filter(|region| !region.is_empty())
        {
            location.clone_into(&mut region);
        }
    }
    // A region must have three parts: a fixed list of regions would become outdated.
    let is_region = region == "EU"
        || (region.split('-').count() >= 3
            && region.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')));
    if !is_region || region.len() > 40 {
        let message = format!(
            "The {region} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        return Err(S3Error::new(ErrorCode::IllegalLocationConstraintException, message));
    }
    check_acl(call)?;
    let (bucket, place) = (call.bucket(), region.clone());
    match call.blocking(move |store| store.create_bucket(&bucket, &place)).await {
        // In the default region S3 treats this as success.
        Err(error) if error.code == ErrorCode::BucketAlreadyOwnedByYou && region == FIRST_REGION => {}
        other => other?,
    }
    let mut response = empty(StatusCode::OK);
    set(&mut response, "location", &format!("/{}", call.bucket()));
    Ok(response)
}

/// Refuses access control lists, which are disabled for new buckets.
pub(super) fn check_acl(call: &Call) -> Result<()> {
    let is_own = |acl: &str| matches!(acl, "private" | "bucket-owner-full-control" | "bucket-owner-read");
    let grants = call.headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    if grants || call.header("x-amz-acl").is_some_and(|acl| !is_own(acl)) {
        let message = "The bucket does not allow ACLs: leave out x-amz-acl and x-amz-grant-*";
        return Err(S3Error::new(ErrorCode::AccessControlListNotSupported, message));
    }
    Ok(())
}

/// `HeadBucket`.
pub(super) async fn head(call: &Call) -> Result<Response> {
    let name = call.bucket();
    let bucket = call.blocking(move |store| store.bucket(&name)).await?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "x-amz-bucket-region", &bucket.region);
    set(&mut response, "x-amz-access-point-alias", "false");
    set(&mut response, "content-type", "application/xml");
    Ok(response)
}

/// `GetBucketLocation`.
pub(super) async fn location(call: &Call) -> Result<Response> {
    let name = call.bucket();
    let bucket = call.blocking(move |store| store.bucket(&name)).await?;
    let region = if bucket.region == FIRST_REGION { "" } else { &*bucket.region };
    Ok(xml(Document::write("LocationConstraint", |document| document.escape(region))))
}

/// `DeleteBucket`.
pub(super) async fn delete(call: &Call) -> Result<Response> {
    let name = call.bucket();
    call.blocking(move |store| store.delete_bucket(&name)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
