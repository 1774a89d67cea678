//! Bodies that are not what their type says: compressed, or text that is not UTF-8.

use kokanee_formats::compression;
use kokanee_http::{Code, ServeError};

use super::Form;

/// Bytes needed to recognise a body.
const HEAD_BYTES: usize = 8;

/// The first bytes of a body.
#[derive(Default)]
pub(super) struct Head {
    bytes: [u8; HEAD_BYTES],
    length: usize,
}

impl Head {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let more = bytes.len().min(HEAD_BYTES - self.length);
        self.bytes[self.length..self.length + more].copy_from_slice(&bytes[..more]);
        self.length += more;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Refuses a body whose first bytes cannot begin a body of this type, and names what it is.
    pub(super) fn check(&self, form: Form) -> Result<(), ServeError> {
        let head = &self.bytes[..self.length];
        if let Some(compression) = compression::of(head) {
            let message = format!(
                "the body is {compression}; send it as it is: SageMaker passes bodies on unchanged, and compressed ones are not read"
            );
            return Err(ServeError::new(Code::BadRequest, message).with("compression", compression.name));
        }
        match encoding(head, form) {
            Some(name) => {
                let message = format!("the body is text in {name}; send it as UTF-8");
                Err(ServeError::new(Code::BadRequest, message).with("encoding", name))
            }
            None => Ok(()),
        }
    }
}

fn encoding(head: &[u8], form: Form) -> Option<&'static str> {
    let is_letter = |byte: &u8| matches!(byte, 0x09..=0x0d | 0x20..=0x7e);
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, _, _, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        // Without a byte-order mark it shows by zeros between letters, which no text in UTF-8 has.
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] if form != Form::RecordIo && is_letter(a) && is_letter(b) => {
            Some("UTF-16")
        }
        _ => None,
    }
}
