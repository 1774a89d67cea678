//! One log line per request, and its entry in the metrics, however the request ends.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use tracing::Level;

use crate::counters::{Counters, Line};
use crate::error::{Code, ServeError};
use crate::metrics::Metrics;
use crate::site::{Route, Site};

/// The status with which other servers log a client that left before the response.
const CLIENT_LEFT: u16 = 499;

/// The record of a request; its log line is written when it is dropped.
pub struct Journal {
    /// The request's id, which the response carries as `x-request-id`.
    pub id: String,
    /// The counters of the request.
    pub counters: Arc<Counters>,
    /// Name of the body's content type, once it is known.
    pub from: OnceLock<&'static str>,
    /// Name of the response's content type.
    pub to: OnceLock<&'static str>,
    pub(crate) site: Arc<dyn Site>,
    method: String,
    route: Route,
    started: Instant,
    /// 0 until the response is complete.
    status: AtomicU16,
    error: OnceLock<ServeError>,
    metrics: Arc<Metrics>,
}

impl Journal {
    /// Begins the record of a request with this method and path.
    pub fn begin(method: &str, path: &str, site: Arc<dyn Site>, metrics: Arc<Metrics>) -> Self {
        metrics.in_flight.inc();
        let counters = Counters::default();
        counters.name(site.columns());
        Self {
            id: next_id(),
            counters: Arc::new(counters),
            from: OnceLock::new(),
            to: OnceLock::new(),
            method: method.chars().take(16).collect(),
            route: site.route(path),
            site,
            started: Instant::now(),
            status: AtomicU16::new(0),
            error: OnceLock::new(),
            metrics,
        }
    }

    /// Marks the response as complete.
    pub fn end(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Records why the response is an error.
    pub fn failed(&self, error: &ServeError) {
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
        let media = match self.from.get() {
            Some(media) => media,
            None if self.route.has_type => "other",
            None => "none",
        };
        self.metrics.request(self.route.name, media, status);
        if self.route.is_timed {
            self.metrics.timed(time);
        }
        let error = self.error.get();
        // A message may quote the request, which is private unless the site logs texts; messages about internal errors do not.
        let speaks = |error: &&ServeError| self.site.logs_text() || error.code == Code::Internal;
        self.counters.write(&Line {
            level: match status {
                500 => Level::ERROR,
                501.. => Level::WARN,
                _ if self.route.is_quiet => Level::DEBUG,
                _ => Level::INFO,
            },
            id: &self.id,
            method: &self.method,
            route: self.route.name,
            status,
            media,
            accept: self.to.get().copied(),
            ms: (time.as_secs_f64() * 1e6).round() / 1e3,
            code: error.map(|error| error.code.name()),
            reason: error.filter(speaks).map(|error| error.message.as_str()),
        });
    }
}

/// A new id that is never repeated, not even after a restart.
fn next_id() -> String {
    static START: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let start = START.get_or_init(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(0, |now| now.as_micros() as u64)
    });
    format!("{start:x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed))
}
