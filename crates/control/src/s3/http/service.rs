//! The service: what every request of S3 has in common, from its head to its answer.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use kokanee_http::{Code, Incoming, Journal, MemoryBudget, Patience, Route, ServeError, Site};
use tokio::task::JoinError;

use super::auth::check_presence;
use super::body::Writing;
use super::dispatch::dispatch;
use crate::s3::address::{Address, Query};
use crate::s3::checksums::Algorithm;
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::store::Store;
use crate::s3::xml::Document;

/// Who the store belongs to, and how long clients are waited for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account that owns every bucket: 12 digits.
    pub account: String,
    /// The region of requests and buckets that name none.
    pub region: String,
    /// How long bodies are waited for.
    pub patience: Patience,
}

/// The store behind HTTP.
pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) settings: Settings,
    pub(super) memory: Arc<MemoryBudget>,
}

/// S3 as a router. Every path is its own: whoever puts other services on the same port decides before.
pub fn router(store: Arc<Store>, settings: Settings, memory: Arc<MemoryBudget>) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(Service { store, settings, memory }))
}

/// S3 as the log and the shell of the server see it: errors of the shell are XML too.
#[derive(Clone, Copy, Debug, Default)]
pub struct S3Site;

impl Site for S3Site {
    fn route(&self, _path: &str) -> Route {
        Route::plain("s3")
    }

    fn envelope(&self, error: &ServeError) -> (&'static str, String) {
        let name = match error.code {
            Code::Internal => ErrorCode::InternalError.name(),
            Code::Unavailable | Code::TooManyRequests => ErrorCode::SlowDown.name(),
            Code::RequestTimeout | Code::DeadlineExceeded => ErrorCode::RequestTimeout.name(),
            Code::PayloadTooLarge => ErrorCode::EntityTooLarge.name(),
            Code::NotFound => ErrorCode::NoSuchKey.name(),
            Code::MethodNotAllowed => ErrorCode::MethodNotAllowed.name(),
            _ => ErrorCode::InvalidRequest.name(),
        };
        let body = Document::plain("Error", |document| {
            document.text("Code", name);
            document.text("Message", &error.message);
        });
        ("application/xml", body)
    }
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
    body: Mutex<Option<Incoming>>,
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

    fn unread(&self) -> Option<Incoming> {
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

    fn check_owner(&self) -> Result<()> {
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

impl Service {
    /// Begins a file in the background; the empty vector is the first piece that is free.
    pub(super) fn stage(&self, algorithms: Vec<Algorithm>) -> Writing {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || Ok((store.stage(&algorithms)?, Vec::new())))
    }
}

/// The result of work in the background.
pub(super) fn joined<T>(result: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "work on the disk ended early");
        Err(S3Error::new(ErrorCode::InternalError, "a bug in Kokanee; please report it"))
    })
}

async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response {
    let journal = request.extensions().get::<Arc<Journal>>().cloned();
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let resource = head.uri.path().to_owned();
    // Who asks before sending need not be told by taking in the body.
    let asks_first = head.headers.contains_key(header::EXPECT);
    let patience = service.settings.patience;
    let body = Mutex::new(Some(Incoming::new(body, patience)));
    let (target, failure) = match target(&head.headers, &head.uri) {
        Ok(target) => (target, None),
        Err(error) => (Default::default(), Some(error)),
    };
    let (address, query) = target;
    let call =
        Call { service, method: head.method, uri: head.uri, address, query, headers: head.headers, body };
    let result = match failure {
        Some(error) => Err(error),
        None => checked(&call).await,
    };
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            refused(&error, &resource, is_head, journal.as_deref(), call.unread(), asks_first).await
        }
    };
    finish(response, journal.as_deref())
}

/// What a request is about.
fn target(headers: &HeaderMap, uri: &Uri) -> Result<(Address, Query)> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let address = Address::parse(host.or_else(|| uri.host()), uri.path())?;
    Ok((address, Query::parse(uri.query().unwrap_or_default())?))
}

async fn checked(call: &Call) -> Result<Response> {
    check_presence(&call.headers, &call.query)?;
    call.check_owner()?;
    dispatch(call).await
}

/// An error as an answer.
async fn refused(
    error: &S3Error,
    resource: &str,
    is_head: bool,
    journal: Option<&Journal>,
    body: Option<Incoming>,
    asks_first: bool,
) -> Response {
    if let Some(journal) = journal {
        let code = match error.code.status() {
            404 => Code::NotFound,
            405 => Code::MethodNotAllowed,
            503 | 507 => Code::Unavailable,
            500.. => Code::Internal,
            _ => Code::BadRequest,
        };
        journal.failed(&ServeError::new(code, format!("{}: {error}", error.code.name())));
    }
    if let Some(body) = body.filter(|_| !asks_first) {
        // A client that is still sending would not read the answer.
        body.discard().await;
    }
    let id = journal.map_or("", |journal| &journal.id);
    let text = Document::plain("Error", |document| {
        document.text("Code", error.code.name());
        document.text("Message", &error.message);
        for (name, value) in &error.details {
            document.text(name, value);
        }
        document.text("Resource", resource);
        document.text("RequestId", id);
        document.text("HostId", "kokanee");
    });
    let mut response = Response::new(if is_head { Body::empty() } else { Body::from(text) });
    *response.status_mut() =
        StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    if error.code == ErrorCode::SlowDown {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn finish(mut response: Response, journal: Option<&Journal>) -> Response {
    let id = journal.and_then(|journal| HeaderValue::from_str(&journal.id).ok());
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-amz-request-id"),
        id.unwrap_or_else(|| HeaderValue::from_static("0")),
    );
    headers.insert(HeaderName::from_static("x-amz-id-2"), HeaderValue::from_static("kokanee"));
    response
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
