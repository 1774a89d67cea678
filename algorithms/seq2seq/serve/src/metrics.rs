//! The metrics of the decoder, in addition to those of every server.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Counters, gauges and histograms of a decoder and its queue.
pub(crate) struct Metrics {
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
    pub(crate) engine_faults: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            queue_depth: Gauge::default(),
            queue_wait: kokanee_http::metrics::seconds(),
            batch_rows: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            sentences_decoding: Gauge::default(),
            steps: Counter::default(),
            instances: Counter::default(),
            tokens_in: Counter::default(),
            tokens_out: Counter::default(),
            unknown_words: Counter::default(),
            inputs_in_pieces: Counter::default(),
            outputs_truncated: Counter::default(),
            engine_faults: Counter::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, r: &mut Registry) {
        r.register("queue_depth", "Sentences that wait for a place in the batch", self.queue_depth.clone());
        let help = "How long sentences waited";
        r.register_with_unit("queue_wait", help, Unit::Seconds, self.queue_wait.clone());
        r.register("batch_rows", "Hypotheses decoded together, for each step", self.batch_rows.clone());
        let help = "Sentences that are being decoded";
        r.register("sentences_decoding", help, self.sentences_decoding.clone());
        r.register("decoding_steps", "Steps of the decoder", self.steps.clone());
        r.register("instances", "Instances answered", self.instances.clone());
        r.register("tokens_in", "Source tokens of answered instances", self.tokens_in.clone());
        r.register("tokens_out", "Target tokens of the best hypotheses", self.tokens_out.clone());
        r.register("unknown_words", "Source tokens that the vocabulary lacks", self.unknown_words.clone());
        let help = "Inputs longer than any trained on, decoded in pieces";
        r.register("inputs_in_pieces", help, self.inputs_in_pieces.clone());
        let help = "Outputs that reached their length limit before their end";
        r.register("outputs_truncated", help, self.outputs_truncated.clone());
        let help = "Times the decoder failed and was made anew";
        r.register("engine_faults", help, self.engine_faults.clone());
    }
}
