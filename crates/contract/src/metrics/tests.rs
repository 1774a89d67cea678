use regex::Regex;

use super::*;

/// Checks that only the metric called `name` matches `line`, and that it finds `value`.
#[track_caller]
pub(crate) fn check(line: &str, metrics: &[MetricSpec], name: &str, value: &str) {
    for metric in metrics {
        let found = Regex::new(metric.regex).unwrap().captures(line).map(|captures| captures[1].to_owned());
        let expected = (metric.name == name).then(|| value.to_owned());
        assert_eq!(found, expected, "{} in {line:?}", metric.name);
    }
}

const COMMON: &[MetricSpec] = &[PROGRESS, THROUGHPUT];

#[test]
fn lines_are_read_by_their_own_metric_only() {
    check(&progress_line("algo-1", 100.0), COMMON, "train:progress", "100.0");
    check(&throughput_line("algo-1", 54_276.966_116_280_75), COMMON, "train:throughput", "54276.96611628075");
    check(&quality_line("algo-1", "test msd", Measure::Loss, 1.0), COMMON, "", "");
    // Copied from logs of the real container.
    check(
        "[05/16/2021 12:27:47 INFO 140551810160448] #progress_metric: host=algo-1, completed 100.0 % of epochs",
        COMMON,
        "train:progress",
        "100.0",
    );
    check(
        "[05/16/2021 12:27:47 INFO 140551810160448] #throughput_metric: host=algo-1, train throughput=54276.96611628075 records/second",
        COMMON,
        "train:throughput",
        "54276.96611628075",
    );
}

#[test]
fn lines_have_their_documented_form() {
    assert_eq!(log_prefix("2021-05-16 12:27:47", "INFO", 7), "[05/16/2021 12:27:47 INFO 7] ");
    assert_eq!(log_prefix("", "WARNING", 0), "[ WARNING 0] ");
    assert_eq!(progress_line("algo-1", 50.0), "#progress_metric: host=algo-1, completed 50.0 % of epochs");
    assert_eq!(
        quality_line("algo-1", "test accuracy", Measure::Score, 0.5),
        "#quality_metric: host=algo-1, test accuracy <score>=0.5"
    );
    assert_eq!(
        quality_line("algo-1", "test msd", Measure::Loss, f64::NAN),
        "#quality_metric: host=algo-1, test msd <loss>=nan"
    );
}

#[test]
fn counters_are_json_behind_their_mark() {
    let dimensions = Dimensions {
        algorithm: "AWS/KMeansWebscale",
        host: "algo-1",
        operation: "training",
        epoch: Some(0),
        meta: Some("training_data_iter"),
    };
    let times = Statistic::of(2.5).with(1.5);
    let line =
        metrics_line(1.5, 2.0, dimensions, &[("update.time", times), ("Reset Count", Statistic::of(1.0))]);
    assert_eq!(
        line,
        "#metrics {\"StartTime\": 1.5, \"EndTime\": 2.0, \"Dimensions\": {\"Algorithm\": \"AWS/KMeansWebscale\", \
         \"Host\": \"algo-1\", \"Operation\": \"training\", \"epoch\": 0, \"Meta\": \"training_data_iter\"}, \"Metrics\": \
         {\"update.time\": {\"sum\": 4.0, \"count\": 2, \"min\": 1.5, \"max\": 2.5}, \"Reset Count\": {\"sum\": 1.0, \
         \"count\": 1, \"min\": 1.0, \"max\": 1.0}}}\n"
    );
    let plain = metrics_line(0.0, 0.0, Dimensions { epoch: None, meta: None, ..dimensions }, &[]);
    assert!(plain.contains("\"Operation\": \"training\"}, \"Metrics\": {}}"), "{plain}");
}
