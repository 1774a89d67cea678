//! Rows in JSON: bodies of `application/json` and `application/jsonlines`, as SageMaker's numeric algorithms accept them.
//!
//! A body is `{"instances": […], "configuration": {…}}`, or one instance per line. An instance is one of
//!
//! | instance | row |
//! |---|---|
//! | `{"features": [1.5, 16.0]}` | dense |
//! | `{"features": {"values": [1.5, 16.0]}}` | dense |
//! | `{"features": {"values": [1, 4], "keys": [26, 182], "shape": [2000]}}` | sparse; without `shape`, as wide as the model |
//! | `{"data": {"features": …}}`, with either | the same |
//! | `[1.5, 16.0]` | dense; no documented form, but a common one |
//!
//! Other members are ignored. The text is parsed in one pass, directly into rows, without a tree.
//!
//! Source: SageMaker Developer Guide, "Common Data Formats for Inference".

mod error;
mod reading;

pub use error::{JsonError, JsonFault, JsonPlace};
use reading::Reader;

use crate::rows::{Limits, Rows};
use crate::text_lines::BYTE_ORDER_MARK;

/// The maximum bytes of all configurations of a request. Settings are short, and a tree of JSON takes up to a hundred times the memory of
/// its text. Empty objects are neither counted nor kept.
pub const MAX_CONFIGURATION_BYTES: usize = 64 << 10;

/// The rows of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instances {
    /// One row per instance.
    pub rows: Rows,
    /// The member `configuration` of the body.
    pub configuration: Option<serde_json::Value>,
    /// The `configuration` members of instances, each with the instance's number from 0, ascending.
    pub configurations: Vec<(usize, serde_json::Value)>,
}

/// Reads the instances of a body of `application/json`, each of `width` features. A body without instances gives no rows.
///
/// # Errors
/// When the body is not such JSON, an instance is not `width` finite numbers, or there are more than `limits` allow. The error names the
/// instance and the element.
pub fn read_json(body: &[u8], width: usize, limits: Limits) -> Result<Instances, JsonError> {
    let mut reader = Reader::new(width, limits);
    reader.read_body(without_mark(body))?;
    Ok(reader.instances)
}

/// Reads the instances of a body of `application/jsonlines`. Blank lines are skipped.
///
/// # Errors
/// As [`read_json`]; the error names the line.
pub fn read_json_lines(body: &[u8], width: usize, limits: Limits) -> Result<Instances, JsonError> {
    let mut reader = Reader::new(width, limits);
    for (line, number) in without_mark(body).split(|&byte| byte == b'\n').zip(1..) {
        if !line.trim_ascii().is_empty() {
            reader.read_line(line, JsonPlace::Line(number))?;
        }
    }
    Ok(reader.instances)
}

/// Reads the instance in a line of `application/jsonlines`.
///
/// # Errors
/// As [`read_json`].
pub fn read_json_line(line: &[u8], width: usize, limits: Limits) -> Result<Instances, JsonError> {
    let mut reader = Reader::new(width, limits);
    reader.read_line(without_mark(line), JsonPlace::Alone)?;
    Ok(reader.instances)
}

/// The text without a byte order mark.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(body)
}

#[cfg(test)]
mod tests;
