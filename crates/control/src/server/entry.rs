//! The entry point of all requests, which forwards them to the parts of the server.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kokanee_http::{Code, Incoming, MemoryBudget, Metrics, Patience, ServeError, metrics};
use serde_json::json;
use tower_service::Service as _;

use crate::api::{Caller, Control};
use crate::console::Console;
use crate::proxy::Proxy;
use crate::signature::{Claim, Head, Keys, Refusal, Rules};
use crate::times::now_seconds;
use crate::wire::{
    ApiError, Call, Guard, Place, Protocol, Scope, decoded, escaped, place, request_id, signature_refused,
};

/// The largest body of a call; AWS refuses larger ones too.
const MAX_CALL_BYTES: usize = 4 << 20;

/// The state for handling all requests.
pub(super) struct Entry {
    pub(super) guard: Guard,
    pub(super) control: Arc<Control>,
    pub(super) region: String,
    pub(super) s3: Router,
    pub(super) runtime: Router,
    pub(super) console: Console,
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) patience: Patience,
    /// The keys that requests must be signed with.
    pub(super) keys: Option<Arc<Keys>>,
    /// Whether only this machine reaches the server.
    pub(super) is_loopback: bool,
    /// The handler of `CONNECT`.
    pub(super) proxy: Proxy,
}

impl Entry {
    pub(super) fn router(self) -> Router {
        Router::new().fallback(enter).with_state(Arc::new(self))
    }

    /// The signature that a request claims; `None` if the server has no keys.
    fn claim<'a>(&'a self, head: &'a Parts) -> Result<Option<Claim<'a>>, Refusal> {
        let claim = |keys| Claim::of(keys, Head::from(head), Rules::Other, now_seconds());
        self.keys.as_deref().map(claim).transpose()
    }
}

async fn enter(State(entry): State<Arc<Entry>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head.method == Method::CONNECT {
        // No page can make a browser send this; requests inside the connection are checked like all others.
        return entry.proxy.connect(&head).await;
    }
    let place = place(&head);
    if let Err(reason) = entry.guard.check(&head) {
        tracing::warn!(reason, "a request was refused");
        return refuse(place, &ApiError::new("AccessDeniedException", reason).status(403));
    }
    match place {
        Place::S3 => sandboxed(&entry.s3, head, body).await,
        Place::Console => entry.console.answer(head, body).await,
        Place::Own => own(&entry, &head),
        // The data is discarded, but the SDK waits for a response.
        Place::Telemetry => StatusCode::OK.into_response(),
        Place::Runtime => forward(&entry.runtime, head, body).await,
        Place::Json | Place::Query | Place::Cbor => call(&entry, place, &head, body).await,
    }
}

async fn forward(router: &Router, head: Parts, body: Body) -> Response {
    let Ok(response) = router.clone().call(Request::from_parts(head, body)).await;
    response
}

