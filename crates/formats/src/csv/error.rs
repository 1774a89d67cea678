//! Errors of CSV files.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::MAX_LINE_BYTES;

/// An error in reading numeric CSV.
#[derive(Debug, Error)]
pub enum CsvError {
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
    /// A line is not a row of numbers.
    #[error("Unable to parse csv: row {line}, file {}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The fault.
        fault: CsvFault,
    },
}

/// A fault of a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CsvFault {
    /// A field that is not a number.
    #[error("column {column} is {text:?}; expected a number{hint}")]
    NotANumber {
        /// From 1.
        column: usize,
        /// The field, truncated.
        text: String,
        /// The probable cause.
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
    /// A number outside the range of single precision.
    #[error("column {column} is {text:?}, which does not fit 32-bit floats; scale the column")]
    TooLarge {
        /// From 1.
        column: usize,
        /// The field, truncated.
        text: String,
    },
    /// A wrong number of fields.
    #[error("the row has {got} columns; expected {label_size} label column(s) and {width} others{hint}")]
    Width {
        /// Number of fields in the row.
        got: usize,
        /// Expected number of labels.
        label_size: usize,
        /// Expected number of other columns.
        width: usize,
        /// The probable cause.
        hint: &'static str,
    },
    /// Bytes that are not UTF-8.
    #[error("byte {byte} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The byte within the line, from 1.
        byte: usize,
    },
    /// A line longer than the limit.
    #[error("the line is longer than {MAX_LINE_BYTES} bytes. Is this a CSV file?")]
    TooLong,
}
