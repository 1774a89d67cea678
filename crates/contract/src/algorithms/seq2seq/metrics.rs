//! Metrics of sequence-to-sequence: their names, their direction, and their log lines.
//!
//! The lines of SageMaker's seq2seq are not public. Two forms are logged, so that tools made for either find their lines: lines as Sockeye
//! 1.x writes them, and lines as SageMaker's other built-in algorithms write them (`#quality_metric: host=algo-1, epoch=0, validation
//! perplexity=12.5`). [`METRICS`] have the regular expressions for the second form, which belong in a `MetricDefinitions` list;
//! [`SOCKEYE_METRICS`] have those for the first. Names of the validation metrics are those of the guide, section "Metrics Computed by the
//! Sequence to Sequence Algorithm".

use super::choices::Metric;
use crate::metrics::{Direction, MetricSpec, PROGRESS, THROUGHPUT};
use crate::spec::choice;

choice! {
    /// The data that a metric was computed on, spelled as in metric names.
    Split {
        /// Batches trained on since the previous checkpoint.
        Train = "train",
        /// The whole validation channel.
        Validation = "validation",
    }
}

const LOWER: Option<Direction> = Some(Direction::Minimize);
const HIGHER: Option<Direction> = Some(Direction::Maximize);

/// Every metric of a training job; the three validation metrics can be a tuning job's objective.
pub const METRICS: &[MetricSpec] = &[
    MetricSpec::new(
        "validation:perplexity",
        r"#quality_metric: host=\S+, epoch=\S+, validation perplexity=(\S+)",
        LOWER,
    ),
    MetricSpec::new(
        "validation:accuracy",
        r"#quality_metric: host=\S+, epoch=\S+, validation accuracy=(\S+)",
        HIGHER,
    ),
    MetricSpec::new(
        "validation:bleu",
        r"#quality_metric: host=\S+, epoch=\S+, validation bleu=(\S+)",
        HIGHER,
    ),
    MetricSpec::new(
        "train:perplexity",
        r"#quality_metric: host=\S+, epoch=\S+, train perplexity=(\S+)",
        LOWER,
    ),
    MetricSpec::new("train:accuracy", r"#quality_metric: host=\S+, epoch=\S+, train accuracy=(\S+)", HIGHER),
    THROUGHPUT,
    PROGRESS,
];

/// The same quantities in Sockeye-style lines.
pub const SOCKEYE_METRICS: &[MetricSpec] = &[
    MetricSpec::new("validation:perplexity", r"Checkpoint \[\d+\]\tValidation-perplexity=(\S+)", LOWER),
    MetricSpec::new("validation:accuracy", r"Checkpoint \[\d+\]\tValidation-accuracy=(\S+)", HIGHER),
    MetricSpec::new("validation:bleu", r"Checkpoint \[\d+\]\tValidation-bleu=(\S+)", HIGHER),
    MetricSpec::new("train:perplexity", r"Checkpoint \[\d+\]\tTrain-perplexity=(\S+)", LOWER),
    MetricSpec::new("train:accuracy", r"Checkpoint \[\d+\]\tTrain-accuracy=(\S+)", HIGHER),
    MetricSpec::new("train:throughput", r"Epoch\[\d+\] Batch \[\d+\]\tSpeed: (\S+) samples/sec", None),
];

impl Metric {
    /// Whether lower or higher values are better.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Perplexity => Direction::Minimize,
            Self::Accuracy | Self::Bleu => Direction::Maximize,
        }
    }

    /// Whether `value` is strictly better than `best`. A tie or an undefined value is never better (Sockeye's rule).
    pub fn improves(self, value: f64, best: f64) -> bool {
        match self.direction() {
            Direction::Minimize => value < best,
            Direction::Maximize => value > best,
        }
    }

    /// The value that the first checkpoint must improve on: infinity for perplexity, 0 for the others.
    pub const fn worst(self) -> f64 {
        match self {
            Self::Perplexity => f64::INFINITY,
            Self::Accuracy | Self::Bleu => 0.0,
        }
    }
}

/// The name under which a metric is published: `validation:perplexity`.
pub fn metric_name(split: Split, metric: Metric) -> String {
    format!("{split}:{metric}")
}

/// `#quality_metric: host=algo-1, epoch=3, validation perplexity=12.5`: one metric at one checkpoint. `epoch` counts from 0; the value has
/// enough digits to be read back exactly.
pub fn quality_line(host: &str, epoch: u64, split: Split, metric: Metric, value: f64) -> String {
    format!("#quality_metric: host={host}, epoch={epoch}, {split} {metric}={value}")
}

/// `#throughput_metric: host=algo-1, train throughput=812.4 records/second`: pairs trained on per second.
pub fn throughput_line(host: &str, pairs_per_second: f64) -> String {
    format!("#throughput_metric: host={host}, train throughput={} records/second", tenths(pairs_per_second))
}

/// `#progress_metric: host=algo-1, completed 12.5 %`: the progress of the run, relative to its limit.
pub fn progress_line(host: &str, percent: f64) -> String {
    format!("#progress_metric: host={host}, completed {} %", tenths(percent.clamp(0.0, 100.0)))
}

