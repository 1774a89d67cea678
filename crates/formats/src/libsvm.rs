//! Sparse rows as lines of `label index:value …`, in the format of LIBSVM, as XGBoost and others read them.
//!
//! A line is a label, optionally `qid:` and the number of a group, and pairs of an index and a value, separated by blanks or tabs; `#`
//! begins a comment. Indices are used unchanged: the first column is 0, and if a writer counts from 1, column 0 is empty. A label may have
//! a weight after a colon. Sources: the README of LIBSVM, and XGBoost's documentation of its text formats.

use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::rows::Rows;
use crate::text_lines::BYTE_ORDER_MARK;

/// The longest line, in bytes: a million pairs.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The rows of a text, all of them sparse.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LibsvmRows {
    /// The rows. Their width is the given one, or else follows from the greatest index.
    pub rows: Rows,
    /// The label of each row.
    pub labels: Vec<f32>,
    /// The weight of each row; empty if no line has one, otherwise 1 for lines without a weight.
    pub weights: Vec<f32>,
    /// The group of each row; empty if no line has one.
    pub groups: Vec<u64>,
}

/// An error in reading a LIBSVM text.
#[derive(Debug, Error)]
pub enum LibsvmError {
    /// The system refused to read.
    #[error("{}: cannot read on after line {line}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Number of lines read before.
        line: u64,
        /// The system's error.
        source: io::Error,
    },
    /// A line is not a row.
    #[error("{}:{line}:{column}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The byte within the line, from 1.
        column: usize,
        /// The fault.
        fault: LibsvmFault,
    },
}

/// A fault of a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LibsvmFault {
    /// A line that does not begin with a label.
    #[error("the label is {text:?}; expected a finite number")]
    Label {
        /// The text found, truncated.
        text: String,
    },
    /// A word that is not a pair.
    #[error("{text:?} is no pair; expected index:value, as in 3:0.5")]
    NoPair {
        /// The text found, truncated.
        text: String,
    },
    /// An index that is not a column number.
    #[error("the index {text:?} is no column; expected a whole number from 0 to {}", Rows::MOST_COLUMNS - 1)]
    Index {
        /// The text found, truncated.
        text: String,
    },
    /// A value that no algorithm can use.
    #[error("the value {text:?} is not usable; expected a finite number that fits 32-bit floats")]
    Value {
        /// The text found, truncated.
        text: String,
    },
    /// An index beyond the known number of columns.
    #[error("the index {index} is beyond the {width} columns that are expected")]
    Beyond {
        /// The index.
        index: u32,
        /// The number of columns.
        width: usize,
    },
    /// An index that occurs twice in a line.
    #[error("the index {index} comes twice in the line")]
    Twice {
        /// The index.
        index: u32,
    },
    /// A group that is not a number, or missing where other lines have one.
    #[error("the group {text:?} is none; expected qid: and a whole number in every line, or in none")]
    Group {
        /// The text found.
        text: String,
    },
    /// Bytes that are not UTF-8.
    #[error("the byte is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// A line longer than the limit.
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
}

