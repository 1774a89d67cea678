//! A reader for a body that may still be arriving.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kokanee_http::{Rope, RopeReader};

/// The end where a body's bytes go in.
pub(super) struct Inlet {
    waiting: Arc<Mutex<Rope>>,
    /// Bytes that went in and were not read yet.
    unread: Arc<AtomicUsize>,
}

/// The end where the bytes come out. It reports the end of input whenever all bytes were read, and continues once there are more. Readers
/// of lines and records that receive whole items keep counting across blocks, and never notice the blocks.
pub(super) struct Outlet {
    reader: RopeReader,
    waiting: Arc<Mutex<Rope>>,
    unread: Arc<AtomicUsize>,
}

impl Inlet {
    /// Both ends.
    pub(super) fn new() -> (Self, Outlet) {
        let (waiting, unread) = (Arc::<Mutex<Rope>>::default(), Arc::<AtomicUsize>::default());
        let outlet = Outlet {
            reader: Rope::default().into_reader(),
            waiting: Arc::clone(&waiting),
            unread: Arc::clone(&unread),
        };
        (Self { waiting, unread }, outlet)
    }

    /// Puts bytes in, once all earlier ones were read.
    pub(super) fn put(&self, bytes: Rope) {
        debug_assert_eq!(self.unread(), 0, "nothing is overwritten");
        self.unread.store(bytes.len(), Ordering::Relaxed);
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    /// The number of bytes not read yet.
    pub(super) fn unread(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }
}

impl BufRead for Outlet {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.reader.fill_buf()?.is_empty() {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.reader = std::mem::take(&mut *waiting).into_reader();
        }
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        self.unread.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Read for Outlet {
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
    fn an_outlet_ends_and_goes_on() {
        let (inlet, mut outlet) = Inlet::new();
        for text in ["", "a line", "another, which is longer"] {
            let mut rope = Rope::default();
            rope.push(text.as_bytes());
            inlet.put(rope);
            assert_eq!(inlet.unread(), text.len());
            let mut read = String::new();
            outlet.read_to_string(&mut read).unwrap();
            assert_eq!((read.as_str(), inlet.unread()), (text, 0));
        }
    }
}
