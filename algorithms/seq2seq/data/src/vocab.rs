//! Vocabularies: the words and their ids, and their JSON file.

use std::cmp::Reverse;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use kokanee_formats::compression;
use kokanee_formats::folder_update::current;
use kokanee_formats::write_atomically;
use rustc_hash::FxHashMap;
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::error::{DataError, VocabularyFault};
use crate::record::MAX_WORD_ID;
use crate::text::tokens;
use crate::word_table::{Key, WordTable};

/// Id of `<pad>`, which pads rows and is not a word.
pub const PAD_ID: u32 = 0;
/// Id of `<unk>`, which stands for every word the vocabulary lacks.
pub const UNK_ID: u32 = 1;
/// Id of `<s>`, the beginning of a target.
pub const BOS_ID: u32 = 2;
/// Id of `</s>`, the end of a target.
pub const EOS_ID: u32 = 3;
/// The four special symbols; the index in the list is the id.
pub const SPECIAL_SYMBOLS: [&str; 4] = ["<pad>", "<unk>", "<s>", "</s>"];

/// Words and their ids, which run from 0 without gaps; the first four are [`SPECIAL_SYMBOLS`].
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// The number of every word is its id.
    words: WordTable,
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.words.words().eq(other.words.words())
    }
}

impl Eq for Vocabulary {}

/// The limits that decide which words enter a vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VocabularyLimits {
    /// The largest number of words, without special symbols (as in AWS's script). 50,000 by default.
    pub num_words: usize,
    /// The least number of occurrences of a word. 1 by default.
    pub min_count: u64,
}

impl Default for VocabularyLimits {
    fn default() -> Self {
        Self { num_words: 50_000, min_count: 1 }
    }
}

impl Vocabulary {
    /// Builds a vocabulary from counted words, as AWS's script does: special symbols first, then by count, then by word, both
    /// descending; words compare by Unicode code points. Special symbols among the words are skipped. Words must not repeat.
    pub fn build<W: AsRef<str>>(
        counts: impl IntoIterator<Item = (W, u64)>,
        limits: VocabularyLimits,
    ) -> Self {
        let mut ranked: Vec<(u64, W)> = counts
            .into_iter()
            .filter(|(word, count)| *count >= limits.min_count && special_id(word.as_ref()).is_none())
            .map(|(word, count)| (count, word))
            .collect();
        // The order of UTF-8 bytes is that of code points.
        ranked.sort_unstable_by(|(count_a, a), (count_b, b)| {
            Reverse((count_a, a.as_ref())).cmp(&Reverse((count_b, b.as_ref())))
        });
        let room = (MAX_WORD_ID as usize + 1).saturating_sub(SPECIAL_SYMBOLS.len());
        let words = ranked.iter().take(limits.num_words.min(room)).map(|(_, word)| word.as_ref());
        Self::from_words(SPECIAL_SYMBOLS.into_iter().chain(words))
    }

