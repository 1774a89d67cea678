//! HTML forms, `multipart/form-data`: fields first, then the file, which is never held as a whole.

use super::error::{ErrorCode, Result, S3Error};

/// Maximum bytes of the fields and their heads together, unless the reader sets another limit.
const MAX_FIELDS_BYTES: usize = 64 << 10;
/// Maximum bytes of the head of one part.
const MAX_HEAD_BYTES: usize = 8 << 10;

/// Parses a form as it arrives.
#[derive(Debug)]
pub struct FormData {
    /// The end of a part: a line end, two hyphens, and the boundary.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
    fields_bytes: usize,
    most_fields_bytes: usize,
    /// The position before which the buffer has no delimiter.
    searched: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// After a delimiter.
    Begin,
    Field {
        name: String,
    },
    File,
    End,
}

/// A piece of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A field.
    Field {
        /// Its name.
        name: String,
        /// Its text.
        value: String,
    },
    /// The file begins.
    File {
        /// Its name as given by the browser.
        name: String,
    },
    /// Bytes of the file.
    Data(Vec<u8>),
    /// The end of the file. The rest of the body is ignored.
    End,
}

impl FormData {
    /// A parser for a form of this content type.
    ///
    /// # Errors
    /// `MalformedPOSTRequest` if it is not a form.
    pub fn new(content_type: &str) -> Result<Self> {
        let is_form = content_type.to_ascii_lowercase().starts_with("multipart/form-data");
        let boundary = content_type.split(';').find_map(|parameter| {
            let (name, value) = parameter.trim().split_once('=')?;
            name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
        });
        let boundary = boundary.filter(|boundary| is_form && (1..=70).contains(&boundary.len()));
        let boundary =
            boundary.ok_or_else(|| malformed("its type is not multipart/form-data with a boundary"))?;
        // The first delimiter has no line end before it.
        Ok(Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            buffer: b"\r\n".to_vec(),
            state: State::Field { name: String::new() },
            fields_bytes: 0,
            most_fields_bytes: MAX_FIELDS_BYTES,
            searched: 0,
        })
    }

    /// Sets the maximum bytes of fields and their heads.
    #[must_use]
    pub fn with_fields_up_to(mut self, bytes: usize) -> Self {
        self.most_fields_bytes = bytes;
        self
    }

    /// Adds the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.state != State::End {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next piece; `None` until more bytes are pushed.
    ///
    /// # Errors
    /// `MalformedPOSTRequest`.
    pub fn next_piece(&mut self) -> Result<Option<Piece>> {
        loop {
            match &mut self.state {
                State::End => return Ok(None),
                State::Begin => {
                    if self.buffer.starts_with(b"--") {
                        return Err(malformed("it has no file"));
                    }
                    let Some(end) = find(&self.buffer, b"\r\n\r\n") else {
                        if self.buffer.len() > MAX_HEAD_BYTES {
                            return Err(malformed("the head of a field is too long"));
                        }
                        return Ok(None);
                    };
                    let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                    self.count(end)?;
                    self.buffer.drain(..end + 4);
                    let (name, file) = disposition(&head)?;
                    // The file may be empty: then the delimiter follows at once, and begins with the line end that ended the head.
                    if name == "file" {
                        self.state = State::File;
                        return Ok(Some(Piece::File { name: file.unwrap_or_default() }));
                    }
                    self.state = State::Field { name };
                }
                State::Field { name } => {
                    let name = std::mem::take(name);
                    let Some(end) = self.delimiter() else {
                        self.state = State::Field { name };
                        if self.buffer.len() > self.most_fields_bytes {
                            return Err(self.too_long());
                        }
                        return Ok(None);
                    };
                    let value = String::from_utf8(self.buffer[..end].to_vec());
                    let value = value.map_err(|_| malformed("a field is not UTF-8"))?;
                    self.count(end)?;
                    self.buffer.drain(..end + self.delimiter.len());
                    self.searched = 0;
                    self.state = State::Begin;
                    // Text before the first delimiter is not a field.
                    if !name.is_empty() {
                        return Ok(Some(Piece::Field { name: name.to_lowercase(), value }));
                    }
                }
                State::File => {
                    if let Some(end) = self.delimiter() {
                        if end > 0 {
                            self.searched = 0;
                            return Ok(Some(Piece::Data(self.buffer.drain(..end).collect())));
                        }
                        self.state = State::End;
                        self.buffer = Vec::new();
                        return Ok(Some(Piece::End));
                    }
                    // The end of the buffer may be the beginning of a delimiter.
                    let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                    if sure == 0 {
                        return Ok(None);
                    }
                    self.searched = 0;
                    return Ok(Some(Piece::Data(self.buffer.drain(..sure).collect())));
                }
            }
        }
    }

    fn count(&mut self, bytes: usize) -> Result<()> {
        self.fields_bytes += bytes;
        if self.fields_bytes > self.most_fields_bytes { Err(self.too_long()) } else { Ok(()) }
    }

    /// The position of the next delimiter. Bytes that were searched are not searched again when more arrive.
    fn delimiter(&mut self) -> Option<usize> {
        let found = find(&self.buffer[self.searched..], &self.delimiter).map(|at| self.searched + at);
        self.searched = found.unwrap_or_else(|| self.buffer.len().saturating_sub(self.delimiter.len() - 1));
        found
    }

    fn too_long(&self) -> S3Error {
        malformed(&format!("its fields have more than {} bytes", self.most_fields_bytes))
    }
}

