//! Rows of numbers for algorithms, with their labels, from numeric CSV and RecordIO-protobuf, in File and Pipe mode.
//!
//! The supported forms of a record:
//!
//! | record | row |
//! |---|---|
//! | `features["values"]`, or the only feature there is | that tensor, of float32, float64 or int32 |
//! | no `keys` | dense; a `shape` must have as many elements |
//! | `keys` | sparse; the elements of `shape` are its width |
//! | no values but a `shape` | zeros, as the SageMaker SDK writes an empty sparse row |
//! | `label["values"]` | labels |
//!
//! Source: SageMaker Developer Guide, "Training Data Formats", and the SageMaker Python SDK.

mod error;
mod observation;
mod request;
mod wire;

use std::io::Read;
use std::path::{Path, PathBuf};

pub use error::{NumericError, NumericFault};
pub use observation::NumericRecord;
pub(crate) use observation::Tensor;
use prost::Message as _;
pub use request::{Echo, RecordsError, RecordsFault, RequestRecords, read_records, take_record};

use crate::csv::{CsvFormat, CsvReader};
use crate::decompressed::Decompressed;
use crate::record::Record;
use crate::recordio::{RecordReader, RecordView};
use crate::rows::Rows;

/// The format of the rows in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumericFormat {
    /// `text/csv`: lines of numbers, the first of which are labels.
    Csv {
        /// Labels of each row.
        label_size: usize,
    },
    /// `application/x-recordio-protobuf`: frames with the message `aialgs.data.Record`. The first record sets the number of labels of each.
    RecordIo,
}

/// Rows with their labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The rows.
    pub rows: Rows,
    /// The labels of all rows, one row after the other; every row of a file has the same number of labels, which may be 0.
    pub labels: Vec<f32>,
}

/// Reads rows from a file or a FIFO, batch by batch. It holds one line or record in memory at a time.
pub struct NumericReader<R: Read> {
    source: Source<R>,
    path: PathBuf,
    format: NumericFormat,
    known: Known,
}

/// Properties of the rows that are known before a row is read.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Number of columns.
    width: Option<usize>,
    /// Number of labels.
    label_size: Option<usize>,
}

enum Source<R: Read> {
    /// Not inspected yet: a FIFO may have no writer.
    Unopened(R),
    Csv(CsvReader<Decompressed<R>>),
    Records(RecordReader<Decompressed<R>>),
    /// Nothing can be read after an error.
    Failed,
}

impl Batch {
    /// Removes all rows and labels, but keeps their memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.labels.clear();
    }
}

impl<R: Read> NumericReader<R> {
    /// A reader; `path` is used in errors, and `width` is the number of features of a row where it is known. Nothing is read yet.
    pub fn new(input: R, path: &Path, format: NumericFormat, width: Option<usize>) -> Self {
        let label_size = match format {
            NumericFormat::Csv { label_size } => Some(label_size),
            NumericFormat::RecordIo => None,
        };
        let known = Known { width, label_size };
        Self { source: Source::Unopened(input), path: path.to_owned(), format, known }
    }

    /// Number of features of each row, known once a row was read or if given before.
    pub fn width(&self) -> Option<usize> {
        self.known.width
    }

    /// Number of labels of each row, known once a row was read or if the format gives it.
    pub fn label_size(&self) -> Option<usize> {
        self.known.label_size
    }

    /// Adds up to `most` rows to `batch`, and their labels. The first row sets the width if neither [`new`](Self::new) nor the rows of the
    /// batch do, and the batch then has that width. Returns the number of added rows: fewer than `most` only at the end, and 0 after it.
    ///
    /// # Errors
    /// When the input cannot be read or is damaged, has data that are not rows of finite numbers, or has rows of several widths. The error
    /// names the file, with the line and column or with the record, its byte and its field. Nothing can be read after an error.
    pub fn read(&mut self, batch: &mut Batch, most: usize) -> Result<usize, NumericError> {
        if !batch.rows.is_empty() {
            self.known.width.get_or_insert(batch.rows.width());
        }
        let read = self.open().and_then(|()| self.read_opened(batch, most));
        if read.is_err() {
            self.source = Source::Failed;
        }
        read
    }

