//! The `#metrics` lines of the numeric containers: counters and times as JSON.

use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

/// The subject of the metrics in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dimensions<'a> {
    /// The algorithm's name in these lines, for instance `AWS/KMeansWebscale`.
    pub algorithm: &'a str,
    /// The machine: `algo-1`.
    pub host: &'a str,
    /// The operation, such as `training`.
    pub operation: &'a str,
    /// The pass over the data, for metrics of one pass.
    #[serde(rename = "epoch", skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The counted reader, for instance `training_data_iter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a str>,
}

/// The values of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistic {
    sum: f64,
    count: u64,
    min: f64,
    max: f64,
}

impl Statistic {
    /// The statistic of one value.
    pub fn of(value: f64) -> Self {
        Self { sum: value, count: 1, min: value, max: value }
    }

    /// Adds one more value.
    pub fn with(self, value: f64) -> Self {
        Self {
            sum: self.sum + value,
            count: self.count + 1,
            min: self.min.min(value),
            max: self.max.max(value),
        }
    }
}

/// `#metrics {"StartTime": …, "EndTime": …, "Dimensions": {…}, "Metrics": {"update.time": {"sum": …, "count": …, "min": …, "max": …}}}` and
/// an empty line; the log has no prefix before it. Both times are in seconds since 1970; metrics keep their order, and times among them are
/// in milliseconds.
pub fn metrics_line(
    start: f64,
    end: f64,
    dimensions: Dimensions<'_>,
    metrics: &[(&str, Statistic)],
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Line<'a> {
        start_time: f64,
        end_time: f64,
        dimensions: Dimensions<'a>,
        #[serde(serialize_with = "as_map")]
        metrics: &'a [(&'a str, Statistic)],
    }
    let line = Line { start_time: start, end_time: end, dimensions, metrics };
    let mut json = Vec::new();
    let written = line.serialize(&mut serde_json::Serializer::with_formatter(&mut json, Spaced));
    // Writing to memory does not fail, and every key is a string.
    debug_assert!(written.is_ok(), "{written:?}");
    format!("#metrics {}\n", String::from_utf8_lossy(&json))
}

fn as_map<S: Serializer>(metrics: &[(&str, Statistic)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().copied())
}

/// JSON with a blank after each comma and colon, as Python writes it.
struct Spaced;

impl Formatter for Spaced {
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
