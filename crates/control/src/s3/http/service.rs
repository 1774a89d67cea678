//! The service: what the operations of S3 have in common.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use kokanee_http::{Incoming, MemoryBudget, Patience};
use tokio::task::JoinError;

use crate::s3::address::{Address, Query};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::store::Store;
use crate::signature::{Keys, Proof};

/// Who the store belongs to, and how long clients are waited for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account that owns every bucket: 12 digits.
    pub account: String,
    /// The region of requests and buckets that name none.
    pub region: String,
    /// How long bodies are waited for.
    pub patience: Patience,
    /// The keys that requests must be signed with; without them anybody is served.
    pub keys: Option<Arc<Keys>>,
}

/// The store behind HTTP.
pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) settings: Settings,
    pub(super) memory: Arc<MemoryBudget>,
}

/// A request.
pub(super) struct Call {
    pub(super) service: Arc<Service>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) address: Address,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// None once it is being read. A body cannot be shared between threads, and a request is.
    pub(super) body: Mutex<Option<Incoming>>,
    /// What the signature says of the body.
    pub(super) proof: Proof,
}

impl Call {
    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The bucket.
    pub(super) fn bucket(&self) -> String {
        self.address.bucket.clone().unwrap_or_default()
    }

    /// The key.
    pub(super) fn key(&self) -> String {
        self.address.key.clone()
    }

    /// The body, once.
    pub(super) fn take_body(&self) -> Incoming {
        let patience = self.service.settings.patience;
        self.unread().unwrap_or_else(|| Incoming::new(Body::empty(), patience))
    }

    pub(super) fn unread(&self) -> Option<Incoming> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs what waits for the disk where that stops nobody.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let service = Arc::clone(&self.service);
        joined(tokio::task::spawn_blocking(move || work(&service.store)).await)
    }

    pub(super) fn check_owner(&self) -> Result<()> {
        for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
            if self.header(name).is_some_and(|owner| owner != self.service.settings.account) {
                return Err(S3Error::new(
                    ErrorCode::AccessDenied,
                    "Access Denied: the bucket has another owner",
                ));
            }
        }
        Ok(())
    }
}

/// The result of work in the background.
pub(super) fn joined<T>(result: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "work on the disk ended early");
        Err(S3Error::new(ErrorCode::InternalError, "a bug in Kokanee; please report it"))
    })
}

/// An answer of XML.
pub(super) fn xml(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Sets a header; a value that none can have is left out.
pub(super) fn set(response: &mut Response, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
        response.headers_mut().insert(name, value);
    }
}

/// An ETag with its quotes.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// What S3 can do, or cannot do either.
pub(super) fn unknown(method: &Method, resource: &str) -> S3Error {
    let is_usual =
        matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::POST | Method::DELETE);
    if resource.is_empty() || !is_usual {
        let message = "The specified method is not allowed against this resource.";
        return S3Error::new(ErrorCode::MethodNotAllowed, message).with("Method", method.as_str());
    }
    let message = format!(
        "A header or parameter you provided implies functionality that is not implemented: ?{resource}"
    );
    S3Error::new(ErrorCode::NotImplemented, message).with("Header", resource)
}
