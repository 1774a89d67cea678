//! A cutter that takes whole lines and records from a body that arrives in pieces of any size.

use kokanee_contract::MediaType;
use kokanee_formats::recordio::{MAGIC, MAX_RECORD_BYTES};
use kokanee_http::{Rope, ServeError};
use memchr::memchr;

use super::requests::{Place, long_line, long_record};

/// Bytes after which a block has enough items. Its decoded form takes up to sixty times as many bytes.
const BLOCK_BYTES: usize = 96 << 10;
/// Buffer capacity that is kept from block to block.
const KEPT_BYTES: usize = 2 * BLOCK_BYTES;

/// Bytes before a frame's data: the magic number, and a word with its length and its position in a divided record.
const HEADER_BYTES: usize = 8;
const LENGTH_BITS: u32 = 29;

/// Buffers the bytes that have arrived, and cuts blocks of whole items off the front.
pub(super) struct Cutter {
    form: Form,
    limits: CutLimits,
    /// Bytes that have arrived and were not cut off yet.
    bytes: Vec<u8>,
    /// The end of the whole items in the buffer.
    whole: usize,
    /// The number of whole items in the buffer.
    items: usize,
    /// Where the search for the next item's end continues: for a record, where its next part begins.
    seen: usize,
    /// Bytes of the longest item so far.
    longest: usize,
    /// Number of items cut off so far.
    cut_items: u64,
    /// Number of bytes cut off so far.
    cut_bytes: u64,
    has_ended: bool,
}

/// How the end of an item is found.
#[derive(Clone, Copy)]
enum Form {
    Lines,
    /// The record that is still incomplete: its number of parts, and the bytes of their data.
    Records {
        parts: u64,
        data: usize,
    },
}

/// The limits of a block.
#[derive(Clone, Copy)]
pub(super) struct CutLimits {
    /// The maximum number of items.
    pub(super) items: usize,
    /// The maximum bytes of an item.
    pub(super) item_bytes: usize,
}

/// The content at the front of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// No whole item.
    Nothing,
    /// Some whole items; the block could take more.
    Some,
    /// A full block, or the end of the body.
    Full,
}

/// A block of items that were cut off.
pub(super) struct Cut {
    pub(super) bytes: Rope,
    /// Bytes of the longest item so far.
    pub(super) longest: usize,
    /// Whether this is the last block of the body.
    pub(super) is_last: bool,
}

/// Whether a body of this type can be cut into items.
pub(super) fn can_cut(media: MediaType) -> bool {
    matches!(media, MediaType::Csv | MediaType::JsonLines | MediaType::RecordIo)
}

impl Cutter {
    /// A cutter of a body that [can be cut](can_cut).
    pub(super) fn new(media: MediaType, limits: CutLimits) -> Self {
        let form = match media {
            MediaType::RecordIo => Form::Records { parts: 0, data: 0 },
            _ => Form::Lines,
        };
        Self {
            form,
            limits,
            bytes: Vec::new(),
            whole: 0,
            items: 0,
            seen: 0,
            longest: 0,
            cut_items: 0,
            cut_bytes: 0,
            has_ended: false,
        }
    }

    /// Appends bytes that have arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Marks the end of the body.
    pub(super) fn finish(&mut self) {
        self.has_ended = true;
    }

    /// Bytes of memory in use.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Looks for whole items in the buffer.
    ///
    /// # Errors
    /// 400 where the next item is longer than allowed; only after the items before it were cut off.
    pub(super) fn look(&mut self) -> Result<Front, ServeError> {
        loop {
            if self.items >= self.limits.items || self.whole >= BLOCK_BYTES {
                return Ok(Front::Full);
            }
            let found = match self.form {
                Form::Lines => self.line(),
                Form::Records { parts, data } => self.part(parts, data),
            };
            match found {
                // The error is reported after these items were cut off.
                Err(_) if self.items > 0 => return Ok(Front::Full),
                Err(refused) => return Err(refused),
                Ok(true) => {}
                Ok(false) if self.has_ended => {
                    // The rest is a truncated record; its reader reports that.
                    self.whole = self.bytes.len();
                    return Ok(Front::Full);
                }
                Ok(false) if self.whole == 0 => return Ok(Front::Nothing),
                Ok(false) => return Ok(Front::Some),
            }
        }
    }

