//! The end of a log, earlier lines, and a search.

use kokanee_formats::utc;
use kokanee_pages::parts::{note, problem};
use maud::{Markup, html};

use super::content::cut;
use super::visit::{Problem, Visit};
use crate::logs::{Found, LogError, OrderBy, Pattern, SearchQuery, StreamsQuery, TailQuery, Which};

/// The number of lines per page.
const LINES: usize = 200;
/// The longest part of a line that is shown, in characters.
const LONGEST_LINE: usize = 2000;
/// The most streams to choose from: those with the latest lines.
const MOST_STREAMS: usize = 100;

/// A log: some streams of a group.
pub(super) struct Log<'a> {
    pub(super) group: &'a str,
    /// The prefix of its streams' names.
    pub(super) prefix: &'a str,
    /// The name shown for a stream that is called just like the prefix.
    pub(super) alone: &'a str,
    /// The path of the page that shows the log.
    pub(super) path: &'a [&'a str],
}

/// The part of a log that a visitor asks for.
struct Wish<'a> {
    /// A filter pattern in CloudWatch's syntax.
    find: &'a str,
    /// One stream of several; empty for all.
    stream: &'a str,
    /// Tokens: the lines before this one, or those from `after` on.
    before: &'a str,
    after: &'a str,
}

/// Lines, and the tokens of the lines before and after them.
#[derive(Default)]
struct Lines {
    events: Vec<Found>,
    earlier: Option<String>,
    later: Option<String>,
    /// The reason why a pattern is refused.
    refused: Option<String>,
}

/// The log of a page with the parameters `find`, `stream`, and `before` or `after`.
pub(super) fn show(visit: &Visit, log: &Log<'_>) -> Result<Markup, Problem> {
    let parameter = |name| visit.parameter(name).unwrap_or_default();
    let wish = Wish {
        find: parameter("find"),
        stream: parameter("stream"),
        before: parameter("before"),
        after: parameter("after"),
    };
    let streams = match log.streams(visit) {
        Ok(streams) => streams,
        Err(LogError::NoGroup) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let form = form(visit, log, &wish, &streams);
    if streams.is_empty() {
        return Ok(html! { (form) (note("No log yet.")) });
    }
    let Lines { events, earlier, later, refused } = match read(visit, log, &wish) {
        Ok(lines) => lines,
        Err(LogError::NoGroup | LogError::NoStream | LogError::Token) => {
            return Ok(html! { (form) (problem("These lines no longer exist.")) });
        }
        Err(error) => return Err(error.into()),
    };
    let names_streams = streams.len() > 1 && wish.stream.is_empty();
    Ok(html! {
        (form)
        @if let Some(message) = &refused { (problem(message)) }
        @if events.is_empty() {
            (note(if wish.find.is_empty() { "The log is empty." } else { "No lines match." }))
        } @else {
            pre.log tabindex="0" role="log" aria-label="Log lines" data-tail="" {
                @for Found { stream, line, .. } in &events {
                    time { (&utc(u64::try_from(line.at_ms / 1000).unwrap_or(0))[11..]) }
                    @if names_streams { b { (log.shown(stream)) } " " }
                    (cut(&line.text, LONGEST_LINE)) "\n"
                }
            }
        }
        div.pager {
            @if let Some(token) = &earlier { a.button href=(log.address(visit, &wish, ("before", token))) { "Earlier lines" } }
            @if let Some(token) = &later { a.button href=(log.address(visit, &wish, ("after", token))) { "Later lines" } }
        }
    })
}

fn form(visit: &Visit, log: &Log<'_>, wish: &Wish<'_>, streams: &[String]) -> Markup {
    let is_latest = [wish.find, wish.before, wish.after].iter().all(|wish| wish.is_empty());
    let is_known = streams.iter().any(|stream| stream == wish.stream);
    html! {
        form.tools method="get" action={ (visit.link(log.path, &[])) "#log" } role="search" {
            @if streams.len() > 1 {
                label { "Stream"
                    select name="stream" {
                        option value="" { "all" }
                        @for stream in streams {
                            option value=(stream) selected[stream == wish.stream] { (log.shown(stream)) }
                        }
                        @if !is_known && !wish.stream.is_empty() {
                            option value=(wish.stream) selected { (log.shown(wish.stream)) }
                        }
                    }
                }
            }
            label { "Search the log" input type="search" name="find" value=(wish.find) placeholder="error -debug \"a phrase\""; }
            button { "Search" }
            @if !is_latest {
                a.button href=(log.address(visit, &Wish { find: "", ..*wish }, ("", ""))) { "Latest lines" }
            }
        }
    }
}

fn read(visit: &Visit, log: &Log<'_>, wish: &Wish<'_>) -> Result<Lines, LogError> {
    let which = match wish.stream {
        "" => Which::Prefix(log.prefix.to_owned()),
        stream => Which::Names(vec![stream.to_owned()]),
    };
    let (region, group) = (visit.region.clone(), log.group.to_owned());
    if wish.find.is_empty() && wish.after.is_empty() {
        let before = Some(wish.before.to_owned()).filter(|token| !token.is_empty());
        let is_latest = before.is_none();
        let page = visit.control().logs.tail(&TailQuery { region, group, which, limit: LINES, before })?;
        let later = page.later.filter(|_| !is_latest);
        return Ok(Lines { events: page.events, earlier: page.earlier, later, refused: None });
    }
    let pattern = match Pattern::parse(wish.find) {
        Ok(pattern) => pattern,
        Err(error) => return Ok(Lines { refused: Some(error.to_string()), ..Lines::default() }),
    };
    let (start_ms, end_ms) = (None, None);
    let token = Some(wish.after.to_owned()).filter(|token| !token.is_empty());
    let query = SearchQuery { region, group, which, start_ms, end_ms, pattern, limit: LINES, token };
    let page = visit.control().logs.search(&query)?;
    // There may be lines before these, because only a search begins at the first line.
    let earlier = Some(wish.after.to_owned()).filter(|_| wish.find.is_empty());
    Ok(Lines { events: page.events, earlier, later: page.next, refused: None })
}

impl Log<'_> {
    /// The names of its streams, those with the latest lines first.
    fn streams(&self, visit: &Visit) -> Result<Vec<String>, LogError> {
        let query = StreamsQuery {
            region: visit.region.clone(),
            group: self.group.to_owned(),
            prefix: self.prefix.to_owned(),
            order_by: OrderBy::LastEvent,
            descending: true,
            limit: MOST_STREAMS,
            token: None,
        };
        let (streams, _) = visit.control().logs.streams(&query)?;
        Ok(streams.into_iter().map(|described| described.stream.name).collect())
    }

    /// The part of a stream's name that distinguishes it from the others.
    fn shown<'n>(&'n self, stream: &'n str) -> &'n str {
        match stream.strip_prefix(self.prefix).unwrap_or(stream).trim_start_matches('/') {
            "" => self.alone,
            own => own,
        }
    }

    /// The address of the page that shows this part of the log.
    fn address(&self, visit: &Visit, wish: &Wish<'_>, (way, token): (&str, &str)) -> String {
        visit.link(self.path, &[("find", wish.find), ("stream", wish.stream), (way, token)]) + "#log"
    }
}
