//! The layer around every request: the journal, panics, errors as responses, and streamed responses.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{Stream, StreamExt as _, unfold};
use http_body_util::StreamBody;
use hyper::body::Frame;

use crate::error::{Code, ServeError};
use crate::journal::Journal;
use crate::memory::Counted;
use crate::metrics::Metrics;
use crate::site::Site;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Pieces of a response, each with its share of the memory until it is sent.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Counted<Vec<u8>>, ServeError>> + Send>>;

/// Marks responses whose body ends the journal, instead of their head.
#[derive(Clone, Copy)]
struct EndsLater;

/// Adds a journal to every request; handlers find it as the extension `Arc<Journal>`.
pub(crate) fn journaled(router: Router, site: Arc<dyn Site>, metrics: Arc<Metrics>) -> Router {
    router
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn_with_state((site, metrics), keep_journal))
}

async fn keep_journal(
    State((site, metrics)): State<(Arc<dyn Site>, Arc<Metrics>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let journal = Journal::begin(request.method().as_str(), request.uri().path(), site, metrics);
    let journal = Arc::new(journal);
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

/// The result of `work`; `None` if it panicked. The panic hook has reported the cause.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// Turns an error into a response.
pub fn refuse(journal: &Journal, error: ServeError) -> Response {
    let error = named(journal, error);
    journal.failed(&error);
    let (content_type, body) = journal.site.envelope(&error);
    let mut response = (status(error.code), [(CONTENT_TYPE, content_type)], body).into_response();
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds the request id from the log to internal errors.
fn named(journal: &Journal, mut error: ServeError) -> ServeError {
    if error.code == Code::Internal {
        error.message.push_str("; the log says more under the id in details");
        return error.with("id", journal.id.as_str());
    }
    error
}

/// The status of a code.
pub fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Streams a response as it is produced. An error before the first piece still sets the status; a later error can only abort the response
/// without its proper end, which every HTTP client reports.
///
/// # Errors
/// If the first piece is an error.
pub async fn stream(
    pieces: Pieces,
    content_type: &'static str,
    journal: &Arc<Journal>,
) -> Result<Response, ServeError> {
    // If there is no first piece, the stream is polled again after its end.
    let mut pieces = pieces.fuse();
    let first = pieces.next().await.transpose()?;
    let begun = Some((pieces, first, Arc::clone(journal)));
    let frames = unfold(begun, |state| async move {
        let (mut pieces, first, journal) = state?;
        let next = match first {
            Some(piece) => Some(Ok(piece)),
            None => pieces.next().await,
        };
        match next {
            Some(Ok(piece)) => {
                let frame: Result<Frame<Bytes>, BrokenOff> = Ok(Frame::data(Bytes::from_owner(piece)));
                Some((frame, Some((pieces, None, journal))))
            }
            None => {
                journal.end(StatusCode::OK.as_u16());
                None
            }
            Some(Err(error)) => {
                let error = named(&journal, error);
                journal.failed(&error);
                journal.end(error.code.status());
                Some((Err(BrokenOff), None))
            }
        }
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.extensions_mut().insert(EndsLater);
    Ok(response)
}

/// The error of a response that was begun and cannot be completed.
#[derive(Debug, thiserror::Error)]
#[error("the answer is broken off; the log says why")]
struct BrokenOff;

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::site::Route;

    struct Nowhere;

    impl Site for Nowhere {
        fn route(&self, _path: &str) -> Route {
            Route::plain("other")
        }
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_the_id_of_the_log() {
        assert_eq!(caught(async { panic!("this panic is part of the test") as u32 }).await, None);
        assert_eq!(caught(async { 3 }).await, Some(3));

        let metrics = Arc::new(Metrics::new("a request"));
        let journal = Journal::begin("POST", "/invocations", Arc::new(Nowhere), metrics);
        let response = refuse(&journal, ServeError::new(Code::Internal, "a fault"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["details"]["id"], journal.id);
        // A client error needs no id.
        let response = refuse(&journal, ServeError::bad("x"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8(body.to_vec()).unwrap().contains("details"));
    }

    #[tokio::test]
    async fn an_answer_without_pieces_is_an_empty_one() {
        let metrics = Arc::new(Metrics::new("a request"));
        let journal = Journal::begin("POST", "/invocations", Arc::new(Nowhere), metrics);
        // Streams of this kind panic when polled after their end.
        let pieces: Pieces = Box::pin(unfold((), |()| async { None }));
        let response = stream(pieces, "text/csv", &Arc::new(journal)).await.unwrap();
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}
