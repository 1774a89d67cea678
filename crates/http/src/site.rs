//! The description of a server beyond its routes: route names, counters of requests, and the form of errors.

use crate::counters::Columns;
use crate::error::ServeError;

/// A route, as seen by the log and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name; paths from clients must not become labels.
    pub name: &'static str,
    /// Whether its requests have a body with a content type.
    pub has_type: bool,
    /// Whether its requests are timed.
    pub is_timed: bool,
    /// Whether its requests come every few seconds, as from load balancers, so that only failures are logged.
    pub is_quiet: bool,
}

impl Route {
    /// A route without any of these properties.
    pub const fn plain(name: &'static str) -> Self {
        Self { name, has_type: false, is_timed: false, is_quiet: false }
    }
}

/// The description of a server.
pub trait Site: Send + Sync + 'static {
    /// The route that a path belongs to.
    fn route(&self, path: &str) -> Route;

    /// The counters of requests, at this moment.
    fn columns(&self) -> &'static Columns {
        Columns::NONE
    }

    /// Whether messages that may quote a request are written to the log.
    fn logs_text(&self) -> bool {
        false
    }

    /// Content type and body of an error response.
    fn envelope(&self, error: &ServeError) -> (&'static str, String) {
        ("application/json", error.to_json())
    }
}
