//! Large byte strings in pieces of equal size. A single growing vector would be copied repeatedly, and leave gaps of all sizes that the
//! allocator cannot reuse.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Size of a piece.
const PIECE_BYTES: usize = 1 << 16;

/// Bytes in pieces.
#[derive(Default)]
pub struct Rope {
    pieces: VecDeque<Vec<u8>>,
    length: usize,
}

impl Rope {
    /// Appends bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            if self.pieces.back().is_none_or(|piece| piece.len() == PIECE_BYTES) {
                self.pieces.push_back(Vec::with_capacity(bytes.len().min(PIECE_BYTES)));
            }
            let Some(piece) = self.pieces.back_mut() else { return };
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - piece.len()));
            piece.extend_from_slice(now);
            bytes = later;
        }
    }

    /// The number of bytes in all pieces.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The pieces in their order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(Vec::as_slice)
    }

    /// Removes and returns the first piece.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let piece = self.pieces.pop_front()?;
        self.length -= piece.len();
        Some(piece)
    }

    /// All bytes in one vector. Each piece is freed as soon as it is copied.
    pub fn into_vec(mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length);
        while let Some(piece) = self.pop() {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }
}

/// Reads a rope from its beginning, and frees the pieces that were read.
pub struct RopeReader {
    rope: Rope,
    piece: Vec<u8>,
    /// Number of bytes read of the current piece.
    at: usize,
    left: Arc<AtomicUsize>,
}

impl Rope {
    /// A reader of these bytes.
    pub fn into_reader(self) -> RopeReader {
        let left = Arc::new(AtomicUsize::new(self.length));
        RopeReader { rope: self, piece: Vec::new(), at: 0, left }
    }
}

impl RopeReader {
    /// A counter of the bytes not read yet.
    pub fn left(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.left)
    }
}

impl BufRead for RopeReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.len() {
            (self.piece, self.at) = (self.rope.pop().unwrap_or_default(), 0);
        }
        Ok(&self.piece[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
        self.left.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Read for RopeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_read_in_whatever_pieces() {
        let mut rng = kokanee_testkit::Rng::new(3);
        let (mut rope, mut all) = (Rope::default(), Vec::new());
        while all.len() < 3 * PIECE_BYTES {
            let more: Vec<u8> = (0..rng.range(0..40_000)).map(|_| rng.next_u64() as u8).collect();
            rope.push(&more);
            all.extend(more);
        }
        assert_eq!(rope.len(), all.len());
        assert!(rope.pieces().collect::<Vec<_>>().concat() == all);
        let first = rope.pop().unwrap();
        assert_eq!(rope.len(), all.len() - first.len());
        assert!([first, rope.into_vec()].concat() == all);
    }

    #[test]
    fn a_reader_gives_what_was_pushed_and_counts_what_is_left() {
        let mut rope = Rope::default();
        let all: Vec<u8> = (0..3 * PIECE_BYTES + 7).map(|byte| (byte % 251) as u8).collect();
        rope.push(&all);
        let mut reader = rope.into_reader();
        let left = reader.left();
        let mut first = vec![0; PIECE_BYTES + 1];
        reader.read_exact(&mut first).unwrap();
        assert_eq!(left.load(Ordering::Relaxed), all.len() - first.len());
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert!([first, rest].concat() == all && left.load(Ordering::Relaxed) == 0);
    }
}
