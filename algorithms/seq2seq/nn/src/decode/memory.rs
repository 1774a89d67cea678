//! The encoded live sentences: all in one matrix, which sentences enter and leave.

use std::ops::Range;

use kokanee_tensor::{Tensor, Var};

use crate::attention::Memory;

/// Rows of sentences that have left are freed once they are this many, and more than those still in use.
const LEAST_TO_COMPACT: usize = 256;

/// There is always room for this many rows once there were so many. With more than this, the matrices are reallocated if less than
/// a quarter of them is in use.
const LEAST_CAPACITY: usize = 1024;

/// The [`Memory`] of all live sentences. New ones are appended, and the gaps left by old ones are closed from time to time, so that
/// a row is moved a constant number of times on average.
#[derive(Default)]
pub(super) struct LiveMemory {
    /// It has room for more rows than are used.
    memory: Option<Memory>,
    /// Number of rows in use or released, from the first.
    used: usize,
    /// Number of released rows among them.
    freed: usize,
}

impl LiveMemory {
    /// The matrices that decoders look at.
    ///
    /// # Panics
    /// Before anything was appended.
    pub(super) fn matrices(&self) -> &Memory {
        self.memory.as_ref().expect("a sentence was appended")
    }

    /// Appends the rows of `new` and returns the number of the first.
    ///
    /// `live` are the rows of each sentence in the order in which they were appended; they are moved when there is no room.
    pub(super) fn append<'s>(&mut self, new: &Memory, live: impl Iterator<Item = &'s mut Range<u32>>) -> u32 {
        let rows = new.values.value().rows();
        if self.used + rows > self.capacity() {
            self.compact(live);
        }
        let needed = self.used + rows;
        if needed > self.capacity() {
            self.grow(new, needed.max(self.capacity() + self.capacity() / 2));
        }
        let used = self.used;
        let put = |into: &mut Var, from: &Var| {
            let at = used * from.value().cols();
            into.value_mut().data_mut()[at..at + from.value().data().len()]
                .copy_from_slice(from.value().data());
        };
        if let Some(memory) = &mut self.memory {
            put(&mut memory.values, &new.values);
            if let (Some(into), Some(from)) = (&mut memory.keys, &new.keys) {
                put(into, from);
            }
        }
        self.used = needed;
        u32::try_from(used).expect("less than 4 billion tokens are alive")
    }

    /// Releases the rows of a sentence.
    pub(super) fn release(&mut self, rows: &Range<u32>) {
        self.freed += rows.len();
    }

    /// Closes the gaps when they have become as large as the rows in use; see [`LiveMemory::append`] for `live`.
    pub(super) fn tidy<'s>(&mut self, live: impl Iterator<Item = &'s mut Range<u32>>) {
        if self.freed > LEAST_TO_COMPACT.max(self.used / 2) {
            self.compact(live);
            self.shrink();
        }
    }

    /// Bytes of the matrices.
    pub(super) fn bytes(&self) -> usize {
        let matrices = self.memory.iter().flat_map(|memory| [Some(&memory.values), memory.keys.as_ref()]);
        matrices.flatten().map(|matrix| size_of_val(matrix.value().data())).sum()
    }

    fn capacity(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.values.value().rows())
    }

    fn compact<'s>(&mut self, live: impl Iterator<Item = &'s mut Range<u32>>) {
        let Some(memory) = &mut self.memory else { return };
        let mut end = 0;
        for span in live {
            let moved = end..end + span.len() as u32;
            if moved.start != span.start {
                for matrix in [Some(&mut memory.values), memory.keys.as_mut()].into_iter().flatten() {
                    let matrix = matrix.value_mut();
                    let width = matrix.cols();
                    let from = span.start as usize * width..span.end as usize * width;
                    matrix.data_mut().copy_within(from, moved.start as usize * width);
                }
            }
            end = moved.end;
            *span = moved;
        }
        self.used = end as usize;
        self.freed = 0;
    }

    /// Frees room that few sentences leave unused.
    fn shrink(&mut self) {
        let capacity = (2 * self.used).max(LEAST_CAPACITY);
        if self.capacity() > LEAST_CAPACITY
            && 4 * self.used < self.capacity()
            && let Some(memory) = self.memory.take()
        {
            let like = Memory { keys: memory.keys.clone(), values: memory.values.clone() };
            self.memory = Some(memory);
            self.grow(&like, capacity);
        }
    }

    /// Makes room for `capacity` rows as wide as those of `like`.
    fn grow(&mut self, like: &Memory, capacity: usize) {
        let used = self.used;
        let grown = |old: Option<&Var>, like: &Var| {
            let width = like.value().cols();
            let mut matrix = Tensor::zeros([capacity, width]);
            if let Some(old) = old {
                matrix.data_mut()[..used * width].copy_from_slice(&old.value().data()[..used * width]);
            }
            Var::constant(matrix)
        };
        let old = self.memory.as_ref();
        self.memory = Some(Memory {
            values: grown(old.map(|old| &old.values), &like.values),
            keys: like.keys.as_ref().map(|keys| grown(old.and_then(|old| old.keys.as_ref()), keys)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: Range<u32>, width: usize) -> Var {
        let values = rows.clone().flat_map(|row| std::iter::repeat_n(row as f32, width)).collect();
        Var::constant(Tensor::from_vec([rows.len(), width], values))
    }

    /// Sentences enter and leave; each must find its own rows at any time.
    #[test]
    fn sentences_keep_their_rows_while_others_come_and_go() {
        let mut memory = LiveMemory::default();
        let mut live: Vec<(u32, Range<u32>)> = Vec::new();
        let mut next = 0;
        for round in 0..2000u32 {
            let length = 1 + round * 7 % 41;
            let new =
                Memory { values: matrix(next..next + length, 3), keys: Some(matrix(next..next + length, 2)) };
            let start = memory.append(&new, live.iter_mut().map(|(_, span)| span));
            live.push((next, start..start + length));
            next += length;
            while live.len() > (round as usize * 13 % 30) {
                let (_, span) = live.remove(round as usize * 5 % live.len());
                memory.release(&span);
            }
            memory.tidy(live.iter_mut().map(|(_, span)| span));
            for (first, span) in &live {
                for (offset, row) in span.clone().enumerate() {
                    let want = first + offset as u32;
                    let matrices = memory.matrices();
                    assert_eq!(matrices.values.value().row(row as usize), [want as f32; 3]);
                    assert_eq!(matrices.keys().value().row(row as usize), [want as f32; 2]);
                }
            }
        }
        // 30 sentences of at most 41 rows live at a time.
        assert!(memory.capacity() < 4 * 30 * 41, "{} rows for so few", memory.capacity());
    }

    #[test]
    fn a_long_sentence_holds_its_room_no_longer_than_it_lives() {
        let mut memory = LiveMemory::default();
        let enter = |memory: &mut LiveMemory, length: u32, live: &mut [&mut Range<u32>]| {
            let new = Memory { values: matrix(0..length, 3), keys: None };
            let start = memory.append(&new, live.iter_mut().map(|span| &mut **span));
            start..start + length
        };
        let mut long = enter(&mut memory, 100_000, &mut []);
        let mut short = enter(&mut memory, 7, &mut [&mut long]);
        memory.release(&long);
        memory.tidy(std::iter::once(&mut short));
        assert_eq!(short, 0..7);
        assert_eq!(memory.capacity(), LEAST_CAPACITY);
        let rows: Vec<f32> = (0..7).map(|row| memory.matrices().values.value().row(row)[0]).collect();
        assert_eq!(rows, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