/// Name and file name in the head of a part.
fn disposition(head: &str) -> Result<(String, Option<String>)> {
    let line = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let line = line.ok_or_else(|| malformed("a part has no Content-Disposition"))?;
    let parameter = |want: &str| {
        let at = line.find(&format!("; {want}=\"")).map(|at| at + want.len() + 4)?;
        let end = line[at..].find('"')?;
        Some(line[at..at + end].to_owned())
    };
    let name = parameter("name").filter(|name| !name.is_empty());
    Ok((name.ok_or_else(|| malformed("a part has no name"))?, parameter("filename")))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn malformed(what: &str) -> S3Error {
    let message = format!("The body of your POST request is not well-formed multipart/form-data: {what}.");
    S3Error::new(ErrorCode::MalformedPOSTRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"xx\"";

    type Parsed = (Vec<(String, String)>, Option<String>);

    fn parse(body: &str, step: usize) -> Result<Parsed> {
        let mut form = FormData::new(TYPE)?;
        let (mut fields, mut data, mut is_whole) = (Vec::new(), Vec::new(), false);
        for bytes in body.as_bytes().chunks(step) {
            form.push(bytes);
            while let Some(piece) = form.next_piece()? {
                match piece {
                    Piece::Field { name, value } => fields.push((name, value)),
                    Piece::File { name } => fields.push(("file".into(), name)),
                    Piece::Data(bytes) => data.extend(bytes),
                    Piece::End => is_whole = true,
                }
            }
        }
        Ok((fields, is_whole.then(|| String::from_utf8(data).unwrap())))
    }

    #[test]
    fn forms_are_read_in_whatever_pieces_they_come() {
        let part = |name: &str, value: &str| {
            format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        for content in ["", "12\r\n--x\r\n", "\r\n", "\r\n--y--\r\n"] {
            let file = "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\nContent-Type: a/b\r\n\r\n";
            let body =
                format!("{}{}{file}{content}\r\n--xx\r\nmore", part("Key", "a/${filename}"), part("x", ""));
            for step in [1, 2, 5, 1000] {
                let (fields, data) = parse(&body, step).unwrap();
                let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
                assert_eq!(fields, [pair("key", "a/${filename}"), pair("x", ""), pair("file", "f.txt")]);
                assert_eq!(data.as_deref(), Some(content));
            }
            // The body is truncated.
            let cut = &body[..body.len() - "--xx\r\nmore".len()];
            assert_eq!(parse(cut, 3).unwrap().1, None);
        }
        let error = parse(&format!("{}--xx--\r\n", part("a", "b")), 1000).unwrap_err();
        assert_eq!(error.code, ErrorCode::MalformedPOSTRequest);
        let error = parse(&part("a", &"b".repeat(MAX_FIELDS_BYTES + 1)), 1000).unwrap_err();
        assert!(error.message.ends_with("its fields have more than 65536 bytes."), "{}", error.message);
        assert!(parse("--xx\r\nX: y\r\n\r\n", 1000).is_err());
        assert!(FormData::new("text/plain").is_err() && FormData::new("multipart/form-data").is_err());
    }
}
