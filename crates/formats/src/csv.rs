//! Numeric CSV as SageMaker's algorithms read it: no header, commas, one row a line, labels first.
//!
//! Source: SageMaker Developer Guide, "Training Data Formats", and what the real containers say of bad files.

use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::rows::Rows;

/// The longest line, in bytes: a million numbers of 16 characters.
pub const MAX_LINE_BYTES: usize = 16 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How rows lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// Columns in front that are labels.
    pub label_size: usize,
    /// Further columns, where it is known how many there must be.
    pub width: Option<usize>,
}

/// Reads rows one batch after another.
#[derive(Debug)]
pub struct CsvReader<R> {
    input: R,
    path: PathBuf,
    format: CsvFormat,
    /// The line that was read last, from 1.
    line: u64,
    buffer: Vec<u8>,
}

/// A file that is no numeric CSV.
#[derive(Debug, Error)]
pub enum CsvError {
    /// The system refuses to read.
    #[error("{}: cannot read on after line {line}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Lines read before.
        line: u64,
        /// The system's answer.
        source: io::Error,
    },
    /// A line that is not a row of numbers.
    #[error("Unable to parse csv: row {line}, file {}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is wrong.
        fault: CsvFault,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CsvFault {
    /// A field that is no number.
    #[error("column {column} is {text:?}; expected a number{hint}")]
    NotANumber {
        /// From 1.
        column: usize,
        /// The field, cut short.
        text: String,
        /// What it may be.
        hint: &'static str,
    },
    /// A number that no algorithm can use.
    #[error("column {column} is {text:?}; infinite and undefined numbers are refused")]
    NotFinite {
        /// From 1.
        column: usize,
        /// The field.
        text: String,
    },
    /// A number beyond single precision.
    #[error("column {column} is {text:?}, which does not fit 32-bit floats; scale the column")]
    TooLarge {
        /// From 1.
        column: usize,
        /// The field, cut short.
        text: String,
    },
    /// Another number of fields.
    #[error("the row has {got} columns; expected {label_size} label column(s) and {width} others{hint}")]
    Width {
        /// Fields of the row.
        got: usize,
        /// Labels expected.
        label_size: usize,
        /// Other columns expected.
        width: usize,
        /// What may be wrong.
        hint: &'static str,
    },
    /// Bytes that are no text.
    #[error("byte {byte} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// Within the line, from 1.
        byte: usize,
    },
    /// A line without end.
    #[error("the line is longer than {MAX_LINE_BYTES} bytes. Is this a CSV file?")]
    TooLong,
}

impl<R: BufRead> CsvReader<R> {
    /// A reader; `path` stands in errors.
    pub fn new(input: R, path: &Path, format: CsvFormat) -> Self {
        Self { input, path: path.to_owned(), format, line: 0, buffer: Vec::new() }
    }

    /// Columns without labels, once a row was read or where it was said before.
    pub fn width(&self) -> Option<usize> {
        self.format.width
    }

    /// Adds up to `most` rows to `rows` and their labels to `labels`, `label_size` each. The first row decides the width of what has none.
    /// Returns how many were added: fewer than `most` only at the end.
    ///
    /// # Errors
    /// When a line is not a row of finite numbers, or has another width; the line and the column are named.
    pub fn read(&mut self, rows: &mut Rows, labels: &mut Vec<f32>, most: usize) -> Result<usize, CsvError> {
        let mut values = Vec::new();
        let mut added = 0;
        while added < most && self.next_line()? {
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            values.clear();
            self.parse(&mut values).map_err(|fault| self.fault(fault))?;
            let (own_labels, row) = values.split_at(self.format.label_size);
            if rows.is_empty() && rows.width() != row.len() {
                *rows = Rows::new(row.len());
            }
            labels.extend_from_slice(own_labels);
            rows.push_dense(row);
            added += 1;
        }
        Ok(added)
    }

    /// Reads a line into the buffer; false at the end.
    fn next_line(&mut self) -> Result<bool, CsvError> {
        self.buffer.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.buffer);
        let read =
            read.map_err(|source| CsvError::Io { path: self.path.clone(), line: self.line, source })?;
        if read == 0 {
            return Ok(false);
        }
        self.line += 1;
        if self.line == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        } else if read > MAX_LINE_BYTES {
            return Err(self.fault(CsvFault::TooLong));
        }
        Ok(true)
    }

    /// The numbers of the buffer's line.
    fn parse(&mut self, values: &mut Vec<f32>) -> Result<(), CsvFault> {
        let line = std::str::from_utf8(&self.buffer)
            .map_err(|error| CsvFault::NotUtf8 { byte: error.valid_up_to() + 1 })?;
        for (index, field) in line.split(',').enumerate() {
            let value = number(field).map_err(|fault| fault.at(index + 1, field, self.line == 1))?;
            values.push(value);
        }
        let CsvFormat { label_size, width } = self.format;
        match (width, values.len().checked_sub(label_size)) {
            (None, Some(found)) if found > 0 => self.format.width = Some(found),
            (Some(width), Some(found)) if found == width => {}
            (width, _) => {
                let width = width.unwrap_or(1);
                let hint = if values.len() == width && label_size == 1 {
                    ". The first column is a label unless the content type says label_size=0"
                } else {
                    ""
                };
                return Err(CsvFault::Width { got: values.len(), label_size, width, hint });
            }
        }
        Ok(())
    }

    fn fault(&self, fault: CsvFault) -> CsvError {
        CsvError::Line { path: self.path.clone(), line: self.line, fault }
    }
}