    /// Cuts off the whole items.
    pub(super) fn cut(&mut self) -> Cut {
        let mut bytes = Rope::default();
        bytes.push(&self.bytes[..self.whole]);
        self.bytes.drain(..self.whole);
        self.bytes.shrink_to(KEPT_BYTES);
        self.cut_items += self.items as u64;
        self.cut_bytes += self.whole as u64;
        self.seen = self.seen.saturating_sub(self.whole);
        (self.whole, self.items) = (0, 0);
        let is_last = self.has_ended && self.bytes.is_empty();
        Cut { bytes, longest: self.longest, is_last }
    }

    /// Adds the next line to the whole items, if its end has arrived.
    fn line(&mut self) -> Result<bool, ServeError> {
        let all = self.bytes.len();
        let end = match memchr(b'\n', &self.bytes[self.seen..]) {
            Some(at) => Some(self.seen + at + 1),
            // The last line may lack its end.
            None => (self.has_ended && self.whole < all).then_some(all),
        };
        if end.unwrap_or(all) - self.whole > self.limits.item_bytes {
            return Err(long_line(self.next_item(), self.limits.item_bytes));
        }
        match end {
            Some(end) => self.add(end),
            None => self.seen = all,
        }
        Ok(end.is_some())
    }

    /// Adds the next part of a record, and counts the record as whole if it was the last part.
    fn part(&mut self, parts: u64, data: usize) -> Result<bool, ServeError> {
        let begin = self.seen;
        let Some(header) = self.bytes[begin..].first_chunk::<HEADER_BYTES>() else { return Ok(false) };
        let [m0, m1, m2, m3, l0, l1, l2, l3] = *header;
        let word = u32::from_le_bytes([l0, l1, l2, l3]);
        let (flag, length) = (word >> LENGTH_BITS, (word & ((1 << LENGTH_BITS) - 1)) as usize);
        let is_frame = u32::from_le_bytes([m0, m1, m2, m3]) == MAGIC;
        let is_in_order = if parts == 0 { flag <= 1 } else { flag == 2 || flag == 3 };
        // The magic number between two parts is not in the stream, but belongs to the data.
        let data = if parts == 0 { length } else { data + size_of::<u32>() + length };
        if !is_frame || !is_in_order || data > MAX_RECORD_BYTES {
            // The reader of records reports each of these faults, and needs only the header.
            self.form = Form::Records { parts: 0, data: 0 };
            self.add(begin + HEADER_BYTES);
            return Ok(true);
        }
        if data > self.limits.item_bytes {
            let place = Place::Record { number: self.next_item(), byte: self.cut_bytes + self.whole as u64 };
            return Err(long_record(place, data, self.limits.item_bytes));
        }
        let end = begin + HEADER_BYTES + length.next_multiple_of(4);
        if end > self.bytes.len() {
            return Ok(false);
        }
        if flag == 0 || flag == 3 {
            self.form = Form::Records { parts: 0, data: 0 };
            self.add(end);
        } else {
            self.form = Form::Records { parts: parts + 1, data };
            self.seen = end;
        }
        Ok(true)
    }

    fn add(&mut self, end: usize) {
        self.longest = self.longest.max(end - self.whole);
        (self.whole, self.seen) = (end, end);
        self.items += 1;
    }

