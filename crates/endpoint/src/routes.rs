//! The routes of SageMaker's inference contract.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use kokanee_contract::MediaType;
use kokanee_http::{Code, Incoming, Journal, ServeError, metrics, refuse, stream, too_large};
use serde_json::json;

use crate::app::{App, Phase};
use crate::backend::{self, Call, Reply};
use crate::config::DEFAULT_CONCURRENT_TRANSFORMS;
use crate::negotiation::{answer_type, body_type};
use crate::page;

/// Bytes needed to recognise a body without `Content-Type`.
const HEAD_BYTES: usize = 64;

/// All routes, below the prefix from the settings.
pub(crate) fn router(app: Arc<App>) -> Router {
    let prefix = app.settings.url_prefix.clone();
    let home = if prefix.is_empty() { "/".to_owned() } else { prefix.clone() };
    let page = || only("GET, HEAD, POST", get(page::show).post(page::answer));
    let mut router = Router::new()
        .route(&format!("{prefix}/invocations"), only("POST", post(invocations)))
        .route(&format!("{prefix}/ping"), only("GET, HEAD", get(ping)))
        .route(&format!("{prefix}/execution-parameters"), only("GET, HEAD", get(execution_parameters)))
        .route(&format!("{prefix}/metrics"), only("GET, HEAD", get(show_metrics)))
        .route(&home, page());
    if !prefix.is_empty() {
        router = router.route(&format!("{prefix}/"), page());
    }
    router.fallback(not_found).with_state(app)
}

fn only(methods: &'static str, router: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    router.fallback(move |Extension(journal): Extension<Arc<Journal>>| async move {
        let error = ServeError::new(Code::MethodNotAllowed, format!("this path is for {methods}"));
        let mut response = refuse(&journal, error.with("allowed", methods));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        response
    })
}

async fn not_found(Extension(journal): Extension<Arc<Journal>>) -> Response {
    let message = "there is nothing at this path; there are POST /invocations, GET /ping, /execution-parameters, /metrics and /";
    refuse(&journal, ServeError::new(Code::NotFound, message))
}

/// `GET /ping`: whether SageMaker may send requests here.
async fn ping(State(app): State<Arc<App>>, Extension(journal): Extension<Arc<Journal>>) -> Response {
    let health = async { app.backend()?.health().await };
    match health.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refuse(&journal, error),
    }
}

/// `GET /execution-parameters`: how batch transform should send its records.
async fn execution_parameters(State(app): State<Arc<App>>) -> Response {
    let settings = &app.settings;
    let concurrent = settings.max_concurrent_transforms.unwrap_or_else(|| match app.phase() {
        Phase::Ready(backend) => backend.default_concurrent_transforms(),
        Phase::Loading | Phase::Draining => DEFAULT_CONCURRENT_TRANSFORMS,
    });
    let parameters = json!({
        "MaxConcurrentTransforms": concurrent,
        "BatchStrategy": settings.batch_strategy.name(),
        "MaxPayloadInMB": settings.payload_mb(),
    });
    ([(CONTENT_TYPE, "application/json")], parameters.to_string()).into_response()
}

/// `GET /metrics`, for Prometheus.
async fn show_metrics(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], app.metrics.render()).into_response()
}

/// `POST /invocations`: a body of instances, answered by a body of predictions.
async fn invocations(
    State(app): State<Arc<App>>,
    Extension(journal): Extension<Arc<Journal>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let incoming = Incoming::new(body, app.settings.bounds.patience);
    match answer(&app, &journal, &headers, incoming).await {
        Ok(response) => response,
        Err(error) => refuse(&journal, error),
    }
}

async fn answer(
    app: &Arc<App>,
    journal: &Arc<Journal>,
    headers: &HeaderMap,
    incoming: Incoming,
) -> Result<Response, ServeError> {
    let backend = app.backend()?;
    check_encoding(headers)?;
    let accept = text(headers, ACCEPT);
    let choose = |media: MediaType| {
        let _ = journal.from.set(media.name());
        answer_type(accept.as_deref(), &*backend, media).inspect(|to| {
            let _ = journal.to.set(to.media.name());
        })
    };
    let named = body_type(text(headers, CONTENT_TYPE).as_deref(), backend.accepts())?;
    let chosen = named.as_ref().map(|from| choose(from.media)).transpose()?;
    let settings = &app.settings;
    let share = backend.budget().share();
    let (from, to, body) = match (named, chosen) {
        (Some(from), Some(to)) if settings.takes_any_length() && backend.streams(from.media) => {
            (from, to, backend::Body::Streamed { incoming, share })
        }
        (named, chosen) => {
            let limit = settings.max_held_bytes(backend.default_body_bytes());
            if content_length(headers).is_some_and(|length| length > limit as u64) {
                // A client that sends `Expect` learns of the refusal before it sends the body.
                if !headers.contains_key(EXPECT) {
                    incoming.discard().await;
                }
                return Err(too_large(limit));
            }
            let body = incoming.whole(limit, share).await?;
            let (from, to) = match (named, chosen) {
                (Some(from), Some(to)) => (from, to),
                _ => {
                    let head = body.bytes.pieces().next().unwrap_or_default();
                    let media = backend.default_type(&head[..head.len().min(HEAD_BYTES)]);
                    (media.into(), choose(media)?)
                }
            };
            (from, to, backend::Body::Whole(body))
        }
    };
    let header = to.media.header();
    let (deadline, counters) = (Some(settings.deadline), Arc::clone(&journal.counters));
    match backend.invoke(Call { from, to, body, deadline, counters }).await? {
        Reply::Whole(answer) => Ok(([(CONTENT_TYPE, header)], Body::new(answer)).into_response()),
        Reply::Pieces(pieces) => stream(pieces, header, journal).await,
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// All values of a header joined; `None` where they are empty.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    Some(values.collect::<Vec<_>>().join(",")).filter(|joined| !joined.is_empty())
}

fn check_encoding(headers: &HeaderMap) -> Result<(), ServeError> {
    match text(headers, CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        None => Ok(()),
        Some(encoding) => {
            let encoding: String = encoding.chars().take(40).collect();
            let message = format!("Content-Encoding {encoding:?} is not read here; send the body as it is");
            Err(ServeError::new(Code::UnsupportedMediaType, message))
        }
    }
}
