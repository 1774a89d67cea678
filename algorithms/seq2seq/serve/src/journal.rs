//! One line in the log for each request, and its place in the metrics, whichever way it ends.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use crate::codec::MediaType;
use crate::error::{Code, ServeError};
use crate::metrics::Metrics;
use crate::service::Tally;

/// As other servers log a client that left before the answer.
const CLIENT_LEFT: u16 = 499;

/// What is known of a request; the line is written when it is dropped.
pub(crate) struct Journal {
    pub(crate) id: String,
    pub(crate) tally: Arc<Tally>,
    pub(crate) from: OnceLock<MediaType>,
    pub(crate) to: OnceLock<MediaType>,
    method: String,
    route: &'static str,
    started: Instant,
    /// 0 until the answer is complete.
    status: AtomicU16,
    error: OnceLock<ServeError>,
    log_text: bool,
    metrics: Arc<Metrics>,
}

impl Journal {
    pub(crate) fn begin(method: &str, route: &'static str, log_text: bool, metrics: Arc<Metrics>) -> Self {
        metrics.in_flight.inc();
        Self {
            id: next_id(),
            tally: Arc::default(),
            from: OnceLock::new(),
            to: OnceLock::new(),
            method: method.chars().take(16).collect(),
            route,
            started: Instant::now(),
            status: AtomicU16::new(0),
            error: OnceLock::new(),
            log_text,
            metrics,
        }
    }

    /// The answer is complete.
    pub(crate) fn end(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Notes why the answer is an error.
    pub(crate) fn failed(&self, error: &ServeError) {
        let _ = self.error.set(error.clone());
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let time = self.started.elapsed();
        self.metrics.in_flight.dec();
        let status = match self.status.load(Ordering::Relaxed) {
            0 => {
                self.metrics.cancelled.inc();
                CLIENT_LEFT
            }
            status => status,
        };
        let media = match (self.route, self.from.get()) {
            (_, Some(media)) => media.name(),
            ("/invocations", None) => "other",
            _ => "none",
        };
        self.metrics.request(self.route, media, status, time);
        let error = self.error.get();
        let code = error.map(|error| error.code.name());
        // A message may quote the request, which is nobody's business unless asked for; those about ourselves do not.
        let speaks = |error: &&ServeError| self.log_text || error.code == Code::Internal;
        let reason = error.filter(speaks).map(|error| error.message.as_str());
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let tally = &self.tally;
        let (instances, tokens_in, tokens_out) =
            (count(&tally.instances), count(&tally.tokens_in), count(&tally.tokens_out));
        let to = self.to.get().map(|media| media.name());
        let ms = (time.as_secs_f64() * 1e6).round() / 1e3;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    id = self.id,
                    method = self.method,
                    route = self.route,
                    status,
                    r#type = media,
                    accept = to,
                    instances,
                    tokens_in,
                    tokens_out,
                    ms,
                    code,
                    reason,
                    "request"
                )
            };
        }
        match status {
            500 => line!(error),
            501.. => line!(warn),
            // A load balancer asks every few seconds.
            _ if self.route == "/ping" => line!(debug),
            _ => line!(info),
        }
    }
}

/// Ids that do not repeat, not even after a restart.
fn next_id() -> String {
    static START: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let start = START.get_or_init(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(0, |now| now.as_micros() as u64)
    });
    format!("{start:x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed))
}
