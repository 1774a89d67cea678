//! Errors in requests and their responses: one table from code to status.

use std::fmt;

use serde_json::{Map, Value, json};

/// An error that is sent as the response to a request.
///
/// On the wire: `{"error": {"code": "...", "message": "...", "details": {...}}}`, with the status of its code and, where the client may
/// retry, `Retry-After`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeError {
    /// The row of the table.
    pub code: Code,
    /// What was wrong, where, what was expected, and what to do.
    pub message: String,
    /// The same for programs: position (`instance`, `line`, `record`, `byte`), `field`, limits.
    pub details: Map<String, Value>,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u32>,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The body or a value in it is invalid.
    BadRequest,
    /// No such path.
    NotFound,
    /// The path does not support this method.
    MethodNotAllowed,
    /// None of the types in `Accept` can be written.
    NotAcceptable,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is larger than allowed.
    PayloadTooLarge,
    /// The type or encoding of the body is not supported.
    UnsupportedMediaType,
    /// The queue is full.
    TooManyRequests,
    /// A bug in Kokanee.
    Internal,
    /// The server is loading, or about to end.
    Unavailable,
    /// The response was not ready in time.
    DeadlineExceeded,
}

impl Code {
    /// Every code, in the order of their statuses.
    pub const ALL: [Code; 11] = [
        Code::BadRequest,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::NotAcceptable,
        Code::RequestTimeout,
        Code::PayloadTooLarge,
        Code::UnsupportedMediaType,
        Code::TooManyRequests,
        Code::Internal,
        Code::Unavailable,
        Code::DeadlineExceeded,
    ];

    /// The table: HTTP status, and the name in responses.
    const fn row(self) -> (u16, &'static str) {
        match self {
            Code::BadRequest => (400, "bad_request"),
            Code::NotFound => (404, "not_found"),
            Code::MethodNotAllowed => (405, "method_not_allowed"),
            Code::NotAcceptable => (406, "not_acceptable"),
            Code::RequestTimeout => (408, "request_timeout"),
            Code::PayloadTooLarge => (413, "payload_too_large"),
            Code::UnsupportedMediaType => (415, "unsupported_media_type"),
            Code::TooManyRequests => (429, "too_many_requests"),
            Code::Internal => (500, "internal"),
            Code::Unavailable => (503, "unavailable"),
            Code::DeadlineExceeded => (504, "deadline_exceeded"),
        }
    }

    /// HTTP status.
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// Name in responses.
    pub const fn name(self) -> &'static str {
        self.row().1
    }
}

impl ServeError {
    /// An error without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Map::new(), retry_after: None }
    }

    /// An error for an invalid body or value.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a time to retry, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body of the response.
    pub fn to_json(&self) -> String {
        let mut error = json!({"code": self.code.name(), "message": self.message});
        if !self.details.is_empty() {
            error["details"] = Value::Object(self.details.clone());
        }
        json!({ "error": error }).to_string()
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_statuses_and_names_of_their_own() {
        let statuses: Vec<u16> = Code::ALL.iter().map(|code| code.status()).collect();
        assert!(statuses.is_sorted_by(|a, b| a < b), "{statuses:?}");
        let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }

    #[test]
    fn an_error_on_the_wire() {
        let error = ServeError::bad("x\"y").with("line", 3).with("field", "source");
        let expected =
            r#"{"error":{"code":"bad_request","details":{"field":"source","line":3},"message":"x\"y"}}"#;
        assert_eq!(error.to_json(), expected);
        assert_eq!(ServeError::bad("x").to_json(), r#"{"error":{"code":"bad_request","message":"x"}}"#);
    }
}
