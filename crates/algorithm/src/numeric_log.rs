//! The log of the numeric containers: lines that users' tools parse, in the forms that the real containers print.
//!
//! The forms are in `kokanee_contract::metrics`; this module fills them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kokanee_contract::ContentType;
use kokanee_contract::metrics::{
    Dimensions, Measure, Statistic, log_prefix, metrics_line, progress_line, quality_line, throughput_line,
};
use kokanee_formats::utc;

use crate::console::Console;

const INFO: &str = "INFO";
const WARNING: &str = "WARNING";

/// Writes the log of a job.
pub struct NumericLog<'a> {
    console: &'a dyn Console,
    host: &'a str,
    algorithm: &'static str,
    begun: Instant,
    /// Timings since the last `#metrics` line, in milliseconds.
    timings: RefCell<BTreeMap<&'static str, Statistic>>,
    /// Totals of all readings so far, by the name of the reader in the lines.
    totals: RefCell<BTreeMap<String, Totals>>,
}

/// Totals of several readings of one channel.
#[derive(Clone, Copy, Default)]
struct Totals {
    records: u64,
    batches: u64,
    most_records: u64,
    most_batches: u64,
    resets: u64,
}

/// Counts the records of one reading of a channel.
pub struct Reading {
    begun: SystemTime,
    epoch: usize,
    records: u64,
    batches: u64,
}

impl Reading {
    /// Counts a batch.
    pub fn batch(&mut self, records: usize) {
        self.records += records as u64;
        self.batches += 1;
    }

    /// The number of records so far.
    pub fn records(&self) -> u64 {
        self.records
    }
}

impl<'a> NumericLog<'a> {
    /// Begins the log of a job on `host`; `algorithm` is the real container's name for itself.
    pub fn begin(console: &'a dyn Console, host: &'a str, algorithm: &'static str) -> Self {
        Self {
            console,
            host,
            algorithm,
            begun: Instant::now(),
            timings: RefCell::default(),
            totals: RefCell::default(),
        }
    }

    /// Writes an informational line.
    pub fn info(&self, text: &str) {
        self.line(INFO, text);
    }

    /// Warns about something that was probably not intended.
    pub fn warning(&self, text: &str) {
        self.line(WARNING, text);
        if self.console.is_quiet() {
            self.console.warning(text);
        }
    }

    /// Writes the hyperparameters as given and as in force.
    pub fn configuration(&self, given: &BTreeMap<String, String>, in_force: &BTreeMap<String, String>) {
        let json = |values: &BTreeMap<String, String>| serde_json::json!(values).to_string();
        self.info(&format!("Merging with provided configuration: {}", json(given)));
        self.info(&format!("Final configuration: {}", json(in_force)));
    }

    /// Writes the content type as which a channel is read.
    pub fn iterator(&self, content_type: &ContentType) {
        let name = content_type.media.name();
        self.info(&format!("Loaded iterator creator {name} for content type ('{name}', '1.0')"));
    }

    /// Begins to count the records of a reading.
    pub fn reading(&self, epoch: usize) -> Reading {
        Reading { begun: SystemTime::now(), epoch, records: 0, batches: 0 }
    }

    /// Writes the counts of a reading as a `#metrics` line; `meta` is the line's name of the reader, such as `training_data_iter`.
    pub fn read(&self, reading: &Reading, meta: &str) {
        let mut totals = self.totals.borrow_mut();
        let total = totals.entry(meta.to_owned()).or_default();
        total.records += reading.records;
        total.batches += reading.batches;
        total.most_records = total.most_records.max(reading.records);
        total.most_batches = total.most_batches.max(reading.batches);
        total.resets += 1;
        let counts = [
            ("Total Records Seen", total.records),
            ("Total Batches Seen", total.batches),
            ("Max Records Seen Between Resets", total.most_records),
            ("Max Batches Seen Between Resets", total.most_batches),
            ("Reset Count", total.resets),
            ("Number of Records Since Last Reset", reading.records),
            ("Number of Batches Since Last Reset", reading.batches),
        ];
        let metrics = counts.map(|(name, value)| (name, Statistic::of(value as f64)));
        self.metrics(reading.begun, Some(reading.epoch as u64), Some(meta), &metrics);
    }

