//! Signed requests over persistent connections, with retries.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::s3::{ErrorCode, Result, S3Error};
use crate::signature::{Head, Keys, Rules, date_of_now};

/// The time limit for a connection, including TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// The time limit for the head of a response; the completion of an upload in parts takes longest.
const HEAD: Duration = Duration::from_secs(60);
/// Pauses before the second, third… attempt, in this unit.
const PAUSES: [u32; 4] = [1, 4, 16, 30];
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 100 });
/// Maximum connections kept for later requests.
const MOST_IDLE: usize = 8;
/// The largest response that is held as a whole: a page of 1,000 keys of 1 KiB, each byte percent-encoded.
const MAX_TEXT_BYTES: usize = 8 << 20;
/// The bytes that are percent-encoded in keys and parameters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// The address and credentials of another S3.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// Its address, `http://host:port` or `https://host`.
    pub url: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The keys that they are signed with.
    pub keys: Keys,
    /// The session token for temporary keys of AWS.
    pub session_token: Option<String>,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) bucket: &'a str,
    /// Empty for the bucket itself.
    pub(super) key: &'a str,
    pub(super) query: Vec<(&'static str, &'a str)>,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
}

/// The client of an S3; clones share connections.
#[derive(Clone)]
pub(super) struct Client(Arc<Shared>);

struct Shared {
    settings: RemoteSettings,
    host: String,
    port: u16,
    /// The host, with the port unless it is the default.
    authority: String,
    tls: Option<TlsConnector>,
    token: Option<HeaderValue>,
    runtime: Handle,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

/// The head of a response, and the state to read the rest.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) connection: Connection,
    client: Client,
}

/// A connection whose response is being read.
pub(super) type Connection = SendRequest<Full<Bytes>>;

