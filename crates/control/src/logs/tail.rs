//! The latest events of many streams, page by page back in time, in the same order as in a search.

use super::search::{Key, key, token};
use super::{Found, LogError, LogStream, Logs, MOST_PAGE_BYTES, Which};
use crate::engine::log_file::{self, Line};

/// Lines read at once when searching for the time of a line without one.
const RUN_LINES: usize = 1024;

/// The events of a page.
#[derive(Clone, Debug)]
pub struct TailQuery {
    /// The region.
    pub region: String,
    /// The group.
    pub group: String,
    /// The streams.
    pub which: Which,
    /// The maximum number of events.
    pub limit: usize,
    /// A token; all events come before its point. `None` for the latest events.
    pub before: Option<String>,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailPage {
    /// The events, the earliest first.
    pub events: Vec<Found>,
    /// The token of the previous page; `None` if there are no earlier events.
    pub earlier: Option<String>,
    /// The token with which [`Logs::search`] continues after this page; `None` for an empty page.
    pub later: Option<String>,
}

impl Logs {
    /// The last events, or the last ones before a point.
    ///
    /// # Errors
    /// If the group or a stream does not exist, if the token is not one of ours, or if a log cannot be read.
    pub fn tail(&self, query: &TailQuery) -> Result<TailPage, LogError> {
        let before = query.before.as_deref().map(|token| key(token).ok_or(LogError::Token)).transpose()?;
        let mut events: Vec<(Key, Found)> = Vec::new();
        // Events before this point were not read in any stream, or were read and left out.
        let mut floor: Option<Key> = None;
        for stream in self.chosen(&query.region, &query.group, &query.which)? {
            let lines = lines_before(&stream, before, query.limit)?;
            if let Some((first, line)) = lines.first()
                && line.offset > 0
            {
                floor = floor.max(Some(*first));
            }
            events.extend(
                lines.into_iter().map(|(key, line)| {
                    (key, Found { stream: stream.name.clone(), stream_id: stream.id, line })
                }),
            );
            events.sort_by_key(|(key, _)| *key);
            events.drain(..events.partition_point(|(key, _)| Some(*key) < floor));
            let left_out = events.len() - kept(&events, query.limit);
            if left_out > 0 {
                events.drain(..left_out);
                floor = events.first().map(|(key, _)| *key);
            }
        }
        let last = events.last().map(|((at_ms, id, _), found)| token((*at_ms, *id, found.line.end)));
        let events = events.into_iter().map(|(_, found)| found).collect();
        Ok(TailPage { events, earlier: floor.map(token), later: last })
    }
}

/// How many of the latest events fit on a page, at least one.
fn kept(events: &[(Key, Found)], limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |(_, found): &&(Key, Found)| {
        bytes += found.line.text.len() as u64;
        bytes <= MOST_PAGE_BYTES
    };
    events.iter().rev().take(limit).take_while(fits).count().max(1).min(events.len())
}

/// The last lines of a stream before a point, each with its position among all events.
fn lines_before(stream: &LogStream, before: Option<Key>, limit: usize) -> Result<Vec<(Key, Line)>, LogError> {
    let file = |source| LogError::File { path: stream.path.clone(), source };
    let high = match before {
        None => u64::MAX,
        Some((_, id, offset)) if id == stream.id => {
            let is_start = log_file::is_start(&stream.path, offset).map_err(file)?;
            if is_start { offset } else { return Err(LogError::Token) }
        }
        // Among events of the same time, those of earlier streams come first.
        Some((at_ms, id, _)) => {
            let end_ms = if stream.id < id { at_ms.saturating_add(1) } else { at_ms };
            log_file::find(&stream.path, end_ms).map_err(file)?
        }
    };
    let (lines, _) = log_file::read_back(&stream.path, 0, high, limit, MOST_PAGE_BYTES).map_err(file)?;
    let mut at_ms = match lines.first() {
        Some(line) if line.at_ms == 0 => time_before(stream, line.offset).map_err(file)?,
        _ => 0,
    };
    let placed = lines.into_iter().map(|mut line| {
        // A line without a time has the time of the line before it.
        at_ms = at_ms.max(line.at_ms);
        line.at_ms = at_ms;
        stream.read(&mut line);
        ((at_ms, stream.id, line.offset), line)
    });
    Ok(placed.collect())
}

/// The time of the last line before a position that has one.
fn time_before(stream: &LogStream, mut at: u64) -> std::io::Result<i64> {
    while at > 0 {
        let (lines, _) = log_file::read_back(&stream.path, 0, at, RUN_LINES, 0)?;
        if let Some(line) = lines.iter().rev().find(|line| line.at_ms > 0) {
            return Ok(line.at_ms);
        }
        match lines.first() {
            Some(first) => at = first.offset,
            None => break,
        }
    }
    Ok(0)
}
