//! Pretrained word vectors from text files, as fastText and GloVe write them: a word and its numbers on each line, white space
//! between; fastText puts a line with the number of words and the width first.

use std::path::Path;

use crate::error::{DataError, TextFault};
use crate::text::{ChunkSize, TextFile, lines, tokens};
use crate::vocab::Vocabulary;

/// Vectors of those words of a vocabulary that a file has.
#[derive(Clone, Debug, PartialEq)]
pub struct WordVectors {
    /// Numbers of each vector.
    pub width: usize,
    /// Words of the vocabulary that have a vector, ascending, each once.
    pub ids: Vec<u32>,
    /// Their vectors, one after the other.
    pub values: Vec<f32>,
    /// Words of the file, those without an id included.
    pub words_in_file: u64,
}

impl WordVectors {
    /// Reads the vectors of `vocabulary`'s words from `path`, plain or gzip-compressed. Where a word comes twice the first
    /// counts, as in fastText.
    ///
    /// # Errors
    /// When the file cannot be read, a line is not a word and finite numbers, or a vector has another width than `width`; the
    /// line is named.
    pub fn read(path: &Path, vocabulary: &Vocabulary, width: usize) -> Result<WordVectors, DataError> {
        const AT_A_TIME: ChunkSize = ChunkSize { lines: 4096, bytes: 1 << 24 };
        let mut file = TextFile::open(path)?;
        let mut found: Vec<Option<Vec<f32>>> = vec![None; vocabulary.len()];
        let mut words_in_file = 0;
        let mut line_number = 0;
        while let Some(chunk) = file.read_chunk(AT_A_TIME)? {
            for line in lines(chunk.text(path)?) {
                line_number += 1;
                let at_line =
                    |fault| DataError::Text { path: path.to_owned(), line: line_number, byte: 1, fault };
                let mut parts = tokens(line);
                let Some(word) = parts.next() else { continue };
                if line_number == 1 && is_header(line) {
                    continue;
                }
                words_in_file += 1;
                let Some(id) = vocabulary.get(word) else { continue };
                let mut vector = Vec::with_capacity(width);
                for part in parts {
                    match part.parse::<f32>() {
                        Ok(number) if number.is_finite() => vector.push(number),
                        _ => {
                            return Err(at_line(TextFault::NotANumber {
                                word: word.to_owned(),
                                got: part.to_owned(),
                            }));
                        }
                    }
                }
                if vector.len() != width {
                    let (word, got) = (word.to_owned(), vector.len());
                    return Err(at_line(TextFault::VectorWidth { word, got, expected: width }));
                }
                found[id as usize].get_or_insert(vector);
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

/// Whether a first line is fastText's: two whole numbers.
fn is_header(line: &str) -> bool {
    let mut parts = tokens(line);
    let mut number = || parts.next().is_some_and(|part| part.parse::<u64>().is_ok());
    number() && number() && parts.next().is_none()
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
    fn bad_lines_are_named() {
        for (content, expected) in [
            (
                "dog 1 2\ncat 1 x\n",
                "vectors.txt:2:1: the vector of \"cat\" has \"x\" where a finite number is expected",
            ),
            ("cat 1 inf\n", "has \"inf\" where a finite number is expected"),
            (
                "2 3\ndog 1 2 3\n",
                ":2:1: the vector of \"dog\" has 3 numbers; expected 2, the width of the embedding",
            ),
            ("cat\n", "the vector of \"cat\" has 0 numbers"),
        ] {
            let message = read(content.as_bytes(), 2).unwrap_err();
            assert!(message.contains(expected), "`{message}` should contain `{expected}`");
        }
    }
}