    /// Reads a vocabulary file: a JSON object of word to id, with any white space.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = fs::read(current(path)?).map_err(DataError::io(path, "read the vocabulary"))?;
        Self::from_bytes(bytes, path)
    }

    /// Reads a vocabulary from the file's bytes; `path` is for error messages.
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, DataError> {
        let fail = |fault| DataError::Vocabulary { path: path.to_owned(), line: None, fault };
        if let Some(packing) = compression::of_or_tar(&bytes) {
            return Err(fail(VocabularyFault::Packed(packing)));
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| fail(VocabularyFault::NotUtf8 { byte: error.utf8_error().valid_up_to() }))?;
        Self::parse(&text, path)
    }

    /// Reads a vocabulary from JSON text; `name` stands for the file name in error messages.
    pub fn from_json_str(text: &str, name: &str) -> Result<Self, DataError> {
        Self::parse(text, Path::new(name))
    }

    /// The number of ids, including special symbols.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Never: the special symbols are always there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of a word, or `<unk>`'s.
    pub fn id(&self, word: &str) -> u32 {
        self.get(word).unwrap_or(UNK_ID)
    }

    /// The id of a word, if it has one.
    pub fn get(&self, word: &str) -> Option<u32> {
        self.words.get(word)
    }

    /// The word of an id, if it has one.
    pub fn word(&self, id: u32) -> Option<&str> {
        self.words.word(id as usize)
    }

    /// The id of a token in running text: [`id`](Self::id), but a special symbol is an unknown word there, since `<pad>`, `<s>` and
    /// `</s>` inside a sequence would be taken for its ends.
    pub fn text_id(&self, token: &str) -> u32 {
        self.hashed_text_id(token).0
    }

    /// The same with a hash of the token, which the look-up yields anyway.
    #[inline]
    pub(crate) fn hashed_text_id(&self, token: &str) -> (u32, u64) {
        let key = Key::new(token.as_bytes());
        let id = match self.words.find(key, token) {
            None | Some(PAD_ID | BOS_ID | EOS_ID) => UNK_ID,
            Some(id) => id,
        };
        (id, key.hash())
    }

    /// The ids of a line's tokens (see [`tokens`] and [`text_id`](Self::text_id)).
    pub fn encode(&self, line: &str) -> Vec<u32> {
        tokens(line).map(|token| self.text_id(token)).collect()
    }

    /// The words of a sequence joined by one space. `<pad>`, `<s>` and `</s>` are left out; an id beyond the
    /// vocabulary becomes `<unk>`.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut line = String::new();
        for &id in ids.iter().filter(|&&id| !matches!(id, PAD_ID | BOS_ID | EOS_ID)) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(self.word(id).unwrap_or(SPECIAL_SYMBOLS[UNK_ID as usize]));
        }
        line
    }

    /// The JSON text in the format of AWS's script: ids ascending, four spaces of indent, no escapes but those that JSON demands,
    /// no line break at the end.
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(self.len() * 24);
        let mut separator = "{\n    ";
        for (id, word) in self.words.words().enumerate() {
            json.push_str(separator);
            // Writing a string as JSON to a string cannot fail.
            let quoted = serde_json::to_string(word).unwrap_or_default();
            let _ = write!(json, "{quoted}: {id}");
            separator = ",\n    ";
        }
        json.push_str("\n}");
        json
    }

    /// Writes [`to_json`](Self::to_json) to a file, completely or not at all. Returns the size in bytes.
    pub fn write(&self, path: &Path) -> Result<u64, DataError> {
        Ok(write_atomically(path, self.to_json().as_bytes())?)
    }

    fn from_words<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let mut table = WordTable::new();
        for word in words {
            table.insert(word);
        }
        Self { words: table }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, DataError> {
        let fail = |line, fault| DataError::Vocabulary { path: path.to_owned(), line, fault };
        let mut entries = Entries::default();
        let mut json = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
        let parsed = json.deserialize_map(&mut entries).and_then(|()| json.end());
        if let Err(error) = parsed {
            let line = Some(error.line()).filter(|&line| line > 0);
            let not_json = || VocabularyFault::NotJson { problem: error.to_string() };
            return Err(fail(line, entries.fault.take().unwrap_or_else(not_json)));
        }
        entries
            .into_words()
            .map(|words| Self::from_words(words.iter().map(AsRef::as_ref)))
            .map_err(|fault| fail(None, fault))
    }
}

/// The id of a special symbol.
pub fn special_id(word: &str) -> Option<u32> {
    SPECIAL_SYMBOLS.into_iter().zip(0..).find_map(|(symbol, id)| (symbol == word).then_some(id))
}

/// The entries of the JSON object in both directions. They have their own visitor, because duplicate keys must be detected, and
/// because the parser knows the line only while it is there.
#[derive(Default)]
struct Entries {
    ids: FxHashMap<Box<str>, u32>,
    words: FxHashMap<u32, Box<str>>,
    fault: Option<VocabularyFault>,
}

