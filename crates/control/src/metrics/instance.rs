//! The resources that a program uses on its machine, as the metrics of an instance.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Metric, Metrics, Point};
use crate::engine::{Engine, Usage};
use crate::machine;
use crate::store::now_ms;

/// Time between two measurements.
const PERIOD: Duration = Duration::from_secs(10);

/// Measures one program periodically.
#[derive(Debug)]
pub struct InstanceMeter {
    region: String,
    namespace: &'static str,
    dimensions: Vec<(&'static str, String)>,
    /// The usage at the last measurement.
    last: Option<(Instant, Usage)>,
}

impl InstanceMeter {
    /// A meter whose metrics have this namespace and these dimensions: `Host` of a job, `EndpointName` and `VariantName` of an endpoint.
    pub fn new(region: &str, namespace: &'static str, dimensions: &[(&'static str, &str)]) -> Self {
        let dimensions = dimensions.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { region: region.to_owned(), namespace, dimensions, last: None }
    }

    /// Measures the task of `folder`, if the last measurement was long enough ago. A failed measurement does not end the job.
    pub fn look(&mut self, engine: &dyn Engine, folder: &Path, metrics: &Metrics) {
        let now = Instant::now();
        if self.last.is_some_and(|(at, _)| now - at < PERIOD) {
            return;
        }
        let Some(usage) = engine.usage(folder) else { return };
        let last = self.last.replace((now, usage));
        let Some((at, before)) = last else { return };
        let points = self.points(now - at, &before, &usage, folder);
        if let Err(error) = metrics.put(&self.region, &points) {
            tracing::warn!(folder = %folder.display(), %error, "the metrics of an instance are lost");
        }
    }

    fn points(&self, time: Duration, before: &Usage, usage: &Usage, folder: &Path) -> Vec<Point> {
        let now_ms = now_ms();
        // The time of an ended process disappears if no parent waited for it.
        let cpu_seconds = (usage.cpu_seconds - before.cpu_seconds).max(0.0);
        let memory =
            machine::memory().map(|memory| usage.memory_bytes as f64 / memory.total_bytes as f64 * 100.0);
        let values = [
            ("CPUUtilization", Some(cpu_seconds / time.as_secs_f64() * 100.0)),
            ("MemoryUtilization", memory),
            ("DiskUtilization", machine::disk(folder).map(|disk| disk.used_percent())),
        ];
        let dimensions = || self.dimensions.iter().map(|(name, value)| (*name, value.as_str()));
        let points = values.into_iter().filter_map(|(name, value)| {
            Some(Point::new(Metric::new(self.namespace, name, dimensions()), now_ms, value?).unit("Percent"))
        });
        points.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_measured_in_percent() {
        let meter = InstanceMeter::new("us-east-1", super::super::TRAINING_JOBS, &[("Host", "a/algo-1")]);
        let folder = tempfile::tempdir().unwrap();
        let usage = |cpu_seconds, memory_bytes| Usage { cpu_seconds, memory_bytes };
        let time = Duration::from_secs(10);
        let points = meter.points(time, &usage(1.0, 0), &usage(16.0, 1 << 20), folder.path());
        let value = |name: &str| {
            let point = points.iter().find(|point| point.metric.name == name);
            point.map(|point| (point.sample.sum, point.unit))
        };
        assert_eq!(value("CPUUtilization"), Some((150.0, "Percent")), "one and a half cores");
        if cfg!(target_os = "linux") {
            let (memory, _) = value("MemoryUtilization").unwrap();
            assert!(memory > 0.0 && memory < 100.0, "{memory}");
        }
        let (disk, _) = value("DiskUtilization").unwrap();
        assert!((0.0..=100.0).contains(&disk), "{disk}");
        assert_eq!(
            points[0].metric,
            Metric::new(super::super::TRAINING_JOBS, "CPUUtilization", [("Host", "a/algo-1")])
        );
    }
}
