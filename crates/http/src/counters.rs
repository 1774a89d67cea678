//! Counters of one request, for its log line. The handler decides what is counted.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Level;

/// The maximum number of counters of a request.
const MOST: usize = 8;

/// The names of counters, and the function that writes a log line with them; made by [`columns!`](crate::columns).
pub struct Columns {
    write: fn(&Line<'_>, &[u64]),
}

impl Columns {
    /// No counters.
    pub const NONE: &'static Columns = &crate::columns![];

    /// Used by [`columns!`](crate::columns).
    #[doc(hidden)]
    pub const fn of(count: usize, write: fn(&Line<'_>, &[u64])) -> Self {
        assert!(count <= MOST, "a request has at most 8 counters");
        Self { write }
    }
}

/// The other fields of a request's log line.
#[derive(Debug)]
#[non_exhaustive]
pub struct Line<'a> {
    /// The log level.
    pub level: Level,
    /// The request's id.
    pub id: &'a str,
    /// Method.
    pub method: &'a str,
    /// Route.
    pub route: &'a str,
    /// Status of the response.
    pub status: u16,
    /// Content type of the body.
    pub media: &'a str,
    /// Content type of the response.
    pub accept: Option<&'a str>,
    /// Time from the request's head to the end of the response, in milliseconds.
    pub ms: f64,
    /// Code of the error.
    pub code: Option<&'a str>,
    /// Message of the error.
    pub reason: Option<&'a str>,
}

/// Declares the counters of a request: `columns![instances, tokens]` gives [`Columns`], whose counters have the indices 0 and 1.
#[macro_export]
macro_rules! columns {
    ($($name:ident),* $(,)?) => {
        $crate::Columns::of(
            <[&str]>::len(&[$(stringify!($name)),*]),
            |line, counts| {
                let mut _counts = counts.iter().copied();
                $(let $name = _counts.next().unwrap_or(0);)*
                match line.level {
                    tracing::Level::ERROR => $crate::request_line!(ERROR, line, $($name),*),
                    tracing::Level::WARN => $crate::request_line!(WARN, line, $($name),*),
                    tracing::Level::INFO => $crate::request_line!(INFO, line, $($name),*),
                    _ => $crate::request_line!(DEBUG, line, $($name),*),
                }
            },
        )
    };
}

/// A log line of one level; [`columns!`](crate::columns) is built from it.
#[doc(hidden)]
#[macro_export]
macro_rules! request_line {
    ($level:ident, $line:ident, $($name:ident),*) => {
        tracing::event!(
            tracing::Level::$level,
            id = $line.id,
            method = $line.method,
            route = $line.route,
            status = $line.status,
            r#type = $line.media,
            accept = $line.accept,
            $($name,)*
            ms = $line.ms,
            code = $line.code,
            reason = $line.reason,
            "request"
        )
    };
}

/// Counters of a request.
#[derive(Default)]
pub struct Counters {
    columns: OnceLock<&'static Columns>,
    counts: [AtomicU64; MOST],
}

impl Counters {
    /// Sets the names of the counters, once.
    pub fn name(&self, columns: &'static Columns) {
        let _ = self.columns.set(columns);
    }

    /// Adds to the counter of this index.
    pub fn add(&self, index: usize, count: u64) {
        if let Some(counter) = self.counts.get(index) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        (self.columns.get().unwrap_or(&Columns::NONE).write)(line, &counts);
    }
}
