//! The entry point of requests: from the head to the response, or to an error as a response.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use kokanee_http::{Code, Incoming, Journal, MemoryBudget, Route, ServeError, Site};

use super::auth::{self, Asked};
use super::dispatch::dispatch;
use super::form;
use super::service::{Call, Service, Settings};
use crate::s3::address::{Address, Query};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::store::Store;
use crate::s3::xml::Document;
use crate::signature::Proof;

/// S3 as a router. It takes every path: a server with other services on the same port must select them before.
pub fn router(store: Arc<Store>, settings: Settings, memory: Arc<MemoryBudget>) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(Service { store, settings, memory }))
}

/// S3's [`Site`], for the log and the server shell: errors of the shell are XML too.
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

async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response {
    let journal = request.extensions().get::<Arc<Journal>>().cloned();
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let resource = head.uri.path().to_owned();
    // A client that asks first (`Expect`) learns of a refusal without its body being read.
    let asks_first = head.headers.contains_key(header::EXPECT);
    let patience = service.settings.patience;
    let body = Mutex::new(Some(Incoming::new(body, patience)));
    let (target, failure) = match target(&head.headers, &head.uri) {
        Ok(target) => (target, None),
        Err(error) => (Default::default(), Some(error)),
    };
    let (address, query) = target;
    let mut call = Call {
        service,
        method: head.method,
        uri: head.uri,
        address,
        query,
        headers: head.headers,
        body,
        proof: Proof::default(),
    };
    let result = match failure {
        Some(error) => Err(error),
        None => checked(&mut call).await,
    };
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            refused(&error, &resource, is_head, journal.as_deref(), call.unread(), asks_first).await
        }
    };
    finish(response, journal.as_deref())
}

/// The address and parameters of a request.
fn target(headers: &HeaderMap, uri: &Uri) -> Result<(Address, Query)> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let address = Address::parse(host.or_else(|| uri.host()), uri.path())?;
    Ok((address, Query::parse(uri.query().unwrap_or_default())?))
}

async fn checked(call: &mut Call) -> Result<Response> {
    let asked = auth::check(call)?;
    call.check_owner()?;
    match asked {
        Asked::Allowed(proof) => {
            call.proof = *proof;
            dispatch(call).await
        }
        Asked::ByForm => form::post(call, true).await,
    }
}

/// Turns an error into a response.
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
        // A client that is still sending would not read the response.
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