/// `Epoch[0] Batch [50]\tSpeed: 105.62 samples/sec\tperplexity=88.123456`, as Sockeye writes between checkpoints; the metrics cover
/// training since the last checkpoint.
pub fn speed_line(epoch: u64, batch: u64, pairs_per_second: f64, metrics: &[(Metric, f64)]) -> String {
    let mut line = format!("Epoch[{epoch}] Batch [{batch}]\tSpeed: {pairs_per_second:.2} samples/sec");
    for (metric, value) in metrics {
        line.push_str(&format!("\t{metric}={value:.6}"));
    }
    line
}

/// `Checkpoint [1]\tUpdates=1000 Epoch=0 Samples=64000 Time-cost=81.250`, as Sockeye writes at a checkpoint; the time is the seconds since
/// the last checkpoint.
pub fn checkpoint_line(checkpoint: u64, updates: u64, epoch: u64, samples: u64, seconds: f64) -> String {
    format!(
        "Checkpoint [{checkpoint}]\tUpdates={updates} Epoch={epoch} Samples={samples} Time-cost={seconds:.3}"
    )
}

/// `Checkpoint [1]\tValidation-perplexity=12.500000`, as Sockeye writes at a checkpoint, one line for each metric.
pub fn checkpoint_metric_line(checkpoint: u64, split: Split, metric: Metric, value: f64) -> String {
    let split = match split {
        Split::Train => "Train",
        Split::Validation => "Validation",
    };
    format!("Checkpoint [{checkpoint}]\t{split}-{metric}={value:.6}")
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// Checks that only the definition called `name` matches `line`, and that it finds `value`.
    #[track_caller]
    fn check(line: &str, definitions: &[MetricSpec], name: &str, value: &str) {
        for definition in definitions {
            let found =
                Regex::new(definition.regex).unwrap().captures(line).map(|captures| captures[1].to_owned());
            let expected = (definition.name == name).then(|| value.to_owned());
            assert_eq!(found, expected, "{} in {line:?}", definition.name);
        }
    }

    #[test]
    fn every_definition_reads_its_own_line_only() {
        for (split, metric) in [
            (Split::Validation, Metric::Perplexity),
            (Split::Validation, Metric::Accuracy),
            (Split::Validation, Metric::Bleu),
            (Split::Train, Metric::Perplexity),
            (Split::Train, Metric::Accuracy),
        ] {
            let name = metric_name(split, metric);
            check(
                &quality_line("algo-1", 3, split, metric, 0.1 + 0.2),
                METRICS,
                &name,
                "0.30000000000000004",
            );
            check(&quality_line("host.x", 0, split, metric, 1e-9), METRICS, &name, "0.000000001");
            check(&checkpoint_metric_line(12, split, metric, 12.5), SOCKEYE_METRICS, &name, "12.500000");
            for definitions in [METRICS, SOCKEYE_METRICS] {
                let definition = definitions.iter().find(|definition| definition.name == name).unwrap();
                assert_eq!(definition.direction, Some(metric.direction()));
            }
        }
        check(&throughput_line("algo-1", 812.44), METRICS, "train:throughput", "812.4");
        check(&progress_line("algo-1", 12.5), METRICS, "train:progress", "12.5");
        check(&progress_line("algo-1", 101.0), METRICS, "train:progress", "100");
        let speed = speed_line(0, 50, 105.618, &[(Metric::Perplexity, 88.0), (Metric::Accuracy, 0.25)]);
        check(&speed, SOCKEYE_METRICS, "train:throughput", "105.62");
    }

    #[test]
    fn the_two_forms_do_not_read_each_other() {
        let quality = quality_line("algo-1", 0, Split::Validation, Metric::Perplexity, 2.0);
        check(&quality, SOCKEYE_METRICS, "", "");
        let sockeye = checkpoint_metric_line(1, Split::Validation, Metric::Perplexity, 2.0);
        check(&sockeye, METRICS, "", "");
        check(&checkpoint_line(1, 1000, 0, 64000, 81.25), SOCKEYE_METRICS, "", "");
    }

    #[test]
    fn lines_have_their_documented_form() {
        let quality = quality_line("algo-1", 3, Split::Validation, Metric::Perplexity, 12.5);
        assert_eq!(quality, "#quality_metric: host=algo-1, epoch=3, validation perplexity=12.5");
        let speed = speed_line(0, 50, 105.618, &[(Metric::Perplexity, 88.123456)]);
        assert_eq!(speed, "Epoch[0] Batch [50]\tSpeed: 105.62 samples/sec\tperplexity=88.123456");
        let checkpoint = checkpoint_line(1, 1000, 0, 64000, 81.25);
        assert_eq!(checkpoint, "Checkpoint [1]\tUpdates=1000 Epoch=0 Samples=64000 Time-cost=81.250");
    }

    #[test]
    fn improvement_is_strict() {
        assert!(Metric::Perplexity.improves(9.0, 10.0) && !Metric::Perplexity.improves(10.0, 10.0));
        assert!(Metric::Bleu.improves(0.2, 0.1) && !Metric::Bleu.improves(0.1, 0.1));
        for metric in Metric::ALL {
            assert!(!metric.improves(f64::NAN, metric.worst()));
            assert!(!metric.improves(metric.worst(), metric.worst()));
        }
    }
}
