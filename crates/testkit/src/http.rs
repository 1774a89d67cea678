//! An HTTP client that shows every byte, and can misbehave.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The maximum time for a response.
const PATIENCE: Duration = Duration::from_secs(60);

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body; chunks are joined.
    pub body: Vec<u8>,
    /// Whether the body reached its proper end.
    pub is_whole: bool,
}

impl Answer {
    /// Asserts a complete response of status 200.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text());
        assert!(self.is_whole, "{self:?}");
        self
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| if key.eq_ignore_ascii_case(name) { Some(value.trim()) } else { None })
    }

    /// Asserts an error of this status, whose message and details contain all these parts.
    #[track_caller]
    pub fn refused(self, status: u16, parts: &[&str]) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let error = &self.json()["error"];
        assert!(error["code"].is_string() && error["message"].is_string(), "{error}");
        for part in parts {
            assert!(self.text().contains(part), "lacks {part:?}: {}", self.text());
        }
        self
    }
}

/// A connection to a server.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("takes a timeout");
    stream
}

/// The bytes of a request.
pub fn bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "POST" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Sends a request and reads the response.
pub fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(&bytes(method, path, headers, body)).expect("takes the request");
    read(&mut stream).expect("an answer")
}

/// Reads a response to the end of the connection; `None` where the connection ends without one.
pub fn read(stream: &mut TcpStream) -> Option<Answer> {
    let mut all = Vec::new();
    // A connection that is reset may have delivered a response before.
    let _ = stream.read_to_end(&mut all);
    let end = all.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(all[..end].to_vec()).expect("a head is ASCII");
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, head, body: all[end + 4..].to_vec(), is_whole: true };
    if answer.header("transfer-encoding") == Some("chunked") {
        (answer.body, answer.is_whole) = dechunked(&answer.body);
    } else if let Some(length) = answer.header("content-length") {
        answer.is_whole = length.parse() == Ok(answer.body.len());
    }
    Some(answer)
}

fn dechunked(mut chunks: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = chunks.windows(2).position(|two| two == b"\r\n") else { return (body, false) };
        let size =
            std::str::from_utf8(&chunks[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("the size of a chunk");
        let Some(data) = chunks.get(end + 2..end + 2 + size) else { return (body, false) };
        body.extend_from_slice(data);
        chunks = &chunks[end + 4 + size..];
        if size == 0 {
            return (body, true);
        }
    }
}