/// The rows read so far. Their columns are stored one after another until the width is known.
#[derive(Default)]
struct Gathered {
    ends: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

/// Reads all rows of `input`; `path` is used in errors, and `width` is the number of columns where it is known.
///
/// # Errors
/// When a line is not a row, or has a column beyond `width`; the error names the line and the byte in it.
pub fn read(mut input: impl BufRead, path: &Path, width: Option<usize>) -> Result<LibsvmRows, LibsvmError> {
    let mut read = LibsvmRows::default();
    let mut gathered = Gathered::default();
    let (mut line, mut buffer) = (0, Vec::new());
    loop {
        buffer.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let got = (&mut input).take(limit).read_until(b'\n', &mut buffer);
        if got.map_err(|source| LibsvmError::Io { path: path.to_owned(), line, source })? == 0 {
            break;
        }
        line += 1;
        let fail = |(column, fault)| LibsvmError::Line { path: path.to_owned(), line, column, fault };
        if buffer.len() > MAX_LINE_BYTES && buffer.last() != Some(&b'\n') {
            return Err(fail((MAX_LINE_BYTES, LibsvmFault::TooLong)));
        }
        let begin = if line == 1 && buffer.starts_with(&BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let text = std::str::from_utf8(&buffer)
            .map_err(|error| fail((error.valid_up_to() + 1, LibsvmFault::NotUtf8)))?;
        read.add(&text[begin..], width, &mut gathered)
            .map_err(|(at, fault)| fail((begin + at + 1, fault)))?;
    }
    let needed = gathered.columns.iter().max().map_or(0, |&greatest| greatest as usize + 1);
    read.rows = Rows::new(width.unwrap_or(needed));
    let mut begin = 0;
    for &end in &gathered.ends {
        read.rows.push_sparse(&gathered.columns[begin..end], &gathered.values[begin..end]);
        begin = end;
    }
    Ok(read)
}

/// A fault, and the number of bytes before it in the line.
type Placed = (usize, LibsvmFault);

impl LibsvmRows {
    /// Adds the row of a line, if the line has one.
    fn add(&mut self, line: &str, width: Option<usize>, gathered: &mut Gathered) -> Result<(), Placed> {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = words(line);
        let Some((at, first)) = words.next() else { return Ok(()) };
        let label_fault = |_: Refused| (at, LibsvmFault::Label { text: shown(first) });
        let (label, weight) = match first.split_once(':') {
            Some((label, weight)) => (label, Some(number(weight).map_err(label_fault)?)),
            None => (first, None),
        };
        let label = number(label).map_err(label_fault)?;
        let begin = gathered.columns.len();
        let mut group = None;
        let mut ascend = true;
        for (at, word) in words {
            let (index, value) =
                word.split_once(':').ok_or_else(|| (at, LibsvmFault::NoPair { text: shown(word) }))?;
            if index == "qid" && gathered.columns.len() == begin && group.is_none() {
                group = Some(value.parse().map_err(|_| (at, LibsvmFault::Group { text: shown(value) }))?);
                continue;
            }
            let column = index.parse().ok().filter(|&column: &u32| (column as usize) < Rows::MOST_COLUMNS);
            let column = column.ok_or_else(|| (at, LibsvmFault::Index { text: shown(index) }))?;
            if let Some(width) = width.filter(|&width| column as usize >= width) {
                return Err((at, LibsvmFault::Beyond { index: column, width }));
            }
            let number = number(value).map_err(|_| (at, LibsvmFault::Value { text: shown(value) }))?;
            ascend &= gathered.columns[begin..].last().is_none_or(|&last| last < column);
            gathered.columns.push(column);
            gathered.values.push(number);
        }
        if !ascend {
            gathered.sort_from(begin).map_err(|index| (at, LibsvmFault::Twice { index }))?;
        }
        gathered.ends.push(gathered.columns.len());
        self.add_about_row(label, weight, group).map_err(|fault| (at, fault))
    }

    /// Adds the label, weight and group of a row.
    fn add_about_row(
        &mut self,
        label: f32,
        weight: Option<f32>,
        group: Option<u64>,
    ) -> Result<(), LibsvmFault> {
        let rows = self.labels.len();
        self.labels.push(label);
        if weight.is_some() || !self.weights.is_empty() {
            self.weights.resize(rows, 1.0);
            self.weights.push(weight.unwrap_or(1.0));
        }
        let has_groups = !self.groups.is_empty();
        if rows > 0 && group.is_some() != has_groups {
            let text = group.map_or_else(String::new, |group| group.to_string());
            return Err(LibsvmFault::Group { text });
        }
        self.groups.extend(group);
        Ok(())
    }
}

impl Gathered {
    /// Sorts the columns of the last row. Fails with a column that occurs twice.
    fn sort_from(&mut self, begin: usize) -> Result<(), u32> {
        let columns = self.columns[begin..].iter().copied();
        let mut pairs: Vec<(u32, f32)> = columns.zip(self.values[begin..].iter().copied()).collect();
        pairs.sort_by_key(|&(column, _)| column);
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(twice[0].0);
        }
        for (index, (column, value)) in pairs.into_iter().enumerate() {
            self.columns[begin + index] = column;
            self.values[begin + index] = value;
        }
        Ok(())
    }
}

/// The words of a line, each with its position.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let words = line.split_ascii_whitespace();
    words.map(move |word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
}

/// The error for a text that is not a finite number.
struct Refused;

fn number(text: &str) -> Result<f32, Refused> {
    text.parse().ok().filter(|number: &f32| number.is_finite()).ok_or(Refused)
}

/// A text in the form that messages show.
fn shown(text: &str) -> String {
    const CHARACTERS: usize = 40;
    text.chars().take(CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rows::Row;

    /// Columns and values of a row.
    type Pairs<'a> = (&'a [u32], &'a [f32]);

    fn read_text(text: &[u8], width: Option<usize>) -> Result<LibsvmRows, String> {
        read(text, Path::new("a.svm"), width).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(text: &str, width: usize, labels: &[f32], rows: &[Pairs<'_>]) {
        let read = read_text(text.as_bytes(), None).unwrap();
        assert_eq!((read.rows.width(), &read.labels[..]), (width, labels));
        let got: Vec<_> = (0..read.rows.len()).map(|index| read.rows.row(index)).collect();
        let expected: Vec<_> = rows.iter().map(|&(columns, values)| Row::Sparse(columns, values)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn lines_become_sparse_rows() {
        check("", 0, &[], &[]);
        check(
            "\u{feff}1 0:1.5 3:-2e1 # why\n\n# only a comment\n-1\t2:0.5\r\n0\n+1 3:1 1:2",
            4,
            &[1.0, -1.0, 0.0, 1.0],
            &[(&[0, 3], &[1.5, -20.0]), (&[2], &[0.5]), (&[], &[]), (&[1, 3], &[2.0, 1.0])],
        );
        assert_eq!(read_text(b"1 1:1\n", Some(7)).unwrap().rows.width(), 7);
    }

    #[test]
    fn groups_and_weights_are_kept() {
        let read = read_text(b"1 qid:3 1:1\n0:0.5 qid:3 1:2\n2 qid:4\n", None).unwrap();
        assert_eq!((&read.groups[..], &read.weights[..]), (&[3, 3, 4][..], &[1.0, 0.5, 1.0][..]));
        let plain = read_text(b"1 1:1\n", None).unwrap();
        assert!(plain.groups.is_empty() && plain.weights.is_empty());
    }

    #[track_caller]
    fn check_refused(text: &[u8], expected: &str) {
        assert_eq!(read_text(text, Some(9)).map(|_| ()), Err(format!("a.svm:{expected}")));
    }

    #[test]
    fn lines_that_are_no_rows_are_refused_with_their_place() {
        check_refused(b"1 1:1\nx 1:1\n", "2:1: the label is \"x\"; expected a finite number");
        check_refused(b"nan 1:1\n", "1:1: the label is \"nan\"; expected a finite number");
        check_refused(b"1 2\n", "1:3: \"2\" is no pair; expected index:value, as in 3:0.5");
        check_refused(
            b"1 1:1 -2:1\n",
            "1:7: the index \"-2\" is no column; expected a whole number from 0 to 268435455",
        );
        check_refused(
            b"1 4294967295:1\n",
            "1:3: the index \"4294967295\" is no column; expected a whole number from 0 to 268435455",
        );
        check_refused(
            b"1 1:1e39\n",
            "1:3: the value \"1e39\" is not usable; expected a finite number that fits 32-bit floats",
        );
        check_refused(
            b"1 1:\n",
            "1:3: the value \"\" is not usable; expected a finite number that fits 32-bit floats",
        );
        check_refused(b"1 9:1\n", "1:3: the index 9 is beyond the 9 columns that are expected");
        check_refused(b"1 1:1 1:2\n", "1:1: the index 1 comes twice in the line");
        let group = "expected qid: and a whole number in every line, or in none";
        check_refused(b"1 qid:x\n", &format!("1:3: the group \"x\" is none; {group}"));
        check_refused(b"1 1:1\n1 qid:2\n", &format!("2:1: the group \"2\" is none; {group}"));
        check_refused(b"1 qid:2\n1 1:1\n", &format!("2:1: the group \"\" is none; {group}"));
        check_refused(b"1 1:\xff\n", "1:5: the byte is not UTF-8; save the file as UTF-8");
        check_refused(&vec![b'1'; MAX_LINE_BYTES + 2], "1:16777216: the line is longer than 16777216 bytes");
    }

    proptest! {
        #[test]
        fn arbitrary_lines_never_panic(text in "[0-9:qid# \\n.e-]{0,60}", bytes: Vec<u8>) {
            let _ = read_text(text.as_bytes(), None);
            let _ = read_text(&bytes, Some(3));
        }
    }
}
