//! Why a request is refused for its signature.

use thiserror::Error;

/// A kind of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing is signed.
    Missing,
    /// The header `Authorization` cannot be read.
    Header,
    /// The parameters of a presigned address cannot be read.
    Parameters,
    /// The key is not the server's.
    UnknownKey,
    /// The signature is another.
    Mismatch,
    /// The time of the request is not that of the server.
    Skewed,
    /// A presigned address no longer holds.
    Expired,
    /// Something else that no client sends.
    Unusable,
}

/// A request that is not answered, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which kind.
    pub why: Why,
    /// What was wrong.
    pub message: String,
    /// Names and texts that help to find it.
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
