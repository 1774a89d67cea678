//! Rows in JSON: the bodies of `application/json` and `application/jsonlines`, as SageMaker's numeric algorithms take them.
//!
//! A body is `{"instances": […], "configuration": {…}}`, or an instance per line. An instance is one of
//!
//! | instance | row |
//! |---|---|
//! | `{"features": [1.5, 16.0]}` | dense |
//! | `{"features": {"values": [1.5, 16.0]}}` | dense |
//! | `{"features": {"values": [1, 4], "keys": [26, 182], "shape": [2000]}}` | sparse; without `shape`, as wide as the model |
//! | `{"data": {"features": …}}`, with either | the same |
//! | `[1.5, 16.0]` | dense; no documented form, but a common one |
//!
//! Other members are passed over. The text is read once, straight into rows: no tree of it is built.
//!
//! Source: SageMaker Developer Guide, "Common Data Formats for Inference".

mod error;
mod reading;

pub use error::{JsonError, JsonFault, JsonPlace};
use reading::Reader;

use crate::rows::{Limits, Rows};
use crate::text_lines::BYTE_ORDER_MARK;

/// The most bytes of all configurations of a request. Settings are short, and a tree of JSON takes up to a hundred times the memory of
/// its text. Empty objects are not counted, nor kept.
pub const MAX_CONFIGURATION_BYTES: usize = 64 << 10;

/// The rows of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instances {
    /// A row for each instance.
    pub rows: Rows,
    /// The member `configuration` of the body.
    pub configuration: Option<serde_json::Value>,
    /// The members `configuration` of instances, each with the instance's number from 0, ascending.
    pub configurations: Vec<(usize, serde_json::Value)>,
}

/// The instances of a body of `application/json`, each of `width` features. Without an instance there is no row.
///
/// # Errors
/// When the body is not such JSON, an instance is not `width` finite numbers, or there are more than `limits` allow. The instance
/// and the element are named.
pub fn read_json(body: &[u8], width: usize, limits: Limits) -> Result<Instances, JsonError> {
    let mut reader = Reader::new(width, limits);
    reader.read_body(without_mark(body))?;
    Ok(reader.instances)
}

/// The instances of a body of `application/jsonlines`. Blank lines are passed over.
///
/// # Errors
/// As [`read_json`]; the line is named.
pub fn read_json_lines(body: &[u8], width: usize, limits: Limits) -> Result<Instances, JsonError> {
    let mut reader = Reader::new(width, limits);
    for (line, number) in without_mark(body).split(|&byte| byte == b'\n').zip(1..) {
        if !line.trim_ascii().is_empty() {
            reader.read_line(line, JsonPlace::Line(number))?;
        }
    }
    Ok(reader.instances)
}

/// The instance of a line of `application/jsonlines`.
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
