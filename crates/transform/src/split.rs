//! Splitting files into mini-batches of whole records, as many as a request may have.

use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use kokanee_formats::recordio::RecordReader;

use crate::choices::{BatchStrategy, CompressionType, SplitType};
use crate::error::{Place, TransformError};
use crate::settings::{DEFAULT_MAX_PAYLOAD_MB, MEGABYTE, Settings};

/// The records of one request, as bytes of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MiniBatch {
    pub(crate) body: Vec<u8>,
    /// Never empty; in the order of the file.
    pub(crate) records: Vec<RecordEnd>,
}

/// The end of a record in a mini-batch, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordEnd {
    /// Number in the file, from 1. Line numbers include empty lines.
    pub(crate) number: u64,
    /// One past its last byte in the body.
    pub(crate) end: usize,
}

impl MiniBatch {
    /// The records' bytes, including line breaks and frames.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let begins = std::iter::once(0).chain(self.records.iter().map(|record| record.end));
        begins.zip(&self.records).map(|(begin, record)| (record.number, &self.body[begin..record.end]))
    }
}

/// Reads the mini-batches of one file, one after another.
pub(crate) struct MiniBatches<'a> {
    records: Records<'a>,
    limits: Limits,
    path: PathBuf,
    split_type: SplitType,
    skips_blank_lines: bool,
    compression_type: CompressionType,
    /// A record that did not fit into the previous mini-batch.
    held: Option<(u64, Vec<u8>)>,
    /// Number of records read so far.
    number: u64,
}

#[derive(Clone, Copy)]
struct Limits {
    /// The limit of one record, in bytes.
    record: u64,
    /// The limit of all records together, in bytes.
    batch: u64,
    records: usize,
}

impl<'a> MiniBatches<'a> {
    /// Reads from `input`; `path` is used in errors.
    pub(crate) fn new(input: Box<dyn BufRead + 'a>, path: &Path, settings: &Settings) -> Self {
        let limits = Limits {
            record: if settings.max_payload_bytes == 0 { u64::MAX } else { settings.max_payload_bytes },
            batch: match settings.max_payload_bytes {
                0 => DEFAULT_MAX_PAYLOAD_MB * MEGABYTE,
                limit => limit,
            },
            records: match settings.batch_strategy {
                BatchStrategy::SingleRecord => 1,
                BatchStrategy::MultiRecord => settings.max_records.max(1),
            },
        };
        let records = match settings.split_type {
            SplitType::None => Records::Whole(input),
            SplitType::Line => Records::Lines(input),
            SplitType::RecordIO => {
                let taken = Rc::default();
                let input = Recording { input, taken: Rc::clone(&taken) };
                Records::Frames { reader: RecordReader::new(input, path), taken }
            }
        };
        Self {
            records,
            limits,
            path: path.to_owned(),
            split_type: settings.split_type,
            skips_blank_lines: settings.skips_blank_lines() && settings.split_type == SplitType::Line,
            compression_type: settings.compression_type,
            held: None,
            number: 0,
        }
    }

    /// The next mini-batch; `None` at the end of the file.
    ///
    /// # Errors
    /// When a record is larger than the limit of a request, or the file cannot be read; the error names the record.
    pub(crate) fn next(&mut self) -> Result<Option<MiniBatch>, TransformError> {
        let mut batch = MiniBatch { body: Vec::new(), records: Vec::new() };
        loop {
            let (number, record) = match self.held.take() {
                Some(held) => held,
                None => match self.next_record()? {
                    Some(record) => record,
                    None => break,
                },
            };
            let grown = (batch.body.len() + record.len()) as u64;
            let is_full = batch.records.len() == self.limits.records || grown > self.limits.batch;
            if is_full && !batch.records.is_empty() {
                self.held = Some((number, record));
                break;
            }
            if batch.body.is_empty() {
                batch.body = record;
            } else {
                batch.body.extend_from_slice(&record);
            }
            batch.records.push(RecordEnd { number, end: batch.body.len() });
        }
        Ok((!batch.records.is_empty()).then_some(batch))
    }

    fn next_record(&mut self) -> Result<Option<(u64, Vec<u8>)>, TransformError> {
        loop {
            let number = self.number + 1;
            let limit = self.limits.record;
            let read = match &mut self.records {
                Records::Whole(input) => read_whole(input, limit),
                Records::Lines(input) => read_line(input, limit),
                Records::Frames { reader, taken } => {
                    let found = reader.read_record()?.is_some();
                    Ok(if found { std::mem::take(&mut *taken.borrow_mut()) } else { Vec::new() })
                }
            };
            let record = read.map_err(|error| TransformError::Record {
                place: self.place(number),
                problem: match self.compression_type {
                    CompressionType::None => format!("cannot read on: {error}"),
                    CompressionType::Gzip => format!(
                        "cannot read on: {error}; a .gz file that ends early or is damaged must be copied again"
                    ),
                },
            })?;
            if record.is_empty() {
                return Ok(None);
            }
            if record.len() as u64 > limit {
                return Err(self.too_large(number));
            }
            self.number = number;
            if !(self.skips_blank_lines && record.trim_ascii().is_empty()) {
                return Ok(Some((number, record)));
            }
        }
    }

    fn too_large(&self, number: u64) -> TransformError {
        let limit = self.limits.record;
        let split = match self.split_type {
            SplitType::None => "divide the file into records with --split-type, or ",
            SplitType::Line | SplitType::RecordIO => "",
        };
        let mut problem = format!("the record is larger than a request may be, {limit} bytes");
        if limit.is_multiple_of(MEGABYTE) {
            problem.push_str(&format!(" (--max-payload-mb {})", limit / MEGABYTE));
        }
        problem.push_str(&format!("; {split}raise the limit (0 for none)"));
        TransformError::Record { place: self.place(number), problem }
    }

    fn place(&self, number: u64) -> Place {
        Place { file: self.path.clone(), split_type: self.split_type, first: number, last: number }
    }
}

enum Records<'a> {
    Whole(Box<dyn BufRead + 'a>),
    Lines(Box<dyn BufRead + 'a>),
    Frames { reader: RecordReader<Recording<'a>>, taken: Rc<RefCell<Vec<u8>>> },
}

/// The rest of the input; at most one byte more than `limit`. Empty at the end.
fn read_whole(input: &mut dyn BufRead, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A line with its end; at most one byte more than `limit`. Empty at the end.
fn read_line(input: &mut dyn BufRead, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit.saturating_add(1)).read_until(b'\n', &mut bytes)?;
    Ok(bytes)
}

/// Records the bytes that pass through it, so that a frame can be sent on unchanged.
struct Recording<'a> {
    input: Box<dyn BufRead + 'a>,
    taken: Rc<RefCell<Vec<u8>>>,
}

impl Read for Recording<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.taken.borrow_mut().extend_from_slice(&buffer[..got]);
        Ok(got)
    }
}
