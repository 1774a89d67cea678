//! Conditions of reading requests, and byte ranges.

use axum::http::HeaderMap;

use super::error::{ErrorCode, Result, S3Error};
use super::record::Record;
use crate::times::parse_http_date;

/// The result of a request's conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The object is returned.
    Go,
    /// The client's copy is current.
    NotModified,
}

/// The conditions of a request, without the prefix of the headers for conditions on the source of a copy.
#[derive(Debug, Default)]
pub(crate) struct Conditions<'a> {
    if_match: Option<&'a str>,
    if_none_match: Option<&'a str>,
    if_modified_since: Option<u64>,
    if_unmodified_since: Option<u64>,
}

impl<'a> Conditions<'a> {
    /// Reads the headers with this `prefix`.
    pub(crate) fn of(headers: &'a HeaderMap, prefix: &str) -> Self {
        let text = |name: &str| headers.get(format!("{prefix}{name}")).and_then(|value| value.to_str().ok());
        Self {
            if_match: text("if-match"),
            if_none_match: text("if-none-match"),
            // Dates that cannot be parsed are ignored.
            if_modified_since: text("if-modified-since").and_then(parse_http_date),
            if_unmodified_since: text("if-unmodified-since").and_then(parse_http_date),
        }
    }

    /// Evaluates the conditions for an object. As in RFC 9110, a condition on dates counts only without the corresponding one on ETags.
    pub(crate) fn judge(&self, record: &Record) -> Result<Verdict> {
        let seconds = record.modified_ns / 1_000_000_000;
        match (self.if_match, self.if_unmodified_since) {
            (Some(etags), _) if !matches(etags, &record.etag) => {
                return Err(S3Error::precondition("If-Match"));
            }
            (None, Some(since)) if seconds > since => {
                return Err(S3Error::precondition("If-Unmodified-Since"));
            }
            _ => {}
        }
        match (self.if_none_match, self.if_modified_since) {
            (Some(etags), _) if matches(etags, &record.etag) => Ok(Verdict::NotModified),
            (None, Some(since)) if seconds <= since => Ok(Verdict::NotModified),
            _ => Ok(Verdict::Go),
        }
    }
}

/// Whether an ETag is in a list.
fn matches(list: &str, etag: &str) -> bool {
    list.split(',').map(unquoted).any(|one| one == "*" || one == etag)
}

/// An ETag without its quotes.
pub(crate) fn unquoted(etag: &str) -> &str {
    let etag = etag.trim();
    let etag = etag.strip_prefix("W/").unwrap_or(etag);
    etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag)
}

/// Bytes of an object: their start, and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

impl Span {
    /// The value of `Content-Range`.
    pub(crate) fn content_range(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.start, self.start + self.bytes - 1)
    }
}

/// Parses `Range` for an object of `size` bytes. `None` if the whole object is to be returned: without a range, with several, or with a
/// malformed one.
///
/// # Errors
/// `InvalidRange` if the object has none of these bytes.
pub(crate) fn range(text: Option<&str>, size: u64) -> Result<Option<Span>> {
    let Some((first, last)) = text.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-'))
    else {
        return Ok(None);
    };
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten()
    };
    let span = match (first.trim(), last.trim()) {
        ("", last) => {
            let Some(count) = number(last) else { return Ok(None) };
            let bytes = count.min(size);
            Span { start: size - bytes, bytes }
        }
        (first, last) => {
            let Some(start) = number(first) else { return Ok(None) };
            let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            let Some(last) = last.filter(|&last| last >= start) else { return Ok(None) };
            Span { start, bytes: last.min(size.saturating_sub(1)).saturating_add(1).saturating_sub(start) }
        }
    };
    if span.bytes == 0 || span.start >= size {
        let error = S3Error::new(ErrorCode::InvalidRange, "The requested range is not satisfiable");
        return Err(error
            .with("RangeRequested", text.unwrap_or_default())
            .with("ActualObjectSize", size.to_string()));
    }
    Ok(Some(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let check = |text: &str, size: u64, want: Option<Option<(u64, u64)>>| {
            let found = range(Some(text), size).ok();
            assert_eq!(
                found,
                want.map(|span| span.map(|(start, bytes)| Span { start, bytes })),
                "{text} of {size}"
            );
        };
        check("bytes=0-0", 10, Some(Some((0, 1))));
        check("bytes=2-4", 10, Some(Some((2, 3))));
        check("bytes=2-", 10, Some(Some((2, 8))));
        check("bytes=-3", 10, Some(Some((7, 3))));
        check("bytes=-30", 10, Some(Some((0, 10))));
        check("bytes=5-18446744073709551615", 10, Some(Some((5, 5))));
        for whole in
            ["", "bytes=", "bytes=a-b", "bytes=4-2", "bytes=0-1,3-4", "bytes=-", "items=0-1", "bytes=+1-2"]
        {
            check(whole, 10, Some(None));
        }
        for (text, size) in
            [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)]
        {
            check(text, size, None);
        }
        assert_eq!(Span { start: 2, bytes: 3 }.content_range(10), "bytes 2-4/10");
    }

    #[test]
    fn conditions_on_etags_come_before_those_on_dates() {
        let record =
            Record { etag: "ab".into(), modified_ns: 1_528_488_933_500_000_000, ..Record::default() };
        let (before, same) = ("Fri, 08 Jun 2018 20:15:32 GMT", "Fri, 08 Jun 2018 20:15:33 GMT");
        let check = |headers: &[(&'static str, &str)], want: Option<Verdict>| {
            let headers: HeaderMap = headers
                .iter()
                .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            assert_eq!(Conditions::of(&headers, "").judge(&record).ok(), want, "{headers:?}");
        };
        check(&[], Some(Verdict::Go));
        check(&[("if-match", "\"ab\"")], Some(Verdict::Go));
        check(&[("if-match", "x, W/\"ab\"")], Some(Verdict::Go));
        check(&[("if-match", "*"), ("if-unmodified-since", before)], Some(Verdict::Go));
        check(&[("if-match", "\"x\"")], None);
        check(&[("if-unmodified-since", before)], None);
        check(&[("if-unmodified-since", same)], Some(Verdict::Go));
        check(&[("if-none-match", "ab")], Some(Verdict::NotModified));
        check(&[("if-none-match", "x"), ("if-modified-since", same)], Some(Verdict::Go));
        check(&[("if-modified-since", same)], Some(Verdict::NotModified));
        check(&[("if-modified-since", before)], Some(Verdict::Go));
        check(&[("if-modified-since", "yesterday")], Some(Verdict::Go));
    }
}
