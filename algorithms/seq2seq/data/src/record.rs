//! The encoding of a pair of sequences in the protobuf message `aialgs.data.Record`.
//!
//! A pair is `features["source"]` and `features["target"]`, each an `int32_tensor` whose `values` are word ids.
//! It also reads float tensors that hold whole numbers, and `label["target"]` instead of the feature.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use kokanee_formats::record::{Int32Tensor, Record, Value, value};
use kokanee_formats::recordio::{RawRecord, RecordReader};
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::error::{DataError, RecordFault};

/// The greatest id a record can hold: its tensors are int32.
pub const MAX_WORD_ID: u32 = i32::MAX as u32;

/// A source sequence and its target, as word ids without `<s>` and `</s>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SequencePair {
    /// Word ids of the source; never empty when read.
    pub source: Vec<u32>,
    /// Word ids of the target; empty only if [`TargetRule::Optional`] allows it.
    pub target: Vec<u32>,
}

/// Whether a record must have a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetRule {
    /// Training and validation data.
    Required,
    /// Requests for translation: the target may be absent, or present but empty.
    Optional,
}

impl SequencePair {
    /// Decodes the data of one RecordIO frame.
    pub fn decode(payload: &[u8], rule: TargetRule) -> Result<Self, RecordFault> {
        let record = Record::decode(payload)
            .map_err(|error| RecordFault::NotProtobuf { bytes: payload.len(), problem: error.to_string() })?;
        Self::from_record(&record, rule)
    }

    /// Extracts the two sequences from a record.
    pub fn from_record(record: &Record, rule: TargetRule) -> Result<Self, RecordFault> {
        let source = match record.features.get("source") {
            Some(value) => ids(value, SOURCE)?,
            None => return Err(RecordFault::Missing { field: SOURCE, present: present(record) }),
        };
        if source.is_empty() {
            return Err(RecordFault::Empty { field: SOURCE });
        }
        let feature = record.features.get("target").map(|value| ids(value, TARGET)).transpose()?;
        let label = record.label.get("target").map(|value| ids(value, TARGET_LABEL)).transpose()?;
        let target = match (feature, label) {
            (Some(feature), Some(label)) if feature.is_empty() => label,
            (Some(feature), Some(label)) if !label.is_empty() && feature != label => {
                return Err(RecordFault::TwoTargets);
            }
            (Some(feature), _) => feature,
            (None, Some(label)) => label,
            (None, None) if rule == TargetRule::Optional => Vec::new(),
            (None, None) => return Err(RecordFault::Missing { field: TARGET, present: present(record) }),
        };
        if target.is_empty() && rule == TargetRule::Required {
            let field = if record.features.contains_key("target") { TARGET } else { TARGET_LABEL };
            return Err(RecordFault::Empty { field });
        }
        Ok(Self { source, target })
    }

    /// The record of this pair. An empty target becomes a tensor that is present but empty, as AWS's examples write requests.
    /// Returns an error for ids above [`MAX_WORD_ID`].
    pub fn to_record(&self) -> Result<Record, RecordFault> {
        let mut features = BTreeMap::new();
        for (name, field, sequence) in [("source", SOURCE, &self.source), ("target", TARGET, &self.target)] {
            let values = sequence
                .iter()
                .enumerate()
                .map(|(index, &id)| i32::try_from(id).map_err(|_| not_an_id(field, index, id.to_string())))
                .collect::<Result<_, _>>()?;
            let tensor = Int32Tensor { values, ..Int32Tensor::default() };
            features.insert(name.to_owned(), Value { value: Some(value::Value::Int32Tensor(tensor)) });
        }
        Ok(Record { features, ..Record::default() })
    }
}

/// Appends the bytes of [`SequencePair::to_record`] to `out` without building the record, since `prepare` does this for every line.
/// No id may exceed [`MAX_WORD_ID`].
pub(crate) fn encode_pair(source: &[u32], target: &[u32], out: &mut Vec<u8>) {
    const NAME_BYTES: usize = 6;
    for (name, sequence) in [("source", source), ("target", target)] {
        debug_assert_eq!(name.len(), NAME_BYTES);
        let packed: usize = sequence.iter().map(|&id| encoded_len_varint(u64::from(id))).sum();
        let tensor = if packed == 0 { 0 } else { delimited(packed) };
        let value = delimited(tensor);
        let entry = delimited(NAME_BYTES) + delimited(value);
        append_key(out, 1, entry);
        append_key(out, 1, NAME_BYTES);
        out.extend_from_slice(name.as_bytes());
        append_key(out, 2, value);
        append_key(out, 7, tensor);
        if packed > 0 {
            append_key(out, 1, packed);
            for &id in sequence {
                append_varint(id, out);
            }
        }
    }
}

/// Like prost's `encode_varint`, but without its check of the room for every byte.
#[inline]
fn append_varint(value: u32, out: &mut Vec<u8>) {
    let byte = |shift: u32| (value >> shift) as u8;
    match value {
        0..0x80 => out.push(byte(0)),
        0x80..0x4000 => out.extend_from_slice(&[byte(0) | 0x80, byte(7)]),
        0x4000..0x20_0000 => out.extend_from_slice(&[byte(0) | 0x80, byte(7) | 0x80, byte(14)]),
        _ => encode_varint(u64::from(value), out),
    }
}

