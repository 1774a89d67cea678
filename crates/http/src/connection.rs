//! A single connection: plain, with TLS, or forwarded on a client's request (`CONNECT`).

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use crate::metrics::Metrics;
use crate::settings::Patience;
use crate::timed_stream::TimedStream;
use crate::tunnel::tunnel;

/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Buffer limit of a connection in each direction, in bytes: there may be hundreds of connections.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// The first byte of every TLS connection, a handshake record (RFC 8446, 5.1); no HTTP method begins with it.
const TLS_HANDSHAKE: u8 = 22;
/// How long a tunnel may be idle. Downloads and event streams pause; connections to lost peers must not stay open for ever.
const TUNNEL_IDLE: Duration = Duration::from_secs(30 * 60);

/// Extension of the response to an accepted `CONNECT`: where the connection's bytes go after the response. It is used only if the server
/// has TLS ([`Shell`](crate::Shell)), and not within a connection that was itself forwarded.
#[derive(Clone)]
pub struct Passage(Arc<Mutex<Option<To>>>);

enum To {
    Here,
    Elsewhere(TcpStream),
}

impl Passage {
    /// Forwards to this server, which ends TLS and answers requests as on any connection.
    pub fn here() -> Self {
        Self(Arc::new(Mutex::new(Some(To::Here))))
    }

    /// Forwards the bytes unchanged to the other end of `stream`.
    pub fn elsewhere(stream: TcpStream) -> Self {
        Self(Arc::new(Mutex::new(Some(To::Elsewhere(stream)))))
    }

    fn take(&self) -> Option<To> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Extension of requests within a connection that was forwarded to this server; a `CONNECT` among them is refused.
#[derive(Clone, Copy, Debug)]
pub struct PassedOn;

/// The permit of a connection among all connections, released however it ends.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Place {
    pub(crate) fn new(permit: OwnedSemaphorePermit, metrics: Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self { _permit: permit, metrics }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

/// The settings and state of a connection.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) router: Router,
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) patience: Patience,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) _place: Arc<Place>,
}

impl Connection {
    /// Answers requests until the connection ends.
    pub(crate) async fn serve(self, stream: TcpStream) {
        let begins_with_tls = match &self.tls {
            Some(_) => self.begins_with_tls(&stream).await,
            None => Some(false),
        };
        let patience = self.patience.write;
        match begins_with_tls {
            Some(true) => self.secured(TimedStream::new(stream, patience), false).await,
            Some(false) => self.answer(TimedStream::new(stream, patience), false).await,
            None => {}
        }
    }

    /// Whether the connection begins with TLS; `None` if no byte arrives in time or the server drains.
    async fn begins_with_tls(&self, stream: &TcpStream) -> Option<bool> {
        let mut first = [0];
        let mut draining = self.draining.clone();
        tokio::select! {
            read = tokio::time::timeout(self.patience.head, stream.peek(&mut first)) => match read {
                Ok(Ok(1..)) => Some(first[0] == TLS_HANDSHAKE),
                _ => None,
            },
            () = told(&mut draining) => None,
        }
    }

    /// Ends TLS, and answers the requests inside.
    async fn secured<S>(self, stream: S, is_passed_on: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(acceptor) = self.tls.clone() else { return };
        let mut draining = self.draining.clone();
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(self.patience.head, acceptor.accept(stream)) => accepted,
            () = told(&mut draining) => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.answer(stream, is_passed_on).await,
            // The usual cause is worth a log line: a client that does not trust our certificates.
            Ok(Err(error)) => tracing::info!(%error, "a client gave up TLS"),
            Err(_) => tracing::debug!("a client did not finish the handshake of TLS in time"),
        }
    }

    async fn answer<S>(self, stream: S, is_passed_on: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let patience = self.patience;
        let mut draining = self.draining.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let expects = request.headers().contains_key(header::EXPECT);
            let is_connect = request.method() == Method::CONNECT && self.tls.is_some() && !is_passed_on;
            let upgrade = is_connect.then(|| hyper::upgrade::on(&mut request));
            if is_passed_on {
                request.extensions_mut().insert(PassedOn);
            }
            let answered = self.router.clone().call(request.map(Body::new));
            let this = self.clone();
            async move {
                let mut response = answered.await?;
                if expects && !response.status().is_success() {
                    // The client may or may not send its body, and Python's botocore takes the next response for this one.
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                if let Some(passage) = response.extensions_mut().remove::<Passage>() {
                    match upgrade.zip(passage.take()) {
                        Some((upgrade, to)) => drop(tokio::spawn(this.pass_on(upgrade, to))),
                        None => response = no_passage(),
                    }
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.head)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = told(&mut draining) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            // The client's fault: malformed or endless heads, aborted connections.
            tracing::debug!(%error, "a connection ended early");
        }
    }

    /// Forwards a connection after a `CONNECT`. The future is boxed, since it may contain itself.
    fn pass_on(self, upgrade: OnUpgrade, to: To) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let Ok(Ok(stream)) = tokio::time::timeout(self.patience.head, upgrade).await else { return };
            let stream = TokioIo::new(stream);
            match to {
                To::Here => self.secured(stream, true).await,
                To::Elsewhere(other) => {
                    let mut draining = self.draining.clone();
                    let other = TimedStream::new(other, self.patience.write);
                    tokio::select! {
                        () = tunnel(stream, other, TUNNEL_IDLE) => {}
                        // No request of ours is left unfinished.
                        () = told(&mut draining) => {}
                    }
                }
            }
        })
    }
}

/// Refuses a `CONNECT` in a forwarded connection, or without TLS.
fn no_passage() -> Response<Body> {
    let mut response = Response::new(Body::from("CONNECT leads nowhere here\n"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Waits until the server drains.
async fn told(draining: &mut watch::Receiver<bool>) {
    let _ = draining.wait_for(|draining| *draining).await;
}
