//! Reuse of memory.
//!
//! A training step creates and drops some hundreds of tensors, most of them of a few megabytes. Asking the system for them each
//! time costs page faults on every byte; so dropped buffers wait in a pool of their thread for the next request of about their
//! size.

use std::cell::RefCell;
use std::collections::BTreeMap;

use kokanee_kernels::pages::Block;

/// The most bytes that one thread's pool keeps.
const POOL_LIMIT_BYTES: usize = 1 << 30;

/// A free buffer serves a request that is smaller by up to a third: otherwise, where no two batches have the same size, there would
/// be memory for each of their sizes.
const EXCESS_DIVISOR: usize = 2;

/// From this number of elements on, given values are more likely those of a parameter than of something created and dropped at
/// every step.
const LARGE: usize = 1 << 16;

/// A buffer that was not used while its thread asked for this many goes back to the system: after one long sentence, a server's
/// memory comes down again. It is some ten updates of a training and a thousand steps of a decoder, so that allocating the buffer
/// again costs next to nothing compared with what was computed meanwhile.
const PATIENCE: u64 = 1 << 17;
/// The number of requests between two checks for buffers that have waited too long.
const LOOK_EVERY: u64 = 1 << 12;

#[derive(Default)]
struct Pool {
    /// Free buffers by length; each with the number of the request after which it came, the oldest first.
    free: BTreeMap<usize, Vec<(Block<f32>, u64)>>,
    bytes: usize,
    /// Number of buffers requested so far.
    requests: u64,
}

impl Pool {
    fn take(&mut self, capacity: usize) -> Option<Block<f32>> {
        self.requests += 1;
        if self.requests.is_multiple_of(LOOK_EVERY) {
            self.give_back();
        }
        let mut fitting = self.free.range_mut(capacity..=capacity + capacity / EXCESS_DIVISOR);
        let (memory, _) = fitting.find_map(|(_, blocks)| blocks.pop())?;
        self.bytes -= size_of_val(&memory[..]);
        Some(memory)
    }

    fn put(&mut self, memory: Block<f32>) {
        let bytes = size_of_val(&memory[..]);
        if self.bytes + bytes <= POOL_LIMIT_BYTES {
            self.bytes += bytes;
            self.free.entry(memory.len()).or_default().push((memory, self.requests));
        }
    }

    /// Gives buffers that have waited too long back to the system.
    fn give_back(&mut self) {
        let oldest = self.requests.saturating_sub(PATIENCE);
        for blocks in self.free.values_mut() {
            let waited = blocks.partition_point(|(_, since)| *since < oldest);
            self.bytes -= blocks.drain(..waited).map(|(memory, _)| size_of_val(&memory[..])).sum::<usize>();
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// Capacity for `len` elements: four classes per octave, so that batches of similar size share buffers.
fn class(len: usize) -> usize {
    let step = (len.max(1024).next_power_of_two() / 8).max(1);
    len.max(1).div_ceil(step) * step
}

/// `len` initialised floats.
pub(crate) struct Buffer {
    /// Always initialised.
    memory: Block<f32>,
    len: usize,
    /// Whether the buffer goes to the pool for its next use when it is dropped; its memory then has the length of its class.
    /// Long-lived values, such as parameters, go back to the system: nothing of their size may ever be asked for again.
    pooled: bool,
}

impl Buffer {
    /// A buffer of arbitrary content.
    pub(crate) fn scratch(len: usize) -> Buffer {
        let capacity = class(len);
        let reused = POOL.with_borrow_mut(|pool| pool.take(capacity));
        let memory = reused.unwrap_or_else(|| Block::zeros(capacity));
        let mut buffer = Buffer { memory, len, pooled: true };
        if cfg!(debug_assertions) {
            // Code that reads before writing shall notice.
            buffer.fill(f32::NAN);
        }
        buffer
    }

    /// A buffer of zeros that does not come from the pool and does not go there.
    pub(crate) fn lasting(len: usize) -> Buffer {
        Buffer { memory: Block::zeros(len), len, pooled: false }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.memory[..self.len]
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.len]
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        let len = values.len();
        if len >= LARGE {
            return Buffer { memory: Block::from(&values[..]), len, pooled: false };
        }
        let mut buffer = Buffer::scratch(len);
        buffer.copy_from_slice(&values);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        if !self.pooled {
            return;
        }
        // The pool is gone when its thread ends; then memory just goes back to the system.
        let _ = POOL.try_with(|pool| pool.borrow_mut().put(memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_length_and_is_its_own_class() {
        for len in (0..5000).chain([1 << 20, (1 << 20) + 1, 123_456_789]) {
            let capacity = class(len);
            assert!(capacity >= len && capacity > 0);
            assert_eq!(class(capacity), capacity, "{len}");
            assert!(len < 1024 || capacity <= len + len / 4 + 1, "{len} takes {capacity}");
        }
    }

    #[test]
    fn a_buffer_that_nobody_wants_goes_back_to_the_system() {
        let pooled = || POOL.with_borrow(|pool| pool.bytes);
        drop(Buffer::scratch(1 << 20));
        assert!(pooled() >= 4 << 20);
        for _ in 0..PATIENCE + LOOK_EVERY {
            drop(Buffer::scratch(10));
        }
        assert!(pooled() < 1 << 20, "{} bytes wait", pooled());
    }

    #[test]
    fn what_lasts_goes_back_to_the_system() {
        let pooled = || POOL.with_borrow(|pool| pool.bytes);
        let before = pooled();
        for len in [class(5000), LARGE, 2 * LARGE] {
            let buffer = Buffer::lasting(len);
            assert!(buffer.len() == len && buffer.iter().all(|&x| x == 0.0));
            drop(buffer);
        }
        drop(Buffer::from(vec![1.0; 2 * LARGE]));
        assert_eq!(pooled(), before);
    }

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let first = Buffer::scratch(5000);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(Buffer::scratch(4990).as_ptr(), address);
        // The buffer is used for something smaller too, but not if that would waste most of it.
        assert_eq!(Buffer::scratch(3600).as_ptr(), address);
        assert_ne!(Buffer::scratch(3000).as_ptr(), address);
    }
}
