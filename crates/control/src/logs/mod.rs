//! CloudWatch Logs: groups of streams, each stream a file of lines with their times.
//!
//! | file | content |
//! |---|---|
//! | `registry` | the existing groups and streams |
//! | `streams` | lists of groups and streams, page by page |
//! | `events` | pages of a single stream |
//! | `search` | events of many streams in the order of their times |
//! | `tail` | their latest events, page by page backwards |
//! | `write` | streams that users write |
//! | `pattern` | filter patterns |
//!
//! The process that runs a program writes its lines ([`crate::engine::log_file`]); a stream only has the path of the file.

mod events;
mod pattern;
mod registry;
mod search;
mod streams;
mod tail;
mod write;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use events::{Begin, EventsPage, EventsQuery};
pub use pattern::{Pattern, PatternError};
pub(crate) use registry::SCHEMA;
pub use registry::{LogStream, Logs};
pub use search::{Found, FoundPage, SearchQuery, Which};
pub use streams::{DescribedStream, Group, GroupsQuery, OrderBy, StreamsQuery};
pub use tail::{TailPage, TailQuery};
pub use write::Rejected;

/// The maximum number of events on a page, as on AWS.
pub const MOST_EVENTS: usize = 10_000;
/// The maximum bytes of a page, as on AWS.
pub const MOST_PAGE_BYTES: u64 = 1 << 20;

/// The reason why logs cannot be read or changed.
#[derive(Debug, Error)]
pub enum LogError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// A log cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The group does not exist.
    #[error("The specified log group does not exist.")]
    NoGroup,
    /// The stream does not exist.
    #[error("The specified log stream does not exist.")]
    NoStream,
    /// A group or stream with this name already exists.
    #[error("The specified {0} already exists")]
    Exists(&'static str),
    /// The stream is written by a job.
    #[error(
        "The log stream {0} is written by a job on your own machine: CreateLogStream makes one that you can write"
    )]
    Foreign(String),
    /// The token is not one of ours.
    #[error("The specified nextToken is invalid.")]
    Token,
}

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

#[cfg(test)]
mod tests;
