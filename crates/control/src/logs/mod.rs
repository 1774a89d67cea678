//! CloudWatch Logs: groups of streams, each stream a file of lines with their times.
//!
//! | file | what stands in it |
//! |---|---|
//! | `registry` | which groups and streams there are |
//! | `streams` | lists of groups and streams, page by page |
//! | `events` | pages of one stream |
//! | `search` | events of many streams in the order of their times |
//! | `tail` | the latest of them, page by page back |
//! | `write` | streams that users write |
//! | `pattern` | filter patterns |
//!
//! Lines are written by whoever runs a program ([`crate::engine::log_file`]); a stream only says where they are.

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

/// The most events of a page, as on AWS.
pub const MOST_EVENTS: usize = 10_000;
/// The most bytes of a page, as on AWS.
pub const MOST_PAGE_BYTES: u64 = 1 << 20;

/// Why logs are not shown.
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
        /// What the system said.
        source: io::Error,
    },
    /// There is no such group.
    #[error("The specified log group does not exist.")]
    NoGroup,
    /// There is no such stream.
    #[error("The specified log stream does not exist.")]
    NoStream,
    /// A group or stream of this name is there already.
    #[error("The specified {0} already exists")]
    Exists(&'static str),
    /// A job writes the stream.
    #[error(
        "The log stream {0} is written by a job on your own machine: CreateLogStream makes one that you can write"
    )]
    Foreign(String),
    /// A token is not one of ours.
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
