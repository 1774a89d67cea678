//! One mini-batch: filtered, sent, answered, joined, filtered again, and made ready to be written.

use std::borrow::Cow;
use std::path::Path;

use serde_json::value::RawValue;

use crate::choices::{AssembleWith, JoinSource};
use crate::error::{InvokeError, Place, TransformError};
use crate::json_path::members;
use crate::settings::{DataProcessing, Settings};
use crate::split::MiniBatch;

/// Key of the answer in a joined record.
const OUTPUT_KEY: &str = "SageMakerOutput";
/// Key of an input that is no object in a joined record.
const INPUT_KEY: &str = "SageMakerInput";

/// What is written for a mini-batch of the file `path`.
///
/// # Errors
/// When a record cannot be filtered, the request is refused, or the answers do not belong to the records.
pub(crate) fn transform(
    settings: &Settings,
    path: &Path,
    batch: MiniBatch,
    invoke: &impl Fn(&str, &str, Vec<u8>) -> Result<Vec<u8>, InvokeError>,
) -> Result<Vec<u8>, TransformError> {
    let split_type = settings.split_type;
    let place = |first, last| Place { file: path.to_owned(), split_type, first, last };
    let numbers: Vec<u64> = batch.records.iter().map(|record| record.number).collect();
    let all = place(numbers[0], numbers[numbers.len() - 1]);
    let fault = |number| {
        let place = place(number, number);
        move |problem| TransformError::Record { place, problem }
    };
    let processing = &settings.data_processing;
    let (body, inputs) = if processing.is_nothing() {
        (batch.body, None)
    } else {
        let mut body = Vec::with_capacity(batch.body.len());
        for (number, record) in batch.texts() {
            let value = json(record).map_err(fault(number))?;
            body.extend_from_slice(processing.input_filter.select(value).map_err(fault(number))?.as_bytes());
            body.push(b'\n');
        }
        (body, Some(batch))
    };
    let answer = invoke(&settings.content_type, &settings.accept, body).map_err(|source| {
        let at_fault = source.record.and_then(|record| numbers.get(record.wrapping_sub(1)));
        let place = at_fault.map_or(all.clone(), |&number| place(number, number));
        TransformError::Invoke { place, source }
    })?;
    if settings.answers_line_by_line() && line_count(&answer) != numbers.len() {
        let (lines, records) = (line_count(&answer), numbers.len());
        let problem = format!(
            "the answer has {lines} lines, but {records} records were sent: which belongs to which cannot be told"
        );
        return Err(TransformError::Record { place: all, problem });
    }
    let Some(inputs) = inputs else { return Ok(assembled(answer, settings.assemble_with)) };
    let mut out = Vec::with_capacity(answer.len() + inputs.body.len());
    for ((number, input), answer) in inputs.texts().zip(answer.split(|&byte| byte == b'\n')) {
        out.extend_from_slice(processed(processing, input, answer).map_err(fault(number))?.as_bytes());
        out.push(b'\n');
    }
    Ok(out)
}

/// A record joined with its answer as asked for, and what the output filter leaves of that.
fn processed(processing: &DataProcessing, input: &[u8], answer: &[u8]) -> Result<String, String> {
    let answer = json(answer).map_err(|problem| format!("its answer: {problem}"))?;
    let whole = match processing.join_source {
        JoinSource::None => Cow::Borrowed(answer),
        JoinSource::Input => Cow::Owned(joined(json(input)?, answer)?),
    };
    processing.output_filter.select(&whole)
}

fn joined(input: &str, answer: &str) -> Result<String, String> {
    match (members(input), input.strip_suffix('}')) {
        (Some(members), Some(open)) => {
            if members.iter().any(|(name, _)| name == OUTPUT_KEY) {
                return Err(format!(
                    "the record has {OUTPUT_KEY:?} already, where the answer is to stand; rename or remove that member"
                ));
            }
            let comma = if members.is_empty() { "" } else { "," };
            Ok(format!("{open}{comma}\"{OUTPUT_KEY}\":{answer}}}"))
        }
        _ => Ok(format!("{{\"{INPUT_KEY}\":{input},\"{OUTPUT_KEY}\":{answer}}}")),
    }
}

/// The JSON value that is the whole of a line, without white space around it.
fn json(line: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("byte {} is not valid UTF-8", error.valid_up_to() + 1))?;
    let value: &RawValue = serde_json::from_str(text).map_err(|error| {
        format!("expected one JSON value on the line: {error}; each line must be JSON by itself")
    })?;
    Ok(value.get())
}

fn assembled(mut answer: Vec<u8>, with: AssembleWith) -> Vec<u8> {
    match with {
        AssembleWith::None => {}
        AssembleWith::Line if answer.ends_with(b"\n") => {}
        AssembleWith::Line => answer.push(b'\n'),
    }
    answer
}

/// Lines, the last with or without its end. An answer of no bytes is one empty line.
fn line_count(answer: &[u8]) -> usize {
    let ends = answer.iter().filter(|&&byte| byte == b'\n').count();
    ends + usize::from(!answer.ends_with(b"\n"))
}
