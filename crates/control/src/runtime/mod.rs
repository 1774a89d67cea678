//! SageMaker Runtime: forwards requests to the instances of endpoints.

mod counts;
mod latencies;
mod refusal;
mod relayed;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use kokanee_http::{Code, Incoming, MemoryBudget, Patience};

pub use self::counts::Counts;
use self::counts::Invocation;
use self::refusal::{ModelError, Refusal};
use self::relayed::{Counted, Relayed};
use crate::api::Caller;
use crate::hosting::{Answer, Chosen, Endpoints, NotChosen, Routes, SendError};
use crate::signature::{Claim, Keys, Rules};
use crate::times::now_seconds;
use crate::wire::{ApiError, Place, Scope, request_id, signature_refused};

/// The largest body of a request.
pub(crate) const MOST_BODY_BYTES: usize = 6_291_456;
/// The time limit until a model's response begins.
const MODEL_TIME: Duration = Duration::from_secs(60);
/// How long a request waits while no instance answers, for example while one restarts.
const WAIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);
/// Maximum bytes of a model's error that are quoted.
const MOST_ERROR_BYTES: usize = 64 << 10;
/// The longest forwarded header, in characters.
const LONGEST_HEADER: usize = 1024;

const CUSTOM_ATTRIBUTES: HeaderName = HeaderName::from_static("x-amzn-sagemaker-custom-attributes");
const TARGET_VARIANT: HeaderName = HeaderName::from_static("x-amzn-sagemaker-target-variant");
const INVOKED_VARIANT: HeaderName = HeaderName::from_static("x-amzn-invoked-production-variant");
/// Headers that would select another model or behaviour, and that are not supported here.
const NOT_OFFERED: [(&str, &str); 6] = [
    ("x-amzn-sagemaker-target-model", "TargetModel"),
    ("x-amzn-sagemaker-target-container-hostname", "TargetContainerHostname"),
    ("x-amzn-sagemaker-inference-component", "InferenceComponentName"),
    ("x-amzn-sagemaker-enable-explanations", "EnableExplanations"),
    ("x-amzn-sagemaker-session-id", "SessionId"),
    ("x-amzn-sagemaker-prefix-aware-id", "PrefixAwareId"),
];

/// The state for answering requests to endpoints.
pub struct Runtime {
    /// The addresses of instances.
    pub routes: Arc<Routes>,
    /// The endpoints.
    pub endpoints: Endpoints,
    /// The counts of requests.
    pub counts: Arc<Counts>,
    /// The account of all endpoints.
    pub account: String,
    /// The region of requests that name none.
    pub region: String,
    /// Memory for bodies.
    pub memory: Arc<MemoryBudget>,
    /// Time limits for clients.
    pub patience: Patience,
    /// The keys that requests must be signed with.
    pub keys: Option<Arc<Keys>>,
}

impl Runtime {
    /// Answers `POST /endpoints/NAME/invocations`.
    pub fn router(self) -> Router {
        Router::new().fallback(invoke).with_state(Arc::new(self))
    }

