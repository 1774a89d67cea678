//! The end of a log, what stood before it, and a search.

use kokanee_formats::utc;
use kokanee_pages::parts::{note, problem};
use maud::{Markup, html};

use super::visit::{Problem, Visit, link};
use crate::logs::{Begin, EventsQuery, LogError, Pattern, SearchQuery, Which};

/// Lines that are shown at once.
const LINES: usize = 200;
/// The longest part of a line that is shown, in characters.
const LONGEST_LINE: usize = 2000;

/// A log: its group and its stream.
pub(super) struct Log<'a> {
    pub(super) group: &'a str,
    pub(super) stream: &'a str,
    /// The path of the page that shows it.
    pub(super) path: &'a [&'a str],
}

/// The log of a page with the parameters `find` (a filter pattern of CloudWatch) and `log` (where lines go on).
pub(super) fn show(visit: &Visit, log: &Log<'_>) -> Result<Markup, Problem> {
    let find = visit.parameter("find").unwrap_or_default();
    let token = visit.parameter("log").unwrap_or_default();
    let address =
        |parameters: &[(&str, &str)]| link(&visit.state.region, &visit.region, log.path, parameters) + "#log";
    let form = html! {
        form.tools method="get" action=(address(&[])) role="search" {
            label { "Find in the log" input type="search" name="find" value=(find) placeholder="error -debug \"a phrase\""; }
            button { "Find" }
            @if !find.is_empty() || !token.is_empty() { a.button href=(address(&[])) { "Latest lines" } }
        }
    };
    let shown = if find.is_empty() { tail(visit, log, token) } else { search(visit, log, find, token) };
    let (lines, links) = match shown {
        Ok(shown) => shown,
        Err(LogError::NoGroup | LogError::NoStream) => {
            return Ok(html! { (form) (note("There is no log yet.")) });
        }
        Err(LogError::Token) => return Ok(html! { (form) (problem("These lines are not there any more.")) }),
        Err(error) => return Err(error.into()),
    };
    Ok(html! {
        (form)
        @if let Some(message) = &links.refused { (problem(message)) }
        @if lines.is_empty() {
            (note(if find.is_empty() { "The log is empty." } else { "No line fits." }))
        } @else {
            pre.log tabindex="0" role="log" aria-label="Log lines" data-tail="" {
                @for (at_ms, text) in &lines {
                    time { (&utc(u64::try_from(at_ms / 1000).unwrap_or(0))[11..]) } (text) "\n"
                }
            }
        }
        div.pager {
            @if let Some(token) = &links.earlier { a.button href=(address(&[("log", token)])) { "Earlier lines" } }
            @if let Some(token) = &links.later { a.button href=(address(&[("find", find), ("log", token)])) { "Later lines" } }
        }
    })
}

#[derive(Default)]
struct Links {
    earlier: Option<String>,
    later: Option<String>,
    /// Why a pattern is refused.
    refused: Option<String>,
}

/// Lines with their times, and where they go on.
type Lines = (Vec<(i64, String)>, Links);

fn tail(visit: &Visit, log: &Log<'_>, token: &str) -> Result<Lines, LogError> {
    let begin = if token.is_empty() { Begin::Tail } else { Begin::Token(token.to_owned()) };
    let stream = visit.control().logs.stream(&visit.region, log.group, log.stream)?;
    let page = stream.events(&EventsQuery { start_ms: None, end_ms: None, begin, limit: LINES })?;
    let is_first = page.lines.first().is_none_or(|line| line.offset == 0);
    let links = Links {
        earlier: (!is_first).then_some(page.backward),
        later: (!token.is_empty() && !page.lines.is_empty()).then_some(page.forward),
        refused: None,
    };
    Ok((page.lines.into_iter().map(|line| (line.at_ms, cut(&line.text))).collect(), links))
}

fn search(visit: &Visit, log: &Log<'_>, find: &str, token: &str) -> Result<Lines, LogError> {
    let pattern = match Pattern::parse(find) {
        Ok(pattern) => pattern,
        Err(error) => {
            return Ok((Vec::new(), Links { refused: Some(error.to_string()), ..Links::default() }));
        }
    };
    let page = visit.control().logs.search(&SearchQuery {
        region: visit.region.clone(),
        group: log.group.to_owned(),
        which: Which::Names(vec![log.stream.to_owned()]),
        start_ms: None,
        end_ms: None,
        pattern,
        limit: LINES,
        token: Some(token.to_owned()).filter(|token| !token.is_empty()),
    })?;
    let lines = page.events.into_iter().map(|event| (event.line.at_ms, cut(&event.line.text)));
    Ok((lines.collect(), Links { later: page.next, ..Links::default() }))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_LINE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
