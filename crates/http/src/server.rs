//! Connections: they are taken, bounded, served, and finished at the end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_service::Service as _;

use crate::answer::journaled;
use crate::error::{Code, ServeError};
use crate::metrics::Metrics;
use crate::settings::{Bounds, Patience};
use crate::site::Site;
use crate::timed_stream::TimedStream;

/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Buffer limit of a connection in each direction, in bytes: there may be hundreds of connections.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// After an error of accepting (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens, and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// An address that cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}{}", hint(.source))]
pub struct BindError {
    /// Host and port.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another program listens there: choose another --port",
        std::io::ErrorKind::PermissionDenied => {
            "; ports below 1024 are for the administrator: choose another --port"
        }
        _ => "",
    }
}

/// How a server that was told to stop did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was begun was finished.
    Drained,
    /// When patience ended, so many connections were still at work.
    Abandoned(usize),
    /// It was told a second time, with so many connections at work.
    Forced(usize),
}

impl Server {
    /// Listens. Port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(host: IpAddr, port: u16) -> Result<Self, BindError> {
        let address = SocketAddr::new(host, port);
        let bind = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind.await.map_err(|source| BindError { address, source })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `work` ends, then finishes what it has begun. Where `stop` counts 2, that is ended at once.
    ///
    /// # Errors
    /// Those of `work`; nothing is finished then.
    pub async fn run<E>(
        self,
        shell: Shell,
        work: impl Future<Output = Result<(), E>>,
        mut stop: watch::Receiver<u32>,
    ) -> Result<Ended, E> {
        let Shell { router, site, metrics, bounds } = shell;
        let connections = Connections {
            router: journaled(router, Arc::clone(&site), Arc::clone(&metrics)),
            site,
            metrics,
            bounds,
            places: Arc::new(Semaphore::new(bounds.max_connections)),
            draining: watch::Sender::new(false),
        };
        let mut work = pin!(work);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => connections.take(stream),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                ended = &mut work => {
                    ended?;
                    break;
                }
            }
        }
        drop(self.listener);
        Ok(connections.drain(&mut stop).await)
    }
}

/// What a server answers with, and within which bounds.
pub struct Shell {
    /// The routes. Handlers find the request's [`Journal`](crate::Journal) as the extension `Arc<Journal>`.
    pub router: Router,
    /// What the server says about itself.
    pub site: Arc<dyn Site>,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Bounds of its connections.
    pub bounds: Bounds,
}

/// The open connections.
struct Connections {
    router: Router,
    site: Arc<dyn Site>,
    metrics: Arc<Metrics>,
    bounds: Bounds,
    places: Arc<Semaphore>,
    draining: watch::Sender<bool>,
}

impl Connections {
    fn take(&self, stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            // Best effort: a new connection has room for so few bytes.
            let _ = stream.try_write(no_connection_left(&*self.site).as_bytes());
            return;
        };
        // Answers are written whole, so waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(
            stream,
            self.router.clone(),
            self.draining.subscribe(),
            Arc::clone(&self.metrics),
            self.bounds.patience,
            place,
        ));
    }

    async fn drain(self, stop: &mut watch::Receiver<u32>) -> Ended {
        self.draining.send_replace(true);
        let all = self.bounds.max_connections;
        let at_work = || all - self.places.available_permits();
        tracing::info!(connections = at_work(), "draining");
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        tokio::select! {
            _ = self.places.acquire_many(all) => Ended::Drained,
            _ = stop.wait_for(|&count| count > 1) => Ended::Forced(at_work()),
            () = tokio::time::sleep(self.bounds.patience.drain) => Ended::Abandoned(at_work()),
        }
    }
}

async fn serve(
    stream: TcpStream,
    router: Router,
    mut draining: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
    patience: Patience,
    _place: OwnedSemaphorePermit,
) {
    metrics.connections.inc();
    let service = service_fn(move |request: Request<Incoming>| {
        let expects = request.headers().contains_key(header::EXPECT);
        let answered = router.clone().call(request.map(Body::new));
        async move {
            let mut response = answered.await?;
            if expects && !response.status().is_success() {
                // The client may still send its body or not, and Python's botocore takes the next answer for this one.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let stream = TokioIo::new(TimedStream::new(stream, patience.write));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = told(&mut draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // The other side's doing: malformed or endless heads, connections cut.
        tracing::debug!(%error, "a connection ended early");
    }
    metrics.connections.dec();
}

/// Waits until the server drains.
async fn told(draining: &mut watch::Receiver<bool>) {
    let _ = draining.wait_for(|draining| *draining).await;
}

/// The answer to a connection too many, which is not read.
fn no_connection_left(site: &dyn Site) -> String {
    let error = ServeError::new(Code::Unavailable, "all connections are in use; try again in 1 s");
    let (content_type, body) = site.envelope(&error);
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
