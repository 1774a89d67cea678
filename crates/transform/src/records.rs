//! The processing of one mini-batch: it is filtered, sent, answered, joined, and filtered again for the output.

use std::borrow::Cow;
use std::path::Path;

use crate::choices::{AssembleWith, JoinSource};
use crate::error::{InvokeError, Place, TransformError};
use crate::json_path::members;
use crate::line_form::LineForm;
use crate::settings::{DataProcessing, Settings};
use crate::split::MiniBatch;

/// Key of the response in a joined record.
const OUTPUT_KEY: &str = "SageMakerOutput";
/// Key of an input that is not an object, in a joined record.
const INPUT_KEY: &str = "SageMakerInput";

/// The output of a mini-batch of the file `path`.
///
/// # Errors
/// When a record cannot be filtered, the request is refused, or the responses do not match the records.
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
    // Checked settings have a format whenever filters or a join need one.
    let form = LineForm::of(&settings.content_type).unwrap_or(LineForm::Json);
    let answer_form = LineForm::of(&settings.accept).unwrap_or(LineForm::Json);
    let (body, inputs) = if processing.is_nothing() {
        (batch.body, None)
    } else {
        let mut body = Vec::with_capacity(batch.body.len());
        for (number, record) in batch.texts() {
            let filtered = form.value(record).and_then(|value| processing.input_filter.select(&value));
            let line = filtered.and_then(|value| form.line(value)).map_err(fault(number))?;
            body.extend_from_slice(line.as_bytes());
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
        let line = processed(processing, form, input, answer_form, answer).map_err(fault(number))?;
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    Ok(out)
}

/// A record joined with its response if required, after the output filter.
fn processed(
    processing: &DataProcessing,
    form: LineForm,
    input: &[u8],
    answer_form: LineForm,
    answer: &[u8],
) -> Result<String, String> {
    let answer = answer_form.value(answer).map_err(|problem| format!("its answer: {problem}"))?;
    let whole = match (processing.join_source, form) {
        (JoinSource::None, _) => answer,
        (JoinSource::Input, LineForm::Json) => Cow::Owned(joined(&form.value(input)?, &answer)?),
        (JoinSource::Input, LineForm::Csv) => {
            Cow::Owned(LineForm::joined_rows(&form.value(input)?, &answer)?)
        }
    };
    answer_form.line(processing.output_filter.select(&whole)?)
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

fn assembled(mut answer: Vec<u8>, with: AssembleWith) -> Vec<u8> {
    match with {
        AssembleWith::None => {}
        AssembleWith::Line if answer.ends_with(b"\n") => {}
        AssembleWith::Line => answer.push(b'\n'),
    }
    answer
}

/// The number of lines, whether or not the last has a line end. An empty response counts as one empty line.
fn line_count(answer: &[u8]) -> usize {
    let ends = answer.iter().filter(|&&byte| byte == b'\n').count();
    ends + usize::from(!answer.ends_with(b"\n"))
}
