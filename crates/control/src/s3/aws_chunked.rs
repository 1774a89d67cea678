//! Bodies in AWS's own chunks, `Content-Encoding: aws-chunked`: a size, optionally a signature, the bytes; checksums after the last chunk.
//!
//! ```text
//! 400;chunk-signature=...\r\n  <1024 bytes>\r\n  0;chunk-signature=...\r\n  x-amz-checksum-crc32:...\r\n  \r\n
//! ```
//! Signatures are ignored unless the server has keys.

use bytes::{Buf as _, Bytes};

use super::error::{ErrorCode, Result, S3Error};
use crate::signature::{ChunkSignatures, Refusal};

/// The longest line: a size with a signature, or a trailer.
const MAX_LINE_BYTES: usize = 1024;
/// More trailers than S3 knows.
const MAX_TRAILERS: usize = 16;

/// Decodes the chunks of a body as it arrives.
#[derive(Debug, Default)]
pub struct AwsChunked {
    state: State,
    line: Vec<u8>,
    trailers: Vec<(String, String)>,
    signatures: Option<ChunkSignatures>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Remaining bytes of the chunk.
    Data(u64),
    /// The line end after a chunk.
    DataEnd,
    Trailer,
    End,
}

impl AwsChunked {
    /// A decoder for a body that is signed chunk by chunk. The returned content is only verified when [`finish`](Self::finish) succeeds.
    pub fn signed(signatures: ChunkSignatures) -> Self {
        Self { signatures: Some(signatures), ..Self::default() }
    }

    /// The next bytes of content in `input`, which is advanced; `None` when it is used up or the body has ended.
    ///
    /// # Errors
    /// `IncompleteBody` if the chunks do not have this form; `SignatureDoesNotMatch`.
    pub fn next_data(&mut self, input: &mut Bytes) -> Result<Option<Bytes>> {
        loop {
            match self.state {
                State::Data(left) => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let left = left - count as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    let data = input.split_to(count);
                    if let Some(signatures) = &mut self.signatures {
                        signatures.update(&data);
                        if left == 0 {
                            signatures.end().map_err(mismatch)?;
                        }
                    }
                    return Ok(Some(data));
                }
                State::End => {
                    // Some clients end the trailers with an extra line end.
                    if input.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
                        return Err(malformed("bytes follow the last chunk"));
                    }
                    input.clear();
                    return Ok(None);
                }
                State::Size | State::DataEnd | State::Trailer => {
                    let Some(line) = self.take_line(input)? else { return Ok(None) };
                    self.state = self.after(&line)?;
                }
            }
        }
    }

    /// The trailers, once the body has ended.
    ///
    /// # Errors
    /// `IncompleteBody` if the last chunk has not arrived; `SignatureDoesNotMatch`.
    pub fn finish(self) -> Result<Vec<(String, String)>> {
        // Without trailers, some clients omit the last empty line.
        match self.state {
            State::End | State::Trailer if self.line.is_empty() => {
                if let Some(signatures) = &self.signatures {
                    signatures.finish(&self.trailers).map_err(mismatch)?;
                }
                Ok(self.trailers)
            }
            _ => Err(malformed("the body ends before its last chunk")),
        }
    }

    fn after(&mut self, line: &str) -> Result<State> {
        match self.state {
            State::DataEnd if line.is_empty() => Ok(State::Size),
            State::Size => {
                let size = line.split(';').next().unwrap_or_default().trim();
                let is_hex = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
                if let Some(signatures) = &mut self.signatures {
                    signatures.begin(line).map_err(mismatch)?;
                }
                match u64::from_str_radix(size, 16) {
                    Ok(0) if is_hex => {
                        if let Some(signatures) = &mut self.signatures {
                            signatures.end().map_err(mismatch)?;
                        }
                        Ok(State::Trailer)
                    }
                    Ok(size) if is_hex => Ok(State::Data(size)),
                    _ => Err(malformed("a chunk does not begin with its size")),
                }
            }
            State::Trailer if line.is_empty() => Ok(State::End),
            State::Trailer => {
                let (name, value) =
                    line.split_once(':').ok_or_else(|| malformed("a trailer has no value"))?;
                if self.trailers.len() == MAX_TRAILERS {
                    return Err(malformed("there are too many trailers"));
                }
                self.trailers.push((name.trim().to_lowercase(), value.trim().to_owned()));
                Ok(State::Trailer)
            }
            _ => Err(malformed("a chunk is longer than its size")),
        }
    }

    /// A complete line without its end.
    fn take_line(&mut self, input: &mut Bytes) -> Result<Option<String>> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let count = end.unwrap_or(input.len());
        if self.line.len() + count > MAX_LINE_BYTES {
            return Err(malformed("a line is too long"));
        }
        self.line.extend_from_slice(&input[..count]);
        input.advance(count + usize::from(end.is_some()));
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map(Some).map_err(|_| malformed("a line is not text"))
    }
}

