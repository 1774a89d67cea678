//! RecordIO framing of records in a file.
//!
//! A frame is the magic number (u32, little endian), a length word (u32, little endian: low 29 bits the number
//! of data bytes, top 3 bits the continuation flag), the data, and zeros up to a multiple of 4 bytes.
//! Flag 0 is a whole record; 1, 2 and 3 are the first, a middle and the last part of a record that was divided where its data held the
//! magic number. The number itself is left out between two parts (as dmlc writes it).

mod error;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

pub use error::{FrameFault, RecordIoError};

use crate::folder_update::current;
use crate::{FileError, compression};

/// First word of every frame.
pub const MAGIC: u32 = 0xCED7_230A;

/// The maximum data bytes of a record. A sentence takes a few hundred bytes, a row of 10,000 doubles 80,000, so a greater length means a
/// damaged file. Memory is allocated only as bytes arrive.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

const HEADER_BYTES: usize = 8;
const LENGTH_BITS: u32 = 29;
const LENGTH_MASK: u32 = (1 << LENGTH_BITS) - 1;

/// One record, with its own copy of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Number in the file, from 1.
    pub number: u64,
    /// The position of its first frame, in bytes from the start of the file.
    pub offset: u64,
    /// The data, parts joined, padding removed.
    pub payload: Vec<u8>,
    /// The number of parts it was divided into: 1 for a whole record.
    pub parts: u64,
}

/// One record, with borrowed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Number in the file, from 1.
    pub number: u64,
    /// The position of its first frame, in bytes from the start of the file.
    pub offset: u64,
    /// The data, parts joined, padding removed.
    pub payload: &'a [u8],
    /// The number of parts it was divided into: 1 for a whole record.
    pub parts: u64,
}

/// Reads records one after another; an iterator that ends after the first error.
#[derive(Debug)]
pub struct RecordReader<R> {
    input: R,
    path: PathBuf,
    number: u64,
    position: u64,
    finished: bool,
}

impl RecordReader<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened, or is compressed or an archive.
    pub fn open(path: &Path) -> Result<Self, RecordIoError> {
        let file = File::open(current(path)?).map_err(FileError::io(path, "open the file"))?;
        let mut input = BufReader::with_capacity(1 << 18, file);
        // Some of them need more bytes than a frame's header. A read error is reported when records are read.
        let packing = input.fill_buf().ok().and_then(compression::of_or_tar);
        let reader = Self::new(input, path);
        match packing {
            Some(packing) => Err(reader.fault(1, 0, FrameFault::Packed(packing))),
            None => Ok(reader),
        }
    }
}

impl<R: Read> RecordReader<R> {
    /// Reads from `input`, which should be buffered. `name` replaces the file name in errors.
    pub fn new(input: R, name: impl Into<PathBuf>) -> Self {
        Self { input, path: name.into(), number: 0, position: 0, finished: false }
    }

    /// The name given for the input.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next record, or `None` at the end of the input.
    ///
    /// # Errors
    /// When the input cannot be read or its next frame is damaged; the error names the record and the byte.
    pub fn read_record(&mut self) -> Result<Option<RawRecord>, RecordIoError> {
        let offset = self.position;
        let number = self.number + 1;
        let mut payload = Vec::new();
        let mut parts = 0;
        loop {
            let Some((flag, length)) = self.read_header(number, offset)? else {
                if parts == 0 {
                    return Ok(None);
                }
                return Err(self.fault(number, offset, FrameFault::Unfinished { parts }));
            };
            let expected_flags = if parts == 0 { [0, 1] } else { [2, 3] };
            if !expected_flags.contains(&flag) {
                let expected = if parts == 0 {
                    "a whole record or the first part of one (continuation flag 0 or 1)"
                } else {
                    "a further part of the record (continuation flag 2 or 3)"
                };
                return Err(self.fault(number, offset, FrameFault::Continuation { expected, got: flag }));
            }
            if parts > 0 {
                payload.extend_from_slice(&MAGIC.to_le_bytes());
            }
            self.read_data(number, offset, length, &mut payload)?;
            parts += 1;
            if flag == 0 || flag == 3 {
                break;
            }
        }
        self.number = number;
        Ok(Some(RawRecord { number, offset, payload, parts }))
    }

    /// Continuation flag and data length of the next frame; `None` at the end of the input.
    fn read_header(&mut self, number: u64, offset: u64) -> Result<Option<(u32, usize)>, RecordIoError> {
        let at = self.position;
        let mut header = [0; HEADER_BYTES];
        let got = self.fill(&mut header)?;
        if got == 0 {
            return Ok(None);
        }
        if at == 0
            && let Some(packing) = compression::of_or_tar(&header[..got])
        {
            return Err(self.fault(number, offset, FrameFault::Packed(packing)));
        }
        let [m0, m1, m2, m3, l0, l1, l2, l3] = header;
        let magic = [m0, m1, m2, m3];
        if got >= magic.len() && magic != MAGIC.to_le_bytes() {
            return Err(self.fault(number, offset, FrameFault::WrongMagic { at, got: magic }));
        }
        if got < header.len() {
            let (expected, got) = (header.len() as u64, got as u64);
            return Err(self.fault(number, offset, FrameFault::Truncated { part: "header", expected, got }));
        }
        let word = u32::from_le_bytes([l0, l1, l2, l3]);
        Ok(Some((word >> LENGTH_BITS, (word & LENGTH_MASK) as usize)))
    }

