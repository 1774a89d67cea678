//! Refusals of requests because of their signatures.

use thiserror::Error;

/// A kind of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no signature.
    Missing,
    /// The header `Authorization` is malformed.
    Header,
    /// The parameters of a presigned address are malformed.
    Parameters,
    /// The key is not the server's.
    UnknownKey,
    /// The signature is wrong.
    Mismatch,
    /// The time of the request differs too much from the server's.
    Skewed,
    /// A presigned address has expired.
    Expired,
    /// Another fault that no real client has.
    Unusable,
}

/// A refused request, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind of refusal.
    pub why: Why,
    /// What was wrong.
    pub message: String,
    /// Names and texts that help to find the cause.
    pub details: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(why: Why, message: impl Into<String>) -> Self {
        Self { why, message: message.into(), details: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    pub(super) fn missing() -> Self {
        Self::new(Why::Missing, "Missing Authentication Token")
    }

    pub(super) fn unknown_key(key: &str) -> Self {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        Self::new(Why::UnknownKey, message).with("AWSAccessKeyId", key)
    }

    pub(super) fn mismatch() -> Self {
        let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
        Self::new(Why::Mismatch, message)
    }
}
