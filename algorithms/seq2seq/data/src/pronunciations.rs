//! Pronunciation dictionaries: a word and its sounds on each line, as CMUdict, Sphinx, Kaldi and the Montreal Forced Aligner
//! write them.
//!
//! | line | meaning |
//! |---|---|
//! | `abend<TAB>AE1 B EH0 N D` or `ABEND  AE1 B EH0 N D` | a word, white space, its sounds |
//! | `abend(2) AH0 B EH1 N D` | another pronunciation of the same word |
//! | `the<TAB>0.16<TAB>0.08<TAB>ð ə` | probabilities between word and sounds are ignored |
//! | `;;; …`, and what follows `#` after white space | a comment |

use std::path::Path;

use kokanee_formats::text_lines::{ChunkSize, TextFile, lines};

use crate::error::{DataError, EntryFault};
use crate::text::tokens;

/// The entries of a dictionary in the order of its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pronunciations {
    entries: Vec<Entry>,
}

/// A word and one of its pronunciations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The letters of the word, separated by blanks: the model's input.
    pub letters: String,
    /// The sounds, separated by blanks: the model's output.
    pub sounds: String,
}

impl Pronunciations {
    /// Reads a dictionary, plain or gzip-compressed, in UTF-8.
    ///
    /// # Errors
    /// When it cannot be read, has no entry, or a line is not a word with its sounds; the error names the line.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        const AT_A_TIME: ChunkSize = ChunkSize { lines: 8192, bytes: 1 << 20 };
        let mut file = TextFile::open(path)?;
        let mut entries = Vec::new();
        let mut line_number = 0;
        while let Some(chunk) = file.read_chunk(AT_A_TIME)? {
            for line in lines(chunk.text(path)?) {
                line_number += 1;
                let fault =
                    |fault| DataError::Entry { path: path.to_owned(), line: line_number, byte: 1, fault };
                entries.extend(Entry::parse(line).map_err(fault)?);
            }
        }
        if entries.is_empty() {
            let fault = EntryFault::NoPronunciation { lines: line_number };
            return Err(DataError::Entry { path: path.to_owned(), line: line_number.max(1), byte: 1, fault });
        }
        Ok(Self { entries })
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl Entry {
    /// Parses a line; none for a blank line or a comment.
    fn parse(line: &str) -> Result<Option<Self>, EntryFault> {
        if line.trim_start().starts_with(";;;") {
            return Ok(None);
        }
        let line = match line.match_indices('#').find(|&(at, _)| line[..at].ends_with(char::is_whitespace)) {
            Some((at, _)) => &line[..at],
            None => line,
        };
        let (word, sounds) = match line.trim().split_once('\t') {
            Some((word, rest)) => (word, after_probabilities(rest)),
            None => line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), "")),
        };
        if word.is_empty() && sounds.is_empty() {
            return Ok(None);
        }
        let spelt = without_number(word.trim());
        if spelt.contains(char::is_whitespace) {
            return Err(EntryFault::BlankInWord { word: spelt.to_owned() });
        }
        let sounds = tokens(sounds).collect::<Vec<_>>().join(" ");
        if spelt.is_empty() || sounds.is_empty() {
            return Err(EntryFault::NoSounds { word: word.to_owned() });
        }
        let letters = spelt.chars().map(String::from).collect::<Vec<_>>().join(" ");
        Ok(Some(Self { letters, sounds }))
    }
}

/// The text after fields that are only a number.
fn after_probabilities(mut rest: &str) -> &str {
    while let Some((field, after)) = rest.split_once('\t')
        && (field.trim().is_empty() || field.trim().parse::<f64>().is_ok())
    {
        rest = after;
    }
    rest
}

/// Turns `abend(2)` into `abend`.
fn without_number(word: &str) -> &str {
    let numbered = word.strip_suffix(')').and_then(|rest| rest.rsplit_once('('));
    match numbered {
        Some((base, number))
            if !base.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            base
        }
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("d.tsv");
        std::fs::write(&path, text).expect("writes");
        let read = Pronunciations::read(&path)
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))?;
        Ok(read.entries.into_iter().map(|entry| (entry.letters, entry.sounds)).collect())
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(read(text), Ok(expected), "{text:?}");
    }

    #[test]
    fn dictionaries_of_all_kinds_are_read() {
        check("abend\tAE1 B\nabend(2)\tAH0 B\r\n", &[("a b e n d", "AE1 B"), ("a b e n d", "AH0 B")]);
        check(
            ";;; CMUdict\nTOMATO  T AH0\nTOMATO(1)  T\n",
            &[("T O M A T O", "T AH0"), ("T O M A T O", "T")],
        );
        check("d'or D AO1 R # name, French\n\n  \n", &[("d ' o r", "D AO1 R")]);
        check("the\t0.16\t0.08\t2.17\t1.13\tð ə\n", &[("t h e", "ð ə")]);
        check("\u{feff}für\tf yː ɐ\n", &[("f ü r", "f yː ɐ")]);
        check("c#\tS IY1 SH\n(2)\tT UW1\n", &[("c #", "S IY1 SH"), ("( 2 )", "T UW1")]);
        check("zwei\t2 3\n", &[("z w e i", "2 3")]);
    }

    #[test]
    fn lines_without_sounds_are_refused() {
        let check = |text: &str, expected: &str| assert_eq!(read(text), Err(expected.to_owned()));
        check(
            "a\tB\nabend\n",
            "d.tsv:2:1: no sounds follow \"abend\"; expected a word, white space, and its sounds",
        );
        check(
            "abend\t\n",
            "d.tsv:1:1: no sounds follow \"abend\"; expected a word, white space, and its sounds",
        );
        check(
            "new york\tN UW1\n",
            "d.tsv:1:1: \"new york\" has a blank in it; a dictionary gives the sounds of single words",
        );
        check(";;; nothing\n\n", "d.tsv:2:1: none of the 2 lines has a word with its sounds");
        check("", "d.tsv:1:1: none of the 0 lines has a word with its sounds");
    }
}
