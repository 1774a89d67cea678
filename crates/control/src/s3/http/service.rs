//! The state and helpers shared by all operations of S3.

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

/// The account, region and limits of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account that owns all buckets: 12 digits.
    pub account: String,
    /// The region of requests and buckets that name none.
    pub region: String,
    /// Time limits for bodies.
    pub patience: Patience,
    /// The keys that requests must be signed with. Without keys, every request is served.
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
    /// The body; `None` once it is being read. The mutex makes a request shareable between threads.
    pub(super) body: Mutex<Option<Incoming>>,
    /// The properties of the body that the signature contains.
    pub(super) proof: Proof,
}

impl Call {
    /// The text of a header.
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

    /// Takes the body, once.
    pub(super) fn take_body(&self) -> Incoming {
        let patience = self.service.settings.patience;
        self.unread().unwrap_or_else(|| Incoming::new(Body::empty(), patience))
    }

    pub(super) fn unread(&self) -> Option<Incoming> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs blocking work on the store on a suitable thread.
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

/// An XML response.
pub(super) fn xml(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Sets a header; an invalid value is left out.
pub(super) fn set(response: &mut Response, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
        response.headers_mut().insert(name, value);
    }
}

/// An ETag with its quotes.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The error for operations that this server, or S3 itself, does not support.
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
