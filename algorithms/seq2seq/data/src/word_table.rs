//! A set of words, each with a number in the order of insertion, designed for looking up every token of a corpus.
//!
//! Words of up to 16 bytes, nearly all of them, are stored in the table itself, so that a look-up is a few loads and compares
//! without a call or a second place in memory. `prepare` spends most of its time here.

use kokanee_formats::random::mix;

/// A table of numbered words.
#[derive(Debug, Clone)]
pub(crate) struct WordTable {
    /// A power of two, at most three quarters of them taken.
    slots: Vec<Slot>,
    /// All words one after the other.
    text: String,
    /// Where each word ends in `text`.
    ends: Vec<usize>,
}

/// The key that identifies a word. Up to [`Key::EXACT`] bytes, equal keys are equal words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    front: u64,
    back: u64,
    bytes: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    /// Number of the word plus one; 0 if the slot is free.
    taken: u32,
}

const FREE: Slot = Slot { key: Key { front: 0, back: 0, bytes: 0 }, taken: 0 };

impl WordTable {
    pub(crate) fn new() -> Self {
        Self { slots: vec![FREE; 1 << 10], text: String::new(), ends: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The word of a number.
    pub(crate) fn word(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let begin = if number == 0 { 0 } else { self.ends[number - 1] };
        Some(&self.text[begin..end])
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|number| self.word(number))
    }

    /// The number of a word.
    pub(crate) fn get(&self, word: &str) -> Option<u32> {
        self.find(Key::new(word.as_bytes()), word)
    }

    /// The number of a word whose key is known.
    #[inline]
    pub(crate) fn find(&self, key: Key, word: &str) -> Option<u32> {
        self.slots[self.slot_of(key, word)].taken.checked_sub(1)
    }

    /// The number of a word, which is added if it is missing.
    #[inline]
    pub(crate) fn insert(&mut self, word: &str) -> u32 {
        let key = Key::new(word.as_bytes());
        let slot = self.slot_of(key, word);
        match self.slots[slot].taken.checked_sub(1) {
            Some(number) => number,
            None => self.add(slot, key, word),
        }
    }

    #[cold]
    fn add(&mut self, slot: usize, key: Key, word: &str) -> u32 {
        self.text.push_str(word);
        self.ends.push(self.text.len());
        // More words than u32 can number would first need a hundred gigabytes of slots.
        let taken = self.ends.len() as u32;
        self.slots[slot] = Slot { key, taken };
        if self.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
        taken - 1
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![FREE; old.len() * 2];
        for slot in old.into_iter().filter(|slot| slot.taken > 0) {
            let mut at = slot.key.hash() as usize & (self.slots.len() - 1);
            while self.slots[at].taken > 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = slot;
        }
    }

    /// The slot of a word, or the free slot for it.
    #[inline]
    fn slot_of(&self, key: Key, word: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = key.hash() as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.taken == 0 {
                return at;
            }
            let exact = key.bytes as usize <= Key::EXACT;
            if slot.key == key && (exact || self.word(slot.taken as usize - 1) == Some(word)) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }
}

impl Key {
    const EXACT: usize = 16;

    /// Together with the length, the first and the last bytes (which may overlap) determine a short word.
    #[inline]
    pub(crate) fn new(word: &[u8]) -> Self {
        let bytes = word.len() as u32;
        let half = |word: &[u8]| word.first_chunk().map_or(0, |&chunk| u64::from(u32::from_le_bytes(chunk)));
        let (front, back) = match word.len() {
            0 => (0, 0),
            1..4 => {
                let of = |index: usize| u64::from(word[index]);
                (of(0) | of(word.len() / 2) << 8 | of(word.len() - 1) << 16, 0)
            }
            4..=8 => (half(word), half(&word[word.len() - 4..])),
            9..=Self::EXACT => (eight(word), eight(&word[word.len() - 8..])),
            _ => {
                let mut hash = [mix(u64::from(bytes)), 0x2545_F491_4F6C_DD1D];
                for chunk in word.chunks(8) {
                    // The last chunk is taken from the end and overlaps the one before.
                    let chunk = if chunk.len() == 8 { eight(chunk) } else { eight(&word[word.len() - 8..]) };
                    hash = [fold(hash[0] ^ chunk, MULTIPLIER), fold(hash[1] ^ chunk, MULTIPLIER ^ hash[0])];
                }
                (hash[0], hash[1])
            }
        };
        Self { front, back, bytes }
    }

    /// 64 bits that depend on all of the word.
    #[inline]
    pub(crate) fn hash(self) -> u64 {
        fold(
            self.front ^ MULTIPLIER,
            self.back ^ u64::from(self.bytes).wrapping_mul(0xA076_1D64_78BD_642F) ^ !0,
        )
    }
}

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A 128-bit product folded to 64 bits.
#[inline]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn eight(word: &[u8]) -> u64 {
    word.first_chunk().map_or(0, |&chunk| u64::from_le_bytes(chunk))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_words_like_a_map(words in prop::collection::vec("[ab]{0,20}|\\PC{0,40}", 0..1200)) {
            let mut table = WordTable::new();
            let mut expected = HashMap::new();
            for word in &words {
                let next = expected.len() as u32;
                let number = *expected.entry(word.as_str()).or_insert(next);
                prop_assert_eq!(table.insert(word), number);
            }
            prop_assert_eq!(table.len(), expected.len());
            for (word, number) in expected {
                prop_assert_eq!(table.get(word), Some(number));
                prop_assert_eq!(table.word(number as usize), Some(word));
            }
            prop_assert_eq!(table.get("not there: [ab] only"), None);
        }
    }

    #[test]
    fn short_keys_are_exact_and_hashes_spread() {
        // All words of up to 3 letters of a small alphabet, and longer ones that differ in one position only.
        let letters = [b'a', b'b', 0, 0xc3];
        let mut words = vec![vec![]];
        for length in 1..4 {
            let longer = words.iter().filter(|word| word.len() == length - 1).cloned().collect::<Vec<_>>();
            words
                .extend(longer.iter().flat_map(|word| letters.map(|letter| [&word[..], &[letter]].concat())));
        }
        for length in 4..40 {
            words.extend((0..length).map(|place| {
                let mut word = vec![b'a'; length];
                word[place] = b'b';
                word
            }));
        }
        let keys: Vec<_> = words.iter().map(|word| Key::new(word)).collect();
        let distinct: HashSet<_> = keys.iter().map(|key| (key.front, key.back, key.bytes)).collect();
        assert_eq!(distinct.len(), words.len());
        let hashes: HashSet<_> = keys.iter().map(|key| key.hash()).collect();
        assert_eq!(hashes.len(), words.len());
    }

    #[test]
    fn sequential_words_need_few_probes() {
        let mut table = WordTable::new();
        for number in 0..100_000 {
            table.insert(&format!("w{number}"));
        }
        let mask = table.slots.len() - 1;
        let away = |(at, slot): (usize, &Slot)| at.wrapping_sub(slot.key.hash() as usize) & mask;
        let taken = table.slots.iter().enumerate().filter(|(_, slot)| slot.taken > 0);
        let total: usize = taken.map(away).sum();
        assert!(total < 100_000, "{total} probes beyond the first for 100000 words");
    }
}
