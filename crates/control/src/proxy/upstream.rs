//! Connections to other hosts, through the proxy that this machine itself may need.

use std::io;
use std::net::{IpAddr, SocketAddr};

use axum::http::Uri;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::other;
use crate::aws_names::is_in;

/// The longest response of a proxy to `CONNECT`.
const MAX_ANSWER_BYTES: usize = 8 << 10;

/// Another proxy, as `HTTPS_PROXY` names it.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    host: String,
    port: u16,
    /// Value of `Proxy-Authorization`.
    authorization: Option<String>,
    /// Hosts that are reached without it, from `NO_PROXY`.
    without: Vec<String>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Upstream {
    /// Parses the values of `HTTPS_PROXY` and `NO_PROXY`. None if the proxy is the server at `own` itself, as in a shell with its
    /// environment.
    ///
    /// # Errors
    /// Why the address of the proxy is invalid, as human-readable text.
    pub fn parse(proxy: &str, no_proxy: &str, own: SocketAddr) -> Result<Option<Self>, String> {
        let expected = || "it is not of the form http://host:port".to_owned();
        let with_scheme = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
        let uri: Uri = with_scheme.parse().map_err(|_| expected())?;
        if uri.scheme_str() != Some("http") {
            return Err(expected());
        }
        let authority = uri.authority().ok_or_else(expected)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(80);
        let is_own_ip = |ip: IpAddr| ip == own.ip() || ip.is_loopback() && own.ip().is_unspecified();
        let is_own = host == "localhost" && own.ip().is_loopback() || host.parse().is_ok_and(is_own_ip);
        if host.is_empty() || is_own && port == own.port() {
            return Ok(None);
        }
        let authorization = authority.as_str().rsplit_once('@').map(|(user, _)| {
            format!("Basic {}", BASE64_STANDARD.encode(percent_decode_str(user).collect::<Vec<u8>>()))
        });
        let without =
            no_proxy.split([',', ' ']).map(|name| name.trim().trim_start_matches('.').to_ascii_lowercase());
        let without = without.filter(|name| !name.is_empty()).collect();
        Ok(Some(Self { host, port, authorization, without }))
    }

    /// Whether a host is reached through it.
    pub(super) fn serves(&self, host: &str) -> bool {
        let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        !is_loopback && !self.without.iter().any(|name| name == "*" || is_in(host, name))
    }
}

/// Opens a connection.
///
/// # Errors
/// The error of the system or the proxy.
pub(super) async fn open(upstream: Option<&Upstream>, host: &str, port: u16) -> io::Result<TcpStream> {
    let Some(upstream) = upstream else { return TcpStream::connect((host, port)).await };
    let through = |error| other(format!("through the proxy {}:{}: {error}", upstream.host, upstream.port));
    let mut stream = TcpStream::connect((&*upstream.host, upstream.port)).await.map_err(through)?;
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(authorization) = &upstream.authorization {
        request += &format!("Proxy-Authorization: {authorization}\r\n");
    }
    stream.write_all((request + "\r\n").as_bytes()).await.map_err(through)?;
    granted(&mut stream).await.map_err(through)?;
    Ok(stream)
}

/// Reads the response to a `CONNECT`, but no byte after it.
async fn granted(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == MAX_ANSWER_BYTES {
            return Err(other("its answer does not end"));
        }
        answer.push(stream.read_u8().await?);
    }
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    if is_http && words.next().is_some_and(|status| status.len() == 3 && status.starts_with('2')) {
        return Ok(());
    }
    Err(other(format!("it answered {}", line.chars().take(100).collect::<String>().escape_debug())))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn own() -> SocketAddr {
        "127.0.0.1:7243".parse().unwrap()
    }

    #[test]
    fn a_proxy_is_read_as_its_variable_names_it() {
        let parse = |text: &str| Upstream::parse(text, "corp.example, .lan", own());
        let found = parse("http://me:a%40b@proxy.corp:3128/").unwrap().unwrap();
        assert_eq!((&*found.host, found.port), ("proxy.corp", 3128));
        assert_eq!(found.authorization.as_deref(), Some("Basic bWU6YUBi"));
        assert_eq!(parse("proxy.corp").unwrap().unwrap().port, 80);
        for (host, want) in [
            ("pypi.org", true),
            ("git.corp.example", false),
            ("a.lan", false),
            ("planlan", true),
            ("localhost", false),
            ("::1", false),
        ] {
            assert_eq!(found.serves(host), want, "{host}");
        }
        assert_eq!(parse("http://127.0.0.1:7243"), Ok(None));
        assert_eq!(parse("http://localhost:7243"), Ok(None));
        for text in ["socks5://a:1", "http://", "http://a b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn what_a_proxy_answers_decides() {
        let check = async |answer: &'static [u8], want: Result<u8, &str>| {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let served = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 68];
                stream.read_exact(&mut request).await.unwrap();
                stream.write_all(answer).await.unwrap();
                String::from_utf8(request.to_vec()).unwrap()
            });
            let upstream = Upstream::parse(&address.to_string(), "", own()).unwrap().unwrap();
            let opened = open(Some(&upstream), "files.pythonhosted.org", 443).await;
            let request = served.await.unwrap();
            assert!(request.starts_with("CONNECT files.pythonhosted.org:443 HTTP/1.1\r\n"), "{request}");
            match (opened, want) {
                (Ok(mut stream), Ok(first)) => assert_eq!(stream.read_u8().await.unwrap(), first),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (opened, want) => panic!("{opened:?} instead of {want:?}"),
            }
        };
        check(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nS", Ok(b'S')).await;
        check(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Err("it answered HTTP/1.1 407")).await;
        check(b"SSH-2.0-OpenSSH\r\n\r\n", Err("it answered SSH-2.0")).await;
        check(b"HTTP/1.1 200", Err("through the proxy")).await;
    }
}
