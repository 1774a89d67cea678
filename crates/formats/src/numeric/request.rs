//! A body of records, as a request brings it.

use prost::Message as _;
use thiserror::Error;

use super::{NumericFault, NumericRecord, wire};
use crate::record::Record;
use crate::recordio::{FrameFault, RecordIoError, RecordReader, RecordView};
use crate::rows::{Limits, Rows};

/// The rows of a request, with what its answer must repeat. Labels are passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestRecords {
    /// A row for each record.
    pub rows: Rows,
    /// The identifier of each record, for its answer.
    pub uids: Vec<Option<String>>,
    /// The text about each record, for its answer.
    pub metadata: Vec<Option<String>>,
}

/// A body that holds no rows of numbers.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("record {record} at byte {byte}: {fault}")]
pub struct RecordsError {
    /// Number of the record, from 1.
    pub record: u64,
    /// Where its first frame begins, in bytes from the start of the body.
    pub byte: u64,
    /// What is wrong with it.
    pub fault: RecordsFault,
}

/// What is wrong with a record of a body.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RecordsFault {
    /// The frame is damaged, or the body is not RecordIO.
    #[error("{}", .0.of_body())]
    Frame(FrameFault),
    /// The record holds no row.
    #[error(transparent)]
    Row(#[from] NumericFault),
    /// More rows, or more values, than a request may have.
    #[error("the request is larger than {limits} at once; divide it")]
    TooMany {
        /// What it may have.
        limits: Limits,
    },
}

/// The rows of a body of RecordIO frames, each of `width` features. A body without a byte has no row.
///
/// # Errors
/// When a frame is damaged, a record holds no row of `width` finite numbers, or there are more than `limits` allow. Record and
/// byte are named.
pub fn read_records(body: &[u8], width: usize, limits: Limits) -> Result<RequestRecords, RecordsError> {
    let mut read = RequestRecords { rows: Rows::new(width), ..RequestRecords::default() };
    let mut reader = RecordReader::new(body, "");
    let mut values = 0;
    loop {
        let add = |record: RecordView<'_>| {
            let (number, byte) = (record.number, record.offset);
            read.add(record.payload, &mut values, limits).map_err(|fault| RecordsError {
                record: number,
                byte,
                fault,
            })
        };
        match reader.see_record(add) {
            Ok(Some(added)) => added?,
            Ok(None) => return Ok(read),
            Err(RecordIoError::Frame { record, offset, fault, .. }) => {
                return Err(RecordsError { record, byte: offset, fault: RecordsFault::Frame(fault) });
            }
            // Memory can always be read.
            Err(RecordIoError::Io(_)) => return Ok(read),
        }
    }
}

/// What the answer to a record repeats of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// The record's identifier.
    pub uid: Option<String>,
    /// The text about it.
    pub metadata: Option<String>,
}

/// Adds the row of a record's data to rows of its width.
///
/// # Errors
/// When the data is no record, or holds no row of finite numbers of that width.
pub fn take_record(payload: &[u8], rows: &mut Rows) -> Result<Echo, NumericFault> {
    take(payload, rows).map(|(_, echo)| echo)
}

/// The same, with how many values the row names.
fn take(payload: &[u8], rows: &mut Rows) -> Result<(usize, Echo), NumericFault> {
    let width = rows.width();
    if let Some(dense) = wire::dense(payload)
        && rows.push_filled(|values| dense.values.append_to(values))
    {
        return Ok((width, Echo::default()));
    }
    let record = Record::decode(payload)
        .map_err(|error| NumericFault::NotProtobuf { bytes: payload.len(), problem: error.to_string() })?;
    let row = NumericRecord::from_record(&record, Some(width))?;
    if row.width != width {
        return Err(NumericFault::Width { got: row.width, width });
    }
    row.push_to(rows);
    Ok((row.values.len(), Echo { uid: record.uid, metadata: record.metadata }))
}

impl RequestRecords {
    fn add(&mut self, payload: &[u8], values: &mut usize, limits: Limits) -> Result<(), RecordsFault> {
        let (row, Echo { uid, metadata }) = take(payload, &mut self.rows)?;
        *values += row;
        if self.rows.len() > limits.rows || *values > limits.values {
            return Err(RecordsFault::TooMany { limits });
        }
        self.uids.push(uid);
        self.metadata.push(metadata);
        Ok(())
    }
}
