//! Events of many streams in the order of their times.
//!
//! All events have one order: their time, then the id of their stream, then their position in it. A token is a point in that order, so that
//! a page needs only the token, however many streams there are. Only positions of streams are kept in memory: lines are read when they come
//! next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{LogError, LogStream, Logs, MOST_PAGE_BYTES, Pattern};
use crate::engine::log_file::{self, Line};
use crate::tokens;

/// Maximum bytes that one call searches; if nothing matches, its page has a token and no events.
const MOST_LOOKED_AT_BYTES: u64 = 16 << 20;
/// Maximum lines read at once from the stream that comes next.
const LONGEST_RUN: usize = 1024;
/// Bytes that are read at once.
const RUN_BYTES: u64 = 256 << 10;

/// The streams of a group to search.
#[derive(Clone, Debug)]
pub enum Which {
    /// Streams whose names begin with this; all streams if it is empty.
    Prefix(String),
    /// Streams with these names.
    Names(Vec<String>),
}

/// The search criteria. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// The region.
    pub region: String,
    /// The group.
    pub group: String,
    /// The streams.
    pub which: Which,
    /// The earliest time of an event.
    pub start_ms: Option<i64>,
    /// The latest time of an event.
    pub end_ms: Option<i64>,
    /// The pattern that lines must match.
    pub pattern: Pattern,
    /// The maximum number of events.
    pub limit: usize,
    /// The token of the previous page, after which this page begins.
    pub token: Option<String>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name of its stream.
    pub stream: String,
    /// Its stream's id in the database.
    pub stream_id: i64,
    /// The line.
    pub line: Line,
}

/// A page of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPage {
    /// The events.
    pub events: Vec<Found>,
    /// The token of the next page; `None` on the last.
    pub next: Option<String>,
}

/// Time, id of the stream, position in the stream.
pub(super) type Key = (i64, i64, u64);

/// A stream whose next line is at or after a key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    key: Key,
    /// The index in the list of streams.
    index: usize,
    /// Number of lines to read at once.
    run: usize,
}

impl Found {
    /// A permanent id of the event; later events of a stream have greater ones.
    pub fn id(&self) -> String {
        format!("{:020}{:016}{:020}", self.line.at_ms, self.stream_id, self.line.offset)
    }
}

impl Logs {
    /// A page of events.
    ///
    /// # Errors
    /// If the group or a stream does not exist, if the token is not one of ours, or if a log cannot be read.
    pub fn search(&self, query: &SearchQuery) -> Result<FoundPage, LogError> {
        let after = query.token.as_deref().map(|token| key(token).ok_or(LogError::Token)).transpose()?;
        let streams = self.chosen(&query.region, &query.group, &query.which)?;
        let mut cursors = BinaryHeap::new();
        for (index, stream) in streams.iter().enumerate() {
            if let Some((at_ms, offset)) = begin(stream, query, after)? {
                cursors.push(Reverse(Cursor { key: (at_ms, stream.id, offset), index, run: 1 }));
            }
        }
        let mut page = FoundPage { events: Vec::new(), next: None };
        let (mut looked_at, mut bytes) = (0, 0);
        while let Some(Reverse(cursor)) = cursors.pop() {
            let stream = &streams[cursor.index];
            let bound = cursors.peek().map(|Reverse(other)| other.key);
            let (at_ms, _, offset) = cursor.key;
            let lines = log_file::read_from(&stream.path, offset, cursor.run, RUN_BYTES)
                .map_err(|source| LogError::File { path: stream.path.clone(), source })?;
            let Some(last) = lines.last() else { continue };
            let mut next = Some(Cursor {
                key: (last.at_ms.max(at_ms), stream.id, last.end),
                run: cursor.run * 2,
                ..cursor
            });
            for mut line in lines {
                let key = (line.at_ms.max(at_ms), stream.id, line.offset);
                if bound.is_some_and(|bound| key > bound) {
                    // Another stream comes next.
                    next = Some(Cursor { key, index: cursor.index, run: 1 });
                    break;
                }
                if query.end_ms.is_some_and(|end_ms| line.at_ms > end_ms) {
                    next = None;
                    break;
                }
                looked_at += line.end - line.offset;
                stream.read(&mut line);
                // A line without a time has the time of the line before it.
                line.at_ms = key.0;
                let after = (key.0, key.1, line.end);
                if query.pattern.fits(&line.text) {
                    bytes += line.text.len() as u64;
                    page.events.push(Found { stream: stream.name.clone(), stream_id: stream.id, line });
                }
                let is_full = page.events.len() >= query.limit || bytes >= MOST_PAGE_BYTES;
                if is_full || looked_at >= MOST_LOOKED_AT_BYTES {
                    page.next = Some(token(after));
                    return Ok(page);
                }
            }
            cursors.extend(next.map(|next| Reverse(Cursor { run: next.run.min(LONGEST_RUN), ..next })));
        }
        Ok(page)
    }

    /// The selected streams, ordered by their ids, without duplicates.
    pub(super) fn chosen(
        &self,
        region: &str,
        group: &str,
        which: &Which,
    ) -> Result<Vec<LogStream>, LogError> {
        let mut streams = match which {
            Which::Prefix(prefix) => self.all_streams(region, group, prefix)?,
            Which::Names(names) => {
                names.iter().map(|name| self.stream(region, group, name)).collect::<Result<_, _>>()?
            }
        };
        streams.sort_by_key(|stream| stream.id);
        streams.dedup_by_key(|stream| stream.id);
        Ok(streams)
    }
}

/// Time and position of the first line of a stream that may be on a page; `None` if the stream has none.
fn begin(
    stream: &LogStream,
    query: &SearchQuery,
    after: Option<Key>,
) -> Result<Option<(i64, u64)>, LogError> {
    let file = |source| LogError::File { path: stream.path.clone(), source };
    let start_ms = match after {
        None => query.start_ms.unwrap_or(0),
        Some((at_ms, id, offset)) if id == stream.id => {
            let is_start = log_file::is_start(&stream.path, offset).map_err(file)?;
            return if is_start { Ok(Some((at_ms, offset))) } else { Err(LogError::Token) };
        }
        // Earlier streams have already returned their events of the token's time.
        Some((at_ms, id, _)) if id > stream.id => at_ms.saturating_add(1),
        Some((at_ms, ..)) => at_ms,
    };
    let offset = if start_ms == 0 { 0 } else { log_file::find(&stream.path, start_ms).map_err(file)? };
    let first = log_file::read_from(&stream.path, offset, 1, 0).map_err(file)?;
    let first = first.first().filter(|line| query.end_ms.is_none_or(|end_ms| line.at_ms <= end_ms));
    Ok(first.map(|line| (line.at_ms, offset)))
}

pub(super) fn token((at_ms, stream, offset): Key) -> String {
    tokens::write(&[&at_ms.to_string(), &stream.to_string(), &offset.to_string()])
}

pub(super) fn key(token: &str) -> Option<Key> {
    let [at_ms, stream, offset] = tokens::read::<3>(token)?;
    Some((at_ms.parse().ok()?, stream.parse().ok()?, offset.parse().ok()?))
}