impl<'a> Question<'a> {
    pub(super) fn new(method: Method, bucket: &'a str, key: &'a str) -> Self {
        Self { method, bucket, key, query: Vec::new(), headers: Vec::new(), body: Bytes::new() }
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The whole body.
    pub(super) fn text(self) -> Result<Bytes> {
        let Self { body, connection, client, .. } = self;
        let read = client.wait(HEAD, Limited::new(body, MAX_TEXT_BYTES).collect());
        let problem = |reason: String| {
            S3Error::new(
                ErrorCode::InternalError,
                format!("{}: the answer broke off: {reason}", client.url()),
            )
        };
        let body = read.ok_or_else(|| problem("it takes too long".to_owned()))?;
        let body = body.map_err(|error| problem(error.to_string()))?;
        client.keep(connection);
        Ok(body.to_bytes())
    }

    /// Discards the body, which is short or empty.
    pub(super) fn finish(self) {
        let _ = self.text();
    }
}

impl Client {
    pub(super) fn new(settings: RemoteSettings) -> std::result::Result<Self, String> {
        let expected = "expected http://host:port or https://host, without a path";
        let uri: Uri = settings.url.parse().map_err(|_| expected)?;
        let authority = uri.authority().ok_or(expected)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(expected.to_owned());
        }
        let (tls, usual) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(connector()?), 443),
            _ => return Err(expected.to_owned()),
        };
        let port = authority.port_u16().unwrap_or(usual);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(expected.to_owned());
        }
        let authority =
            if port == usual { authority.host().to_owned() } else { authority.as_str().to_owned() };
        let token = settings.session_token.as_deref().map(HeaderValue::from_str).transpose();
        let token = token.map_err(|_| "the session token has characters that no header can have")?;
        let (runtime, idle) = (Handle::current(), Mutex::default());
        Ok(Self(Arc::new(Shared { settings, host, port, authority, tls, token, runtime, idle })))
    }

    pub(super) fn url(&self) -> &str {
        self.0.settings.url.trim_end_matches('/')
    }

    /// Waits for a future, on any thread outside the runtime; the timeout uses the runtime's clock. `None` if it takes too long.
    pub(super) fn wait<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        self.0.runtime.block_on(async { timeout(limit, work).await.ok() })
    }

    /// The address of a request's object, for messages.
    pub(super) fn address_of(&self, question: &Question<'_>) -> String {
        let slash = if question.key.is_empty() { "" } else { "/" };
        format!("{}/{}{slash}{}", self.url(), question.bucket, question.key)
    }

    /// The head of the response, with any status; the last one if all attempts fail.
    ///
    /// # Errors
    /// `InternalError`, with the address: there was no response.
    pub(super) fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        let mut pauses = PAUSES.iter();
        loop {
            let answered = self.try_to_ask(question);
            let is_passing = match &answered {
                Ok(answer) => {
                    answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS
                }
                Err(_) => true,
            };
            let pause = pauses.next().filter(|_| is_passing);
            let Some(pause) = pause else {
                return answered.map_err(|error| {
                    let address = self.address_of(question);
                    let message = format!("{} {address}: no answer: {error}", question.method);
                    S3Error::new(ErrorCode::InternalError, message)
                });
            };
            match answered {
                Ok(answer) => answer.finish(),
                Err(error) => tracing::debug!(%error, "another S3 did not answer; it is asked again"),
            }
            std::thread::sleep(PAUSE * *pause);
        }
    }

    fn try_to_ask(&self, question: &Question<'_>) -> io::Result<Answer> {
        let request = self.signed(question)?;
        self.0.runtime.block_on(async {
            let mut connection = self.connection().await?;
            let response = timeout(HEAD, connection.send_request(request)).await;
            let response = response.map_err(|_| late("no answer", HEAD))?.map_err(io::Error::other)?;
            let (head, body) = response.into_parts();
            let client = self.clone();
            Ok(Answer { status: head.status, headers: head.headers, body, connection, client })
        })
    }

    fn signed(&self, question: &Question<'_>) -> io::Result<Request<Full<Bytes>>> {
        let path = format!("{}/{}", question.bucket, question.key);
        let path = utf8_percent_encode(
            path.trim_end_matches(|c| c == '/' && question.key.is_empty()),
            ENCODED_IN_PATH,
        );
        let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let pairs = question.query.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let hash: String = Sha256::digest(&question.body).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut request = Request::builder()
            .method(question.method.clone())
            .uri(format!("/{path}{mark}{query}"))
            .header(header::HOST, &self.0.authority)
            .header("x-amz-content-sha256", hash)
            .header("x-amz-date", date_of_now());
        if let Some(token) = &self.0.token {
            request = request.header("x-amz-security-token", token);
        }
        for (name, value) in &question.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::new(question.body.clone())).map_err(io::Error::other)?;
        let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
        let RemoteSettings { keys, region, .. } = &self.0.settings;
        let authorization = keys.authorization(&head, Rules::S3, region, "s3", &[]);
        let authorization = HeaderValue::from_str(&authorization).map_err(io::Error::other)?;
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
        if matches!(question.method, Method::PUT | Method::POST) {
            // S3 requires the length of an empty body too.
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(question.body.len()));
        }
        Ok(request)
    }

    /// A kept connection, or a new one.
    async fn connection(&self) -> io::Result<Connection> {
        loop {
            let kept = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(kept) = kept else { break };
            if kept.is_ready() {
                return Ok(kept);
            }
        }
        let connected = timeout(CONNECT, async {
            let stream = TcpStream::connect((&*self.0.host, self.0.port)).await?;
            stream.set_nodelay(true)?;
            match &self.0.tls {
                None => opened(stream).await,
                Some(tls) => {
                    let name = ServerName::try_from(self.0.host.clone()).map_err(io::Error::other)?;
                    opened(tls.connect(name, stream).await?).await
                }
            }
        });
        connected.await.map_err(|_| late("no connection", CONNECT))?
    }

    /// Keeps a connection whose response was read to its end.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && !connection.is_closed() {
            idle.push(connection);
        }
    }
}

async fn opened<S>(stream: S) -> io::Result<Connection>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to another S3 ended");
        }
    });
    Ok(sender)
}

fn connector() -> std::result::Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("https needs root certificates, and this machine has none: install them, or name a file of them in \
                    SSL_CERT_FILE"
            .to_owned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}

pub(super) fn late(what: &str, after: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {} s", after.as_secs()))
}
