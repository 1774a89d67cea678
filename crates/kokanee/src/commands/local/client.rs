//! Calls of the local SageMaker's API, like those of any client.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use kokanee_control::signature::{Head, Keys, Rules, date_of_now};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// The longest time for a response.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest number of pages of a list that are read; the server limits them too.
const MOST_PAGES: usize = 10_000;

/// A service of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    SageMaker,
    Logs,
}

/// An error response of the server.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
}

/// A client of one server, in one region.
pub(super) struct Client {
    runtime: Runtime,
    address: SocketAddr,
    region: String,
    keys: Keys,
}

impl Client {
    pub(super) fn new(address: SocketAddr, region: String, keys: Option<Keys>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            runtime: runtime.context("the system refused to start")?,
            address,
            region,
            keys: keys.unwrap_or_else(Keys::anybody),
        })
    }

    /// Calls an operation; an error of the server is returned with its message.
    pub(super) fn call(&self, service: Service, operation: &str, input: &Value) -> Result<Value> {
        self.try_call(service, operation, input)?
            .map_err(|refusal| anyhow!("{} ({})", refusal.message, refusal.code))
    }

    /// Calls an operation; an error of the server is part of the result.
    pub(super) fn try_call(
        &self,
        service: Service,
        operation: &str,
        input: &Value,
    ) -> Result<Result<Value, Refusal>> {
        let (target, scope) = match service {
            Service::SageMaker => ("SageMaker", "sagemaker"),
            Service::Logs => ("Logs_20140328", "logs"),
        };
        let body = input.to_string();
        let mut request = Request::post("/")
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-date", date_of_now())
            .header("x-amz-target", format!("{target}.{operation}"))
            .body(Full::new(Bytes::from(body.clone())))
            .context("the request is not valid")?;
        let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
        let signed = self.keys.authorization(&head, Rules::Other, &self.region, scope, body.as_bytes());
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, signed.parse().context("the request cannot be signed")?);
        let answered = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, send(self.address, request)).await });
        let (is_success, body) = answered
            .with_context(|| format!("{operation}: no answer within {} s", PATIENCE.as_secs()))?
            .with_context(|| {
                format!("{operation}: the local SageMaker on {} did not answer", self.address)
            })?;
        let answer = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).with_context(|| {
                format!("{operation}: the answer is no JSON; does a local SageMaker run there?")
            })?
        };
        if is_success {
            return Ok(Ok(answer));
        }
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Ok(Err(Refusal { code: text("__type"), message: text("message") }))
    }

    /// All members of a list, page by page.
    pub(super) fn list(&self, operation: &str, member: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut input = serde_json::json!({"MaxResults": 100});
        for _ in 0..MOST_PAGES {
            let mut page = self.call(Service::SageMaker, operation, &input)?;
            if let Some(members) = page[member].as_array_mut() {
                all.append(members);
            }
            match page["NextToken"].as_str() {
                Some(token) => input["NextToken"] = token.into(),
                None => return Ok(all),
            }
        }
        bail!("{operation} does not end")
    }
}

async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<(bool, Bytes)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answered = async {
        let response = sender.send_request(request).await?;
        let is_success = response.status().is_success();
        anyhow::Ok((is_success, response.into_body().collect().await?.to_bytes()))
    };
    tokio::select! {
        answer = answered => answer,
        // The remaining response is read before the connection ends.
        ended = connection => {
            ended?;
            bail!("the connection ended")
        }
    }
}
