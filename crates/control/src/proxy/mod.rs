//! The server as the HTTPS proxy of its clients: it answers requests to AWS itself, and forwards the rest.
//!
//! Clients that do not know `AWS_ENDPOINT_URL` know `HTTPS_PROXY`: they send `CONNECT host:443`, then TLS. For AWS's names the server ends
//! TLS with a certificate of its own [`Authority`], and serves the requests. Connections to other hosts are forwarded unchanged, so that
//! `pip install` works in the same shell. This happens only if the server is reachable just from this machine; otherwise it would be an
//! open proxy.

mod authority;
mod bundle;
mod certificates;
mod target;
mod upstream;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use kokanee_http::{Passage, PassedOn};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

pub use self::authority::{Authority, AuthorityError};
pub use self::bundle::{Bundle, write as write_bundle};
use self::certificates::Certificates;
use self::target::{Choice, Target};
pub use self::upstream::Upstream;

/// The time limit for connecting to another host, including the lookup of its name.
const CONNECT_PATIENCE: Duration = Duration::from_secs(20);

/// The handler of `CONNECT`.
pub(crate) struct Proxy {
    /// Whether connections to hosts other than AWS's are forwarded.
    pub(crate) passes_on: bool,
    /// The proxy that this machine itself needs to reach the network.
    pub(crate) upstream: Option<Upstream>,
}

impl Proxy {
    /// Answers a `CONNECT`.
    pub(crate) async fn connect(&self, head: &Parts) -> Response {
        if head.extensions.get::<PassedOn>().is_some() {
            let reason = "a CONNECT within a connection that was passed on leads nowhere";
            return refuse(StatusCode::METHOD_NOT_ALLOWED, reason);
        }
        let target = match Target::parse(&head.uri) {
            Ok(target) => target,
            Err(reason) => return refuse(StatusCode::BAD_REQUEST, &reason),
        };
        match target.choose(self.passes_on) {
            Choice::Here => grant(Passage::here()),
            Choice::Refused(reason) => {
                tracing::warn!(reason, "a CONNECT was refused");
                refuse(StatusCode::FORBIDDEN, &reason)
            }
            Choice::Elsewhere => {
                let upstream = self.upstream.as_ref().filter(|upstream| upstream.serves(&target.host));
                let opened = upstream::open(upstream, &target.host, target.port);
                match tokio::time::timeout(CONNECT_PATIENCE, opened).await {
                    Ok(Ok(stream)) => grant(Passage::elsewhere(stream)),
                    Ok(Err(error)) => {
                        refuse(StatusCode::BAD_GATEWAY, &format!("{target} cannot be reached: {error}"))
                    }
                    Err(_) => {
                        let reason =
                            format!("{target} did not answer within {} s", CONNECT_PATIENCE.as_secs());
                        refuse(StatusCode::GATEWAY_TIMEOUT, &reason)
                    }
                }
            }
        }
    }
}

/// The TLS configuration of the server. `open` opens the authority when the first certificate is needed.
pub(crate) fn server_config(
    open: impl Fn() -> Result<Authority, AuthorityError> + Send + Sync + 'static,
) -> Result<Arc<ServerConfig>, tokio_rustls::rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(Certificates::new(open)));
    // Clients that prefer HTTP/2 learn that only HTTP/1.1 is supported.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn grant(passage: Passage) -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(passage);
    response
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{reason}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn other(reason: impl Into<String>) -> io::Error {
    io::Error::other(reason.into())
}