    async fn answer(&self, head: &Parts, body: Body, received: Instant) -> Result<Response, Refusal> {
        let unsigned = |refusal| Refusal::Api(signature_refused(Place::Runtime, refusal));
        let claim = match self
            .keys
            .as_deref()
            .map(|keys| Claim::of(keys, head.into(), Rules::Other, now_seconds()))
        {
            Some(Err(refusal)) => {
                // A client that is still sending would not read the response.
                Incoming::new(body, self.patience).discard().await;
                return Err(unsigned(refusal));
            }
            claim => claim.and_then(Result::ok),
        };
        let endpoint = endpoint_of(head)?;
        let headers = passed_on(&head.headers)?;
        let target = head.headers.get(TARGET_VARIANT).map(|value| value.to_str().unwrap_or_default());
        let share = self.memory.share();
        let body = Incoming::new(body, self.patience).whole(MOST_BODY_BYTES, share).await;
        let body = body.map_err(|error| match error.code {
            Code::PayloadTooLarge => {
                let message = format!("HTTP content length exceeded {MOST_BODY_BYTES} bytes.");
                Refusal::Api(ApiError::new("ValidationError", message).status(413))
            }
            code if code.status() >= 500 || code == Code::TooManyRequests => {
                Refusal::unavailable(error.message)
            }
            _ => Refusal::validation(error.message),
        })?;
        // The memory is released when the model's response begins.
        let (body, _share) = (Bytes::from(body.bytes.into_vec()), body.share);
        claim.map_or(Ok(()), |claim| claim.check(&body)).map_err(unsigned)?;
        let region = Scope::of(head).region.unwrap_or_else(|| self.region.clone());
        let begun = Instant::now();
        loop {
            let Some(chosen) = self.choose(&region, &endpoint, target, begun).await? else {
                tokio::time::sleep(POLL).await;
                continue;
            };
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = axum::http::Uri::from_static("/invocations");
            request.headers_mut().clone_from(&headers);
            let sent = Instant::now();
            let answered = tokio::time::timeout(MODEL_TIME, chosen.lease.send(request)).await;
            let overhead = sent - received;
            let counted = |status: u16, chosen: Chosen| Counted {
                counts: Arc::clone(&self.counts),
                invocation: Invocation {
                    region: region.clone(),
                    endpoint: chosen.endpoint,
                    variant: chosen.variant,
                    instances: chosen.active,
                    status,
                    model: Duration::ZERO,
                    overhead,
                },
                sent,
                _lease: chosen.lease,
            };
            let (status, message) = match answered {
                Ok(Ok(response)) if response.status().is_success() => {
                    let variant = chosen.variant.clone();
                    let counted = counted(response.status().as_u16(), chosen);
                    return Ok(relayed(response, &variant, counted));
                }
                Ok(Ok(response)) => {
                    let status = response.status().as_u16();
                    (status, beginning(response.into_body()).await)
                }
                Ok(Err(SendError::Unsent(reason))) => {
                    tracing::debug!(endpoint, reason, "another instance is tried");
                    if begun.elapsed() > WAIT {
                        return Err(unavailable(&endpoint));
                    }
                    continue;
                }
                Ok(Err(SendError::Broken(reason))) => {
                    (0, format!("The container ended the connection before it answered: {reason}."))
                }
                Err(_) => (
                    0,
                    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for \
                     each container in Amazon CloudWatch, resolve the issue, and try again."
                        .to_owned(),
                ),
            };
            let endpoint = chosen.endpoint.clone();
            drop(counted(status, chosen));
            let partition = Caller { region: region.clone() }.partition();
            let account = self.account.clone();
            return Err(Refusal::Model(ModelError { status, message, endpoint, region, account, partition }));
        }
    }

    /// An instance for a request; none if one may become ready soon.
    async fn choose(
        &self,
        region: &str,
        endpoint: &str,
        target: Option<&str>,
        begun: Instant,
    ) -> Result<Option<Chosen>, Refusal> {
        let not_found =
            || Refusal::validation(format!("Endpoint {endpoint} of account {} not found.", self.account));
        match self.routes.choose(region, endpoint, target) {
            Ok(chosen) => return Ok(Some(chosen)),
            Err(NotChosen::NoVariant) => {
                let target = target.unwrap_or_default();
                let message = format!("Variant {target} not found for Endpoint {endpoint}.");
                return Err(Refusal::validation(message));
            }
            // The server may have just started.
            Err(NotChosen::NoEndpoint) if !self.is_in_service(region, endpoint).await => {
                return Err(not_found());
            }
            Err(NotChosen::NoEndpoint | NotChosen::NoneReady) => {}
        }
        if begun.elapsed() < WAIT {
            return Ok(None);
        }
        Err(unavailable(endpoint))
    }

