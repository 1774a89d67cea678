//! A call: an operation with its input, independent of the protocol.

use serde_json::{Map, Value};

use super::error::ApiError;
use crate::operations::{Operation, Refusal, Service, check};

/// The protocol of a call and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `application/x-amz-json-1.0`.
    Json10,
    /// `application/x-amz-json-1.1`.
    Json11,
    /// A form, with a response in XML.
    Query,
    /// `rpc-v2-cbor`.
    Cbor,
}

/// An operation with its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The service, where it is known.
    pub service: Option<Service>,
    /// The operation's name as sent.
    pub operation: String,
    /// Its members, timestamps in seconds since 1970; members that the table lacks are kept.
    pub input: Map<String, Value>,
    /// Its protocol.
    pub protocol: Protocol,
}

impl Call {
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
}
