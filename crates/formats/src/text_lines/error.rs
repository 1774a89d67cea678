//! What can be wrong with a file of lines of text.

use std::io::{self, Read};
use std::path::PathBuf;

use thiserror::Error;

use crate::FileError;
use crate::compression::Compression;
use crate::decompressed::{Decompressed, PackingFault};

/// A text file that cannot be read, or is not text.
#[derive(Debug, Error)]
pub enum TextError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// A line that cannot be read as text.
    #[error("{}:{line}:{byte}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Byte within the line, from 1.
        byte: u64,
        /// What is wrong with it.
        fault: TextFault,
    },
}

/// What is wrong with a line of text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextFault {
    /// Not UTF-8.
    #[error("byte 0x{byte:02x} is not valid UTF-8 here; save the file as UTF-8 (iconv -f … -t utf-8)")]
    NotUtf8 {
        /// The first byte of the invalid sequence.
        byte: u8,
    },
    /// A line without end.
    #[error("the line is longer than {limit} bytes; expected one sentence a line. Is this a text file?")]
    TooLong {
        /// Bytes allowed in a line.
        limit: u64,
    },
    /// The file is compressed or an archive, of a kind that is not read.
    #[error(
        "the file is {0}; text is read plain or compressed with gzip: unpack it first ({undo})", undo = .0.undo
    )]
    Packed(Compression),
    /// The file is compressed with gzip, and so is what comes out, or that is packed in another way.
    #[error(
        "the file is compressed with gzip, and what comes out of it is {0}; text is read plain or compressed with gzip once: \
         unpack it first (gunzip, then {undo})", undo = .0.undo
    )]
    PackedTwice(Compression),
    /// The system refused to read on.
    #[error("cannot read on: {problem}")]
    Unreadable {
        /// The system's words.
        problem: String,
    },
    /// The compressed data is damaged or ends early.
    #[error("cannot decompress the rest: {problem}; the file is damaged or incomplete, copy it again")]
    DamagedGzip {
        /// The decompressor's words.
        problem: String,
    },
}

impl TextFault {
    /// What it means that reading failed.
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
