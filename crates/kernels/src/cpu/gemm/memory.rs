//! Memory of laid out weights that is used again: training lays out the same weights at every update, and asking the system for
//! memory each time costs a page fault every 4 KiB.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use super::layout::Entry;
use crate::cpu::pages::{Block, Plain};

/// Buffers that a thread keeps at most; a model has two for each weight of its recurrences.
const MOST_KEPT: usize = 64;
/// A buffer is used again for something at least this share of its size.
const LEAST_SHARE: usize = 2;

// SAFETY: words, of which any bits are a value.
unsafe impl Plain for Entry {}

thread_local! {
    static KEPT: RefCell<Vec<Block<Entry>>> = const { RefCell::new(Vec::new()) };
}

/// Entries of panels, that go back to their thread when dropped.
pub(super) struct Entries {
    /// As long as when it was made; always initialised.
    memory: Block<Entry>,
    len: usize,
}

impl Entries {
    /// Entries of zeros.
    pub(super) fn zeros(len: usize) -> Entries {
        Entries { memory: Block::zeros(len), len }
    }

    /// Entries of any content.
    pub(super) fn scratch(len: usize) -> Entries {
        let kept = KEPT.with_borrow_mut(|kept| {
            let fits = |memory: &Block<Entry>| memory.len() >= len && memory.len() <= len * LEAST_SHARE;
            let smallest = (0..kept.len()).filter(|&i| fits(&kept[i])).min_by_key(|&i| kept[i].len());
            smallest.map(|index| kept.swap_remove(index))
        });
        kept.map_or_else(|| Entries::zeros(len), |memory| Entries { memory, len })
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
        // Nothing is kept any more when a thread ends; then memory just goes back to the system.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < MOST_KEPT && !memory.is_empty() {
                kept.push(memory);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_used_again_for_something_of_its_size() {
        let first = Entries::scratch(1000);
        let address = first.as_ptr();
        drop(first);
        assert_ne!(Entries::scratch(499).as_ptr(), address);
        let second = Entries::scratch(900);
        assert_eq!((second.as_ptr(), second.len()), (address, 900));
    }
}
