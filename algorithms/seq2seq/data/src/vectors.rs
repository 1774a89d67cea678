//! Pretrained word vectors from text files in the format of fastText and GloVe: a word and its numbers on each line, separated by
//! blanks. fastText has a first line with the number of words and the width.
//!
//! Some words of such files contain blanks (`. . .` in glove.840B.300d), or are nothing but white space. The last numbers of a line
//! are the vector, and the text before them is the word; no vocabulary has a word with blanks.

use std::path::Path;

use kokanee_formats::text_lines::{ChunkSize, TextFile, lines};

use crate::error::{DataError, EntryFault};
use crate::vocab::Vocabulary;

/// The vectors of those words of a vocabulary that a file has.
#[derive(Clone, Debug, PartialEq)]
pub struct WordVectors {
    /// Numbers per vector.
    pub width: usize,
    /// Words of the vocabulary that have a vector, ascending, each once.
    pub ids: Vec<u32>,
    /// Their vectors, one after the other.
    pub values: Vec<f32>,
    /// Number of words in the file, including those without an id.
    pub words_in_file: u64,
}

impl WordVectors {
    /// Reads the vectors of `vocabulary`'s words from `path`, plain or gzip-compressed. If a word occurs twice the first counts, as
    /// in fastText.
    ///
    /// # Errors
    /// When the file cannot be read, a line is not a word and finite numbers, or a vector has another width than `width`; the error
    /// names the line.
    pub fn read(path: &Path, vocabulary: &Vocabulary, width: usize) -> Result<WordVectors, DataError> {
        const AT_A_TIME: ChunkSize = ChunkSize { lines: 4096, bytes: 1 << 24 };
        let mut file = TextFile::open(path)?;
        let mut found: Vec<Option<Vec<f32>>> = vec![None; vocabulary.len()];
        let mut words_in_file = 0;
        let mut line_number = 0;
        // Whether a line has shown that the file's vectors have this width.
        let mut is_width_seen = false;
        while let Some(chunk) = file.read_chunk(AT_A_TIME)? {
            for line in lines(chunk.text(path)?) {
                line_number += 1;
                let fault =
                    |fault| DataError::Entry { path: path.to_owned(), line: line_number, byte: 1, fault };
                let Some(word) = fields(line).next() else { continue };
                if line_number == 1
                    && let Some(header_width) = width_in_header(line)
                {
                    if header_width != width as u64 {
                        return Err(fault(EntryFault::FileWidth { got: header_width, expected: width }));
                    }
                    is_width_seen = true;
                    continue;
                }
                words_in_file += 1;
                let Some(id) = vocabulary.get(word) else { continue };
                match vector(line, word, width, is_width_seen).map_err(fault)? {
                    Some(vector) => found[id as usize].get_or_insert(vector),
                    None => continue,
                };
                is_width_seen = true;
            }
        }
        let mut vectors = WordVectors { width, ids: Vec::new(), values: Vec::new(), words_in_file };
        for (id, vector) in (0u32..).zip(found) {
            if let Some(vector) = vector {
                vectors.ids.push(id);
                vectors.values.extend(vector);
            }
        }
        Ok(vectors)
    }
}

/// The parts between blanks. Other white space, such as U+00A0, is part of words.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t', '\r']).filter(|field| !field.is_empty())
}

/// The vector on a line whose first field is `word`. None if the word continues after it, because it contains blanks. If no line
/// has confirmed yet that the file has this `width`, too many numbers mean that it does not.
fn vector(line: &str, word: &str, width: usize, is_width_seen: bool) -> Result<Option<Vec<f32>>, EntryFault> {
    let mut vector = Vec::with_capacity(width);
    let mut not_a_number = None;
    for field in fields(line).skip(1) {
        match field.parse::<f32>() {
            Ok(number) if number.is_finite() => vector.push(number),
            _ => {
                not_a_number.get_or_insert(field);
                vector.push(f32::NAN);
            }
        }
    }
    let word = || word.to_owned();
    match vector.len().checked_sub(width) {
        Some(0) => match not_a_number {
            None => Ok(Some(vector)),
            Some(field) => Err(EntryFault::NotANumber { word: word(), got: field.to_owned() }),
        },
        Some(more) if is_width_seen || vector[..more].iter().any(|number| number.is_nan()) => Ok(None),
        _ => Err(EntryFault::VectorWidth { word: word(), got: vector.len(), expected: width }),
    }
}

/// The width in fastText's first line: two whole numbers, the second of which is the width.
fn width_in_header(line: &str) -> Option<u64> {
    let mut fields = fields(line);
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (_words, width) = (number()?, number()?);
    fields.next().is_none().then_some(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let text = r#"{"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3, "dog": 4, "cat": 5, "12": 6}"#;
        Vocabulary::from_json_str(text, "test").unwrap()
    }

    fn read(content: &[u8], width: usize) -> Result<WordVectors, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.txt");
        std::fs::write(&path, content).unwrap();
        WordVectors::read(&path, &vocabulary(), width).map_err(|error| error.to_string())
    }

    #[test]
    fn both_formats_give_the_vectors_of_known_words() {
        let want =
            WordVectors { width: 2, ids: vec![4, 5], values: vec![1.0, -2.5, 0.5, 3e-1], words_in_file: 3 };
        let lines = "cat 0.5 0.3\nbird 1 2\ndog 1 -2.5\n";
        assert_eq!(read(lines.as_bytes(), 2), Ok(want.clone()));
        assert_eq!(read(format!("3 2\n{lines}").as_bytes(), 2), Ok(want.clone()));
        assert_eq!(read(format!("{lines}\ncat 9 9\n").as_bytes(), 2).unwrap().values, want.values);
        assert_eq!(read(b"12 7 8\n", 2).unwrap().ids, [6]);
    }

    #[test]
    fn words_with_blanks_in_them_are_passed_over() {
        let text =
            ". . . 9 9\ndog 1 -2.5\ncat name@domain.com 9 9\ncat 5 9 9\n\u{a0} 9 9\n 9 9\ncat 0.5 0.3\n";
        let vectors = read(text.as_bytes(), 2).unwrap();
        assert_eq!((vectors.ids, vectors.values), (vec![4, 5], vec![1.0, -2.5, 0.5, 0.3]));
        // Words made of numbers do not look like a wrong width if the header has stated it.
        assert_eq!(read(b"2 2\ncat 5 9 9\ndog 1 2\n", 2).unwrap().ids, [4]);
    }

    #[test]
    fn bad_lines_are_named() {
        for (content, expected) in [
            (
                "dog 1 2\ncat 1 x\n",
                "vectors.txt:2:1: the vector of \"cat\" has \"x\" where a finite number is expected",
            ),
            ("cat 1 inf\n", "has \"inf\" where a finite number is expected"),
            (
                "dog 1 2 3\n",
                ":1:1: the vector of \"dog\" has 3 numbers; expected 2, the width of the embedding",
            ),
            (
                "2 3\ndog 1 2 3\n",
                ":1:1: the file's vectors have 3 numbers; expected 2, the width of the embedding",
            ),
            ("dog 1 2\ncat 1\n", ":2:1: the vector of \"cat\" has 1 numbers"),
            ("cat\n", "the vector of \"cat\" has 0 numbers"),
        ] {
            let message = read(content.as_bytes(), 2).unwrap_err();
            assert!(message.contains(expected), "`{message}` should contain `{expected}`");
        }
    }
}
