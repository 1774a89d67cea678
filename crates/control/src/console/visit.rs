//! A visit to a page: what it asks for, and what pages share.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use kokanee_formats::utc;
use kokanee_pages::human;
use kokanee_pages::page::Page;
use kokanee_pages::parts::{Tone, badge};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::api::Control;
use crate::hosting::{HostingError, Routes};
use crate::jobs::JobError;
use crate::logs::LogError;
use crate::runtime::Counts;
use crate::s3::{self, Query, S3Error};
use crate::store::{StoreError, now_ms};
use crate::tags;

/// The path of the console. Signed requests can still reach a bucket of this name.
pub(super) const PATH: &str = "/console";
/// The characters that are not encoded in paths and parameters.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The parts that pages are built from.
pub(super) struct State {
    pub(super) control: Arc<Control>,
    /// None if buckets are in another S3.
    pub(super) objects: Option<Arc<s3::Store>>,
    pub(super) routes: Arc<Routes>,
    pub(super) counts: Arc<Counts>,
    /// The address that the server listens on.
    pub(super) address: SocketAddr,
    /// The region of addresses that name no region.
    pub(super) region: String,
}

/// A visitor's request.
pub(super) struct Visit {
    pub(super) state: Arc<State>,
    /// The region whose resources are shown.
    pub(super) region: String,
    /// The variable parts of the path, decoded.
    pub(super) names: Vec<String>,
    pub(super) query: Query,
}

/// The reason why there is no page.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

/// A page, or the reason why there is none.
pub(super) type Shown = Result<Page, Problem>;

impl Visit {
    /// Builds the address of a page from the parts of its path and its parameters. Parameters without a value are left out.
    pub(super) fn link(&self, path: &[&str], parameters: &[(&str, &str)]) -> String {
        link(&self.state.region, &self.region, path, parameters)
    }

    /// The variable part of the path at this index.
    pub(super) fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    /// A parameter, if it has a value.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).filter(|value| !value.trim().is_empty())
    }

    /// The objects.
    ///
    /// # Errors
    /// If buckets are in another S3.
    pub(super) fn objects(&self) -> Result<&s3::Store, Problem> {
        self.state.objects.as_deref().ok_or_else(Problem::buckets_elsewhere)
    }

    pub(super) fn control(&self) -> &Control {
        &self.state.control
    }

    /// The tags of a resource in the form of requests; none if it has none.
    pub(super) fn tags(&self, arn: &str) -> Result<Option<Value>, Problem> {
        let tags = self.control().store.read(|transaction| tags::of(transaction, arn))?;
        let listed = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value}));
        Ok((!tags.is_empty()).then(|| listed.collect()))
    }

    /// Makes a page of a section; `above` are the pages above it.
    pub(super) fn page(&self, section: &str, title: &str, above: &[(&str, String)], body: Markup) -> Page {
        let path: Vec<&str> = if section.is_empty() { Vec::new() } else { vec![section] };
        Page {
            title: title.to_owned(),
            section: self.link(&path, &[]),
            above: above.iter().map(|(name, address)| (address.clone(), (*name).to_owned())).collect(),
            refresh_seconds: None,
            body,
        }
    }
}

/// Builds an address, see [`Visit::link`]. Resources of a region other than the server's own have the region in their path.
pub(super) fn link(own_region: &str, region: &str, path: &[&str], parameters: &[(&str, &str)]) -> String {
    let mut link = PATH.to_owned();
    if own_region != region {
        let _ = write!(link, "/@{}", encode(region));
    }
    for part in path {
        let _ = write!(link, "/{}", encode(part));
    }
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    for (index, (name, value)) in given.enumerate() {
        let _ = write!(link, "{}{name}={}", if index == 0 { '?' } else { '&' }, encode(value));
    }
    link
}

/// Percent-encodes a part of a path or a value.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

impl Problem {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(super) fn buckets_elsewhere() -> Self {
        Self::not_found(
            "Buckets are in another S3 (--s3), which the console cannot browse: use that service's own console or a client.",
        )
    }

    fn internal(message: String) -> Self {
        tracing::error!(message, "a page of the console failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        match error {
            JobError::NotFound => Self::not_found("No such job; it may have been deleted."),
            JobError::Store(error) => Self::internal(error.to_string()),
            JobError::Exists { .. } | JobError::Refused(_) => Self::bad(error.to_string()),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<HostingError> for Problem {
    fn from(error: HostingError) -> Self {
        match error {
            HostingError::Store(error) => Self::internal(error.to_string()),
            HostingError::NotFound { .. } => Self::not_found(error.to_string()),
            _ => Self::bad(error.to_string()),
        }
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NoGroup | LogError::NoStream => Self::not_found(error.to_string()),
            LogError::Store(_) | LogError::File { .. } => Self::internal(error.to_string()),
            _ => Self::bad(error.to_string()),
        }
    }
}

impl From<S3Error> for Problem {
    fn from(error: S3Error) -> Self {
        let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, error.message)
    }
}

/// A status in the colour that it has on every page.
pub(super) fn status_badge(status: &str) -> Markup {
    let tone = match status {
        "Completed" | "InService" => Tone::Good,
        "Failed" => Tone::Bad,
        "InProgress" | "Stopping" | "Creating" | "Updating" | "Deleting" => Tone::Busy,
        _ => Tone::Quiet,
    };
    badge(tone, status)
}

/// A point in time in UTC, with a tooltip that says how long ago it was.
pub(super) fn time(ms: i64) -> Markup {
    let text = utc(u64::try_from(ms / 1000).unwrap_or(0));
    html! { time.nowrap datetime=(text.replace(' ', "T") + "Z") title={ (duration(ms, None)) " ago" } { (text) } }
}

/// The time from a resource's creation to its end, or until now.
pub(super) fn duration(from_ms: i64, to_ms: Option<i64>) -> String {
    let ms = to_ms.unwrap_or_else(now_ms) - from_ms;
    human::duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_any_name_and_the_region_where_it_is_another() {
        assert_eq!(link("us-east-1", "us-east-1", &["jobs", "a b/c?"], &[]), "/console/jobs/a%20b%2Fc%3F");
        let parameters = [("q", "x&y=1"), ("after", ""), ("sort", "name")];
        assert_eq!(link("a", "b", &["jobs"], &parameters), "/console/@b/jobs?q=x%26y%3D1&sort=name");
        assert_eq!(link("a", "a", &[], &[]), "/console");
    }
}
