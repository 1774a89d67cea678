//! What can be wrong with rows of numbers.

use std::path::PathBuf;

use thiserror::Error;

use crate::csv::CsvError;
use crate::decompressed::PackingFault;
use crate::recordio::RecordIoError;
use crate::rows::Rows;

/// A file that holds no rows of numbers.
#[derive(Debug, Error)]
pub enum NumericError {
    /// The input cannot be read, or is packed in a way that is not read.
    #[error("{}: {fault}", path.display())]
    Packing {
        /// The file.
        path: PathBuf,
        /// What it is.
        fault: PackingFault,
    },
    /// A line of CSV that is no row.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// Damaged RecordIO.
    #[error(transparent)]
    RecordIo(#[from] RecordIoError),
    /// A record that holds no row.
    #[error("{}: record {record} at byte {offset}: {fault}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Number of the record, from 1.
        record: u64,
        /// Where the record's first frame begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong with it.
        fault: NumericFault,
    },
}

/// A record that holds no row of numbers.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NumericFault {
    /// The data cannot be decoded.
    #[error("its {bytes} bytes are not an aialgs.data.Record in protobuf encoding: {problem}")]
    NotProtobuf {
        /// Length of the data.
        bytes: usize,
        /// The decoder's words.
        problem: String,
    },
    /// Another number of features.
    #[error(
        "cannot copy sequence with size {got} to array axis with dimension {width}: the record has {got} features; expected {width}"
    )]
    Width {
        /// Features of the record.
        got: usize,
        /// Features expected.
        width: usize,
    },
    /// Another number of labels.
    #[error("label[\"values\"] has {got} values; expected {label_size}, as the records before it have")]
    Labels {
        /// Labels of the record.
        got: usize,
        /// Labels expected.
        label_size: usize,
    },
    /// A row without columns.
    #[error("{field} is empty; expected at least one value, or the shape of a row of zeros")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A row with more columns than any algorithm has.
    #[error("{field}: the shape has {width} elements; expected at most {}", Rows::MOST_COLUMNS)]
    TooWide {
        /// The field.
        field: &'static str,
        /// Elements by the shape.
        width: u128,
    },
    /// The features do not say which of them is the row.
    #[error("features[\"values\"] is missing; the record has {present}")]
    Missing {
        /// What there is instead.
        present: String,
    },
    /// A tensor of another kind.
    #[error("{field} holds {got}; expected a tensor of float32, float64 or int32")]
    WrongKind {
        /// The field.
        field: &'static str,
        /// What it holds.
        got: &'static str,
    },
    /// A value that no algorithm can use.
    #[error("{field}: value {position} is {got}; expected a finite number that fits 32-bit floats")]
    Value {
        /// The field.
        field: &'static str,
        /// From 1.
        position: usize,
        /// The value.
        got: f64,
    },
    /// A shape of another size than the values.
    #[error("{field}: the shape has {elements} elements and there are {values} values")]
    Shape {
        /// The field.
        field: &'static str,
        /// Elements by the shape.
        elements: u128,
        /// Values that there are.
        values: usize,
    },
    /// Keys that do not belong to the values.
    #[error("{field}: {keys} keys for {values} values; a sparse tensor has one for each")]
    Keys {
        /// The field.
        field: &'static str,
        /// Keys.
        keys: usize,
        /// Values.
        values: usize,
    },
    /// A key beyond the width.
    #[error("{field}: key {key} is beyond the {width} columns of the row")]
    KeyBeyond {
        /// The field.
        field: &'static str,
        /// The key.
        key: u64,
        /// Columns of the row.
        width: u128,
    },
    /// A key that comes twice.
    #[error("{field}: key {key} comes twice")]
    KeyTwice {
        /// The field.
        field: &'static str,
        /// The key.
        key: u32,
    },
    /// A sparse row of which nobody knows how many columns it has.
    #[error("{field}: a sparse tensor without a shape; set shape to the number of columns")]
    NoWidth {
        /// The field.
        field: &'static str,
    },
}
