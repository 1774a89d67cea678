//! Lines of a body that arrives in pieces.

use kokanee_http::ServeError;

use super::{MAX_ITEM_BYTES, Place};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Splits at `\n`; a `\r` before it belongs to the line break. The last line may lack its line break; if nothing follows the last
/// line break, no line begins there.
#[derive(Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to here there is no line break.
    scanned: usize,
    /// Number of lines returned.
    number: u64,
    finished: bool,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Consumed text is removed before more comes, so the buffer holds a line and a piece.
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next whole line and its number.
    pub(super) fn read(&mut self) -> Result<Option<(Place, &str)>, ServeError> {
        let place = Place::Line(self.number + 1);
        let rest = &self.buffer[self.scanned..];
        let (end, next) = match rest.iter().position(|&byte| byte == b'\n') {
            Some(at) => (self.scanned + at, self.scanned + at + 1),
            None if self.finished && self.start < self.buffer.len() => (self.buffer.len(), self.buffer.len()),
            None => {
                self.scanned = self.buffer.len();
                if self.scanned - self.start > MAX_ITEM_BYTES {
                    return Err(too_long(place));
                }
                return Ok(None);
            }
        };
        let mut line = &self.buffer[self.start..end];
        if line.len() > MAX_ITEM_BYTES {
            return Err(too_long(place));
        }
        if self.number == 0 {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        (self.start, self.scanned) = (next, next);
        self.number += 1;
        let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).map_err(|error| {
            let byte = error.valid_up_to();
            place
                .bad(None, format!("byte {byte} of the line is not UTF-8; send the text as UTF-8"))
                .with("byte", byte)
        })?;
        Ok(Some((place, line)))
    }
}

fn too_long(place: Place) -> ServeError {
    place.bad(None, format!("longer than {MAX_ITEM_BYTES} bytes; expected one instance a line"))
}
