//! A request that a visitor sends to an endpoint, and its answer.

use bytes::Bytes;
use kokanee_contract::MediaType;
use kokanee_formats::record::{Float32Tensor, Int32Tensor, Record, Value as RecordValue, value};
use kokanee_formats::recordio::append_frame;
use prost::Message as _;

use super::form::{Form, SentFile};
use super::visit::Problem;

/// The most values of one record.
const MOST_RECORD_VALUES: usize = 1 << 16;

/// A request and, once it has arrived, its answer.
pub(super) struct Exchange {
    pub(super) content_type: String,
    pub(super) accept: String,
    /// The text in the form.
    pub(super) typed: String,
    /// The name of the file that is sent instead.
    pub(super) file: Option<String>,
    /// The body that is sent.
    pub(super) body: Bytes,
    pub(super) answer: Option<Answer>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) variant: String,
    pub(super) body: Vec<u8>,
    /// Whether the answer was longer than what is kept.
    pub(super) is_cut: bool,
    pub(super) took_ms: f64,
}

impl Exchange {
    /// Returns the request that a form describes. A file is sent as it is. For RecordIO, lines of numbers in the text become records.
    ///
    /// # Errors
    /// If the text does not fit the type.
    pub(super) fn of(form: &Form, file: Option<SentFile>) -> Result<Self, Problem> {
        let (content_type, accept) = (form.text("content_type"), form.text("accept"));
        let typed = form.text("body");
        let is_header =
            |text: &str| text.len() <= 1024 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_header(&content_type) || !is_header(&accept) {
            return Err(Problem::bad("A content type may hold only visible ASCII characters."));
        }
        let (file, body) = match file {
            Some(SentFile { name, bytes }) => (Some(name), bytes),
            None if MediaType::of_name(&content_type) == Some(MediaType::RecordIo) => {
                (None, records(&typed).map_err(Problem::bad)?)
            }
            None => (None, typed.clone().into_bytes()),
        };
        Ok(Self { content_type, accept, typed, file, body: body.into(), answer: None })
    }
}

/// Makes a record from each line: whole numbers without commas are word ids, all other lines are rows of numbers.
fn records(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split([',', ' ', '\t']).filter(|word| !word.is_empty()).collect();
        let wrong = |word: &str| {
            format!("Line {}: {word:?} is not a number; each line is a record of numbers.", index + 1)
        };
        if words.len() > MOST_RECORD_VALUES {
            return Err(format!("Line {}: a record has at most {MOST_RECORD_VALUES} numbers.", index + 1));
        }
        let ids: Option<Vec<i32>> = if line.contains([',', '.']) {
            None
        } else {
            words.iter().map(|word| word.parse().ok()).collect()
        };
        let (name, tensor) = match ids {
            Some(values) => {
                ("source", value::Value::Int32Tensor(Int32Tensor { values, ..Int32Tensor::default() }))
            }
            None => {
                let values = words.iter().map(|word| word.parse().map_err(|_| wrong(word)));
                let values = values.collect::<Result<Vec<f32>, _>>()?;
                ("values", value::Value::Float32Tensor(Float32Tensor { values, ..Float32Tensor::default() }))
            }
        };
        let features = [(name.to_owned(), RecordValue { value: Some(tensor) })].into();
        let record = Record { features, ..Record::default() };
        append_frame(&mut out, |bytes| bytes.extend(record.encode_to_vec()));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use kokanee_formats::recordio::RecordReader;

    use super::*;

    #[test]
    fn lines_of_numbers_become_records() {
        let bytes = records("4 5 6\n\n0.5, 1\n").unwrap();
        let mut reader = RecordReader::new(bytes.as_slice(), "bytes");
        let mut next = || Record::decode(reader.read_record().unwrap().unwrap().payload.as_slice()).unwrap();
        let Some(value::Value::Int32Tensor(ids)) = &next().features["source"].value else { panic!("no ids") };
        assert_eq!(ids.values, [4, 5, 6]);
        let Some(value::Value::Float32Tensor(row)) = &next().features["values"].value else {
            panic!("no row")
        };
        assert_eq!(row.values, [0.5, 1.0]);
        assert_eq!(
            records("1,x").unwrap_err(),
            "Line 1: \"x\" is not a number; each line is a record of numbers."
        );
    }
}
