//! AWS JSON 1.0 and 1.1.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::call::{Call, Protocol};
use super::error::ApiError;
use super::query::in_query;
use crate::operations::Service;

pub(super) fn read(head: &Parts, body: &[u8]) -> Result<Call, (Protocol, ApiError)> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let protocol = if content_type.contains("json-1.0") { Protocol::Json10 } else { Protocol::Json11 };
    let target = text("x-amz-target").unwrap_or_default();
    let (prefix, operation) = target.rsplit_once('.').unwrap_or((target, ""));
    let service = Service::ALL.into_iter().find(|service| {
        let target = &service.model().target;
        !target.is_empty() && target == prefix
    });
    let Some(service) = service else {
        let shown: String = prefix.chars().take(100).collect();
        let message = format!("there is no service \"{}\" in this local SageMaker", shown.escape_debug());
        return Err((protocol, ApiError::new("UnknownOperationException", message)));
    };
    let input =
        parse(body).map_err(|message| (protocol, ApiError::new("SerializationException", message)))?;
    let operation = operation.chars().take(100).collect();
    Ok(Call { service: Some(service), operation, input, protocol })
}

fn parse(body: &[u8]) -> Result<Map<String, Value>, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("the body is JSON, but not an object".to_owned()),
        Err(error) => Err(format!("the body is not JSON: {error}")),
    }
}

/// A response; for an operation without output it has no body, as on AWS.
pub(super) fn answer(call: &Call, output: &Value, request_id: &str) -> Response {
    let has_output = call.row().is_none_or(|row| !row.output.is_empty());
    let text = if has_output { output.to_string() } else { String::new() };
    respond(StatusCode::OK, call.protocol, text, request_id)
}

pub(super) fn refuse(
    protocol: Protocol,
    service: Option<Service>,
    error: &ApiError,
    request_id: &str,
) -> Response {
    let text = json!({"__type": error.code, "message": error.message}).to_string();
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = respond(status, protocol, text, request_id);
    let headers = response.headers_mut();
    if let Ok(value) = error.code.parse() {
        headers.insert("x-amzn-errortype", value);
    }
    // Clients that used the query protocol before expect its code.
    if service == Some(Service::CloudWatch)
        && let Ok(value) = in_query(service, error).parse()
    {
        headers.insert("x-amzn-query-error", value);
    }
    response
}

fn respond(status: StatusCode, protocol: Protocol, text: String, request_id: &str) -> Response {
    let content_type = match protocol {
        Protocol::Json10 => "application/x-amz-json-1.0",
        _ => "application/x-amz-json-1.1",
    };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header("x-amzn-requestid", request_id)
        .body(Body::from(text))
        .expect("the parts of the head are valid")
}
