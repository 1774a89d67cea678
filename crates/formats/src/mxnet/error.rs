//! Errors of array files.

use std::path::PathBuf;

use thiserror::Error;

use crate::FileError;

/// An error in reading or writing an MXNet file.
#[derive(Debug, Error)]
pub enum MxnetError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// The file has a fault.
    #[error("{}: at byte {at}: {fault}; expected an MXNet parameter file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Number of bytes before the fault.
        at: usize,
        /// The fault.
        fault: MxnetFault,
    },
}

/// A fault of an array file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MxnetFault {
    /// Another kind of file.
    #[error("the file does not start with MXNet's magic number")]
    NoMagic,
    /// The file is truncated, or a length is damaged.
    #[error("the file ends: {expected} more bytes expected, {left} left")]
    Ends {
        /// Expected number of bytes.
        expected: usize,
        /// Remaining number of bytes.
        left: usize,
    },
    /// A count that no machine can address.
    #[error("a count of {count} is absurd")]
    Count {
        /// The count.
        count: u64,
    },
    /// The number of names fits neither a list nor a dictionary.
    #[error("{names} names for {arrays} arrays")]
    Names {
        /// Number of names.
        names: usize,
        /// Number of arrays.
        arrays: usize,
    },
    /// A name is not UTF-8.
    #[error("a name is not UTF-8")]
    NameNotUtf8,
    /// A sparse array.
    #[error("an array has storage type {storage}, and only dense ones (0) can be read")]
    Storage {
        /// MXNet's number of the type.
        storage: i32,
    },
    /// The data is not an array, or has a later version.
    #[error("an array starts with {magic:#x}, which is not the magic of any version")]
    ArrayMagic {
        /// The number found instead of the magic number.
        magic: u32,
    },
    /// Too many dimensions, or none.
    #[error("an array has {dimensions} dimensions")]
    Dimensions {
        /// The number of dimensions.
        dimensions: u32,
    },
    /// An extent below zero.
    #[error("an array has a negative size")]
    NegativeSize,
    /// An array that no machine can hold.
    #[error("an array is absurdly large")]
    Absurd,
    /// Elements have a type that MXNet added later, or the type is damaged.
    #[error("an array has element type {kind}, which is none of MXNet's numbers")]
    ElementType {
        /// MXNet's number of the type.
        kind: i32,
    },
}
