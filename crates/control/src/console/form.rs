//! The fields of a form that a page sent, and the file that may accompany them.

use std::collections::BTreeMap;

use super::visit::Problem;
use crate::s3::{FormData, Piece, Query};

/// The space for the heads of fields, in addition to their texts.
const HEADS_BYTES: usize = 64 << 10;

/// The fields.
#[derive(Debug, Default)]
pub(super) struct Form(BTreeMap<String, String>);

/// A file of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SentFile {
    /// Its name on the browser's machine, without folders.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// A form of `multipart/form-data`, parsed as it arrives: fields, and then a field `file`.
#[derive(Debug)]
pub(super) struct IncomingForm {
    parts: FormData,
    fields: Form,
    file: SentFile,
    is_whole: bool,
    most_bytes: usize,
}

impl Form {
    /// Reads a body of `application/x-www-form-urlencoded`; none if it is not valid.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let query = Query::parse(std::str::from_utf8(body).ok()?).ok()?;
        Some(Self(query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }

    /// A field; empty if it is missing. Browsers write line breaks as `\r\n`.
    pub(super) fn text(&self, name: &str) -> String {
        self.0.get(name).map_or("", String::as_str).replace("\r\n", "\n")
    }
}

impl IncomingForm {
    /// Starts a form of this content type, with a file of at most so many bytes and the same limit for texts.
    ///
    /// # Errors
    /// If the content type is not that of a form with a file.
    pub(super) fn new(content_type: &str, most_bytes: usize) -> Result<Self, Problem> {
        Ok(Self {
            parts: FormData::new(content_type)?.with_fields_up_to(most_bytes + HEADS_BYTES),
            fields: Form::default(),
            file: SentFile { name: String::new(), bytes: Vec::new() },
            is_whole: false,
            most_bytes,
        })
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    /// If the body is not a form, or too large.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.parts.push(bytes);
        while let Some(piece) = self.parts.next_piece()? {
            match piece {
                Piece::Field { name, value } => drop(self.fields.0.insert(name, value)),
                // Some browsers include folders.
                Piece::File { name } => {
                    name.rsplit(['/', '\\']).next().unwrap_or_default().clone_into(&mut self.file.name);
                }
                Piece::Data(data) => {
                    if self.file.bytes.len() + data.len() > self.most_bytes {
                        return Err(Problem::too_large(format!(
                            "The file {} has more than {} bytes, the limit of InvokeEndpoint.",
                            self.file.name, self.most_bytes
                        )));
                    }
                    self.file.bytes.extend_from_slice(&data);
                }
                Piece::End => self.is_whole = true,
            }
        }
        Ok(())
    }

    /// Returns the fields, and the file if one was chosen.
    ///
    /// # Errors
    /// If the form ended too early, or if the file is empty.
    pub(super) fn finish(self) -> Result<(Form, Option<SentFile>), Problem> {
        if !self.is_whole {
            return Err(Problem::bad("The form ended too early; send it again."));
        }
        // Browsers send a file without a name if none was chosen.
        let file = Some(self.file).filter(|file| !file.name.is_empty() || !file.bytes.is_empty());
        if let Some(file) = file.as_ref().filter(|file| file.bytes.is_empty()) {
            return Err(Problem::bad(format!("The file {} is empty: there is nothing to send.", file.name)));
        }
        Ok((self.fields, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let form = Form::read(b"body=a+b%0D%0Ac%26&type=text%2Fcsv").unwrap();
        assert_eq!((form.text("body").as_str(), form.text("type").as_str()), ("a b\nc&", "text/csv"));
        assert_eq!(form.text("other"), "");
        assert!(Form::read(b"\xff").is_none() && Form::read(b"a=%ff").is_none());
    }

    fn received(file: &str, content: &[u8], most_bytes: usize) -> Result<(Form, Option<SentFile>), Problem> {
        let head = format!(
            "--b\r\nContent-Disposition: form-data; name=\"body\"\r\n\r\nx\r\ny\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"{file}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let body = [head.as_bytes(), content, b"\r\n--b--\r\n"].concat();
        let mut form = IncomingForm::new("multipart/form-data; boundary=b", most_bytes)?;
        body.chunks(7).try_for_each(|bytes| form.push(bytes))?;
        form.finish()
    }

    #[test]
    fn a_file_comes_with_the_fields() {
        let content = b"\x0a\x23\xd7\xce\r\n--\xff";
        let (form, file) = received("C:\\data\\rows.rec", content, 64).unwrap();
        assert_eq!(form.text("body"), "x\ny");
        assert_eq!(file, Some(SentFile { name: "rows.rec".to_owned(), bytes: content.to_vec() }));
        assert_eq!(received("", b"", 64).unwrap().1, None);
    }

    #[track_caller]
    fn refused(problem: Problem, status: u16, part: &str) {
        assert_eq!(problem.status.as_u16(), status, "{problem:?}");
        assert!(problem.message.contains(part), "{problem:?}");
    }

    #[test]
    fn files_that_cannot_be_sent_are_refused() {
        refused(received("a.csv", b"", 64).unwrap_err(), 400, "a.csv is empty");
        refused(received("a.csv", &[b'1'; 65], 64).unwrap_err(), 413, "a.csv has more than 64 bytes");
        assert!(received("a.csv", &[b'1'; 64], 64).is_ok());
        let urlencoded = IncomingForm::new("application/x-www-form-urlencoded", 64);
        refused(urlencoded.unwrap_err(), 400, "multipart/form-data");
        let mut cut = IncomingForm::new("multipart/form-data; boundary=b", 64).unwrap();
        cut.push(b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n1,2").unwrap();
        refused(cut.finish().unwrap_err(), 400, "ended too early");
    }
}
