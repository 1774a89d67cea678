//! Metrics of k-means.

use super::choices::EvalMetric;
use crate::metrics::{Direction, MetricSpec, PROGRESS, THROUGHPUT};

/// The name in log lines of the loss of the best trial of the final clustering: the mean squared distance of the streamed centres, by
/// weight, to the k centres of the model. It does not measure distances of the data.
pub const TRAIN_LOSS: &str = "train msd";

/// Every metric of a training job; those of the test channel can be a tuning job's objective.
pub(super) const METRICS: &[MetricSpec] = &[
    MetricSpec::new(
        "test:msd",
        r"#quality_metric: host=\S+, test msd <loss>=(\S+)",
        Some(Direction::Minimize),
    ),
    MetricSpec::new(
        "test:ssd",
        r"#quality_metric: host=\S+, test ssd <loss>=(\S+)",
        Some(Direction::Minimize),
    ),
    MetricSpec::new("train:msd", r"#quality_metric: host=\S+, train msd <loss>=(\S+)", None),
    PROGRESS,
    THROUGHPUT,
];

impl EvalMetric {
    /// Its name in log lines: `test msd`.
    pub fn line_name(self) -> String {
        format!("test {self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Measure, quality_line, tests::check};

    #[test]
    fn each_line_is_read_by_its_own_metric_only() {
        for metric in EvalMetric::ALL {
            let line = quality_line("algo-1", &metric.line_name(), Measure::Loss, 0.064_049_094_915_390_01);
            check(&line, METRICS, &format!("test:{metric}"), "0.06404909491539001");
        }
        check(&quality_line("algo-1", TRAIN_LOSS, Measure::Loss, 14.0), METRICS, "train:msd", "14.0");
        // Copied from a log of the real container.
        let real = "[05/16/2021 12:27:47 INFO 140551810160448] #quality_metric: host=algo-1, train msd <loss>=0.06404909491539001";
        check(real, METRICS, "train:msd", "0.06404909491539001");
    }
}
