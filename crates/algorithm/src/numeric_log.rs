//! The log of the numeric containers: lines that users' tools parse, in the forms that the real containers print.
//!
//! The forms themselves are in `kokanee_contract::metrics`; this is what fills them.

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
    reset_count: RefCell<u64>,
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

    /// Records so far.
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
            reset_count: RefCell::default(),
        }
    }

    /// A line for the record.
    pub fn info(&self, text: &str) {
        self.line(INFO, text);
    }

    /// Something that was probably not meant.
    pub fn warning(&self, text: &str) {
        self.line(WARNING, text);
        if self.console.is_quiet() {
            self.console.warning(text);
        }
    }

    /// The hyperparameters as they were given and as they are in force.
    pub fn configuration(&self, given: &BTreeMap<String, String>, in_force: &BTreeMap<String, String>) {
        let json = |values: &BTreeMap<String, String>| serde_json::json!(values).to_string();
        self.info(&format!("Merging with provided configuration: {}", json(given)));
        self.info(&format!("Final configuration: {}", json(in_force)));
    }

    /// What a channel is read as.
    pub fn iterator(&self, content_type: &ContentType) {
        let name = content_type.media.name();
        self.info(&format!("Loaded iterator creator {name} for content type ('{name}', '1.0')"));
    }

    /// Begins to count the records of a reading.
    pub fn reading(&self, epoch: usize) -> Reading {
        Reading { begun: SystemTime::now(), epoch, records: 0, batches: 0 }
    }

    /// What was read, as a `#metrics` line.
    pub fn read(&self, reading: &Reading, meta: &str) {
        *self.reset_count.borrow_mut() += 1;
        let resets = *self.reset_count.borrow();
        let counts = [
            ("Total Records Seen", reading.records),
            ("Total Batches Seen", reading.batches),
            ("Max Records Seen Between Resets", reading.records),
            ("Max Batches Seen Between Resets", reading.batches),
            ("Reset Count", resets),
            ("Number of Records Since Last Reset", reading.records),
            ("Number of Batches Since Last Reset", reading.batches),
        ];
        let metrics = counts.map(|(name, value)| (name, Statistic::of(value as f64)));
        self.metrics(reading.begun, Some(reading.epoch as u64), Some(meta), &metrics);
    }

    /// How much of the epochs is done.
    pub fn progress(&self, done: usize, epochs: usize) {
        self.info(&progress_line(self.host, 100.0 * done as f64 / epochs as f64));
    }

    /// How fast an epoch was.
    pub fn throughput(&self, records: u64, seconds: f64) {
        self.info(&throughput_line(self.host, records as f64 / seconds.max(1e-9)));
    }

    /// A measure of the model; `name` is the split and the metric, as in `test msd`.
    pub fn quality(&self, name: &str, measure: Measure, value: f64) {
        self.info(&quality_line(self.host, name, measure, value));
    }

    /// Notes a time for the last `#metrics` line.
    pub fn timed(&self, name: &'static str, time: Duration) {
        let milliseconds = time.as_secs_f64() * 1e3;
        let mut timings = self.timings.borrow_mut();
        let timing =
            timings.get(name).map_or(Statistic::of(milliseconds), |timing| timing.with(milliseconds));
        timings.insert(name, timing);
    }

    /// The last line: the times of the whole job.
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
