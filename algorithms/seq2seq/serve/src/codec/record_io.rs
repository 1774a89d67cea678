//! `application/x-recordio-protobuf`: records whose `features["source"]` holds ids, answered by records whose `features["target"]`
//! holds them.
//!
//! A record's own `configuration` (field 5, JSON text) has the options of its answer. Results other than ids become further
//! features: `matrix` (float32, shape rows x columns), `alignments` (int32), `score` (float64).

use kokanee_formats::record::Record;
use kokanee_formats::record::value::Value as Kind;
use kokanee_formats::record::{Float32Tensor, Float64Tensor, Int32Tensor, Value};
use kokanee_formats::recordio::{MAGIC, RecordIoError, RecordReader, RecordWriter};
use kokanee_http::ServeError;
use kokanee_seq2seq_data::error::RecordFault;
use kokanee_seq2seq_data::{SequencePair, TargetRule};
use prost::Message as _;

use super::{Answered, Configuration, Input, Instance, MAX_ITEM_BYTES, Place, Placed};

const HEADER_BYTES: usize = 8;
const MAGIC_BYTES: usize = 4;
/// The length word holds the length in its lower 29 bits.
const LENGTH_MASK: u32 = (1 << 29) - 1;
const FEATURE: &str = "features[\"source\"]";

#[derive(Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// Offset of the next record, in the buffer and in the body.
    start: usize,
    position: u64,
    /// Number of records returned.
    number: u64,
    /// The complete parts of the next record so far.
    parts: Parts,
    finished: bool,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    pub(super) fn read(&mut self) -> Result<Option<Placed>, ServeError> {
        let rest = &self.buffer[self.start..];
        let place = Place::Record { number: self.number + 1, byte: self.position };
        let whole = match self.parts.find(rest) {
            Some(Frames::Whole(bytes)) => bytes,
            Some(Frames::TooLong(bytes)) => {
                let problem = format!(
                    "its frame claims {bytes} bytes of data; expected at most {MAX_ITEM_BYTES}: the length field is damaged, or \
                     this is no record"
                );
                return Err(place.bad(None, problem));
            }
            // The reader of files reports what is missing or wrong.
            None if self.finished && !rest.is_empty() => rest.len(),
            Some(Frames::Damaged) => rest.len(),
            None => return Ok(None),
        };
        let raw = match RecordReader::new(&rest[..whole], "").read_record() {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(None),
            Err(RecordIoError::Frame { fault, .. }) => return Err(place.bad(None, fault.of_body())),
            Err(other) => return Err(place.bad(None, other)),
        };
        self.parts = Parts::default();
        self.start += whole;
        self.position += whole as u64;
        self.number += 1;
        let instance = instance(&raw.payload, place)?;
        Ok(Some(Placed { place, instance }))
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

enum Frames {
    /// A complete record takes this many bytes.
    Whole(usize),
    /// The parts of a record have more bytes than allowed.
    TooLong(usize),
    /// No frame begins here.
    Damaged,
}

/// The parts of a record found so far: each is scanned once, however the bytes arrive.
#[derive(Clone, Copy, Default)]
struct Parts {
    /// Offset of the next part.
    at: usize,
    /// Number of bytes of the record, including the magic that is restored between two parts.
    data: usize,
}

impl Parts {
    /// The number of bytes of `bytes` that the next record takes, with all its parts; `None` while it is incomplete.
    fn find(&mut self, bytes: &[u8]) -> Option<Frames> {
        loop {
            let header = bytes.get(self.at..self.at + HEADER_BYTES)?;
            let word = |from: usize| {
                u32::from_le_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]])
            };
            if word(0) != MAGIC {
                return Some(Frames::Damaged);
            }
            let (flag, length) = (word(4) >> LENGTH_MASK.count_ones(), (word(4) & LENGTH_MASK) as usize);
            // 1 and 2 mean that further parts follow.
            let is_last = flag != 1 && flag != 2;
            let data = self.data + length + if is_last { 0 } else { MAGIC_BYTES };
            if data > MAX_ITEM_BYTES {
                return Some(Frames::TooLong(data));
            }
            let end = self.at + HEADER_BYTES + length.next_multiple_of(4);
            if bytes.len() < end {
                return None;
            }
            (self.at, self.data) = (end, data);
            if is_last {
                return Some(Frames::Whole(end));
            }
        }
    }
}

fn instance(payload: &[u8], place: Place) -> Result<Instance, ServeError> {
    let record = Record::decode(payload).map_err(|error| {
        let bytes = payload.len();
        place.bad(
            None,
            format!("its {bytes} bytes are not an aialgs.data.Record in protobuf encoding: {error}"),
        )
    })?;
    let configuration = match record.configuration.as_deref() {
        Some(text) if !text.trim().is_empty() => Configuration::from_record(text, place)?,
        _ => Configuration::default(),
    };
    let ids = match SequencePair::from_record(&record, TargetRule::Optional) {
        Ok(pair) => pair.source,
        // Treated like an empty sentence in JSON: it has an empty answer.
        Err(RecordFault::Empty { field }) if field == FEATURE => Vec::new(),
        Err(RecordFault::Missing { field, present }) => {
            return Err(place.bad(Some(field), format!("missing; the record has {present}")));
        }
        Err(fault) => return Err(place.bad(None, fault).with("field", FEATURE)),
    };
    Ok(Instance { input: Input::Ids(ids), configuration })
}

/// Appends the record for the answer to an instance.
pub(super) fn write(answered: &Answered, out: &mut Vec<u8>) {
    let integers = |values: Vec<u32>| {
        let values = values.into_iter().map(|value| i32::try_from(value).unwrap_or(i32::MAX)).collect();
        Kind::Int32Tensor(Int32Tensor { values, ..Int32Tensor::default() })
    };
    let mut record = Record::default();
    let mut feature = |name: &str, value: Kind| {
        record.features.insert(name.to_owned(), Value { value: Some(value) });
    };
    feature("target", integers(answered.ids().to_vec()));
    if let Some(alignments) = answered.alignments() {
        feature("alignments", integers(alignments));
    }
    if let Some(matrix) = answered.matrix() {
        let shape = vec![matrix.rows().len() as u64, answered.columns as u64];
        let values = matrix.rows().iter().flat_map(|row| row.dense(answered.columns)).collect();
        feature("matrix", Kind::Float32Tensor(Float32Tensor { values, shape, ..Float32Tensor::default() }));
    }
    if let Some(score) = answered.score() {
        let tensor = Float64Tensor { values: vec![score], ..Float64Tensor::default() };
        feature("score", Kind::Float64Tensor(tensor));
    }
    // Neither can fail: the output is memory, and an answer has at most some thousand ids.
    let _ = RecordWriter::new(out, "the answer").write(&record.encode_to_vec());
}
