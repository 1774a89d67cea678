//! Errors of RecordIO.

use std::path::PathBuf;

use thiserror::Error;

use crate::FileError;
use crate::compression::Compression;

/// An error in reading or writing records.
#[derive(Debug, Error)]
pub enum RecordIoError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// A frame is damaged, or the file is not RecordIO.
    #[error("{}: record {record} at byte {offset}: {fault}", path.display())]
    Frame {
        /// The file.
        path: PathBuf,
        /// Number of the record, from 1.
        record: u64,
        /// The position of the record's first frame, in bytes from the start of the file.
        offset: u64,
        /// The fault.
        fault: FrameFault,
    },
}

/// A fault of a RecordIO frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameFault {
    /// The frame does not begin with the magic number.
    #[error(
        "expected the RecordIO magic 0xced7230a (bytes 0a 23 d7 ce) at byte {at}, got bytes {}; the file is \
         not RecordIO, or what lies before this place is damaged", hex(.got)
    )]
    WrongMagic {
        /// The position of the frame, in bytes from the start of the file.
        at: u64,
        /// The four bytes found instead.
        got: [u8; 4],
    },
    /// The file is compressed or an archive.
    #[error("the file is {0}, but RecordIO is read as it is: unpack it first ({undo})", undo = .0.undo)]
    Packed(Compression),
    /// The file ends inside a frame.
    #[error(
        "the frame's {part} is cut short: expected {expected} bytes, got {got}; the file is incomplete, copy or write it again"
    )]
    Truncated {
        /// Header, data or padding.
        part: &'static str,
        /// Expected number of bytes.
        expected: u64,
        /// Number of bytes present.
        got: u64,
    },
    /// The file ends between the parts of a divided record.
    #[error(
        "the file ends after part {parts} of a divided record: expected a further part; the file is incomplete, copy or write it again"
    )]
    Unfinished {
        /// Number of parts present.
        parts: u64,
    },
    /// The frame claims more bytes than the limit of a record.
    #[error(
        "the frame claims {length} bytes of data, more than the {limit} a record may have; the length field is damaged"
    )]
    TooLong {
        /// Bytes claimed, all parts together.
        length: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A continuation flag is out of order.
    #[error(
        "expected {expected}, got continuation flag {got}; a part of a divided record is missing or damaged"
    )]
    Continuation {
        /// The expected flag.
        expected: &'static str,
        /// The top three bits of the length field.
        got: u32,
    },
}

impl FrameFault {
    /// The message for a request body, which cannot be copied again like a file.
    pub fn of_body(&self) -> String {
        match self {
            Self::WrongMagic { got, .. } => format!(
                "expected the RecordIO magic 0xced7230a (bytes 0a 23 d7 ce), got bytes {}; the body is not RecordIO, or what lies \
                 before this place is damaged",
                hex(got)
            ),
            Self::Packed(packing) => format!("the body is {packing}; send RecordIO as it is"),
            Self::Truncated { part, expected, got } => {
                format!(
                    "its {part} is cut short: expected {expected} bytes, got {got}; the body is incomplete"
                )
            }
            Self::Unfinished { parts } => {
                format!("the body ends after part {parts} of a divided record: expected a further part")
            }
            other => other.to_string(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
