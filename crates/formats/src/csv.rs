//! Numeric CSV as SageMaker's algorithms read it: no header, comma-separated, one row per line, labels first.
//!
//! Source: SageMaker Developer Guide, "Training Data Formats", and the real containers' messages about bad files.

mod error;
mod number;

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

pub use error::{CsvError, CsvFault};
use memchr::memchr;

use crate::rows::Rows;
use crate::text_lines::BYTE_ORDER_MARK;

/// The longest line, in bytes: a million numbers of 16 characters.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The columns of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// The number of label columns, which come first.
    pub label_size: usize,
    /// The number of other columns, where it is known.
    pub width: Option<usize>,
}

/// Reads rows, batch by batch.
#[derive(Debug)]
pub struct CsvReader<R> {
    input: R,
    path: PathBuf,
    lines: Lines,
    /// The beginning of a line that is not completely in the input's buffer.
    partial: Vec<u8>,
}

/// The state of parsing.
#[derive(Debug)]
struct Lines {
    format: CsvFormat,
    /// The number of the last line read, from 1.
    number: u64,
    /// The numbers of a line.
    values: Vec<f32>,
}

impl<R: BufRead> CsvReader<R> {
    /// A reader; `path` is used in errors.
    pub fn new(input: R, path: &Path, format: CsvFormat) -> Self {
        let lines = Lines { format, number: 0, values: Vec::new() };
        Self { input, path: path.to_owned(), lines, partial: Vec::new() }
    }

    /// The number of columns without labels, known once a row was read or if given before.
    pub fn width(&self) -> Option<usize> {
        self.lines.format.width
    }

    /// Adds up to `most` rows to `rows` and their labels to `labels`, `label_size` each. The first row sets the width if neither the format
    /// nor existing rows do. Returns the number of added rows: fewer than `most` only at the end.
    ///
    /// # Errors
    /// When a line is not a row of finite numbers, or has another width; the error names the line and the column.
    pub fn read(&mut self, rows: &mut Rows, labels: &mut Vec<f32>, most: usize) -> Result<usize, CsvError> {
        if !rows.is_empty() {
            self.lines.format.width.get_or_insert(rows.width());
        }
        let mut added = 0;
        while added < most {
            let row = self.next_row(rows, labels);
            match row.map_err(|fault| self.error(fault))? {
                Some(is_row) => added += usize::from(is_row),
                None => break,
            }
        }
        Ok(added)
    }

    /// Reads a line: true for a row, false for a blank line, `None` at the end.
    fn next_row(&mut self, rows: &mut Rows, labels: &mut Vec<f32>) -> Result<Option<bool>, Fault> {
        self.partial.clear();
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Fault::Io(error)),
            };
            let end = memchr(b'\n', available);
            if self.partial.is_empty() {
                if available.is_empty() {
                    return Ok(None);
                }
                // Nearly always the line is completely in the buffer, and is parsed there.
                if let Some(end) = end {
                    let row = self.lines.row(available, end, rows, labels);
                    self.input.consume(end + 1);
                    return row.map(Some).map_err(Fault::Line);
                }
            }
            self.partial.extend_from_slice(&available[..end.unwrap_or(available.len())]);
            let taken = end.map_or(available.len(), |end| end + 1);
            self.input.consume(taken);
            if end.is_some() || taken == 0 || self.partial.len() > MAX_LINE_BYTES {
                let row = self.lines.row(&self.partial, self.partial.len(), rows, labels);
                return row.map(Some).map_err(Fault::Line);
            }
        }
    }

    fn error(&self, fault: Fault) -> CsvError {
        let (path, line) = (self.path.clone(), self.lines.number);
        match fault {
            Fault::Io(source) => CsvError::Io { path, line, source },
            Fault::Line(fault) => CsvError::Line { path, line, fault },
        }
    }
}

/// The reason why there is no next row.
enum Fault {
    Io(io::Error),
    Line(CsvFault),
}

impl Lines {
    /// Adds the row of the line that ends at `end`; false for a blank line. Bytes after the line may be inspected, because checking eight
    /// bytes for digits is as fast as checking one.
    fn row(
        &mut self,
        bytes: &[u8],
        end: usize,
        rows: &mut Rows,
        labels: &mut Vec<f32>,
    ) -> Result<bool, CsvFault> {
        self.number += 1;
        if end > MAX_LINE_BYTES {
            return Err(CsvFault::TooLong);
        }
        let begin = match self.number {
            1 if bytes[..end].starts_with(&BYTE_ORDER_MARK) => BYTE_ORDER_MARK.len(),
            _ => 0,
        };
        let line = &bytes[begin..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() {
            return Ok(false);
        }
        self.parse(&bytes[begin..], line.len())?;
        self.check_width()?;
        let (own_labels, row) = self.values.split_at(self.format.label_size);
        if rows.is_empty() && rows.width() != row.len() {
            *rows = Rows::new(row.len());
        }
        labels.extend_from_slice(own_labels);
        rows.push_dense(row);
        Ok(true)
    }

    /// Parses the numbers of the line that ends at `end`.
    fn parse(&mut self, bytes: &[u8], end: usize) -> Result<(), CsvFault> {
        self.values.clear();
        let mut at = 0;
        loop {
            let (value, after) = match number::prefix(&bytes[at..]) {
                Some((value, taken))
                    if at + taken == end || at + taken < end && bytes[at + taken] == b',' =>
                {
                    (value, at + taken)
                }
                _ => self.careful_number(&bytes[..end], at)?,
            };
            self.values.push(value);
            if after == end {
                return Ok(());
            }
            at = after + 1;
        }
    }

    /// The number of the field that begins at `at`, and the field's end.
    fn careful_number(&self, line: &[u8], at: usize) -> Result<(f32, usize), CsvFault> {
        let text =
            std::str::from_utf8(line).map_err(|error| CsvFault::NotUtf8 { byte: error.valid_up_to() + 1 })?;
        let end = memchr(b',', &line[at..]).map_or(line.len(), |length| at + length);
        let field = &text[at..end];
        let column = self.values.len() + 1;
        let value = number::of(field).map_err(|fault| fault.at(column, field, self.number == 1))?;
        Ok((value, end))
    }

    fn check_width(&mut self) -> Result<(), CsvFault> {
        let CsvFormat { label_size, width } = self.format;
        let got = self.values.len();
        match (width, got.checked_sub(label_size)) {
            (None, Some(found)) if found > 0 => self.format.width = Some(found),
            (Some(width), Some(found)) if found == width => {}
            (width, _) => {
                let width = width.unwrap_or(1);
                let hint = if got == width && label_size == 1 {
                    ". The first column is a label unless the content type says label_size=0"
                } else {
                    ""
                };
                return Err(CsvFault::Width { got, label_size, width, hint });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
