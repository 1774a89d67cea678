//! Bodies that are something else than their type says: compressed, or text that is not UTF-8.

use super::MediaType;
use crate::error::{Code, ServeError};

/// So many bytes tell what a body is.
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

    /// Refuses a body that begins as a body of this type never does, and says what it is.
    pub(super) fn check(&self, media: MediaType) -> Result<(), ServeError> {
        let head = &self.bytes[..self.length];
        if let Some(name) = compression(head) {
            let message = format!(
                "the body is compressed with {name}; send it as it is: SageMaker passes bodies on unchanged, and compressed ones are \
                 not read"
            );
            return Err(ServeError::new(Code::BadRequest, message).with("compression", name));
        }
        match encoding(head, media) {
            Some(name) => {
                let message = format!("the body is text in {name}; send it as UTF-8");
                Err(ServeError::new(Code::BadRequest, message).with("encoding", name))
            }
            None => Ok(()),
        }
    }
}

/// The compression whose files begin like this.
pub(crate) fn compression(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("gzip"),
        // The digit is the block size, what follows the first half of pi.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..] => Some("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        // A file, an empty archive, a spanned one.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => Some("zip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        _ => None,
    }
}

fn encoding(head: &[u8], media: MediaType) -> Option<&'static str> {
    let is_letter = |byte: &u8| matches!(byte, 0x09..=0x0d | 0x20..=0x7e);
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, _, _, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        // Without a byte-order mark it shows by zeros between letters, which no text in UTF-8 has.
        [a, 0, b, 0, ..] | [0, a, 0, b, ..]
            if media != MediaType::RecordIo && is_letter(a) && is_letter(b) =>
        {
            Some("UTF-16")
        }
        _ => None,
    }
}
