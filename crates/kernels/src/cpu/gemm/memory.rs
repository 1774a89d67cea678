//! Reuse of the memory of laid out weights: training lays out the same weights at every update, and asking the system for memory
//! each time costs a page fault every 4 KiB.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use super::kernel::Line;
use super::layout::Entry;
use crate::cpu::pages::{Block, Plain};

/// The most bytes of buffers that a thread keeps. A training lays out two matrices for each weight of its recurrences; this is
/// enough for those of four layers of 1024 units.
const MOST_KEPT_BYTES: usize = 512 << 20;
/// A buffer is reused only for something of at least this share of its size: half.
const LEAST_SHARE: usize = 2;
/// The number of sizes, between one size and twice as much, in which buffers of zeros are made.
const STEPS_OF_AN_OCTAVE: usize = 8;
/// A buffer that was not used while the thread asked for this many others goes back to the system. An update of a training asks for
/// two per weight, so only a model of more than a hundred layers lays its weights out in fresh memory each time.
const PATIENCE: u64 = 1024;

// SAFETY: words, of which any bits are a value.
unsafe impl Plain for Entry {}

/// Buffers that wait for their next use.
struct Kept {
    /// Each buffer with the number of the request after which it came.
    buffers: Vec<(Block<Entry>, u64)>,
    bytes: usize,
    /// Number of buffers requested so far.
    requests: u64,
}

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { buffers: Vec::new(), bytes: 0, requests: 0 }) };
}

impl Kept {
    /// Takes the smallest buffer for `len` entries that is not much too large.
    fn take(&mut self, len: usize) -> Option<Block<Entry>> {
        self.requests += 1;
        let fits = |memory: &Block<Entry>| memory.len() >= len && memory.len() <= len * LEAST_SHARE;
        let fitting = (0..self.buffers.len()).filter(|&i| fits(&self.buffers[i].0));
        let smallest = fitting.min_by_key(|&i| self.buffers[i].0.len())?;
        let (memory, _) = self.buffers.swap_remove(smallest);
        self.bytes -= size_of_val(&memory[..]);
        Some(memory)
    }

    /// Keeps a buffer if there is room, and frees those that were not requested for long.
    fn put(&mut self, memory: Block<Entry>) {
        let bytes = size_of_val(&memory[..]);
        if bytes > 0 && self.bytes + bytes <= MOST_KEPT_BYTES {
            self.bytes += bytes;
            self.buffers.push((memory, self.requests));
        }
        let oldest = self.requests.saturating_sub(PATIENCE);
        let given_back = self.buffers.extract_if(.., |(_, since)| *since < oldest);
        self.bytes -= given_back.map(|(memory, _)| size_of_val(&memory[..])).sum::<usize>();
    }
}

/// Entries of panels, whose memory goes back to their thread when dropped.
pub(super) struct Entries {
    /// As long as when it was allocated; always initialised.
    memory: Block<Entry>,
    len: usize,
}

impl Entries {
    /// Entries of zeros, for data of many sizes: with some spare room, so that the next one fits too.
    pub(super) fn zeros(len: usize) -> Entries {
        let Some(memory) = KEPT.with_borrow_mut(|kept| kept.take(len)) else {
            let step = (len.next_power_of_two() / STEPS_OF_AN_OCTAVE).max(1);
            return Entries { memory: Block::zeros(len.next_multiple_of(step)), len };
        };
        let mut entries = Entries { memory, len };
        entries.iter_mut().for_each(|entry| entry.fill(Line::ZERO));
        entries
    }

    /// Entries of arbitrary content.
    pub(super) fn scratch(len: usize) -> Entries {
        let kept = KEPT.with_borrow_mut(|kept| kept.take(len));
        Entries { memory: kept.unwrap_or_else(|| Block::zeros(len)), len }
    }
}

impl Deref for Entries {
    type Target = [Entry];
    fn deref(&self) -> &[Entry] {
        &self.memory[..self.len]
    }
}

impl DerefMut for Entries {
    fn deref_mut(&mut self) -> &mut [Entry] {
        &mut self.memory[..self.len]
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        // A thread that is ending keeps nothing any more; then the memory just goes back to the system.
        let _ = KEPT.try_with(|kept| kept.borrow_mut().put(memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (usize, usize) {
        KEPT.with_borrow(|kept| {
            let bytes = kept.buffers.iter().map(|(memory, _)| size_of_val(&memory[..])).sum();
            assert_eq!(kept.bytes, bytes, "bytes are counted");
            (kept.buffers.len(), bytes)
        })
    }

    #[test]
    fn a_dropped_buffer_is_used_again_for_something_of_its_size() {
        let mut first = Entries::scratch(1000);
        first.iter_mut().for_each(|entry| entry[0].0[0] = 7);
        let address = first.as_ptr();
        drop(first);
        assert_ne!(Entries::scratch(499).as_ptr(), address);
        let second = Entries::scratch(900);
        assert_eq!((second.as_ptr(), second.len()), (address, 900));
        drop(second);
        let third = Entries::zeros(950);
        assert_eq!((third.as_ptr(), third.len()), (address, 950));
        assert!(third.iter().flatten().all(|line| line.0 == Line::ZERO.0), "zeros are asked for");
    }

    #[test]
    fn zeros_that_come_and_go_leave_one_buffer() {
        for number in 0..200 {
            drop(Entries::zeros(900 + number % 100));
        }
        assert!(kept().0 <= 2, "{:?} after 200 of nearly one size", kept());
    }

    #[test]
    fn what_is_kept_is_limited_in_bytes() {
        let size = MOST_KEPT_BYTES / size_of::<Entry>() / 5 * 2;
        let together: Vec<Entries> = (0..4).map(|_| Entries::scratch(size)).collect();
        drop(together);
        assert!(kept().0 == 2 && kept().1 <= MOST_KEPT_BYTES, "{:?}", kept());
    }

    #[test]
    fn a_buffer_that_nobody_wants_goes_back() {
        drop(Entries::scratch(5000));
        for _ in 0..=PATIENCE {
            drop(Entries::scratch(10));
        }
        assert_eq!(kept().0, 1);
    }
}
