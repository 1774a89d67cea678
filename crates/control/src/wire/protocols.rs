//! Conversion of requests to calls, and of results to responses, in each protocol.

use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;

use super::call::{Call, Protocol};
use super::error::ApiError;
use super::{cbor, json, query};
use crate::operations::Service;

impl Call {
    /// Parses a call in JSON.
    ///
    /// # Errors
    /// If the target or the body is malformed; the protocol is the one for the response.
    pub fn from_json(head: &Parts, body: &[u8]) -> Result<Self, (Protocol, ApiError)> {
        json::read(head, body)
    }

    /// Parses a call from a form.
    ///
    /// # Errors
    /// If the form is malformed.
    pub fn from_form(service_of_scope: Option<&str>, body: &[u8]) -> Result<Self, (Protocol, ApiError)> {
        query::read(service_of_scope, body).map_err(|error| (Protocol::Query, error))
    }

    /// Parses a call in CBOR.
    ///
    /// # Errors
    /// If the path or the body is malformed.
    pub fn from_cbor(head: &Parts, body: &[u8]) -> Result<Self, (Protocol, ApiError)> {
        cbor::read(head, body).map_err(|error| (Protocol::Cbor, error))
    }

    /// The response, in the call's protocol.
    pub fn answer(&self, output: &Value, request_id: &str) -> Response {
        match self.protocol {
            Protocol::Json10 | Protocol::Json11 => json::answer(self, output, request_id),
            Protocol::Query => query::answer(self, output, request_id),
            Protocol::Cbor => cbor::answer(self, output, request_id),
        }
    }
}

impl Protocol {
    /// An error response, in this protocol.
    pub fn refuse(self, service: Option<Service>, error: &ApiError, request_id: &str) -> Response {
        match self {
            Self::Json10 | Self::Json11 => json::refuse(self, service, error, request_id),
            Self::Query => query::refuse(service, error, request_id),
            Self::Cbor => cbor::refuse(service, error, request_id),
        }
    }
}
