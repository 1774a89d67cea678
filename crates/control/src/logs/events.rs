//! Pages of one stream.
//!
//! A token is a direction and a position in the file, which never changes: `f/…` continues after the page, `b/…` before it.

use super::write::unescaped;
use super::{LogError, LogStream, MOST_PAGE_BYTES};
use crate::engine::log_file::{self, Line};

/// The beginning of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the first line.
    Head,
    /// At the last line, backwards.
    Tail,
    /// At the position of a token.
    Token(String),
}

/// The lines of a page. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct EventsQuery {
    /// The earliest time of a line.
    pub start_ms: Option<i64>,
    /// The time before which all lines are.
    pub end_ms: Option<i64>,
    /// The beginning of the page.
    pub begin: Begin,
    /// The maximum number of lines.
    pub limit: usize,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsPage {
    /// Its lines, in order.
    pub lines: Vec<Line>,
    /// The token of the next page; at the end of the stream the same token is returned again.
    pub forward: String,
    /// The token of the previous page.
    pub backward: String,
}

enum Way {
    Forward(u64),
    Backward(u64),
}

impl LogStream {
    /// A page of the stream's lines.
    ///
    /// # Errors
    /// If the token is not one of ours, or if the log cannot be read.
    pub fn events(&self, query: &EventsQuery) -> Result<EventsPage, LogError> {
        let file = |source| LogError::File { path: self.path.clone(), source };
        let find = |at_ms| log_file::find(&self.path, at_ms).map_err(file);
        let low = query.start_ms.map_or(Ok(0), find)?;
        let high = query.end_ms.map_or(Ok(u64::MAX), find)?.max(low);
        let way = match &query.begin {
            Begin::Head => Way::Forward(low),
            Begin::Tail => Way::Backward(high),
            Begin::Token(token) => parse(token).ok_or(LogError::Token)?,
        };
        if let (Begin::Token(_), Way::Forward(at) | Way::Backward(at)) = (&query.begin, &way)
            && !log_file::is_start(&self.path, *at).map_err(file)?
        {
            return Err(LogError::Token);
        }
        let (mut lines, at) = match way {
            Way::Forward(at) => {
                let at = at.max(low);
                let mut lines =
                    log_file::read_from(&self.path, at, query.limit, MOST_PAGE_BYTES).map_err(file)?;
                lines.truncate(lines.partition_point(|line| line.end <= high));
                (lines, at)
            }
            Way::Backward(at) => {
                let at = at.min(high).max(low);
                log_file::read_back(&self.path, low, at, query.limit, MOST_PAGE_BYTES).map_err(file)?
            }
        };
        lines.iter_mut().for_each(|line| self.read(line));
        let begin = lines.first().map_or(at, |line| line.offset);
        let end = lines.last().map_or(at, |line| line.end);
        Ok(EventsPage { lines, forward: format!("f/{end:056}"), backward: format!("b/{begin:056}") })
    }
}

impl LogStream {
    /// Turns lines that users wrote into messages again.
    pub(super) fn read(&self, line: &mut Line) {
        if self.is_own {
            line.text = unescaped(&line.text);
        }
    }
}

fn parse(token: &str) -> Option<Way> {
    let (way, digits) = token.split_once('/')?;
    let at = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    match way {
        "f" => Some(Way::Forward(at)),
        "b" => Some(Way::Backward(at)),
        _ => None,
    }
}
