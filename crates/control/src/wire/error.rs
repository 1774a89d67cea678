//! Errors of operations, in AWS's form.

use std::fmt;

/// An error of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The name of its shape: `ValidationException`, `ResourceInUse`.
    pub code: String,
    /// The text that clients show.
    pub message: String,
    /// HTTP status.
    pub status: u16,
}

impl ApiError {
    /// An error of status 400.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status: 400 }
    }

    /// An invalid request: `ValidationException`.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// A fault of the server: `InternalFailure`, status 500, which clients retry.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { status: 500, ..Self::new("InternalFailure", message) }
    }

    /// Sets another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Whether the caller is at fault.
    pub(crate) fn is_senders(&self) -> bool {
        self.status < 500
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ApiError {}
