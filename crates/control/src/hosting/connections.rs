//! Requests to one instance, over reused connections.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;

/// How long an instance may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// A connection that has been idle for longer is not reused: servers close idle connections, some after two seconds, and a request that is
/// sent at that moment is lost.
const MOST_IDLE: Duration = Duration::from_secs(1);
/// The most connections that are kept for later requests.
const MOST_KEPT: usize = 64;
/// The size of a connection's read buffer.
const BUFFER_BYTES: usize = 256 << 10;

/// The connections to a process.
#[derive(Debug)]
pub(crate) struct Connections {
    address: SocketAddr,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// The reason why there is no answer.
#[derive(Debug, Error)]
pub enum SendError {
    /// The request was not sent, so another instance may get it.
    #[error("the request could not be sent: {0}")]
    Unsent(String),
    /// The request was sent, and the connection ended before the answer began.
    #[error("{0}")]
    Broken(String),
}

/// The body of an answer. Its connection is reused once the body has been read to its end.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    connection: Option<(Arc<Connections>, SendRequest<Full<Bytes>>)>,
}

impl Connections {
    /// Connections to a process that listens at `address`.
    pub(crate) fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { address, idle: Mutex::default() })
    }

    /// Sends a request, and waits for the head of the answer.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Answer>, SendError> {
        loop {
            let kept = self.kept();
            let is_new = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await.map_err(SendError::Unsent)?,
            };
            if sender.ready().await.is_err() {
                if is_new {
                    return Err(SendError::Unsent("the connection was closed at once".to_owned()));
                }
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let connection = Some((Arc::clone(self), sender));
                    return Ok(response.map(|body| {
                        let mut answer = Answer { body, connection };
                        answer.end_if_read();
                        answer
                    }));
                }
                Err(mut error) => match error.take_message() {
                    // The connection was closed while it was idle.
                    Some(unsent) if !is_new => request = unsent,
                    Some(_) => return Err(SendError::Unsent(error.error().to_string())),
                    None => return Err(SendError::Broken(error.error().to_string())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let connected = tokio::time::timeout(CONNECT, TcpStream::connect(self.address)).await;
        let stream = connected
            .map_err(|_| format!("no connection was accepted within {CONNECT:?}"))?
            .map_err(|error| error.to_string())?;
        // Requests are written in one piece, so waiting for more data would only delay them.
        let _ = stream.set_nodelay(true);
        let handshake = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let (sender, connection) = handshake;
        tokio::spawn(async move {
            // The caller that waits for the answer also gets the error.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle();
        while let Some(Idle { sender, since }) = idle.pop() {
            if since.elapsed() > MOST_IDLE {
                // The remaining connections are older.
                idle.clear();
            } else if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle();
        if !sender.is_closed() && idle.len() < MOST_KEPT {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn end_if_read(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some((connections, sender)) = self.connection.take() {
            connections.keep(sender);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            None => self.end(),
            Some(Ok(_)) => self.end_if_read(),
            // The connection cannot be reused.
            Some(Err(_)) => self.connection = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
