//! The routes.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use futures_util::stream::unfold;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

use crate::codec::MediaType;
use crate::config::ServerSettings;
use crate::conversation::{Conversation, Source, Stream};
use crate::error::{Code, ServeError};
use crate::incoming::{Incoming, too_large};
use crate::journal::Journal;
use crate::memory::{Counted, Share};
use crate::metrics::{self, Metrics};
use crate::page;
use crate::service::{Service, ended};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all requests share.
pub(crate) struct App {
    phase: RwLock<Phase>,
    pub(crate) settings: ServerSettings,
    pub(crate) metrics: Arc<Metrics>,
}

/// What the server is at.
#[derive(Clone)]
pub(crate) enum Phase {
    /// The model is being loaded.
    Loading,
    /// Requests are answered.
    Ready(Arc<Service>),
    /// What was begun is finished, nothing new is begun.
    Draining,
}

impl App {
    pub(crate) fn new(settings: ServerSettings, metrics: Arc<Metrics>) -> Self {
        Self { phase: RwLock::new(Phase::Loading), settings, metrics }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        *self.phase.write().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The service, where there is one.
    pub(crate) fn service(&self) -> Result<Arc<Service>, ServeError> {
        match self.phase() {
            Phase::Ready(service) => Ok(service),
            Phase::Loading => {
                let message = "the model is still being loaded; try again in a moment";
                Err(ServeError::new(Code::Unavailable, message).retry_after(2))
            }
            Phase::Draining => Err(ended()),
        }
    }
}

/// All routes, below the prefix that the settings name.
pub(crate) fn router(app: Arc<App>) -> Router {
    let prefix = app.settings.url_prefix.clone();
    let home = if prefix.is_empty() { "/".to_owned() } else { prefix.clone() };
    let mut router = Router::new()
        .route(&format!("{prefix}/invocations"), only("POST", post(invocations)))
        .route(&format!("{prefix}/ping"), only("GET, HEAD", get(ping)))
        .route(&format!("{prefix}/execution-parameters"), only("GET, HEAD", get(execution_parameters)))
        .route(&format!("{prefix}/metrics"), only("GET, HEAD", get(show_metrics)))
        .route(&home, only("GET, HEAD, POST", get(page::show).post(page::answer)));
    if !prefix.is_empty() {
        router =
            router.route(&format!("{prefix}/"), only("GET, HEAD, POST", get(page::show).post(page::answer)));
    }
    router
        .fallback(not_found)
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&app), keep_journal))
        .with_state(app)
}

fn only(methods: &'static str, router: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    router.fallback(move |Extension(journal): Extension<Arc<Journal>>| async move {
        let error = ServeError::new(Code::MethodNotAllowed, format!("this path is for {methods}"));
        let mut response = refuse(&journal, error.with("allowed", methods));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        response
    })
}

/// Which route a path belongs to, for metrics: paths from outside must not become labels.
fn route(path: &str, prefix: &str) -> &'static str {
    match path.strip_prefix(prefix) {
        Some("/invocations") => "/invocations",
        Some("/ping") => "/ping",
        Some("/execution-parameters") => "/execution-parameters",
        Some("/metrics") => "/metrics",
        Some("/" | "") => "/",
        _ => "other",
    }
}

/// Whether the journal is ended by the body of the answer, not by its head.
#[derive(Clone, Copy)]
struct EndsLater;

async fn keep_journal(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let route = route(request.uri().path(), &app.settings.url_prefix);
    let (log_text, metrics) = (app.settings.log_text, Arc::clone(&app.metrics));
    let journal = Arc::new(Journal::begin(request.method().as_str(), route, log_text, metrics));
    request.extensions_mut().insert(Arc::clone(&journal));
    let mut response = match caught(next.run(request)).await {
        Some(response) => response,
        None => refuse(&journal, ServeError::new(Code::Internal, "a bug in Kokanee; please report it")),
    };
    if let Ok(id) = HeaderValue::from_str(&journal.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if response.extensions().get::<EndsLater>().is_none() {
        journal.end(response.status().as_u16());
    }
    response
}

/// None where it panicked; the panic hook has told why.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// An error as an answer.
pub(crate) fn refuse(journal: &Journal, error: ServeError) -> Response {
    let error = named(journal, error);
    journal.failed(&error);
    let mut response =
        (status(error.code), [(CONTENT_TYPE, "application/json")], error.to_json()).into_response();
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Faults of ours carry the id that stands in the log.
fn named(journal: &Journal, mut error: ServeError) -> ServeError {
    if error.code == Code::Internal {
        error.message.push_str("; the log says more under the id in details");
        return error.with("id", journal.id.as_str());
    }
    error
}

pub(crate) fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn not_found(Extension(journal): Extension<Arc<Journal>>) -> Response {
    let message = "there is nothing at this path; there are POST /invocations, GET /ping, /execution-parameters, /metrics and /";
    refuse(&journal, ServeError::new(Code::NotFound, message))
}

/// `GET /ping`: whether SageMaker may send requests here.
async fn ping(State(app): State<Arc<App>>, Extension(journal): Extension<Arc<Journal>>) -> Response {
    match app.service() {
        Err(error) => refuse(&journal, error),
        Ok(service) if service.is_alive().await => StatusCode::OK.into_response(),
        Ok(_) => refuse(&journal, ServeError::new(Code::Internal, "the decoder did nothing for 2 s")),
    }
}

/// `GET /execution-parameters`: how batch transform should send its records.
async fn execution_parameters(State(app): State<Arc<App>>) -> Response {
    let settings = &app.settings;
    let parameters = json!({
        "MaxConcurrentTransforms": settings.max_concurrent_transforms,
        "BatchStrategy": settings.batch_strategy.name(),
        "MaxPayloadInMB": settings.max_payload_mb,
    });
    ([(CONTENT_TYPE, "application/json")], parameters.to_string()).into_response()
}

/// `GET /metrics`, for Prometheus.
async fn show_metrics(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], app.metrics.render()).into_response()
}

