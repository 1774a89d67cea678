//! Encoding of answer columns into response bodies.
//!
//! Source of the forms: SageMaker Developer Guide, "Common Data Formats for Inference" and the pages of the algorithms; the spacing of
//! JSON is that of Python's `json.dumps`, which the real containers use.

use std::io::Write as _;

use kokanee_contract::MediaType;
use kokanee_formats::numeric::Echo;
use kokanee_formats::record::{Float32Tensor, Record, Value, value};
use kokanee_formats::recordio::RecordWriter;
use prost::Message as _;

use super::predictor::{Columns, Key};

/// The longest number with its separator: a sign, 17 digits, a point, an exponent, a comma and a blank.
const NUMBER_BYTES: usize = 28;
/// Bytes of a record besides names and values: frames, tags and lengths.
const RECORD_BYTES: usize = 48;

/// Writes the answers, block by block.
pub(super) struct Writer {
    form: Form,
    keys: Vec<Key>,
    container: &'static str,
    written: u64,
}

/// The forms of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    JsonLines,
    RecordIo,
    Csv,
}

/// Media types of responses, in the order in which errors name them.
pub(super) const ANSWERS: [MediaType; 4] =
    [MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Csv];

/// A value that a response cannot hold: the row within its block, the key and the value.
pub(super) type NotFinite = (usize, &'static str, f32);

impl Writer {
    /// A writer of responses of one of [`ANSWERS`]; `None` for other types.
    pub(super) fn new(media: MediaType, container: &'static str, keys: Vec<Key>) -> Option<Self> {
        let form = match media {
            MediaType::Json => Form::Json,
            MediaType::JsonLines => Form::JsonLines,
            MediaType::RecordIo => Form::RecordIo,
            MediaType::Csv => Form::Csv,
            MediaType::Libsvm | MediaType::Text | MediaType::Model => return None,
        };
        Some(Self { form, keys, container, written: 0 })
    }

    /// An upper bound of the bytes of a row's answer, without the parts copied from its request.
    pub(super) fn row_bytes(&self) -> usize {
        let key = |key: &Key| key.name.len() + RECORD_BYTES + NUMBER_BYTES * key.values();
        RECORD_BYTES + self.keys.iter().map(key).sum::<usize>()
    }

    /// Whether the columns have the number and lengths that `rows` answers require.
    pub(super) fn fits(&self, columns: &Columns, rows: usize) -> bool {
        let lengths = columns.0.iter().map(Vec::len);
        lengths.eq(self.keys.iter().map(|key| rows * key.values()))
    }

    /// Appends the answers of a block, whose columns [fit](Self::fits).
    ///
    /// # Errors
    /// When a value is not finite, which JSON cannot hold and clients do not expect.
    pub(super) fn write(
        &mut self,
        columns: &Columns,
        echoes: &[Echo],
        rows: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), NotFinite> {
        for row in 0..rows {
            let values: Vec<&[f32]> = self
                .keys
                .iter()
                .zip(&columns.0)
                .map(|(key, column)| &column[row * key.values()..][..key.values()])
                .collect();
            for (key, values) in self.keys.iter().zip(&values) {
                if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
                    return Err((row, key.name, value));
                }
            }
            match self.form {
                Form::Json => {
                    if self.written == 0 {
                        self.open(out);
                    } else {
                        out.extend_from_slice(b", ");
                    }
                    self.object(&values, out);
                }
                Form::JsonLines => {
                    self.object(&values, out);
                    out.push(b'\n');
                }
                Form::RecordIo => self.record(&values, echoes.get(row), out),
                Form::Csv => {
                    list(values.iter().copied().flatten(), ",", out);
                    out.push(b'\n');
                }
            }
            self.written += 1;
        }
        Ok(())
    }

    /// Appends the text after the last answer.
    pub(super) fn finish(&self, out: &mut Vec<u8>) {
        if self.form == Form::Json {
            if self.written == 0 {
                self.open(out);
            }
            out.extend_from_slice(b"]}");
        }
    }

    fn open(&self, out: &mut Vec<u8>) {
        // Writing to memory cannot fail.
        let _ = write!(out, "{{\"{}\": [", self.container);
    }

    fn object(&self, values: &[&[f32]], out: &mut Vec<u8>) {
        for (index, (key, values)) in self.keys.iter().zip(values).enumerate() {
            let _ = write!(out, "{}\"{}\": ", if index == 0 { "{" } else { ", " }, key.name);
            if key.vector.is_some() {
                out.push(b'[');
            }
            list(values.iter(), ", ", out);
            if key.vector.is_some() {
                out.push(b']');
            }
        }
        out.extend_from_slice(if self.keys.is_empty() { b"{}" } else { b"}" });
    }

    /// Writes one record per row; keys and shape of its tensors stay empty, as in the real containers.
    fn record(&self, values: &[&[f32]], echo: Option<&Echo>, out: &mut Vec<u8>) {
        let mut record = Record::default();
        for (key, values) in self.keys.iter().zip(values) {
            let tensor = Float32Tensor { values: values.to_vec(), ..Float32Tensor::default() };
            let value = Value { value: Some(value::Value::Float32Tensor(tensor)) };
            record.label.insert(key.name.to_owned(), value);
        }
        if let Some(Echo { uid, metadata }) = echo {
            record.uid.clone_from(uid);
            record.metadata.clone_from(metadata);
        }
        // Neither can fail: the output is memory, and an answer is no longer than its request and its values.
        let _ = RecordWriter::new(out, "the answer").write(&record.encode_to_vec());
    }
}

