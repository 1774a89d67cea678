//! `rpc-v2-cbor`: `/service/NAME/operation/OPERATION` with a map in CBOR, and a map as the response. Some SDKs use only this protocol for
//! CloudWatch.

use axum::body::Body;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciborium::Value as Cbor;
use serde_json::{Map, Value};

use super::call::{Call, Protocol};
use super::error::ApiError;
use super::query::in_query;
use crate::operations::{Kind, Model, Service};

/// The tag of seconds since 1970, RFC 8949 section 3.4.2.
const SECONDS: u64 = 1;
/// Structures deeper than this are refused.
const DEEPEST: usize = 64;

pub(super) fn read(head: &Parts, body: &[u8]) -> Result<Call, ApiError> {
    let mut path = head.uri.path().strip_prefix("/service/").unwrap_or_default().split("/operation/");
    let (name, operation) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    let service = Service::ALL.into_iter().find(|service| {
        let target = &service.model().target;
        !target.is_empty() && target == name
    });
    let Some(service) = service else {
        let shown: String = name.chars().take(100).collect();
        let message = format!("there is no service \"{}\" in this local SageMaker", shown.escape_debug());
        return Err(ApiError::new("UnknownOperationException", message));
    };
    let serialization = |message: String| ApiError::new("SerializationException", message);
    let input = if body.is_empty() {
        Map::new()
    } else {
        let value: Cbor = ciborium::de::from_reader_with_recursion_limit(body, DEEPEST)
            .map_err(|error| serialization(format!("the body is not CBOR: {error}")))?;
        match json(value).map_err(serialization)? {
            Value::Object(members) => members,
            _ => return Err(serialization("the body is CBOR, but not a map".to_owned())),
        }
    };
    let operation = operation.chars().take(100).collect();
    Ok(Call { service: Some(service), operation, input, protocol: Protocol::Cbor })
}

/// Converts a value to JSON: times in seconds, bytes in base64.
fn json(value: Cbor) -> Result<Value, String> {
    Ok(match value {
        Cbor::Integer(number) => match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) => number.into(),
            _ => return Err("a number of the body has more than 64 bits".to_owned()),
        },
        Cbor::Float(number) if number.is_finite() => number.into(),
        // NaN and infinities become text, so that they are refused where a number is required.
        Cbor::Float(number) => number.to_string().into(),
        Cbor::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Cbor::Text(text) => text.into(),
        Cbor::Bool(value) => value.into(),
        Cbor::Tag(_, value) => json(*value)?,
        Cbor::Array(members) => members.into_iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        Cbor::Map(members) => {
            let members = members.into_iter().map(|(key, value)| match key {
                Cbor::Text(key) => Ok((key, json(value)?)),
                _ => Err("a key in the body is not a text".to_owned()),
            });
            Value::Object(members.collect::<Result<_, _>>()?)
        }
        _ => Value::Null,
    })
}

/// Converts a value of a shape to CBOR.
fn cbor(model: &Model, shape_name: &str, value: &Value) -> Cbor {
    let shape = model.shape(shape_name);
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            let known = shape.members().filter_map(|(name, member)| {
                let value = members.get(name).filter(|value| !value.is_null())?;
                Some((Cbor::Text(name.to_owned()), cbor(model, member, value)))
            });
            Cbor::Map(known.collect())
        }
        (Kind::Map, Value::Object(members)) => {
            let pairs = members.iter();
            let pairs = pairs.map(|(key, value)| (Cbor::Text(key.clone()), cbor(model, &shape.value, value)));
            Cbor::Map(pairs.collect())
        }
        (Kind::List, Value::Array(members)) => {
            Cbor::Array(members.iter().map(|member| cbor(model, &shape.member, member)).collect())
        }
        (Kind::Timestamp, Value::Number(number)) => {
            Cbor::Tag(SECONDS, Box::new(Cbor::Float(number.as_f64().unwrap_or_default())))
        }
        (Kind::Blob, Value::String(text)) => Cbor::Bytes(STANDARD.decode(text).unwrap_or_default()),
        (_, Value::Number(number)) => match number.as_i64().filter(|_| is_whole(shape.kind)) {
            Some(number) => Cbor::Integer(number.into()),
            None => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        (_, Value::String(text)) => Cbor::Text(text.clone()),
        (_, Value::Bool(value)) => Cbor::Bool(*value),
        (_, _) => Cbor::Null,
    }
}

const fn is_whole(kind: Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Long)
}

pub(super) fn answer(call: &Call, output: &Value, request_id: &str) -> Response {
    let body = match (call.service, call.row()) {
        (Some(service), Some(row)) if !row.output.is_empty() => cbor(service.model(), &row.output, output),
        _ => Cbor::Map(Vec::new()),
    };
    respond(200, &body, None, request_id)
}

pub(super) fn refuse(service: Option<Service>, error: &ApiError, request_id: &str) -> Response {
    let text = |text: &str| Cbor::Text(text.to_owned());
    let body = Cbor::Map(vec![(text("__type"), text(&error.code)), (text("message"), text(&error.message))]);
    let in_query = (service == Some(Service::CloudWatch)).then(|| in_query(service, error));
    respond(error.status, &body, in_query, request_id)
}

fn respond(status: u16, body: &Cbor, in_query: Option<String>, request_id: &str) -> Response {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = ciborium::into_writer(body, &mut bytes);
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/cbor")
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("x-amzn-requestid", request_id);
    if let Some(in_query) = in_query {
        response = response.header("x-amzn-query-error", in_query);
    }
    response.body(Body::from(bytes)).expect("the parts of the head are valid")
}
