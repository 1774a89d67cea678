//! The metrics of every server, and their text for Prometheus (OpenMetrics).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Content type of the text that [`Metrics::render`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counters, gauges and histograms of a server. The service behind it registers its own in the same registry.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) cancelled: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    r#type: &'static str,
    status: u32,
}

impl Metrics {
    /// The metrics of a server that times the requests named by `timed`, such as "an /invocations request".
    pub fn new(timed: &str) -> Self {
        let mut registry = Registry::with_prefix("kokanee");
        let (requests, cancelled) = (Family::default(), Counter::default());
        let (in_flight, connections) = (Gauge::default(), Gauge::default());
        let duration = seconds();
        let r = &mut registry;
        r.register("requests", "Requests by route, content type of the body and status", requests.clone());
        let help = format!("From the head of {timed} to the end of its answer");
        r.register_with_unit("request_duration", help, Unit::Seconds, duration.clone());
        r.register("requests_in_flight", "Requests that are being answered", in_flight.clone());
        r.register("connections", "Open connections", connections.clone());
        let help = "Requests whose client left before the answer";
        r.register("requests_cancelled", help, cancelled.clone());
        Self { registry: Mutex::new(registry), requests, duration, in_flight, connections, cancelled }
    }

    /// The registry, for further metrics.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        // A thread that panicked while registering left only complete entries.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All metrics as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry());
        text
    }

    pub(crate) fn request(&self, route: &'static str, media: &'static str, status: u16) {
        let labels = RequestLabels { route, r#type: media, status: u32::from(status) };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn timed(&self, time: Duration) {
        self.duration.observe(time.as_secs_f64());
    }
}

/// A histogram of seconds: from a millisecond to a minute, which is the deadline of SageMaker's requests.
pub fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 17))
}
