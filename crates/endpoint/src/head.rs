//! Detection of bodies that differ from their declared type: compressed bodies, and text that is not UTF-8.

use kokanee_formats::compression;
use kokanee_http::{Code, ServeError};

/// Bytes needed to recognise a body.
const HEAD_BYTES: usize = 8;

/// The first bytes of a body.
#[derive(Default)]
pub struct Head {
    bytes: [u8; HEAD_BYTES],
    length: usize,
}

impl Head {
    /// Takes more of the body; everything after its first bytes is ignored.
    pub fn push(&mut self, bytes: &[u8]) {
        let more = bytes.len().min(HEAD_BYTES - self.length);
        self.bytes[self.length..self.length + more].copy_from_slice(&bytes[..more]);
        self.length += more;
    }

    /// Whether no bytes were pushed yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Refuses a body whose first bytes cannot begin a body of its type, and names the actual format.
    ///
    /// # Errors
    /// 400 for compressed bodies, and for text that is not UTF-8 where the type `is_text`.
    pub fn check(&self, is_text: bool) -> Result<(), ServeError> {
        let head = &self.bytes[..self.length];
        if let Some(compression) = compression::of(head) {
            let message = format!(
                "the body is {compression}; send it as it is: SageMaker passes bodies on unchanged, and compressed ones are not read"
            );
            return Err(ServeError::new(Code::BadRequest, message).with("compression", compression.name));
        }
        match encoding(head, is_text) {
            Some(name) => {
                let message = format!("the body is text in {name}; send it as UTF-8");
                Err(ServeError::new(Code::BadRequest, message).with("encoding", name))
            }
            None => Ok(()),
        }
    }
}

fn encoding(head: &[u8], is_text: bool) -> Option<&'static str> {
    let is_letter = |byte: &u8| matches!(byte, 0x09..=0x0d | 0x20..=0x7e);
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, _, _, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        // UTF-16 without a byte-order mark has zeros between letters, which UTF-8 text never has.
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] if is_text && is_letter(a) && is_letter(b) => Some("UTF-16"),
        _ => None,
    }
}