    async fn is_in_service(&self, region: &str, endpoint: &str) -> bool {
        let (endpoints, region, name) = (self.endpoints.clone(), region.to_owned(), endpoint.to_owned());
        let found = tokio::task::spawn_blocking(move || endpoints.named(&region, &name)).await;
        match found {
            Ok(Ok(Some(endpoint))) => endpoint.state.is_in_service(),
            Ok(Ok(None)) | Err(_) => false,
            Ok(Err(error)) => {
                tracing::error!(%error, "an endpoint cannot be read");
                false
            }
        }
    }
}

async fn invoke(State(runtime): State<Arc<Runtime>>, request: Request) -> Response {
    let received = Instant::now();
    let (head, body) = request.into_parts();
    let answered = runtime.answer(&head, body, received).await;
    answered.unwrap_or_else(|refusal| refusal.response())
}

fn unavailable(endpoint: &str) -> Refusal {
    Refusal::unavailable(format!(
        "No instance of Endpoint {endpoint} answers at the moment; those that ended are started again. Its log may say more."
    ))
}

/// The endpoint that a request names.
fn endpoint_of(head: &Parts) -> Result<String, Refusal> {
    let path = head.uri.path().strip_prefix("/endpoints/").unwrap_or_default();
    let (name, action) = path.split_once('/').unwrap_or((path, ""));
    let operation = match action {
        "invocations" => {
            let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
            let is_name = name.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric());
            if name.len() > 63 || !is_name {
                let shown: String = name.chars().take(100).collect();
                return Err(Refusal::validation(format!(
                    "1 validation error detected: Value '{shown}' at 'endpointName' failed to satisfy constraint: Member must satisfy \
                     regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
                )));
            }
            return Ok(name);
        }
        "async-invocations" => "InvokeEndpointAsync",
        _ => "InvokeEndpointWithResponseStream",
    };
    let message = format!(
        "SageMaker Runtime has no {operation} on your own machine: the local SageMaker does not offer it"
    );
    Err(Refusal::Api(ApiError::new("UnknownOperationException", message)))
}

/// The headers that are forwarded to the model.
fn passed_on(headers: &HeaderMap) -> Result<HeaderMap, Refusal> {
    if let Some((_, name)) = NOT_OFFERED.iter().find(|(header, _)| headers.contains_key(*header)) {
        return Err(Refusal::validation(format!("{name} is not offered on your own machine")));
    }
    let mut passed = HeaderMap::new();
    passed.insert(header::HOST, HeaderValue::from_static("localhost"));
    for (name, member) in [
        (header::CONTENT_TYPE, "contentType"),
        (header::ACCEPT, "accept"),
        (CUSTOM_ATTRIBUTES, "customAttributes"),
    ] {
        let Some(value) = headers.get(&name) else { continue };
        if value.len() > LONGEST_HEADER {
            return Err(Refusal::validation(format!(
                "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length less than or \
                 equal to {LONGEST_HEADER}"
            )));
        }
        if !value.as_bytes().is_ascii() {
            return Err(Refusal::validation(format!(
                "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must satisfy regular expression \
                 pattern: \\p{{ASCII}}*"
            )));
        }
        passed.insert(name, value.clone());
    }
    Ok(passed)
}

/// The runtime's response from a model's response: its body, and those of its headers that clients know.
fn relayed(response: axum::http::Response<Answer>, variant: &str, counted: Counted) -> Response {
    let (head, answer) = response.into_parts();
    let mut relayed = Response::new(Body::new(Relayed::new(answer, counted)));
    let headers = relayed.headers_mut();
    for name in [header::CONTENT_TYPE, CUSTOM_ATTRIBUTES] {
        if let Some(value) = head.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in
        [(INVOKED_VARIANT, variant), (HeaderName::from_static("x-amzn-requestid"), &request_id())]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    relayed
}

/// The beginning of a response as text.
async fn beginning(mut answer: Answer) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = answer.frame().await {
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data[..data.len().min(MOST_ERROR_BYTES - bytes.len())]);
            }
            if bytes.len() == MOST_ERROR_BYTES {
                break;
            }
        }
    };
    // The bytes that have arrived until then are quoted.
    let _ = tokio::time::timeout(MODEL_TIME, read).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
