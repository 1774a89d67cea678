//! What is counted, and how Prometheus reads it (OpenMetrics text).

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Content type of what [`Metrics::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counters, gauges and histograms of a server.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) queue_depth: Gauge,
    pub(crate) queue_wait: Histogram,
    pub(crate) batch_rows: Histogram,
    pub(crate) sentences_decoding: Gauge,
    pub(crate) steps: Counter,
    pub(crate) instances: Counter,
    pub(crate) tokens_in: Counter,
    pub(crate) tokens_out: Counter,
    pub(crate) unknown_words: Counter,
    pub(crate) inputs_in_pieces: Counter,
    pub(crate) outputs_truncated: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) engine_faults: Counter,
    load_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    r#type: &'static str,
    status: u32,
}

impl Default for Metrics {
    fn default() -> Self {
        // From a millisecond to a minute, which is the deadline.
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 17));
        let mut metrics = Self {
            registry: Registry::with_prefix("kokanee"),
            requests: Family::default(),
            duration: seconds(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            queue_depth: Gauge::default(),
            queue_wait: seconds(),
            batch_rows: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            sentences_decoding: Gauge::default(),
            steps: Counter::default(),
            instances: Counter::default(),
            tokens_in: Counter::default(),
            tokens_out: Counter::default(),
            unknown_words: Counter::default(),
            inputs_in_pieces: Counter::default(),
            outputs_truncated: Counter::default(),
            cancelled: Counter::default(),
            engine_faults: Counter::default(),
            load_seconds: Gauge::default(),
        };
        let r = &mut metrics.registry;
        r.register(
            "requests",
            "Requests by route, content type of the body and status",
            metrics.requests.clone(),
        );
        let name = "request_duration";
        let help = "From the head of an /invocations request to the end of its answer";
        r.register_with_unit(name, help, Unit::Seconds, metrics.duration.clone());
        r.register("requests_in_flight", "Requests that are being answered", metrics.in_flight.clone());
        r.register("connections", "Open connections", metrics.connections.clone());
        r.register(
            "queue_depth",
            "Sentences that wait for a place in the batch",
            metrics.queue_depth.clone(),
        );
        let help = "How long sentences waited";
        r.register_with_unit("queue_wait", help, Unit::Seconds, metrics.queue_wait.clone());
        r.register("batch_rows", "Hypotheses decoded together, for each step", metrics.batch_rows.clone());
        let help = "Sentences that are being decoded";
        r.register("sentences_decoding", help, metrics.sentences_decoding.clone());
        r.register("decoding_steps", "Steps of the decoder", metrics.steps.clone());
        r.register("instances", "Instances answered", metrics.instances.clone());
        r.register("tokens_in", "Source tokens of answered instances", metrics.tokens_in.clone());
        r.register("tokens_out", "Target tokens of the best hypotheses", metrics.tokens_out.clone());
        r.register("unknown_words", "Source tokens that the vocabulary lacks", metrics.unknown_words.clone());
        let help = "Inputs longer than any trained on, decoded in pieces";
        r.register("inputs_in_pieces", help, metrics.inputs_in_pieces.clone());
        let help = "Outputs that reached their length limit before their end";
        r.register("outputs_truncated", help, metrics.outputs_truncated.clone());
        r.register(
            "requests_cancelled",
            "Requests whose client left before the answer",
            metrics.cancelled.clone(),
        );
        r.register(
            "engine_faults",
            "Times the decoder failed and was made anew",
            metrics.engine_faults.clone(),
        );
        let help = "How long loading the model took";
        r.register_with_unit("model_load", help, Unit::Seconds, metrics.load_seconds.clone());
        metrics
    }
}

impl Metrics {
    /// Everything as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(crate) fn loaded(&self, time: Duration) {
        self.load_seconds.set(time.as_secs_f64());
    }

    pub(crate) fn request(&self, route: &'static str, media: &'static str, status: u16, time: Duration) {
        let labels = RequestLabels { route, r#type: media, status: u32::from(status) };
        self.requests.get_or_create(&labels).inc();
        if route == "/invocations" {
            self.duration.observe(time.as_secs_f64());
        }
    }
}
