//! Metrics as data, and the log lines that carry them in SageMaker's numeric containers.
//!
//! Users extract metrics from logs with the regular expressions of [`MetricSpec`], so lines keep the forms of the real containers. The
//! metrics of an algorithm are in `algorithms/<name>/metrics.rs`.

mod lines;
mod summary_line;

pub use lines::{log_prefix, progress_line, quality_line, throughput_line};
pub use summary_line::{Dimensions, Statistic, metrics_line};

use crate::spec::choice;

choice! {
    /// The better direction of a metric, spelled as in a tuning job's objective.
    Direction {
        /// Lower is better.
        Minimize = "Minimize",
        /// Higher is better.
        Maximize = "Maximize",
    }
}

choice! {
    /// The kind of a quality metric, as its log line spells it.
    Measure {
        /// Lower is better.
        Loss = "loss",
        /// Higher is better.
        Score = "score",
    }
}

/// A metric's name and the pattern that finds its value in the log: an entry of SageMaker's `MetricDefinitions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricSpec {
    /// The name, for instance `validation:perplexity`.
    pub name: &'static str,
    /// Regular expression whose first group is the value; the syntax is common to Python and Rust.
    pub regex: &'static str,
    /// The better direction, where the metric measures quality.
    pub direction: Option<Direction>,
}

impl MetricSpec {
    pub(crate) const fn new(name: &'static str, regex: &'static str, direction: Option<Direction>) -> Self {
        Self { name, regex, direction }
    }
}

/// The progress of a training job, in percent.
pub(crate) const PROGRESS: MetricSpec =
    MetricSpec::new("train:progress", r"#progress_metric: host=\S+, completed (\S+) %", None);

/// The speed of training, in records per second.
pub(crate) const THROUGHPUT: MetricSpec = MetricSpec::new(
    "train:throughput",
    r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
    None,
);

#[cfg(test)]
pub(crate) mod tests;
