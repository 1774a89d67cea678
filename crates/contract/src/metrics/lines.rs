//! Log lines of the numeric containers, modelled on their public logs.

use super::Measure;

/// `[05/16/2021 12:27:47 INFO 140551810160448] `: the prefix of every line except those of [`metrics_line`](super::metrics_line).
///
/// `time` is UTC as `YYYY-MM-DD HH:MM:SS`, `level` a word such as `INFO` or `WARNING`, `thread` a number that tells threads apart.
pub fn log_prefix(time: &str, level: &str, thread: u64) -> String {
    let american = || {
        let (date, time) = time.split_once(' ')?;
        let (year, month_and_day) = date.split_once('-')?;
        Some(format!("{}/{year} {time}", month_and_day.replace('-', "/")))
    };
    format!("[{} {level} {thread}] ", american().unwrap_or_else(|| time.to_owned()))
}

/// `#quality_metric: host=algo-1, train msd <loss>=0.06404909491539001`; `name` is the split and the metric, such as `train msd`.
pub fn quality_line(host: &str, name: &str, measure: Measure, value: f64) -> String {
    format!("#quality_metric: host={host}, {name} <{measure}>={}", number(value))
}

/// `#progress_metric: host=algo-1, completed 100.0 % of epochs`; `percent` is 0 to 100.
pub fn progress_line(host: &str, percent: f64) -> String {
    format!("#progress_metric: host={host}, completed {} % of epochs", number(percent))
}

/// `#throughput_metric: host=algo-1, train throughput=54276.96611628075 records/second`.
pub fn throughput_line(host: &str, records_per_second: f64) -> String {
    format!("#throughput_metric: host={host}, train throughput={} records/second", number(records_per_second))
}

/// A number as Python prints it: the shortest digits that read back exactly, whole numbers with `.0`, `nan` for NaN.
fn number(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{value:?}") }
}