/// The number of bytes of a length-delimited field: key, length, content. All field numbers here take a key of one byte.
fn delimited(content: usize) -> usize {
    1 + encoded_len_varint(content as u64) + content
}

fn append_key(out: &mut Vec<u8>, field_number: u8, length: usize) {
    const LENGTH_DELIMITED: u8 = 2;
    out.push(field_number << 3 | LENGTH_DELIMITED);
    encode_varint(length as u64, out);
}

/// Iterates over the pairs of a RecordIO file; ends after the first error.
#[derive(Debug)]
pub struct SequenceReader<R> {
    records: RecordReader<R>,
    rule: TargetRule,
    finished: bool,
}

impl SequenceReader<BufReader<File>> {
    /// Opens a file.
    pub fn open(path: &Path, rule: TargetRule) -> Result<Self, DataError> {
        Ok(Self::new(RecordReader::open(path)?, rule))
    }
}

impl<R: Read> SequenceReader<R> {
    /// Decodes the records of `records`.
    pub fn new(records: RecordReader<R>, rule: TargetRule) -> Self {
        Self { records, rule, finished: false }
    }
}

impl<R: Read> Iterator for SequenceReader<R> {
    type Item = Result<SequencePair, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let raw = self.records.next()?.map_err(DataError::from);
        let pair = raw.and_then(|raw| decode_raw(&raw, self.records.path(), self.rule));
        self.finished = pair.is_err();
        Some(pair)
    }
}

/// Decodes a record read from `path`, naming its place in errors.
pub fn decode_raw(raw: &RawRecord, path: &Path, rule: TargetRule) -> Result<SequencePair, DataError> {
    SequencePair::decode(&raw.payload, rule).map_err(|fault| match fault {
        RecordFault::NotProtobuf { bytes, problem } if raw.parts > 1 => {
            let parts = raw.parts;
            let problem = format!(
                "{problem} (the record is divided into {parts} parts, which were joined with the magic number between them, as \
                 RecordIO demands; a writer that leaves it out must write whole records)"
            );
            located(raw, path, RecordFault::NotProtobuf { bytes, problem })
        }
        fault => located(raw, path, fault),
    })
}

pub(crate) fn located(raw: &RawRecord, path: &Path, fault: RecordFault) -> DataError {
    DataError::Record { path: path.to_owned(), record: raw.number, offset: raw.offset, fault }
}

pub(crate) const SOURCE: &str = "features[\"source\"]";
pub(crate) const TARGET: &str = "features[\"target\"]";
const TARGET_LABEL: &str = "label[\"target\"]";

fn ids(value: &Value, field: &'static str) -> Result<Vec<u32>, RecordFault> {
    let dense = |keys: &[u64]| match keys.len() {
        0 => Ok(()),
        keys => Err(RecordFault::Sparse { field, keys }),
    };
    match &value.value {
        // Protobuf libraries omit a tensor without values.
        None => Ok(Vec::new()),
        Some(value::Value::Bytes(_)) => Err(RecordFault::WrongKind { field, got: "bytes" }),
        Some(value::Value::Int32Tensor(tensor)) => {
            dense(&tensor.keys)?;
            let id = |(index, &id): (usize, &i32)| {
                u32::try_from(id).map_err(|_| not_an_id(field, index, id.to_string()))
            };
            tensor.values.iter().enumerate().map(id).collect()
        }
        Some(value::Value::Float32Tensor(tensor)) => {
            dense(&tensor.keys)?;
            tensor.values.iter().enumerate().map(|(i, &id)| whole(field, i, f64::from(id))).collect()
        }
        Some(value::Value::Float64Tensor(tensor)) => {
            dense(&tensor.keys)?;
            tensor.values.iter().enumerate().map(|(i, &id)| whole(field, i, id)).collect()
        }
    }
}

fn whole(field: &'static str, index: usize, id: f64) -> Result<u32, RecordFault> {
    // NaN fails the range test.
    if (0.0..=f64::from(MAX_WORD_ID)).contains(&id) && id.fract() == 0.0 {
        Ok(id as u32)
    } else {
        Err(not_an_id(field, index, format!("{id:?}")))
    }
}

fn not_an_id(field: &'static str, index: usize, got: String) -> RecordFault {
    let expected = format!("a word id, a whole number from 0 to {MAX_WORD_ID}");
    RecordFault::Value { field, position: index + 1, got, expected }
}

/// Describes the content of a record for messages. Names come from outside, so only a few of them are shown, shortened.
fn present(record: &Record) -> String {
    const SHOWN: usize = 4;
    let features = record.features.keys().map(|name| ("features", name));
    let labels = record.label.keys().map(|name| ("label", name));
    let names: Vec<_> = features
        .chain(labels)
        .map(|(map, name)| format!("{map}[{:?}]", name.chars().take(32).collect::<String>()))
        .collect();
    match names.len() {
        0 => "neither features nor labels".to_owned(),
        count if count > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests;
