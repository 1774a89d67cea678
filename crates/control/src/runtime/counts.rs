//! Counts of requests to endpoints per minute: the metrics of CloudWatch's namespace `AWS/SageMaker`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::latencies::Latencies;
use crate::metrics::{INVOCATIONS, Metric, Metrics, Point, Sample};
use crate::store::now_ms;

/// A minute.
const MINUTE_MS: i64 = 60_000;
/// Maximum variants counted per minute; requests to further ones are answered but not counted.
const MOST_VARIANTS: usize = 10_000;

/// A request that was answered.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    pub(super) region: String,
    pub(super) endpoint: String,
    pub(super) variant: String,
    /// Number of instances in service at the time.
    pub(super) instances: usize,
    /// The status of the model's response; 0 if there was none.
    pub(super) status: u16,
    /// Time from sending the request to the end of the model's response.
    pub(super) model: Duration,
    /// The rest of the time that the request took.
    pub(super) overhead: Duration,
}

/// Requests not published yet.
#[derive(Debug, Default)]
pub struct Counts {
    minutes: Mutex<BTreeMap<Key, [Option<Sample>; METRICS.len()]>>,
    latencies: Latencies,
}

/// Minute, region, endpoint, variant.
type Key = (i64, String, String, String);

/// Names and units, in the order in which [`Counts::add`] gives the values.
const METRICS: [(&str, &str); 6] = [
    ("Invocations", "None"),
    ("InvocationsPerInstance", "None"),
    ("Invocation4XXErrors", "None"),
    ("Invocation5XXErrors", "None"),
    ("ModelLatency", "Microseconds"),
    ("OverheadLatency", "Microseconds"),
];

impl Counts {
    pub(super) fn add(&self, invocation: Invocation) {
        self.add_at(now_ms(), invocation);
    }

    fn add_at(&self, now_ms: i64, invocation: Invocation) {
        let Invocation { region, endpoint, variant, instances, status, model, overhead } = invocation;
        self.latencies.add(&region, &endpoint, model);
        let is = |yes: bool| f64::from(u8::from(yes));
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let values = [
            1.0,
            1.0 / instances.max(1) as f64,
            is((400..500).contains(&status)),
            is(status >= 500 || status == 0),
            micros(model),
            micros(overhead),
        ];
        let key = (now_ms.div_euclid(MINUTE_MS) * MINUTE_MS, region, endpoint, variant);
        let mut all = self.all();
        if all.len() >= MOST_VARIANTS && !all.contains_key(&key) {
            return;
        }
        for (known, value) in all.entry(key).or_default().iter_mut().zip(values) {
            let value = Sample::from(value);
            *known = Some(known.map_or(value, |known| Sample {
                count: known.count + value.count,
                sum: known.sum + value.sum,
                min: known.min.min(value.min),
                max: known.max.max(value.max),
            }));
        }
    }

    /// Publishes the complete minutes; with `all`, the present one too. It blocks on the disk.
    pub fn publish(&self, metrics: &Metrics, all: bool) {
        for (region, points) in self.take(all) {
            if let Err(error) = metrics.put(&region, &points) {
                tracing::warn!(%error, "the metrics of endpoints are lost");
            }
        }
    }

    /// Removes and returns points, by region.
    fn take(&self, all: bool) -> BTreeMap<String, Vec<Point>> {
        self.take_at(now_ms(), all)
    }

    /// The latencies of an endpoint's models since the server's start, in classes from fast to slow: the upper edge (none for the slowest
    /// class) and the number of responses.
    pub fn latencies(&self, region: &str, endpoint: &str) -> Vec<(Option<Duration>, u64)> {
        self.latencies.of(region, endpoint)
    }

    /// All points, without removing them.
    #[cfg(test)]
    pub(super) fn peek(&self) -> Vec<Point> {
        let taken = Self { minutes: Mutex::new(self.all().clone()), latencies: Latencies::default() };
        taken.take(true).into_values().flatten().collect()
    }

    fn take_at(&self, now_ms: i64, all: bool) -> BTreeMap<String, Vec<Point>> {
        let mut counts = self.all();
        let present = (now_ms.div_euclid(MINUTE_MS) * MINUTE_MS, String::new(), String::new(), String::new());
        let rest = if all { BTreeMap::new() } else { counts.split_off(&present) };
        let over = std::mem::replace(&mut *counts, rest);
        drop(counts);
        let mut by_region: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for ((at_ms, region, endpoint, variant), samples) in over {
            let points = METRICS.into_iter().zip(samples).filter_map(|((name, unit), sample)| {
                let dimensions = [("EndpointName", endpoint.as_str()), ("VariantName", variant.as_str())];
                let metric = Metric::new(INVOCATIONS, name, dimensions);
                Some(Point { metric, unit, at_ms, sample: sample? })
            });
            by_region.entry(region).or_default().extend(points);
        }
        by_region
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Key, [Option<Sample>; METRICS.len()]>> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(status: u16, micros: u64) -> Invocation {
        Invocation {
            region: "r".into(),
            endpoint: "e".into(),
            variant: "v".into(),
            instances: 2,
            status,
            model: Duration::from_micros(micros),
            overhead: Duration::from_micros(10),
        }
    }

    #[test]
    fn requests_are_summed_by_the_minute() {
        let counts = Counts::default();
        for (at_ms, status, micros) in [(60_000, 200, 100), (119_999, 400, 300), (120_000, 500, 50)] {
            counts.add_at(at_ms, invocation(status, micros));
        }
        assert!(counts.take_at(119_999, false).is_empty());
        let points = counts.take_at(120_000, false).remove("r").unwrap();
        let said: Vec<(&str, f64, f64, f64, f64)> = points
            .iter()
            .map(|Point { metric, sample, .. }| {
                (metric.name.as_str(), sample.count, sample.sum, sample.min, sample.max)
            })
            .collect();
        let want = [
            ("Invocations", 2.0, 2.0, 1.0, 1.0),
            ("InvocationsPerInstance", 2.0, 1.0, 0.5, 0.5),
            ("Invocation4XXErrors", 2.0, 1.0, 0.0, 1.0),
            ("Invocation5XXErrors", 2.0, 0.0, 0.0, 0.0),
            ("ModelLatency", 2.0, 400.0, 100.0, 300.0),
            ("OverheadLatency", 2.0, 20.0, 10.0, 10.0),
        ];
        assert_eq!(said, want);
        assert!(points.iter().all(|point| point.at_ms == 60_000));
        let rest = counts.take_at(120_001, true);
        assert_eq!(rest["r"][3].sample.sum, 1.0);
        assert!(counts.take_at(i64::MAX, true).is_empty());
    }
}
