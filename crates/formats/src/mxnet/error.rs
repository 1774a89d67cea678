//! What can be wrong with an array file.

use std::path::PathBuf;

use thiserror::Error;

use crate::FileError;

/// A file of MXNet's that cannot be read or written.
#[derive(Debug, Error)]
pub enum MxnetError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// The file is not what it should be.
    #[error("{}: at byte {at}: {fault}; expected an MXNet parameter file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Bytes before the fault.
        at: usize,
        /// What is wrong.
        fault: MxnetFault,
    },
}

/// What is wrong with an array file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MxnetFault {
    /// Another kind of file.
    #[error("the file does not start with MXNet's magic number")]
    NoMagic,
    /// A file that is cut short, or a damaged length.
    #[error("the file ends: {expected} more bytes expected, {left} left")]
    Ends {
        /// Bytes that should follow.
        expected: usize,
        /// Bytes that do.
        left: usize,
    },
    /// A number of things that no machine can address.
    #[error("a count of {count} is absurd")]
    Count {
        /// The number.
        count: u64,
    },
    /// Neither a list nor a dictionary.
    #[error("{names} names for {arrays} arrays")]
    Names {
        /// Names there are.
        names: usize,
        /// Arrays there are.
        arrays: usize,
    },
    /// A name of other bytes.
    #[error("a name is not UTF-8")]
    NameNotUtf8,
    /// A sparse array.
    #[error("an array has storage type {storage}, and only dense ones (0) can be read")]
    Storage {
        /// MXNet's number of the type.
        storage: i32,
    },
    /// No array, or one of a later version.
    #[error("an array starts with {magic:#x}, which is not the magic of any version")]
    ArrayMagic {
        /// What stands there.
        magic: u32,
    },
    /// Too many dimensions, or none.
    #[error("an array has {dimensions} dimensions")]
    Dimensions {
        /// How many.
        dimensions: u32,
    },
    /// An extent below zero.
    #[error("an array has a negative size")]
    NegativeSize,
    /// An array that no machine can hold.
    #[error("an array is absurdly large")]
    Absurd,
    /// Elements of a type that MXNet added later, or damage.
    #[error("an array has element type {kind}, which is none of MXNet's numbers")]
    ElementType {
        /// MXNet's number of the type.
        kind: i32,
    },
}
