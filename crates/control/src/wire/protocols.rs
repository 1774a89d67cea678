//! From a request to a call, and from a result to an answer, in the protocol of the request.

use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;

use super::call::{Call, Protocol};
use super::error::ApiError;
use super::{cbor, json, query};
use crate::operations::Service;

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

    /// Reads a call in CBOR.
    ///
    /// # Errors
    /// If the path or the body cannot be read.
    pub fn from_cbor(head: &Parts, body: &[u8]) -> Result<Self, (Protocol, ApiError)> {
        cbor::read(head, body).map_err(|error| (Protocol::Cbor, error))
    }

    /// The answer, in the call's protocol.
    pub fn answer(&self, output: &Value, request_id: &str) -> Response {
        match self.protocol {
            Protocol::Json10 | Protocol::Json11 => json::answer(self, output, request_id),
            Protocol::Query => query::answer(self, output, request_id),
            Protocol::Cbor => cbor::answer(self, output, request_id),
        }
    }
}

impl Protocol {
    /// An error, in this protocol.
    pub fn refuse(self, service: Option<Service>, error: &ApiError, request_id: &str) -> Response {
        match self {
            Self::Json10 | Self::Json11 => json::refuse(self, service, error, request_id),
            Self::Query => query::refuse(service, error, request_id),
            Self::Cbor => cbor::refuse(service, error, request_id),
        }
    }
}