/// Numbers in the shortest form that reads back as the same 64-bit float; whole numbers with `.0`.
fn list<'a>(values: impl Iterator<Item = &'a f32>, separator: &str, out: &mut Vec<u8>) {
    for (index, &value) in values.enumerate() {
        let separator = if index == 0 { "" } else { separator };
        let _ = write!(out, "{separator}{:?}", f64::from(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [Key; 2] = [Key::number("near"), Key::vector("all", 2)];

    fn written(media: MediaType, rows: usize) -> Vec<u8> {
        let mut writer = Writer::new(media, "scores", KEYS.to_vec()).unwrap();
        let columns = Columns(vec![
            [23.405_94, 1.0][..rows].to_vec(),
            [0.1, 1e20, -0.0, f32::MIN_POSITIVE][..2 * rows].to_vec(),
        ]);
        assert!(writer.fits(&columns, rows) && !writer.fits(&columns, rows + 1));
        let mut out = Vec::new();
        writer.write(&columns, &[], rows, &mut out).unwrap();
        writer.finish(&mut out);
        assert!(out.len() <= 16 + rows * writer.row_bytes(), "{} bytes", out.len());
        out
    }

    #[test]
    fn spacing_and_numbers_are_those_of_the_real_containers() {
        let check = |media, rows, expected: &str| {
            assert_eq!(String::from_utf8(written(media, rows)).unwrap(), expected);
        };
        let first = r#"{"near": 23.40593910217285, "all": [0.10000000149011612, 1.0000000200408773e20]}"#;
        let second = r#"{"near": 1.0, "all": [-0.0, 1.1754943508222875e-38]}"#;
        check(MediaType::Json, 2, &format!(r#"{{"scores": [{first}, {second}]}}"#));
        check(MediaType::Json, 0, r#"{"scores": []}"#);
        check(MediaType::JsonLines, 2, &format!("{first}\n{second}\n"));
        check(MediaType::JsonLines, 0, "");
        let csv =
            "23.40593910217285,0.10000000149011612,1.0000000200408773e20\n1.0,-0.0,1.1754943508222875e-38\n";
        check(MediaType::Csv, 2, csv);
        assert!(written(MediaType::RecordIo, 0).is_empty());
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut writer = Writer::new(MediaType::Json, "scores", vec![Key::number("near")]).unwrap();
        let columns = Columns(vec![vec![1.0, f32::INFINITY]]);
        let refused = writer.write(&columns, &[], 2, &mut Vec::new());
        assert_eq!(refused, Err((1, "near", f32::INFINITY)));
    }
}