impl Entries {
    fn insert(&mut self, word: &str, id: u32) -> Result<(), VocabularyFault> {
        if let Some(&first) = self.ids.get(word) {
            return Err(VocabularyFault::DuplicateWord { word: word.to_owned(), first, second: id });
        }
        if let Some(first) = self.words.get(&id) {
            let (first, second) = (first.to_string(), word.to_owned());
            return Err(VocabularyFault::DuplicateId { id, first, second });
        }
        self.words.insert(id, word.into());
        self.ids.insert(word.into(), id);
        Ok(())
    }

    /// The words by id, once all are known.
    fn into_words(mut self) -> Result<Vec<Box<str>>, VocabularyFault> {
        for (symbol, expected) in SPECIAL_SYMBOLS.into_iter().zip(0..) {
            match self.ids.get(symbol) {
                None => return Err(VocabularyFault::MissingSpecial { symbol, expected }),
                Some(&got) if got != expected => {
                    return Err(VocabularyFault::MisplacedSpecial { symbol, got, expected });
                }
                Some(_) => {}
            }
        }
        let count = self.words.len();
        let mut words = Vec::with_capacity(count);
        for id in 0..count as u32 {
            let Some(word) = self.words.remove(&id) else {
                // Ids are distinct, so where one below the count is missing another one lies above it.
                let highest = self.words.into_iter().max_by_key(|(id, _)| *id);
                let (last_id, last) = highest.unwrap_or_default();
                return Err(VocabularyFault::Gap { id, words: count, last: last.into(), last_id });
            };
            words.push(word);
        }
        Ok(words)
    }
}

impl<'de> Visitor<'de> for &mut Entries {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of word to id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(word) = map.next_key::<String>()? {
            map.next_value_seed(Id { entries: self, word })?;
        }
        Ok(())
    }
}

/// The id of a word. Faults are raised while the parser is right behind the id, because then it adds the line.
struct Id<'e> {
    entries: &'e mut Entries,
    word: String,
}

impl Id<'_> {
    fn fail<E: serde::de::Error>(self, fault: VocabularyFault) -> Result<(), E> {
        let error = E::custom(&fault);
        self.entries.fault = Some(fault);
        Err(error)
    }

    fn not_an_id<E: serde::de::Error>(self, got: impl Into<String>) -> Result<(), E> {
        let (word, got) = (self.word.clone(), got.into());
        self.fail(VocabularyFault::NotAnId { word, got })
    }
}

impl<'de> DeserializeSeed<'de> for Id<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Id<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a word's id")
    }

    fn visit_u64<E: serde::de::Error>(self, id: u64) -> Result<(), E> {
        match u32::try_from(id).ok().filter(|&id| id <= MAX_WORD_ID) {
            None => self.not_an_id(id.to_string()),
            Some(id) => match self.entries.insert(&self.word, id) {
                Ok(()) => Ok(()),
                Err(fault) => self.fail(fault),
            },
        }
    }

    fn visit_i64<E: serde::de::Error>(self, got: i64) -> Result<(), E> {
        self.not_an_id(got.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, got: f64) -> Result<(), E> {
        self.not_an_id(format!("{got:?}"))
    }

    fn visit_str<E: serde::de::Error>(self, got: &str) -> Result<(), E> {
        const SHOWN: usize = 40;
        let more = if got.chars().nth(SHOWN).is_some() { "…" } else { "" };
        self.not_an_id(format!("the string {:?}{more}", got.chars().take(SHOWN).collect::<String>()))
    }

    fn visit_bool<E: serde::de::Error>(self, got: bool) -> Result<(), E> {
        self.not_an_id(got.to_string())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.not_an_id("null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.not_an_id("an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.not_an_id("an object")
    }
}

#[cfg(test)]
mod tests;