    fn read_data(
        &mut self,
        number: u64,
        offset: u64,
        length: usize,
        payload: &mut Vec<u8>,
    ) -> Result<(), RecordIoError> {
        let total = payload.len() + length;
        if total > MAX_RECORD_BYTES {
            let (length, limit) = (total as u64, MAX_RECORD_BYTES as u64);
            return Err(self.fault(number, offset, FrameFault::TooLong { length, limit }));
        }
        // At most one page is allocated for the claimed length; the rest is allocated as bytes arrive.
        payload.reserve(length.min(1 << 12));
        let got = (&mut self.input)
            .take(length as u64)
            .read_to_end(payload)
            .map_err(FileError::io(&self.path, "read the file"))?;
        self.position += got as u64;
        if got < length {
            let (expected, got) = (length as u64, got as u64);
            return Err(self.fault(number, offset, FrameFault::Truncated { part: "data", expected, got }));
        }
        let mut padding = [0; 3];
        let padding = &mut padding[..padding_of(length)];
        let got = self.fill(padding)?;
        if got < padding.len() {
            let (expected, got) = (padding_of(length) as u64, got as u64);
            return Err(self.fault(number, offset, FrameFault::Truncated { part: "padding", expected, got }));
        }
        Ok(())
    }

    /// Reads until `buffer` is full or the input ends; returns the number of bytes read.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, RecordIoError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::io(&self.path, "read the file")(error).into()),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    fn fault(&self, record: u64, offset: u64, fault: FrameFault) -> RecordIoError {
        RecordIoError::Frame { path: self.path.clone(), record, offset, fault }
    }
}

impl<R: BufRead> RecordReader<R> {
    /// Passes the next record to `see`, which is not called at the end of the input. A record that is completely in the input's buffer is
    /// not copied.
    ///
    /// # Errors
    /// As [`read_record`](Self::read_record).
    pub fn see_record<T>(
        &mut self,
        see: impl FnOnce(RecordView<'_>) -> T,
    ) -> Result<Option<T>, RecordIoError> {
        let (number, offset) = (self.number + 1, self.position);
        // A read error is reported by the following attempt to read.
        let buffered = self.input.fill_buf().unwrap_or_default();
        if let Some(payload) = whole_record(buffered) {
            let seen = see(RecordView { number, offset, payload, parts: 1 });
            let frame = HEADER_BYTES + payload.len() + padding_of(payload.len());
            self.input.consume(frame);
            self.number = number;
            self.position += frame as u64;
            return Ok(Some(seen));
        }
        let record = self.read_record()?;
        Ok(record.map(|RawRecord { number, offset, payload, parts }| {
            see(RecordView { number, offset, payload: &payload, parts })
        }))
    }
}

/// The data of a frame at the beginning of `bytes` that is a whole record; `None` if it is not, or is incomplete.
fn whole_record(bytes: &[u8]) -> Option<&[u8]> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [m0, m1, m2, m3, l0, l1, l2, l3] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    // A divided record also has a length above the limit here, since its flag is in the top bits.
    let is_whole = [m0, m1, m2, m3] == MAGIC.to_le_bytes() && length <= MAX_RECORD_BYTES;
    (is_whole && rest.len() >= length + padding_of(length)).then(|| &rest[..length])
}

impl<R: Read> Iterator for RecordReader<R> {
    type Item = Result<RawRecord, RecordIoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let record = self.read_record().transpose();
        self.finished = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Writes records one after another.
///
/// Every record becomes one whole frame, as in AWS's own Python writers: readers that rely on the length, including all of SageMaker's
/// Python ones, do not support divided records.
#[derive(Debug)]
pub struct RecordWriter<W> {
    output: W,
    path: PathBuf,
    records: u64,
    position: u64,
}

impl<W: Write> RecordWriter<W> {
    /// Writes to `output`, which should be buffered. `name` replaces the file name in errors.
    pub fn new(output: W, name: impl Into<PathBuf>) -> Self {
        Self { output, path: name.into(), records: 0, position: 0 }
    }

    /// Appends a record of at most [`MAX_RECORD_BYTES`] bytes.
    ///
    /// # Errors
    /// When the record is longer, or the system refuses.
    pub fn write(&mut self, payload: &[u8]) -> Result<(), RecordIoError> {
        self.records += 1;
        if payload.len() > MAX_RECORD_BYTES {
            let (length, limit) = (payload.len() as u64, MAX_RECORD_BYTES as u64);
            let fault = FrameFault::TooLong { length, limit };
            return Err(RecordIoError::Frame {
                path: self.path.clone(),
                record: self.records,
                offset: self.position,
                fault,
            });
        }
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[4..].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        self.output
            .write_all(&header)
            .and_then(|()| self.output.write_all(payload))
            .and_then(|()| self.output.write_all(&[0; 3][..padding_of(payload.len())]))
            .map_err(FileError::io(&self.path, "write the file"))?;
        self.position += (header.len() + payload.len() + padding_of(payload.len())) as u64;
        Ok(())
    }

    /// Number of records written so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Flushes and returns the output.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(mut self) -> Result<W, RecordIoError> {
        self.output.flush().map_err(FileError::io(&self.path, "write the file"))?;
        Ok(self.output)
    }
}

/// Appends a frame to `out` whose data `encode` appends; the length is filled in afterwards, which avoids a copy. The data must stay below
/// [`MAX_RECORD_BYTES`].
pub fn append_frame(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&MAGIC.to_le_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let data_at = out.len();
    encode(out);
    let length = out.len() - data_at;
    out[length_at..data_at].copy_from_slice(&(length as u32).to_le_bytes());
    out.resize(out.len() + padding_of(length), 0);
}

fn padding_of(length: usize) -> usize {
    length.wrapping_neg() & 3
}

#[cfg(test)]
mod tests;
