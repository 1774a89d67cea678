//! Errors of rows of numbers.

use std::path::PathBuf;

use thiserror::Error;

use crate::csv::CsvError;
use crate::decompressed::PackingFault;
use crate::recordio::RecordIoError;
use crate::rows::Rows;

/// An error in reading rows of numbers.
#[derive(Debug, Error)]
pub enum NumericError {
    /// The input cannot be read, or has an unsupported compression or archive form.
    #[error("{}: {fault}", path.display())]
    Packing {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: PackingFault,
    },
    /// A line of CSV is not a row.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// Damaged RecordIO.
    #[error(transparent)]
    RecordIo(#[from] RecordIoError),
    /// A record has no row.
    #[error("{}: record {record} at byte {offset}: {fault}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Number of the record, from 1.
        record: u64,
        /// The position of the record's first frame, in bytes from the start of the file.
        offset: u64,
        /// The fault.
        fault: NumericFault,
    },
}

/// A fault of a record.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NumericFault {
    /// The data cannot be decoded.
    #[error("its {bytes} bytes are not an aialgs.data.Record in protobuf encoding: {problem}")]
    NotProtobuf {
        /// Length of the data in bytes.
        bytes: usize,
        /// The decoder's message.
        problem: String,
    },
    /// A wrong number of features.
    #[error(
        "cannot copy sequence with size {got} to array axis with dimension {width}: the record has {got} features; expected {width}"
    )]
    Width {
        /// Number of features in the record.
        got: usize,
        /// Expected number of features.
        width: usize,
    },
    /// A wrong number of labels.
    #[error("label[\"values\"] has {got} values; expected {label_size}, as the records before it have")]
    Labels {
        /// Number of labels in the record.
        got: usize,
        /// Expected number of labels.
        label_size: usize,
    },
    /// A row without columns.
    #[error("{field} is empty; expected at least one value, or the shape of a row of zeros")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A row with more columns than any algorithm supports.
    #[error("{field}: the shape has {width} elements; expected at most {}", Rows::MOST_COLUMNS)]
    TooWide {
        /// The field.
        field: &'static str,
        /// Number of elements according to the shape.
        width: u128,
    },
    /// No feature is recognisable as the row.
    #[error("features[\"values\"] is missing; the record has {present}")]
    Missing {
        /// The features that exist.
        present: String,
    },
    /// A tensor of an unsupported type.
    #[error("{field} holds {got}; expected a tensor of float32, float64 or int32")]
    WrongKind {
        /// The field.
        field: &'static str,
        /// The type found.
        got: &'static str,
    },
    /// A value that no algorithm can use.
    #[error("{field}: value {position} is {got}; expected a finite number that fits 32-bit floats")]
    Value {
        /// The field.
        field: &'static str,
        /// The position, from 1.
        position: usize,
        /// The value.
        got: f64,
    },
    /// The shape does not match the number of values.
    #[error("{field}: the shape has {elements} elements and there are {values} values")]
    Shape {
        /// The field.
        field: &'static str,
        /// Number of elements according to the shape.
        elements: u128,
        /// Number of values.
        values: usize,
    },
    /// The number of keys differs from that of the values.
    #[error("{field}: {keys} keys for {values} values; a sparse tensor has one for each")]
    Keys {
        /// The field.
        field: &'static str,
        /// Number of keys.
        keys: usize,
        /// Number of values.
        values: usize,
    },
    /// A key beyond the width.
    #[error("{field}: key {key} is beyond the {width} columns of the row")]
    KeyBeyond {
        /// The field.
        field: &'static str,
        /// The key.
        key: u64,
        /// Number of columns of the row.
        width: u128,
    },
    /// A key that occurs twice.
    #[error("{field}: key {key} comes twice")]
    KeyTwice {
        /// The field.
        field: &'static str,
        /// The key.
        key: u32,
    },
    /// A sparse row whose number of columns is unknown.
    #[error("{field}: a sparse tensor without a shape; set shape to the number of columns")]
    NoWidth {
        /// The field.
        field: &'static str,
    },
}