/// `POST /invocations`: a body of instances, answered by a body of answers.
async fn invocations(
    State(app): State<Arc<App>>,
    Extension(journal): Extension<Arc<Journal>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match answer(&app, &journal, &headers, Incoming::new(body, app.settings.patience)).await {
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
    let service = app.service()?;
    let (from, to) = media_types(headers)?;
    let _ = journal.from.set(from);
    let _ = journal.to.set(to);
    let settings = &app.settings;
    let limit = settings.max_held_bytes();
    if settings.max_payload_bytes().is_none() && from != MediaType::Json {
        let source = Source::Streamed(Box::new(Stream::new(incoming, from, service.share())));
        let (share, tally) = (service.share(), Arc::clone(&journal.tally));
        let unsent = share.another();
        let conversation = Conversation::new(service, source, to, share, tally);
        return stream(conversation, to, unsent, journal).await;
    }
    if content_length(headers).is_some_and(|length| length > limit as u64) {
        // Who asks before sending is told without having sent.
        if !headers.contains_key(EXPECT) {
            incoming.discard().await;
        }
        return Err(too_large(limit));
    }
    let body = incoming.whole(limit, service.share()).await?;
    let answer = service.answer_in_time(from, to, body, settings.deadline, &journal.tally).await?;
    Ok(([(CONTENT_TYPE, to.header())], Body::new(answer)).into_response())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Types of the body and of its answer.
fn media_types(headers: &HeaderMap) -> Result<(MediaType, MediaType), ServeError> {
    let text = |name: HeaderName| -> Option<String> {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        Some(values.collect::<Vec<_>>().join(",")).filter(|joined| !joined.is_empty())
    };
    if let Some(encoding) =
        text(CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        let encoding: String = encoding.chars().take(40).collect();
        let message = format!("Content-Encoding {encoding:?} is not read here; send the body as it is");
        return Err(ServeError::new(Code::UnsupportedMediaType, message));
    }
    let from = MediaType::of_body(text(CONTENT_TYPE).as_deref())?;
    let to = MediaType::of_answer(text(ACCEPT).as_deref(), from)?;
    Ok((from, to))
}

/// An answer that leaves as it is made. What is wrong with the beginning of the body is still told by a status; after that, an
/// error can only break the answer off, without its proper end, which every HTTP client reports.
async fn stream(
    mut conversation: Conversation,
    to: MediaType,
    unsent: Share,
    journal: &Arc<Journal>,
) -> Result<Response, ServeError> {
    let first = conversation.next_piece().await?;
    let begun = Some((conversation, first, Arc::clone(journal)));
    let pieces = unfold(begun, move |state| {
        // Counted until it is sent.
        let mut piece = Counted { bytes: Vec::new(), share: unsent.another() };
        async move {
            let (mut conversation, first, journal) = state?;
            let next = async {
                let Some(bytes) = (match first {
                    Some(bytes) => Some(bytes),
                    None => conversation.next_piece().await?,
                }) else {
                    return Ok(None);
                };
                piece.share.grow(bytes.capacity()).await?;
                piece.bytes = bytes;
                Ok(Some(piece))
            };
            match next.await {
                Ok(Some(piece)) => {
                    let frame: Result<Frame<Bytes>, BrokenOff> = Ok(Frame::data(Bytes::from_owner(piece)));
                    Some((frame, Some((conversation, None, journal))))
                }
                Ok(None) => {
                    journal.end(StatusCode::OK.as_u16());
                    None
                }
                Err(error) => {
                    let error = named(&journal, error);
                    journal.failed(&error);
                    journal.end(error.code.status());
                    Some((Err(BrokenOff), None))
                }
            }
        }
    });
    let mut response = Response::new(Body::new(StreamBody::new(pieces)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(to.header()));
    response.extensions_mut().insert(EndsLater);
    Ok(response)
}

/// An answer that was begun and cannot be ended.
#[derive(Debug, thiserror::Error)]
#[error("the answer is broken off; the log says why")]
struct BrokenOff;

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_the_id_of_the_log() {
        assert_eq!(caught(async { panic!("this panic is part of the test") as u32 }).await, None);
        assert_eq!(caught(async { 3 }).await, Some(3));

        let journal = Journal::begin("POST", "/invocations", false, Arc::default());
        let response = refuse(&journal, ServeError::new(Code::Internal, "a fault"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["details"]["id"], journal.id);
        // What the client did wrong needs no id.
        let response = refuse(&journal, ServeError::bad("x"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8(body.to_vec()).unwrap().contains("details"));
    }

    #[test]
    fn paths_from_outside_do_not_become_labels() {
        let check = |path, prefix, expected| assert_eq!(route(path, prefix), expected, "{path}");
        check("/invocations", "", "/invocations");
        check("/", "", "/");
        check("/invocations/x", "", "other");
        check("/ping", "/mt", "other");
        check("/mt/ping", "/mt", "/ping");
        check("/mt", "/mt", "/");
    }
}
