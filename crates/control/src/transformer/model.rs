//! The model of a transform job: its defaults, and its answers to requests.

use std::time::{Duration, Instant};

use axum::http::{HeaderValue, Method, Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use kokanee_transform::InvokeError;
use tokio::runtime::Handle;

use crate::fleet::LoneInstance;
use crate::hosting::SendError;
use crate::transform::Defaults;

/// The most bytes of an answer; all answers of running requests are in memory.
const MOST_ANSWER_BYTES: usize = 256 << 20;
/// The most characters that are quoted from a model's error message.
const MOST_QUOTED_CHARS: usize = 500;
/// How long `/execution-parameters` may take.
const ASK: Duration = Duration::from_secs(10);
/// The pause before a request is retried.
const PAUSE: Duration = Duration::from_millis(200);

/// A model that answers requests.
pub(super) struct Model<'a> {
    pub(super) runtime: &'a Handle,
    pub(super) instance: &'a LoneInstance,
    /// How long an answer may take.
    pub(super) timeout: Duration,
    /// The number of retries for a request without an answer.
    pub(super) retries: u64,
}

/// The reason why there is no answer.
enum Failure {
    /// The model refuses.
    Refused { status: u16, message: String },
    /// The model did not answer, but may answer a retry.
    Silent(String),
}

impl Model<'_> {
    /// The model's preferred settings for a transform job; none if it does not give any.
    pub(super) fn defaults(&self) -> Defaults {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = Uri::from_static("/execution-parameters");
        let answer = self.send(request, ASK).ok();
        answer.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }

    /// Returns the model's answer to the records of a request.
    pub(super) fn invoke(
        &self,
        content_type: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, InvokeError> {
        let internal = |message: String| InvokeError { record: None, is_internal: true, message };
        let body = Bytes::from(body);
        let mut tries_left = self.retries;
        loop {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = Uri::from_static("/invocations");
            for (name, value) in [(header::CONTENT_TYPE, content_type), (header::ACCEPT, accept)] {
                if !value.is_empty() {
                    let value = HeaderValue::from_str(value).map_err(|_| {
                        internal(format!("the media type {} cannot be sent", value.escape_debug()))
                    })?;
                    request.headers_mut().insert(name, value);
                }
            }
            match self.send(request, self.timeout) {
                Ok(answer) => return Ok(answer.to_vec()),
                Err(Failure::Refused { status, message }) if status < 500 => {
                    let message = format!("the model answered with status {status}: {message}");
                    return Err(InvokeError { record: None, is_internal: false, message });
                }
                Err(failure) if tries_left == 0 => {
                    return Err(internal(match failure {
                        Failure::Refused { status, message } => {
                            format!("the model answered with status {status}: {message}")
                        }
                        Failure::Silent(problem) => format!("the model did not answer: {problem}"),
                    }));
                }
                Err(_) => {
                    tries_left -= 1;
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn send(&self, mut request: Request<Full<Bytes>>, timeout: Duration) -> Result<Bytes, Failure> {
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        let begun = Instant::now();
        self.runtime.block_on(async {
            let lease = loop {
                match self.instance.lease() {
                    Some(lease) => break lease,
                    // It is being restarted.
                    None if begun.elapsed() < timeout => tokio::time::sleep(PAUSE).await,
                    None => return Err(Failure::Silent("it does not run".to_owned())),
                }
            };
            let left = timeout.saturating_sub(begun.elapsed());
            tokio::time::timeout(left, async {
                let response = lease.send(request).await.map_err(|error| match error {
                    SendError::Unsent(problem) | SendError::Broken(problem) => Failure::Silent(problem),
                })?;
                let status = response.status();
                let body = Limited::new(response.into_body(), MOST_ANSWER_BYTES).collect().await;
                let body = body.map_err(|error| Failure::Silent(error.to_string()))?.to_bytes();
                if status.is_success() {
                    return Ok(body);
                }
                let message = String::from_utf8_lossy(&body).chars().take(MOST_QUOTED_CHARS).collect();
                Err(Failure::Refused { status: status.as_u16(), message })
            })
            .await
            .unwrap_or_else(|_| Err(Failure::Silent(format!("it took more than {} s", timeout.as_secs()))))
        })
    }
}