    /// Writes the share of epochs that are done.
    pub fn progress(&self, done: usize, epochs: usize) {
        self.info(&progress_line(self.host, 100.0 * done as f64 / epochs as f64));
    }

    /// Writes the speed of an epoch.
    pub fn throughput(&self, records: u64, seconds: f64) {
        self.info(&throughput_line(self.host, records as f64 / seconds.max(1e-9)));
    }

    /// Writes a measure of the model; `name` is the split and the metric, as in `test msd`.
    pub fn quality(&self, name: &str, measure: Measure, value: f64) {
        self.info(&quality_line(self.host, name, measure, value));
    }

    /// Records a time for the last `#metrics` line.
    pub fn timed(&self, name: &'static str, time: Duration) {
        let milliseconds = time.as_secs_f64() * 1e3;
        let mut timings = self.timings.borrow_mut();
        let timing =
            timings.get(name).map_or(Statistic::of(milliseconds), |timing| timing.with(milliseconds));
        timings.insert(name, timing);
    }

    /// Writes the last line: the times of the whole job.
    pub fn end(&self) {
        let total = self.begun.elapsed();
        self.timed("totaltime", total);
        let timings: Vec<_> = self.timings.take().into_iter().collect();
        self.metrics(SystemTime::now() - total, None, None, &timings);
    }

    fn metrics(
        &self,
        begun: SystemTime,
        epoch: Option<u64>,
        meta: Option<&str>,
        metrics: &[(&str, Statistic)],
    ) {
        let seconds =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let dimensions =
            Dimensions { algorithm: self.algorithm, host: self.host, operation: "training", epoch, meta };
        self.console.line(&metrics_line(seconds(begun), seconds(SystemTime::now()), dimensions, metrics));
    }

    fn line(&self, level: &str, text: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let prefix = log_prefix(&utc(now), level, std::process::id().into());
        self.console.line(&format!("{prefix}{text}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::console::Progress;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>, Mutex<Vec<String>>);

    impl Console for Lines {
        fn is_quiet(&self) -> bool {
            true
        }

        fn line(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }

        fn warning(&self, text: &str) {
            self.1.lock().unwrap().push(text.to_owned());
        }

        fn note(&self, _: &str) {}

        fn busy(&self, _: &str) {}

        fn progress(&self, _: &Progress<'_>) {}

        fn clear(&self) {}
    }

    #[test]
    fn records_are_counted_over_passes_and_since_the_last() {
        let console = Lines::default();
        let log = NumericLog::begin(&console, "algo-1", "AWS/Test");
        for (epoch, batches) in [(0, &[5, 5][..]), (1, &[3])] {
            let mut reading = log.reading(epoch);
            batches.iter().for_each(|&batch| reading.batch(batch));
            log.read(&reading, "training_data_iter");
        }
        let lines = console.0.into_inner().unwrap();
        let metrics: serde_json::Value =
            serde_json::from_str(lines[1].strip_prefix("#metrics ").unwrap()).unwrap();
        let sum = |name: &str| metrics["Metrics"][name]["sum"].as_f64().unwrap();
        assert_eq!((sum("Total Records Seen"), sum("Total Batches Seen")), (13.0, 3.0));
        assert_eq!((sum("Max Records Seen Between Resets"), sum("Reset Count")), (10.0, 2.0));
        assert_eq!(sum("Number of Records Since Last Reset"), 3.0);
        assert_eq!(metrics["Dimensions"]["epoch"], 1);
    }

    #[test]
    fn warnings_are_heard_where_the_log_is_quiet() {
        let console = Lines::default();
        NumericLog::begin(&console, "algo-1", "AWS/Test").warning("careful");
        assert_eq!(*console.1.lock().unwrap(), ["careful"]);
        let line = console.0.lock().unwrap()[0].clone();
        assert!(line.ends_with("] careful") && line.contains(" WARNING "), "{line}");
    }
}
