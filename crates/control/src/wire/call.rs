//! A call: an operation with its input, whatever protocol it came by.

use axum::http::request::Parts;
use axum::response::Response;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::{json, query};
use crate::operations::{Operation, Refusal, Service, check};

/// How a call came, and how its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `application/x-amz-json-1.0`.
    Json10,
    /// `application/x-amz-json-1.1`.
    Json11,
    /// A form, answered in XML.
    Query,
}

/// An operation with its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The service, where it is known.
    pub service: Option<Service>,
    /// The operation's name as it was sent.
    pub operation: String,
    /// Its members, timestamps in seconds since 1970; what the table does not know is kept.
    pub input: Map<String, Value>,
    /// How it came.
    pub protocol: Protocol,
}

impl Call {
    /// Reads a call in JSON.
    ///
    /// # Errors
    /// If the target or the body cannot be read; the protocol is the one to answer in.
    pub fn from_json(head: &Parts, body: &[u8]) -> Result<Self, (Protocol, ApiError)> {
        json::read(head, body)
    }

    /// Reads a call from a form.
    ///
    /// # Errors
    /// If the form cannot be read.
    pub fn from_form(service_of_scope: Option<&str>, body: &[u8]) -> Result<Self, (Protocol, ApiError)> {
        query::read(service_of_scope, body).map_err(|error| (Protocol::Query, error))
    }

    /// The operation's row in the table.
    pub fn row(&self) -> Option<&'static Operation> {
        self.service?.model().operations.get(&self.operation)
    }

    /// Checks the input against the table.
    ///
    /// # Errors
    /// `SerializationException` and `ValidationException`, in AWS's words.
    pub fn check(&self) -> Result<(), ApiError> {
        let (Some(service), Some(operation)) = (self.service, self.row()) else { return Ok(()) };
        check(service.model(), &operation.input, &self.input).map_err(|refusal| match refusal {
            Refusal::Type(message) => ApiError::new("SerializationException", message),
            Refusal::Constraints(message) => ApiError::validation(message),
        })
    }

    /// The answer, in the call's protocol.
    pub fn answer(&self, output: &Value, request_id: &str) -> Response {
        match self.protocol {
            Protocol::Json10 | Protocol::Json11 => json::answer(self.protocol, output, request_id),
            Protocol::Query => query::answer(self, output, request_id),
        }
    }
}

impl Protocol {
    /// An error, in this protocol.
    pub fn refuse(self, service: Option<Service>, error: &ApiError, request_id: &str) -> Response {
        match self {
            Self::Json10 | Self::Json11 => json::refuse(self, service, error, request_id),
            Self::Query => query::refuse(service, error, request_id),
        }
    }
}
