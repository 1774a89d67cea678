//! A client with little overhead: one reused connection, and responses with a known length.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// A reused connection.
pub(crate) struct Connection {
    address: SocketAddr,
    /// None if the server has closed it.
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// A response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { address, stream: Some(connect(address)?), buffer: Vec::new() })
    }

    /// Calls an operation of SageMaker.
    pub(crate) fn call(&mut self, operation: &str, input: &str) -> io::Result<Answer> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: SageMaker.{operation}\r\nContent-Type: \
             application/x-amz-json-1.1\r\nAuthorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/sagemaker/aws4_request, \
             SignedHeaders=host, Signature=0\r\n"
        );
        self.ask(&head, input.as_bytes())
    }

    /// Calls an operation that must succeed, and returns its output.
    pub(crate) fn say(&mut self, operation: &str, input: &str) -> Result<String, String> {
        let answer = self.call(operation, input).map_err(|error| format!("{operation}: {error}"))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status == 200 { Ok(text) } else { Err(format!("{operation}: {}: {text}", answer.status)) }
    }

    /// Sends a request that begins with `head`.
    pub(crate) fn ask(&mut self, head: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        if body.len() < 64 << 10 {
            stream.write_all(&[head.as_bytes(), body].concat())?;
        } else {
            stream.write_all(head.as_bytes())?;
            stream.write_all(body)?;
        }
        let mut body = Vec::new();
        let (status, is_closed) = self.receive(&mut stream, |part| body.extend_from_slice(part))?;
        self.stream = (!is_closed).then_some(stream);
        Ok(Answer { status, body })
    }

    /// Reads a response, part by part: its status, and whether the connection ends with it.
    fn receive(&mut self, stream: &mut TcpStream, mut take: impl FnMut(&[u8])) -> io::Result<(u16, bool)> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut chunk = vec![0; 256 << 10];
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut chunk)? {
                0 => return Err(bad("the connection ended")),
                length => self.buffer.extend_from_slice(&chunk[..length]),
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        let status =
            head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| bad("no status"))?;
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
        let mut left: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        let there = (self.buffer.len() - end).min(left);
        take(&self.buffer[end..end + there]);
        self.buffer.drain(..end + there);
        left -= there;
        while left > 0 {
            let most = left.min(chunk.len());
            match stream.read(&mut chunk[..most])? {
                0 => return Err(bad("the connection ended")),
                length => {
                    take(&chunk[..length]);
                    left -= length;
                }
            }
        }
        Ok((status, head.contains("\r\nconnection: close\r\n")))
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
