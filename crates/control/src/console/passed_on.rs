//! Requests that the console passes on to SageMaker Runtime and to S3. Their routers answer them like requests from clients.

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use kokanee_http::Share;
use tower_service::Service as _;

use super::exchange::{Answer, Exchange};
use super::received::of_shell;
use super::visit::{Problem, Visit, encode, link};
use super::{Console, redirect};
use crate::runtime::MOST_BODY_BYTES;
use crate::s3;

/// The most bytes of an endpoint's answer that are kept: the limit for answers of endpoints on AWS.
const MOST_ANSWER_BYTES: usize = MOST_BODY_BYTES;
/// The most bytes of memory per byte of an answer: itself, its part of a base64 link, and its part of the page.
const ANSWER_COPIES: usize = 4;

impl Console {
    /// Sends a request to an endpoint in the same way as any other request.
    pub(super) async fn invoke(
        &self,
        visit: &Visit,
        exchange: &Exchange,
        share: &mut Share,
    ) -> Result<Answer, Problem> {
        let bad = |_| Problem::bad("The request cannot be sent.");
        let mut request = Request::post(format!("/endpoints/{}/invocations", encode(visit.name(0))))
            .header(header::CONTENT_TYPE, &exchange.content_type)
            // It carries the region; nothing checks the signature.
            .header(
                header::AUTHORIZATION,
                format!(
                    "AWS4-HMAC-SHA256 Credential=console/20260101/{}/sagemaker/aws4_request, SignedHeaders=host, Signature=0",
                    encode(&visit.region)
                ),
            );
        if !exchange.accept.is_empty() {
            request = request.header(header::ACCEPT, &exchange.accept);
        }
        let request = request.body(Body::from(exchange.body.clone())).map_err(bad)?;
        let sent = Instant::now();
        let Ok(response) = self.runtime.clone().call(request).await;
        let (head, mut body) = response.into_parts();
        let text = |name: &str| {
            head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let mut bytes = Vec::new();
        let mut is_cut = false;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            let room = MOST_ANSWER_BYTES - bytes.len();
            share.grow(ANSWER_COPIES * data.len().min(room)).await.map_err(of_shell)?;
            bytes.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                is_cut = true;
                break;
            }
        }
        let took_ms = sent.elapsed().as_secs_f64() * 1000.0;
        Ok(Answer {
            status: head.status.as_u16(),
            content_type: text("content-type"),
            variant: text("x-amzn-invoked-production-variant"),
            body: bytes,
            is_cut,
            took_ms,
        })
    }

    /// The S3 of this server.
    fn s3(&self) -> Result<axum::Router, Problem> {
        self.s3.clone().ok_or_else(Problem::buckets_elsewhere)
    }

    /// Returns an object as a file that the browser saves instead of showing it.
    pub(super) async fn download(&self, visit: &Visit) -> Result<Response, Problem> {
        let key = visit.query.get("key").unwrap_or_default();
        let path = format!("/{}/{}", encode(visit.name(0)), s3::encode_key(key));
        let request = Request::get(path).body(Body::empty());
        let request = request.map_err(|_| Problem::bad("This is not a valid key of an object."))?;
        let Ok(mut response) = self.s3()?.call(request).await;
        if !response.status().is_success() {
            return Err(of_s3(response).await);
        }
        let name = key.rsplit('/').next().unwrap_or_default();
        let headers = response.headers_mut();
        let disposition = format!("attachment; filename*=UTF-8''{}", encode(name));
        for (name, value) in [
            (header::CONTENT_DISPOSITION, disposition.as_str()),
            (header::CONTENT_SECURITY_POLICY, "sandbox"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_str(value).expect("encoded, or a constant"));
        }
        Ok(response)
    }

    /// Passes a form with a file to S3, which parses it as it arrives.
    pub(super) async fn upload(&self, visit: &Visit, head: &Parts, body: Body) -> Result<Response, Problem> {
        let mut request = Request::post(format!("/{}", encode(visit.name(0))));
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::HOST] {
            if let Some(value) = head.headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let request = request.body(body).map_err(|_| Problem::bad("This is not a valid bucket name."))?;
        let Ok(response) = self.s3()?.call(request).await;
        if response.status().is_client_error() || response.status().is_server_error() {
            return Err(of_s3(response).await);
        }
        let back = link(&self.state.region, &visit.region, &["buckets", visit.name(0)], &[]);
        let place = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        // A form can be made to name any address, so only redirects to our own pages are followed.
        Ok(redirect(
            place
                .filter(|place| place.starts_with("/console/buckets/") || place.starts_with("/console/@"))
                .unwrap_or(&back),
        ))
    }
}

/// Reads an error of S3, which is XML.
async fn of_s3(response: Response) -> Problem {
    let status = response.status();
    let bytes = http_body_util::Limited::new(response.into_body(), 64 << 10).collect().await;
    let bytes = bytes.map(|body| body.to_bytes()).unwrap_or_default();
    let parsed = s3::Element::parse(&bytes).ok();
    let message =
        parsed.as_ref().and_then(|error| error.child("Message")).unwrap_or("S3 refused the request.");
    Problem::new(status, message)
}
