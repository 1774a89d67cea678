//! The head of a request, for its signature.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

/// The maximum deviation of a client's clock, in seconds.
pub(super) const SKEW_SECONDS: u64 = 900;

/// The signature rules of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// S3: paths unchanged, bodies signed as `x-amz-content-sha256` says, version 2 supported.
    S3,
    /// All others: paths encoded twice, bodies signed.
    Other,
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path and query.
    pub uri: &'a Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self { method: &parts.method, uri: &parts.uri, headers: &parts.headers }
    }
}

impl Head<'_> {
    /// The only value of a header.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        values.next().is_none().then(|| value.to_str().ok()).flatten()
    }

    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let pairs = self.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let text = |text: &str| String::from_utf8_lossy(&decoded(&text.replace('+', " "))).into_owned();
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }
}

pub(super) fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}
