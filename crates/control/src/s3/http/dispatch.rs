//! Selection of the operation by method, address and parameters. Unknown parameters are refused, so that a query about an object never
//! returns the object.

use axum::http::{Method, StatusCode};
use axum::response::Response;

use super::service::{Call, empty, unknown};
use super::{buckets, configuration, copies, form, lists, objects, tags, uploads};
use crate::s3::error::{ErrorCode, Result, S3Error};

/// Parameters that do not select the operation, besides those that begin with `x-` or `response-`.
const PASSIVE: &[&str] = &[
    "list-type",
    "prefix",
    "delimiter",
    "marker",
    "max-keys",
    "encoding-type",
    "continuation-token",
    "start-after",
    "fetch-owner",
    "key-marker",
    "upload-id-marker",
    "version-id-marker",
    "max-uploads",
    "max-parts",
    "part-number-marker",
    "partNumber",
    "versionId",
    "max-buckets",
    "bucket-region",
    "AWSAccessKeyId",
    "Signature",
    "Expires",
];

/// Answers a request.
pub(super) async fn dispatch(call: &Call) -> Result<Response> {
    let lower = |name: &str| name.to_ascii_lowercase();
    let is_passive = |name: &str| {
        PASSIVE.contains(&name) || lower(name).starts_with("x-") || name.starts_with("response-")
    };
    let active: Vec<&str> =
        call.query.iter().map(|(name, _)| name).filter(|name| !is_passive(name)).collect();
    if let [resource, other, ..] = active[..] {
        let message = format!("Conflicting query string parameters: {resource}, {other}");
        return Err(S3Error::argument("ResourceType", other, message));
    }
    let resource = active.first().copied().unwrap_or_default().to_owned();
    if call.query.get("versionId").is_some_and(|version| version != "null") {
        let message = "The specified version does not exist: objects have one version, called null.";
        return Err(S3Error::new(ErrorCode::NoSuchVersion, message));
    }
    let method = call.method.clone();
    match (&call.address.bucket, call.address.key.is_empty()) {
        (None, _) => service_level(call, &method, &resource).await,
        (Some(_), true) => bucket_level(call, &method, &resource).await,
        (Some(_), false) => object_level(call, &method, &resource).await,
    }
}

async fn service_level(call: &Call, method: &Method, resource: &str) -> Result<Response> {
    match (method, resource) {
        (&Method::GET, "") => buckets::list(call).await,
        (&Method::HEAD, "") => Ok(empty(StatusCode::OK)),
        _ => Err(unknown(method, resource)),
    }
}

async fn bucket_level(call: &Call, method: &Method, resource: &str) -> Result<Response> {
    match (method, resource) {
        (&Method::GET, "") if call.query.get("list-type") == Some("2") => lists::objects_paged(call).await,
        (&Method::GET, "") => lists::objects_marked(call).await,
        (&Method::GET, "versions") => lists::versions(call).await,
        (&Method::GET, "uploads") => lists::uploads(call).await,
        (&Method::GET, "location") => buckets::location(call).await,
        (&Method::HEAD, "") => buckets::head(call).await,
        (&Method::PUT, "") => buckets::create(call).await,
        (&Method::DELETE, "") => buckets::delete(call).await,
        (&Method::POST, "delete") => objects::delete_many(call).await,
        (&Method::POST, "") => form::post(call, false).await,
        _ => configuration::answer(call, method, resource).await,
    }
}

async fn object_level(call: &Call, method: &Method, resource: &str) -> Result<Response> {
    let is_copy = call.headers.contains_key("x-amz-copy-source");
    let is_part = call.query.has("partNumber");
    match (method, resource) {
        (&Method::GET | &Method::HEAD, "") => objects::get(call).await,
        (&Method::GET, "uploadId") => lists::parts(call).await,
        (&Method::GET, "tagging") => tags::get(call).await,
        (&Method::GET, "acl") => configuration::object_acl(call).await,
        (&Method::GET, "attributes") => objects::attributes(call).await,
        (&Method::PUT, "") if is_part => Err(unknown(method, "partNumber")),
        (&Method::PUT, "") if is_copy => copies::copy(call).await,
        (&Method::PUT, "") => objects::put(call).await,
        (&Method::PUT, "uploadId") if is_copy => copies::copy_part(call).await,
        (&Method::PUT, "uploadId") => uploads::put_part(call).await,
        (&Method::PUT, "tagging") => tags::put(call).await,
        (&Method::PUT, "acl") => configuration::put_acl(call).await,
        (&Method::POST, "uploads") => uploads::begin(call).await,
        (&Method::POST, "uploadId") => uploads::complete(call).await,
        (&Method::DELETE, "") => objects::delete(call).await,
        (&Method::DELETE, "uploadId") => uploads::abort(call).await,
        (&Method::DELETE, "tagging") => tags::delete(call).await,
        _ => Err(unknown(method, resource)),
    }
}
