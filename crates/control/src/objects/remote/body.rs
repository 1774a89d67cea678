//! The bytes of an object as they arrive; a broken connection is replaced, and reading resumes at the same position.

use std::io::{self, Read};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, StatusCode, header};

use super::client::{Answer, Client, Connection, Question, late};
use crate::s3::{ErrorCode, Result, S3Error};

/// The time limit for further bytes.
const IDLE: Duration = Duration::from_secs(60);
/// How often a connection may break without a byte in between.
const MOST_BREAKS: u32 = 3;

/// An object that is being read.
pub(super) struct Body {
    client: Client,
    bucket: String,
    key: String,
    etag: Option<String>,
    size: u64,
    read: u64,
    breaks: u32,
    piece: Bytes,
    stream: Option<(Incoming, Connection)>,
}

impl Body {
    pub(super) fn new(client: &Client, bucket: &str, key: &str, answer: Answer) -> Result<Self> {
        let size = answer.header(header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let size = size.ok_or_else(|| {
            let message = format!("GET {}/{bucket}/{key}: the answer does not say its length", client.url());
            S3Error::new(ErrorCode::InternalError, message)
        })?;
        Ok(Self {
            client: client.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            etag: answer.header(header::ETAG.as_str()).map(str::to_owned),
            size,
            read: 0,
            breaks: 0,
            piece: Bytes::new(),
            stream: Some((answer.body, answer.connection)),
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes; `None` at the end of a stream.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some((body, _)) = &mut self.stream else { return Ok(None) };
        loop {
            let frame = self.client.wait(IDLE, body.frame()).ok_or_else(|| late("no bytes", IDLE))?;
            match frame.transpose().map_err(io::Error::other)?.map(|frame| frame.into_data()) {
                None => return Ok(None),
                Some(Ok(bytes)) if !bytes.is_empty() => return Ok(Some(bytes)),
                Some(_) => {}
            }
        }
    }

    /// Resumes over a new connection, with the same object.
    fn reopen(&mut self) -> io::Result<()> {
        let mut question = Question::new(Method::GET, &self.bucket, &self.key);
        question.headers.push((header::RANGE, format!("bytes={}-", self.read)));
        if let Some(etag) = &self.etag {
            question.headers.push((header::IF_MATCH, etag.clone()));
        }
        let answer = self.client.ask(&question).map_err(io::Error::other)?;
        match answer.status {
            StatusCode::PARTIAL_CONTENT => {
                self.stream = Some((answer.body, answer.connection));
                Ok(())
            }
            StatusCode::PRECONDITION_FAILED => Err(io::Error::other("it was replaced while it was read")),
            status => Err(io::Error::other(format!("the rest was refused with status {}", status.as_u16()))),
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.piece.is_empty() && self.read < self.size {
            match self.next() {
                Ok(Some(bytes)) => {
                    self.breaks = 0;
                    self.read += bytes.len() as u64;
                    self.piece = bytes;
                }
                broken => {
                    self.stream = None;
                    self.breaks += 1;
                    if self.breaks > MOST_BREAKS {
                        return Err(broken.err().unwrap_or_else(|| io::Error::other("it broke off")));
                    }
                    self.reopen()?;
                }
            }
        }
        if self.read >= self.size
            && let Some((mut body, connection)) = self.stream.take()
            // Only the end follows, which has come with the last bytes or comes now.
            && let Some(None | Some(Ok(_))) = self.client.wait(IDLE, body.frame())
        {
            self.client.keep(connection);
        }
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill().map_err(|error| {
            let (client, bucket, key) = (self.client.url(), &self.bucket, &self.key);
            io::Error::new(io::ErrorKind::ConnectionAborted, format!("GET {client}/{bucket}/{key}: {error}"))
        })?;
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