    /// The number of the next incomplete item, from 1.
    fn next_item(&self) -> u64 {
        self.cut_items + self.items as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use kokanee_formats::recordio::{RecordReader, append_frame};
    use kokanee_testkit::Rng;

    use super::*;

    const LIMITS: CutLimits = CutLimits { items: 5, item_bytes: 100 };

    /// The blocks of a body that arrives in pieces of at most `most` bytes, and the result at its end.
    fn blocks(media: MediaType, body: &[u8], most: usize) -> Result<Vec<Vec<u8>>, ServeError> {
        let (mut cutter, mut blocks, mut rng) = (Cutter::new(media, LIMITS), Vec::new(), Rng::new(5));
        let mut left = body;
        loop {
            let front = cutter.look()?;
            assert!(cutter.bytes.len() <= 2 * LIMITS.items * LIMITS.item_bytes + most);
            // Takes blocks as soon as there are items in some cases, and waits for more in others.
            if front == Front::Full || front == Front::Some && rng.range(0..2) == 0 {
                let cut = cutter.cut();
                blocks.push(cut.bytes.into_vec());
                if cut.is_last {
                    return Ok(blocks);
                }
            } else if left.is_empty() {
                cutter.finish();
            } else {
                let (piece, rest) = left.split_at(rng.range(1..most + 1).min(left.len()));
                cutter.push(piece);
                left = rest;
            }
        }
    }

    #[test]
    fn lines_are_cut_whole_however_they_arrive() {
        let check = |body: &str| {
            for most in [1, 2, 7, 1000] {
                let blocks = blocks(MediaType::Csv, body.as_bytes(), most).unwrap();
                assert_eq!(blocks.concat(), body.as_bytes());
                for (index, block) in blocks.iter().enumerate() {
                    let lines = block.iter().filter(|&&byte| byte == b'\n').count();
                    assert!(lines <= LIMITS.items);
                    assert!(block.ends_with(b"\n") || index + 1 == blocks.len(), "{block:?}");
                }
            }
        };
        check("");
        check("1,2");
        check("\n");
        check("1,2\n\n3,4\r\n5,6");
        check(&"1,2,3\n".repeat(123));
    }

    /// A record in parts of these lengths.
    fn divided(parts: &[usize], out: &mut Vec<u8>) {
        for (index, &length) in parts.iter().enumerate() {
            let begin = out.len();
            append_frame(out, |out| out.resize(out.len() + length, index as u8));
            let flag = match index {
                _ if parts.len() == 1 => 0,
                0 => 1,
                _ if index + 1 == parts.len() => 3,
                _ => 2,
            };
            out[begin + 7] |= flag << 5;
        }
    }

    #[test]
    fn records_are_cut_whole_however_they_arrive() {
        let mut body = Vec::new();
        for _ in 0..9 {
            for parts in [&[5][..], &[0], &[7, 0, 3], &[1, 2], &[92]] {
                divided(parts, &mut body);
            }
        }
        for most in [1, 3, 50, 5000] {
            let blocks = blocks(MediaType::RecordIo, &body, most).unwrap();
            assert_eq!(blocks.concat(), body);
            for block in &blocks {
                let records: Result<Vec<_>, _> = RecordReader::new(&block[..], "").collect();
                assert!(records.unwrap().len() <= LIMITS.items);
            }
        }
    }

    #[test]
    fn items_beyond_the_limit_are_refused_where_they_stand() {
        let check = |media, body: &[u8], expected: &str| {
            for most in [1, 9, 5000] {
                let refused = blocks(media, body, most).unwrap_err();
                assert!(refused.message.contains(expected), "{}", refused.message);
            }
        };
        let mut lines = "1\n\n".repeat(7);
        lines.push_str(&"2".repeat(99));
        blocks(MediaType::Csv, lines.as_bytes(), 9).unwrap();
        lines.push_str("33\n4\n");
        check(MediaType::Csv, lines.as_bytes(), "line 15: longer than 100 bytes");
        let mut records = Vec::new();
        divided(&[4], &mut records);
        divided(&[50, 46], &mut records);
        blocks(MediaType::RecordIo, &records, 9).unwrap();
        divided(&[50, 47], &mut records);
        check(MediaType::RecordIo, &records, "record 3 at byte 128 of the body: 101 bytes");
    }

    #[test]
    fn what_is_no_record_reaches_the_reader() {
        let mut body = Vec::new();
        divided(&[4], &mut body);
        for rest in [&b"\n#\xd7\xce\x04\0\0\0ab"[..], b"\n#\xd7\xce\x04\0\0", b"no frame, but text", b"1"] {
            let body = [&body, rest].concat();
            let blocks = blocks(MediaType::RecordIo, &body, 5).unwrap();
            let read = |bytes: &[u8]| {
                let last = RecordReader::new(bytes, "").last();
                last.unwrap().unwrap_err().to_string()
            };
            assert_eq!(read(&blocks.concat()), read(&body));
        }
    }
}