/// S3's response to a browser: a page among the objects must not act as a page of this server, whose origin it shares.
async fn sandboxed(router: &Router, head: Parts, body: Body) -> Response {
    let is_shown = head.headers.contains_key("sec-fetch-dest");
    let mut response = forward(router, head, body).await;
    if is_shown {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

async fn call(entry: &Arc<Entry>, place: Place, head: &Parts, body: Body) -> Response {
    let request_id = request_id();
    let claim = match entry.claim(head) {
        Ok(claim) => claim,
        Err(refusal) => {
            // A client that is still sending would not read the response.
            Incoming::new(body, entry.patience).discard().await;
            return refuse(place, &signature_refused(place, refusal));
        }
    };
    let share = entry.memory.share();
    let body = match Incoming::new(body, entry.patience).whole(MAX_CALL_BYTES, share).await {
        Ok(body) => body,
        Err(error) => return refuse(place, &body_refused(&error)),
    };
    // The parsed body must not live longer than its share.
    let (body, _share) = (body.bytes.into_vec(), body.share);
    if let Some(Err(refusal)) = claim.map(|claim| claim.check(&body)) {
        return refuse(place, &signature_refused(place, refusal));
    }
    let body = match decoded(head, body, MAX_CALL_BYTES) {
        Ok(body) => body,
        Err(error) => return refuse(place, &error),
    };
    let scope = Scope::of(head);
    let read = match place {
        Place::Json => Call::from_json(head, &body),
        Place::Cbor => Call::from_cbor(head, &body),
        _ => {
            let query = head.uri.query().unwrap_or_default().as_bytes();
            Call::from_form(scope.service.as_deref(), if body.is_empty() { query } else { &body })
        }
    };
    let call = match read {
        Ok(call) => call,
        Err((protocol, error)) => return protocol.refuse(None, &error, &request_id),
    };
    let caller = Caller { region: scope.region.unwrap_or_else(|| entry.region.clone()) };
    let control = Arc::clone(&entry.control);
    let (service, protocol, operation) = (call.service, call.protocol, call.operation.clone());
    let answered = tokio::task::spawn_blocking(move || {
        let output = control.answer(&call, &caller);
        (call, output)
    });
    let (response, code) = match answered.await {
        Ok((call, Ok(output))) => (call.answer(&output, &request_id), None),
        Ok((_, Err(error))) => (protocol.refuse(service, &error, &request_id), Some(error.code)),
        // The panic hook has reported the cause.
        Err(_) => {
            let error = ApiError::internal("a bug in Kokanee; please report it");
            (protocol.refuse(service, &error, &request_id), Some(error.code))
        }
    };
    tracing::debug!(operation, code, request_id, "call");
    response
}

fn body_refused(error: &ServeError) -> ApiError {
    match error.code {
        Code::PayloadTooLarge => {
            let message = format!("the request has more than {MAX_CALL_BYTES} bytes");
            ApiError::new("RequestEntityTooLargeException", message).status(413)
        }
        code => {
            let name = if code.status() < 500 && code.status() != 429 {
                "RequestAborted"
            } else {
                "ThrottlingException"
            };
            ApiError::new(name, error.message.clone()).status(code.status())
        }
    }
}

/// An error before the operation is known, in the form of the part of the server that the request is for.
fn refuse(place: Place, error: &ApiError) -> Response {
    let request_id = request_id();
    match place {
        Place::Json => Protocol::Json11.refuse(None, error, &request_id),
        Place::Query => Protocol::Query.refuse(None, error, &request_id),
        Place::Cbor => Protocol::Cbor.refuse(None, error, &request_id),
        Place::Runtime | Place::Own | Place::Telemetry | Place::Console => {
            let body = json!({"Message": error.message}).to_string();
            respond(error.status, "application/json", body, &error.code, &request_id)
        }
        Place::S3 => {
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>{}</Message><RequestId>\
                 {request_id}</RequestId></Error>",
                escaped(&error.message)
            );
            respond(error.status, "application/xml", body, &error.code, &request_id)
        }
    }
}

fn respond(status: u16, content_type: &str, body: String, code: &str, request_id: &str) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header("x-amzn-errortype", code)
        .header("x-amzn-requestid", request_id)
        .body(Body::from(body))
        .expect("the parts of the head are valid")
}

/// The server's own pages. Anyone may read its health; its metrics only this machine, and clients with the keys.
fn own(entry: &Entry, head: &Parts) -> Response {
    if !entry.is_loopback && head.uri.path() != "/_kokanee/health" {
        let checked = entry.claim(head).and_then(|claim| claim.map_or(Ok(()), |claim| claim.check(&[])));
        if let Err(refusal) = checked {
            return refuse(Place::Own, &signature_refused(Place::Own, refusal));
        }
    }
    let (status, content_type, body) = match head.uri.path() {
        "/_kokanee/health" => (StatusCode::OK, "application/json", json!({"status": "ok"}).to_string()),
        "/_kokanee/metrics" => (StatusCode::OK, metrics::CONTENT_TYPE, entry.metrics.render()),
        _ => {
            let message = "there are /_kokanee/health and /_kokanee/metrics";
            (StatusCode::NOT_FOUND, "application/json", json!({"Message": message}).to_string())
        }
    };
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