fn mismatch(refusal: Refusal) -> S3Error {
    S3Error::new(ErrorCode::SignatureDoesNotMatch, refusal.message)
}

fn malformed(what: &str) -> S3Error {
    S3Error::new(ErrorCode::IncompleteBody, format!("The body is not aws-chunked: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Decoded = (Vec<u8>, Vec<(String, String)>);

    fn decode(body: &[u8], step: usize) -> Result<Decoded> {
        let mut chunked = AwsChunked::default();
        let mut data = Vec::new();
        for piece in body.chunks(step) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(bytes) = chunked.next_data(&mut piece)? {
                data.extend_from_slice(&bytes);
            }
        }
        Ok((data, chunked.finish()?))
    }

    #[track_caller]
    fn check(body: &str, want: Option<(&str, &[(&str, &str)])>) {
        for step in [1, 2, 3, 7, 1000] {
            let found = decode(body.as_bytes(), step);
            match want {
                Some((data, trailers)) => {
                    let trailers =
                        trailers.iter().map(|&(name, value)| (name.into(), value.into())).collect();
                    assert_eq!(found.unwrap(), (data.as_bytes().to_vec(), trailers), "{step}");
                }
                None => assert_eq!(found.unwrap_err().code, ErrorCode::IncompleteBody, "{step}"),
            }
        }
    }

    #[test]
    fn chunks_are_taken_off_in_whatever_pieces_they_come() {
        check(
            "5\r\nhello\r\n6;chunk-signature=ab\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n",
            Some(("hello world", &[("x-amz-checksum-crc32", "DUoRhQ==")])),
        );
        check("0;chunk-signature=ab\r\n\r\n", Some(("", &[])));
        check("0\r\n", Some(("", &[])));
        check("A\r\n0123456789\r\n0\r\nX-A: b\r\n\r\n\r\n", Some(("0123456789", &[("x-a", "b")])));
    }

    #[test]
    fn what_is_cut_or_wrong_is_refused() {
        for body in [
            "",
            "5\r\nhel",
            "5\r\nhello\r\n",
            "5\r\nhello!\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "x\r\n",
            "\r\n",
            "11111111111111111\r\n",
            "0\r\nx-a\r\n\r\n",
            "0\r\nx-a:b",
            "0\r\n\r\nmore",
        ] {
            check(body, None);
        }
        check(&format!("0;{}\r\n\r\n", "x".repeat(2000)), None);
    }

    proptest! {
        #[test]
        fn how_a_body_is_cut_does_not_matter(body in "([0-3]|5\r\nhello|\r\n|0\r\n|a:b\r\n|;x){0,8}", step in 1usize..9) {
            let (whole, pieces) = (decode(body.as_bytes(), usize::MAX), decode(body.as_bytes(), step));
            prop_assert_eq!(whole.is_ok(), pieces.is_ok());
            if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
                prop_assert_eq!(whole, pieces);
            }
        }
    }
}
