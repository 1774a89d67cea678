//! A request body of records.

use prost::Message as _;
use thiserror::Error;

use super::{NumericFault, NumericRecord, wire};
use crate::record::Record;
use crate::recordio::{FrameFault, RecordIoError, RecordReader, RecordView};
use crate::rows::{Limits, Rows};

/// The rows of a request, with the parts that its response repeats. Labels are ignored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestRecords {
    /// One row per record.
    pub rows: Rows,
    /// The identifier of each record, for its response.
    pub uids: Vec<Option<String>>,
    /// The metadata text of each record, for its response.
    pub metadata: Vec<Option<String>>,
}

/// An error in the records of a body.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("record {record} at byte {byte}: {fault}")]
pub struct RecordsError {
    /// Number of the record, from 1.
    pub record: u64,
    /// The position of its first frame, in bytes from the start of the body.
    pub byte: u64,
    /// The fault.
    pub fault: RecordsFault,
}

/// A fault of a record in a body.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RecordsFault {
    /// The frame is damaged, or the body is not RecordIO.
    #[error("{}", .0.of_body())]
    Frame(FrameFault),
    /// The record has no row.
    #[error(transparent)]
    Row(#[from] NumericFault),
    /// More rows, or more values, than a request may have.
    #[error("the request is larger than {limits} at once; divide it")]
    TooMany {
        /// The limits.
        limits: Limits,
    },
}

/// Reads the rows of a body of RecordIO frames, each of `width` features. An empty body has no rows.
///
/// # Errors
/// When a frame is damaged, a record has no row of `width` finite numbers, or there are more than `limits` allow. The error names the
/// record and the byte.
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
            // Reading from memory never fails.
            Err(RecordIoError::Io(_)) => return Ok(read),
        }
    }
}

/// The parts of a record that its response repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// The record's identifier.
    pub uid: Option<String>,
    /// The record's metadata text.
    pub metadata: Option<String>,
}

/// Adds the row in a record's data to rows of its width.
///
/// # Errors
/// When the data is not a record, or has no row of finite numbers of that width.
pub fn take_record(payload: &[u8], rows: &mut Rows) -> Result<Echo, NumericFault> {
    take(payload, rows).map(|(_, echo)| echo)
}

/// As [`take_record`], and also returns the number of values that the row names.
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
