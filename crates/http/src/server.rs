//! Accepting, limiting, serving and finally draining connections.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::answer::journaled;
use crate::connection::{Connection, Place};
use crate::error::{Code, ServeError};
use crate::metrics::Metrics;
use crate::settings::Bounds;
use crate::site::Site;

/// The pause after an accept error (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens, but does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// The error for an address that cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}{}", hint(.source))]
pub struct BindError {
    /// Host and port.
    pub address: SocketAddr,
    /// The system's error.
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

/// The way in which a stopped server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All running requests were finished.
    Drained,
    /// The time limit was reached with so many connections still active.
    Abandoned(usize),
    /// A second request to stop came with so many connections still active.
    Forced(usize),
}

impl Server {
    /// Listens on an address. Port 0 selects any free port.
    ///
    /// # Errors
    /// When the address is in use or belongs to another machine.
    pub async fn bind(host: IpAddr, port: u16) -> Result<Self, BindError> {
        let address = SocketAddr::new(host, port);
        let bind = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind.await.map_err(|source| BindError { address, source })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `work` ends, then finishes running requests. When `stop` counts 2, it ends at once.
    ///
    /// # Errors
    /// The errors of `work`; running requests are then not finished.
    pub async fn run<E>(
        self,
        shell: Shell,
        work: impl Future<Output = Result<(), E>>,
        mut stop: watch::Receiver<u32>,
    ) -> Result<Ended, E> {
        let Shell { router, site, metrics, bounds, tls } = shell;
        let connections = Connections {
            router: journaled(router, Arc::clone(&site), Arc::clone(&metrics)),
            site,
            metrics,
            bounds,
            tls: tls.map(TlsAcceptor::from),
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

/// The parts that a server answers with, and its bounds.
pub struct Shell {
    /// The routes. Handlers find the request's [`Journal`](crate::Journal) as the extension `Arc<Journal>`.
    pub router: Router,
    /// The description of the server.
    pub site: Arc<dyn Site>,
    /// The metrics that requests are counted in.
    pub metrics: Arc<Metrics>,
    /// Bounds of its connections.
    pub bounds: Bounds,
    /// The TLS configuration, for connections that begin with TLS and for those forwarded to this server ([`Passage`](crate::Passage));
    /// without it, neither is supported.
    pub tls: Option<Arc<ServerConfig>>,
}

/// The open connections.
struct Connections {
    router: Router,
    site: Arc<dyn Site>,
    metrics: Arc<Metrics>,
    bounds: Bounds,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    draining: watch::Sender<bool>,
}

impl Connections {
    fn take(&self, stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            // Best effort: a new connection has buffer space for so few bytes.
            let _ = stream.try_write(no_connection_left(&*self.site).as_bytes());
            return;
        };
        // Responses are written as a whole, so waiting for more data would only delay them.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            router: self.router.clone(),
            draining: self.draining.subscribe(),
            patience: self.bounds.patience,
            tls: self.tls.clone(),
            _place: Arc::new(Place::new(place, Arc::clone(&self.metrics))),
        };
        tokio::spawn(connection.serve(stream));
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

/// The response to a connection beyond the limit, whose request is not read.
fn no_connection_left(site: &dyn Site) -> String {
    let error = ServeError::new(Code::Unavailable, "all connections are in use; try again in 1 s");
    let (content_type, body) = site.envelope(&error);
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
