//! What can be wrong with a CSV file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::MAX_LINE_BYTES;

/// A file that is not numeric CSV.
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
    /// A field that is not a number.
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
