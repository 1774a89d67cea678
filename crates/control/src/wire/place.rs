//! Selection of the server's part that a request is for.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use super::scope::Scope;
use crate::s3::bucket_of_host;

/// The prefix of the server's own paths; no bucket can have such a name.
const OWN_PATH: &str = "/_kokanee/";

/// The prefix of the console. A bucket can have this name: signed requests, and those to a host that names a bucket, belong to S3.
const CONSOLE_PATH: &str = "/console";

/// A part of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An operation in JSON.
    Json,
    /// An operation as a form.
    Query,
    /// An operation in CBOR.
    Cbor,
    /// SageMaker Runtime.
    Runtime,
    /// The server's own pages.
    Own,
    /// The console.
    Console,
    /// The telemetry of SageMaker's SDKs.
    Telemetry,
    /// S3.
    S3,
}

/// The part of the server that a request is for, according to its head.
pub fn place(head: &Parts) -> Place {
    let is_post = head.method == Method::POST;
    let path = head.uri.path();
    if path.starts_with(OWN_PATH) {
        Place::Own
    } else if is_console(head) {
        Place::Console
    } else if is_telemetry(head) {
        Place::Telemetry
    } else if head.headers.contains_key("x-amz-target") && is_post {
        Place::Json
    } else if head.headers.contains_key("smithy-protocol") && path.starts_with("/service/") {
        Place::Cbor
    } else if is_post && is_invocation(path) && Scope::of(head).service.as_deref() != Some("s3") {
        Place::Runtime
    } else if path == "/" && (is_post && is_form(&head.headers) || has_action(head)) {
        Place::Query
    } else {
        Place::S3
    }
}

fn is_console(head: &Parts) -> bool {
    let path = head.uri.path();
    let is_below =
        path.strip_prefix(CONSOLE_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !is_below
        || head.headers.contains_key(header::AUTHORIZATION)
        || head.headers.contains_key("x-amz-target")
    {
        return false;
    }
    let host = head.uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| head.headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    let query = head.uri.query().unwrap_or_default();
    let is_signed =
        query.split('&').any(|pair| pair.starts_with("X-Amz-Signature=") || pair.starts_with("Signature="));
    !is_signed && host.and_then(bucket_of_host).is_none()
}

/// `GET https://sm-pysdk-t-<region>.s3.<region>.amazonaws.com/telemetry?…`, which arrives through the proxy.
fn is_telemetry(head: &Parts) -> bool {
    let host = head.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    head.method == Method::GET
        && head.uri.path() == "/telemetry"
        && host.starts_with("sm-pysdk-t-")
        && host.contains(".amazonaws.com")
}

/// `/endpoints/NAME/invocations`, and its variants for streams and queues.
fn is_invocation(path: &str) -> bool {
    let mut parts = path.strip_prefix("/endpoints/").unwrap_or_default().split('/');
    parts.next().is_some_and(|name| !name.is_empty())
        && matches!(parts.next(), Some("invocations" | "async-invocations" | "invocations-response-stream"))
        && parts.next().is_none()
}

/// Whether the address contains a call, as for calls signed for others to send (`GET /?Action=GetCallerIdentity&…`).
fn has_action(head: &Parts) -> bool {
    head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("Action=")))
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type
        .is_some_and(|text| text.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"))
}
