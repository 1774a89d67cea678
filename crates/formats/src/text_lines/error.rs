//! Errors of text files.

use std::io::{self, Read};
use std::path::PathBuf;

use thiserror::Error;

use crate::FileError;
use crate::compression::Compression;
use crate::decompressed::{Decompressed, PackingFault};

/// An error in reading a text file.
#[derive(Debug, Error)]
pub enum TextError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// A line cannot be read as text.
    #[error("{}:{line}:{byte}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The byte within the line, from 1.
        byte: u64,
        /// The fault.
        fault: TextFault,
    },
}

/// A fault of a line of text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextFault {
    /// Not UTF-8.
    #[error("byte 0x{byte:02x} is not valid UTF-8 here; save the file as UTF-8 (iconv -f … -t utf-8)")]
    NotUtf8 {
        /// The first byte of the invalid sequence.
        byte: u8,
    },
    /// A line longer than the limit.
    #[error("the line is longer than {limit} bytes; expected one sentence a line. Is this a text file?")]
    TooLong {
        /// Maximum bytes of a line.
        limit: u64,
    },
    /// The file has an unsupported compression, or is an archive.
    #[error(
        "the file is {0}; text is read plain or compressed with gzip: unpack it first ({undo})", undo = .0.undo
    )]
    Packed(Compression),
    /// The file is compressed with gzip, and the decompressed data is compressed again or an archive.
    #[error(
        "the file is compressed with gzip, and what comes out of it is {0}; text is read plain or compressed with gzip once: \
         unpack it first (gunzip, then {undo})", undo = .0.undo
    )]
    PackedTwice(Compression),
    /// The system refused to read further.
    #[error("cannot read on: {problem}")]
    Unreadable {
        /// The system's message.
        problem: String,
    },
    /// The compressed data is damaged or ends early.
    #[error("cannot decompress the rest: {problem}; the file is damaged or incomplete, copy it again")]
    DamagedGzip {
        /// The decompressor's message.
        problem: String,
    },
}

impl TextFault {
    /// The fault behind a read error.
    pub fn of_reading<R: Read>(input: &Decompressed<R>, error: &io::Error) -> Self {
        let problem = error.to_string();
        if input.is_damage(error) { Self::DamagedGzip { problem } } else { Self::Unreadable { problem } }
    }
}

impl From<PackingFault> for TextFault {
    fn from(fault: PackingFault) -> Self {
        match fault {
            PackingFault::Unreadable(error) => Self::Unreadable { problem: error.to_string() },
            PackingFault::Packed(packing) => Self::Packed(packing),
            PackingFault::PackedTwice(packing) => Self::PackedTwice(packing),
        }
    }
}
