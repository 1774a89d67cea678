//! The first pass: counts how often each word occurs.

use std::path::Path;

use kokanee_formats::text_lines::{Chunk, ChunkSize, TextFile};
use rayon::prelude::*;

use super::Progress;
use crate::error::DataError;
use crate::text::tokens;
use crate::word_table::WordTable;

/// The words of a text and how often each occurs.
#[derive(Debug)]
pub(super) struct WordCounts {
    words: WordTable,
    /// Counts, indexed by the number of the word.
    counts: Vec<u64>,
    /// Lines of the text, blank ones included.
    pub(super) lines: u64,
}

impl WordCounts {
    fn new() -> Self {
        Self { words: WordTable::new(), counts: Vec::new(), lines: 0 }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.words.words().zip(self.counts.iter().copied())
    }

    /// The number of different words.
    pub(super) fn types(&self) -> u64 {
        self.counts.len() as u64
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (word, count) in other.iter() {
            self.add(word, count);
        }
        self.lines += other.lines;
    }

    #[inline]
    fn add(&mut self, word: &str, count: u64) {
        let number = self.words.insert(word) as usize;
        match self.counts.get_mut(number) {
            Some(total) => *total += count,
            None => self.counts.push(count),
        }
    }
}

/// Counts the words of a file. While one batch of chunks is counted, the next is read.
pub(super) fn count_words(
    path: &Path,
    progress: &dyn Progress,
    size: ChunkSize,
) -> Result<WordCounts, DataError> {
    let mut file = TextFile::open(path)?;
    let slots = rayon::current_num_threads();
    let mut read_batch = || {
        let mut batch: Vec<Chunk> = Vec::with_capacity(slots);
        while batch.len() < slots {
            match file.read_chunk(size)? {
                Some(chunk) => batch.push(chunk),
                None => break,
            }
            progress.advance(file.newly_consumed());
        }
        Ok::<_, DataError>((batch, file.lines()))
    };
    // One map for each chunk of a batch, kept from batch to batch: no locks, and merging costs only once.
    let mut partial: Vec<WordCounts> = (0..slots).map(|_| WordCounts::new()).collect();
    let (mut batch, mut lines) = read_batch()?;
    while !batch.is_empty() {
        let (next, counted) = rayon::join(&mut read_batch, || {
            let counted: Vec<_> = partial
                .par_iter_mut()
                .zip(&batch)
                .map(|(counts, chunk)| {
                    chunk.text(path).map(|text| tokens(text).for_each(|token| counts.add(token, 1)))
                })
                .collect();
            counted
        });
        counted.into_iter().collect::<Result<(), _>>()?;
        (batch, lines) = next?;
    }
    let mut all = partial.pop().unwrap_or_else(WordCounts::new);
    for counts in &partial {
        all.merge(counts);
    }
    all.lines = lines;
    Ok(all)
}
