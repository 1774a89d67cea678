//! The file format of a lexicon. All numbers are little-endian; probabilities are IEEE 754 single precision.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `KOKLEXIC` |
//! | 4 | version of the format, 1 |
//! | 4 + 4 | words of the source vocabulary, of the target vocabulary |
//! | 4 + 4 | CRC-32 of the source vocabulary's JSON, of the target vocabulary's |
//! | 4 | F, target words that occur |
//! | 8 | E, translations of all source words together |
//! | 4 F | target words, the most frequent first |
//! | 4 each source word | how many translations it has |
//! | 4 E | the translations, word by word, the most probable first |
//! | 4 E | their probabilities |
//! | 4 | CRC-32 of everything before |

use std::path::Path;

use kokanee_formats::{crc32, write_atomically};

use super::{Lexicon, is_special};
use crate::error::{DataError, LexiconFault};

const MAGIC: &[u8; 8] = b"KOKLEXIC";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 40;
const CRC_BYTES: usize = 4;

impl Lexicon {
    /// Writes the lexicon, completely or not at all. Returns the number of bytes.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn write(&self, path: &Path) -> Result<u64, DataError> {
        Ok(write_atomically(path, &self.to_bytes())?)
    }

    /// Reads a lexicon. [`belongs_to`](Self::belongs_to) tells whether it belongs to given vocabularies.
    ///
    /// # Errors
    /// When the file cannot be read, is not a lexicon, or is damaged.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(DataError::io(path, "read the lexicon"))?;
        Self::from_bytes(&bytes).map_err(|fault| DataError::Lexicon { path: path.to_owned(), fault })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let lengths = self.offsets.windows(2).map(|ends| (ends[1] - ends[0]) as u32);
        let header = [VERSION, self.source_size() as u32, self.target_size]
            .into_iter()
            .chain(self.vocabulary_sums)
            .chain([self.frequent.len() as u32]);
        let mut bytes = MAGIC.to_vec();
        header.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        bytes.extend_from_slice(&(self.ids.len() as u64).to_le_bytes());
        let numbers = self.frequent.iter().copied().chain(lengths).chain(self.ids.iter().copied());
        numbers.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        self.probabilities.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, LexiconFault> {
        if !bytes.starts_with(MAGIC) {
            return Err(LexiconFault::NotALexicon);
        }
        let got = bytes.len() as u64;
        if bytes.len() < HEADER_BYTES + CRC_BYTES {
            return Err(LexiconFault::Length {
                header: HEADER_BYTES,
                expected: (HEADER_BYTES + CRC_BYTES) as u64,
                got,
            });
        }
        let header: Vec<u32> = words(&bytes[MAGIC.len()..HEADER_BYTES]).collect();
        let [version, source_size, target_size, source_sum, target_sum, frequent, low, high] = header[..]
        else {
            return Err(LexiconFault::NotALexicon);
        };
        if version != VERSION {
            return Err(LexiconFault::Version { got: version, known: VERSION });
        }
        let entries = u64::from(high) << 32 | u64::from(low);
        let words_after = u64::from(frequent) + u64::from(source_size);
        let expected = entries
            .checked_mul(8)
            .and_then(|bytes| bytes.checked_add(4 * words_after + (HEADER_BYTES + CRC_BYTES) as u64))
            .unwrap_or(u64::MAX);
        if expected != got {
            return Err(LexiconFault::Length { header: HEADER_BYTES, expected, got });
        }
        let (content, sum) = bytes.split_at(bytes.len() - CRC_BYTES);
        let expected = words(sum).next().unwrap_or_default();
        if crc32(content) != expected {
            return Err(LexiconFault::Checksum { expected, got: crc32(content) });
        }
        // The lengths fit into memory, since the content has that many bytes.
        let (frequent, rest) = content[HEADER_BYTES..].split_at(4 * frequent as usize);
        let (lengths, rest) = rest.split_at(4 * source_size as usize);
        let (ids, probabilities) = rest.split_at(4 * entries as usize);
        let mut offsets = Vec::with_capacity(source_size as usize + 1);
        offsets.push(0);
        let mut end = 0_usize;
        for length in words(lengths) {
            end += length as usize;
            offsets.push(end);
        }
        let lexicon = Self {
            target_size,
            vocabulary_sums: [source_sum, target_sum],
            frequent: words(frequent).collect(),
            offsets,
            ids: words(ids).collect(),
            probabilities: words(probabilities).map(f32::from_bits).collect(),
        };
        lexicon.check()?;
        Ok(lexicon)
    }

    fn check(&self) -> Result<(), LexiconFault> {
        let fault = |problem| Err(LexiconFault::Content { problem });
        let end = self.offsets[self.offsets.len() - 1];
        if end != self.ids.len() {
            return fault(format!("it has {} translations, but its words claim {end}", self.ids.len()));
        }
        let is_word = |id: u32| !is_special(id) && id < self.target_size;
        if let Some(id) = self.frequent.iter().chain(&self.ids).find(|&&id| !is_word(id)) {
            return fault(format!(
                "it has the target word {id}, expected an id from 4 to {}",
                self.target_size
            ));
        }
        if let Some(got) = self.probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return fault(format!("it has the probability {got}, expected a number from 0 to 1"));
        }
        Ok(())
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word))
}
