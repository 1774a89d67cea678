//! What a server consists of beyond its routes: the names of its routes, what their requests count, and how errors look.

use crate::counters::Columns;
use crate::error::ServeError;

/// A route, as the log and the metrics see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name; paths from outside must not become labels.
    pub name: &'static str,
    /// Whether its requests have a body with a content type.
    pub has_type: bool,
    /// Whether its requests are timed.
    pub is_timed: bool,
    /// Whether its requests come every few seconds, as those of load balancers do, and fill the log only when they fail.
    pub is_quiet: bool,
}

impl Route {
    /// A route without any of that.
    pub const fn plain(name: &'static str) -> Self {
        Self { name, has_type: false, is_timed: false, is_quiet: false }
    }
}

/// What a server says about itself.
pub trait Site: Send + Sync + 'static {
    /// The route that a path belongs to.
    fn route(&self, path: &str) -> Route;

    /// What requests count, as of now.
    fn columns(&self) -> &'static Columns {
        Columns::NONE
    }

    /// Whether messages that may quote a request are written to the log.
    fn logs_text(&self) -> bool {
        false
    }

    /// Content type and body of an answer that is an error.
    fn envelope(&self, error: &ServeError) -> (&'static str, String) {
        ("application/json", error.to_json())
    }
}