/// Why a field is no number.
enum NumberFault {
    NotANumber,
    NotFinite,
    TooLarge,
}

/// The number of a field; blanks around it do not count, nor do quotation marks.
fn number(field: &str) -> Result<f32, NumberFault> {
    let text = field.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    let value: f32 = text.parse().map_err(|_| NumberFault::NotANumber)?;
    if value.is_finite() {
        Ok(value)
    } else if text.bytes().any(|byte| byte.is_ascii_digit()) {
        Err(NumberFault::TooLarge)
    } else {
        Err(NumberFault::NotFinite)
    }
}

impl NumberFault {
    fn at(self, column: usize, field: &str, is_first_line: bool) -> CsvFault {
        /// Characters of a field that a message shows.
        const SHOWN: usize = 40;
        let text: String = field.trim().chars().take(SHOWN).collect();
        match self {
            NumberFault::NotANumber => {
                let hint = if is_first_line && text.contains(char::is_alphabetic) {
                    ". It looks like a header, and CSV must not have one"
                } else {
                    ""
                };
                CsvFault::NotANumber { column, text, hint }
            }
            NumberFault::NotFinite => CsvFault::NotFinite { column, text },
            NumberFault::TooLarge => CsvFault::TooLarge { column, text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Row;

    fn read(
        text: &[u8],
        label_size: usize,
        width: Option<usize>,
    ) -> Result<(Vec<Vec<f32>>, Vec<f32>), String> {
        let mut reader = CsvReader::new(text, Path::new("a.csv"), CsvFormat { label_size, width });
        let (mut rows, mut labels) = (Rows::new(0), Vec::new());
        // Two at a time, so that batches follow each other.
        let mut all = Vec::new();
        loop {
            rows.clear();
            if reader.read(&mut rows, &mut labels, 2).map_err(|error| error.to_string())? == 0 {
                return Ok((all, labels));
            }
            for row in 0..rows.len() {
                let Row::Dense(values) = rows.row(row) else { panic!("rows of CSV are dense") };
                all.push(values.to_vec());
            }
        }
    }

    #[test]
    fn rows_and_labels_are_read() {
        let want = (vec![vec![2.0, 3.0], vec![5.0, 6.0]], vec![1.0, 4.0]);
        for text in [
            "1,2,3\n4,5,6\n",
            "1,2,3\r\n4,5,6",
            "\u{feff}1, 2 ,3\n\n  \n4,\"5\",6e0\n",
            "+1,2.0,3\n4,.5e1,6\n\n",
        ] {
            assert_eq!(read(text.as_bytes(), 1, Some(2)).as_ref(), Ok(&want), "{text:?}");
            assert_eq!(read(text.as_bytes(), 1, None).as_ref(), Ok(&want), "{text:?}");
        }
        assert_eq!(read(b"", 0, None), Ok((vec![], vec![])));
        assert_eq!(read(b"7\n-0.5", 0, None), Ok((vec![vec![7.0], vec![-0.5]], vec![])));
    }

    #[track_caller]
    fn check(text: &[u8], label_size: usize, width: Option<usize>, expected: &str) {
        assert_eq!(read(text, label_size, width), Err(format!("Unable to parse csv: {expected}")));
    }

    #[test]
    fn what_is_no_row_of_numbers_is_refused_with_its_place() {
        check(
            b"a,b\n1,2\n",
            0,
            None,
            "row 1, file a.csv: column 1 is \"a\"; expected a number. It looks like a header, and CSV must not have one",
        );
        check(b"1,2\n1,x\n", 0, None, "row 2, file a.csv: column 2 is \"x\"; expected a number");
        check(b"1,,2\n", 0, None, "row 1, file a.csv: column 2 is \"\"; expected a number");
        check(
            b"1,nan\n",
            0,
            None,
            "row 1, file a.csv: column 2 is \"nan\"; infinite and undefined numbers are refused",
        );
        check(
            b"1\n2\n-1e39\n",
            0,
            None,
            "row 3, file a.csv: column 1 is \"-1e39\", which does not fit 32-bit floats; scale the column",
        );
        check(b"1,2\n1,\xff\n", 0, None, "row 2, file a.csv: byte 3 is not UTF-8; save the file as UTF-8");
        check(
            b"1,2\n1,2,3\n",
            0,
            None,
            "row 2, file a.csv: the row has 3 columns; expected 0 label column(s) and 2 others",
        );
        check(
            b"1,2\n",
            1,
            Some(2),
            "row 1, file a.csv: the row has 2 columns; expected 1 label column(s) and 2 others. The first column is a \
             label unless the content type says label_size=0",
        );
        check(
            b"1\n",
            1,
            None,
            "row 1, file a.csv: the row has 1 columns; expected 1 label column(s) and 1 others. The first column is a label unless the content type says label_size=0",
        );
        check(
            &vec![b'1'; MAX_LINE_BYTES + 2],
            0,
            None,
            "row 1, file a.csv: the line is longer than 16777216 bytes. Is this a CSV file?",
        );
    }
}