    /// Inspects the input's first bytes, if that was not done yet.
    fn open(&mut self) -> Result<(), NumericError> {
        if !matches!(self.source, Source::Unopened(_)) {
            return Ok(());
        }
        let Source::Unopened(input) = std::mem::replace(&mut self.source, Source::Failed) else {
            return Ok(());
        };
        let input = Decompressed::new(input)
            .map_err(|fault| NumericError::Packing { path: self.path.clone(), fault })?;
        self.source = match self.format {
            NumericFormat::Csv { label_size } => {
                let format = CsvFormat { label_size, width: self.known.width };
                Source::Csv(CsvReader::new(input, &self.path, format))
            }
            NumericFormat::RecordIo => Source::Records(RecordReader::new(input, &self.path)),
        };
        Ok(())
    }

    fn read_opened(&mut self, batch: &mut Batch, most: usize) -> Result<usize, NumericError> {
        match &mut self.source {
            Source::Csv(reader) => {
                let added = reader.read(&mut batch.rows, &mut batch.labels, most)?;
                self.known.width = reader.width();
                Ok(added)
            }
            Source::Records(reader) => {
                let mut added = 0;
                while added < most {
                    let add = |record: RecordView<'_>| {
                        let (number, offset, path) = (record.number, record.offset, &self.path);
                        self.known.add(record.payload, batch).map_err(|fault| NumericError::Record {
                            path: path.clone(),
                            record: number,
                            offset,
                            fault,
                        })
                    };
                    match reader.see_record(add)? {
                        Some(row) => row?,
                        None => break,
                    }
                    added += 1;
                }
                Ok(added)
            }
            Source::Unopened(_) | Source::Failed => Ok(0),
        }
    }
}

impl Known {
    /// Adds the row of a record and its labels.
    fn add(&mut self, payload: &[u8], batch: &mut Batch) -> Result<(), NumericFault> {
        if self.add_dense(payload, batch).is_some() {
            return Ok(());
        }
        let row = NumericRecord::decode(payload, self.width)?;
        let width = *self.width.get_or_insert(row.width);
        if row.width != width {
            return Err(NumericFault::Width { got: row.width, width });
        }
        let label_size = *self.label_size.get_or_insert(row.labels.len());
        if row.labels.len() != label_size {
            return Err(NumericFault::Labels { got: row.labels.len(), label_size });
        }
        if batch.rows.is_empty() && batch.rows.width() != width {
            batch.rows = Rows::new(width);
        }
        row.push_to(&mut batch.rows);
        batch.labels.extend_from_slice(&row.labels);
        Ok(())
    }

    /// Does the same directly from the bytes of a record in the usual form for dense rows and of the size of earlier ones. Returns `None`
    /// and does nothing for any other record: it may be faulty, or only unusual.
    fn add_dense(self, payload: &[u8], batch: &mut Batch) -> Option<()> {
        let Self { width: Some(width), label_size: Some(label_size) } = self else { return None };
        let dense = wire::dense(payload)?;
        if batch.rows.width() != width || dense.labels.map_or(0, |labels| labels.count()) != label_size {
            return None;
        }
        let before = batch.labels.len();
        let has_labels = dense.labels.is_none_or(|labels| labels.append_to(&mut batch.labels));
        if has_labels && batch.rows.push_filled(|values| dense.values.append_to(values)) {
            return Some(());
        }
        batch.labels.truncate(before);
        None
    }
}

impl NumericRecord {
    /// Decodes the row in the data of one RecordIO frame. `width` is that of a sparse row without a shape.
    ///
    /// # Errors
    /// When the data is not a record, or the record has no row of finite numbers.
    pub fn decode(payload: &[u8], width: Option<usize>) -> Result<Self, NumericFault> {
        let record = Record::decode(payload).map_err(|error| NumericFault::NotProtobuf {
            bytes: payload.len(),
            problem: error.to_string(),
        })?;
        Self::from_record(&record, width)
    }
}

#[cfg(test)]
mod tests;
