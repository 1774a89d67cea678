//! The query protocol: requests as forms, responses in XML.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use percent_encoding::percent_decode;
use serde_json::{Map, Value, json};

use super::call::{Call, Protocol};
use super::error::ApiError;
use super::{time, xml};
use crate::operations::{Kind, Model, Service};

/// The maximum number of fields in a form.
const MOST_FIELDS: usize = 10_000;
/// Longest name of a field, which also limits the depth of structures.
const LONGEST_NAME: usize = 512;
/// The highest number of a list member.
const MOST_MEMBERS: usize = 1000;

pub(super) fn read(service_of_scope: Option<&str>, body: &[u8]) -> Result<Call, ApiError> {
    let fields = fields(body)?;
    let service = match fields.get("Version") {
        Some(version) => Service::ALL
            .into_iter()
            .find(|service| !service.model().namespace.is_empty() && service.model().version == *version),
        None => match service_of_scope {
            Some("sts") => Some(Service::Sts),
            Some("iam") => Some(Service::Iam),
            Some("monitoring") => Some(Service::CloudWatch),
            _ => None,
        },
    };
    let Some(operation) = fields.get("Action").cloned() else {
        return Err(ApiError::new("MissingAction", "the form has no Action"));
    };
    let mut input = Map::new();
    if let Some(service) = service
        && let Some(row) = service.model().operations.get(&operation)
    {
        let reader = Reader { model: service.model(), fields: &fields };
        if let Some(Value::Object(members)) = reader.value(&row.input, "")? {
            input = members;
        }
    }
    Ok(Call { service, operation: operation.chars().take(100).collect(), input, protocol: Protocol::Query })
}

fn fields(body: &[u8]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut fields = BTreeMap::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = (decoded(&pair[..at])?, decoded(pair.get(at + 1..).unwrap_or_default())?);
        if fields.len() == MOST_FIELDS || name.len() > LONGEST_NAME {
            let message = format!(
                "the form has more than {MOST_FIELDS} fields, or a name of more than {LONGEST_NAME} bytes"
            );
            return Err(ApiError::new("MalformedQueryString", message));
        }
        fields.insert(name, value);
    }
    Ok(fields)
}

fn decoded(bytes: &[u8]) -> Result<String, ApiError> {
    let bytes: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let text = percent_decode(&bytes).decode_utf8();
    text.map(|text| text.into_owned())
        .map_err(|_| ApiError::new("MalformedQueryString", "the form is not UTF-8"))
}

/// Builds a structure from fields such as `Dimensions.member.1.Name`.
struct Reader<'a> {
    model: &'a Model,
    fields: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    /// The value whose fields begin with `at`; `None` if there is no such field.
    fn value(&self, shape_name: &str, at: &str) -> Result<Option<Value>, ApiError> {
        let shape = self.model.shape(shape_name);
        match shape.kind {
            Kind::Structure => {
                if !at.is_empty() && !self.has_below(at) {
                    return Ok(None);
                }
                let mut members = Map::new();
                for (name, member) in shape.members() {
                    let wire_name = shape.wire_name(name);
                    let below =
                        if at.is_empty() { wire_name.to_owned() } else { format!("{at}.{wire_name}") };
                    if let Some(value) = self.value(member, &below)? {
                        members.insert(name.to_owned(), value);
                    }
                }
                Ok(Some(Value::Object(members)))
            }
            Kind::List => {
                let prefix = if shape.flattened { at.to_owned() } else { format!("{at}.member") };
                let mut members = Vec::new();
                for number in 1..=MOST_MEMBERS {
                    let Some(value) = self.value(&shape.member, &format!("{prefix}.{number}"))? else {
                        break;
                    };
                    members.push(value);
                }
                // An empty list is sent as an empty field.
                let is_there = !members.is_empty() || self.fields.contains_key(at);
                Ok(is_there.then_some(Value::Array(members)))
            }
            Kind::Map => {
                let prefix = if shape.flattened { at.to_owned() } else { format!("{at}.entry") };
                let mut members = Map::new();
                for number in 1..=MOST_MEMBERS {
                    let Some(key) = self.fields.get(&format!("{prefix}.{number}.key")) else { break };
                    let value = self.value(&shape.value, &format!("{prefix}.{number}.value"))?;
                    members.insert(key.clone(), value.unwrap_or(Value::Null));
                }
                Ok((!members.is_empty()).then_some(Value::Object(members)))
            }
            kind => match self.fields.get(at) {
                Some(text) => scalar(kind, text, at).map(Some),
                None => Ok(None),
            },
        }
    }

    fn has_below(&self, at: &str) -> bool {
        let prefix = format!("{at}.");
        let mut from = self.fields.range(prefix.clone()..);
        from.next().is_some_and(|(name, _)| name.starts_with(&prefix))
    }
}

fn scalar(kind: Kind, text: &str, at: &str) -> Result<Value, ApiError> {
    let value = match kind {
        Kind::Integer | Kind::Long => text.parse::<i64>().ok().map(Value::from),
        Kind::Float | Kind::Double => text.parse::<f64>().ok().map(Value::from),
        Kind::Boolean => text.parse::<bool>().ok().map(Value::from),
        Kind::Timestamp => time::seconds(text).map(Value::from),
        _ => Some(json!(text)),
    };
    value.ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        ApiError::new("MalformedInput", format!("\"{}\" at {at} is no {kind:?}", shown.escape_debug()))
    })
}

pub(super) fn answer(call: &Call, output: &Value, request_id: &str) -> Response {
    let mut text = String::new();
    let name = &call.operation;
    if let (Some(service), Some(row)) = (call.service, call.row()) {
        let model = service.model();
        text = format!("<{name}Response xmlns=\"{}\">\n", model.namespace);
        if !row.wrapper.is_empty() {
            xml::write(&mut text, model, &row.output, &row.wrapper, output);
        }
        text.push_str(&format!("<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\n"));
        text.push_str(&format!("</{name}Response>\n"));
    }
    respond(StatusCode::OK, text, request_id)
}

pub(super) fn refuse(service: Option<Service>, error: &ApiError, request_id: &str) -> Response {
    let namespace = service.map_or("http://webservices.amazon.com/AWSFault/2005-15-09", |service| {
        service.model().namespace.as_str()
    });
    let (code, status) = code_of(service, error);
    let blame = if error.is_senders() { "Sender" } else { "Receiver" };
    let text = format!(
        "<ErrorResponse xmlns=\"{namespace}\">\n<Error>\n<Type>{blame}</Type>\n<Code>{}</Code>\n<Message>{}</Message>\n</Error>\n\
         <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
        xml::escaped(code),
        xml::escaped(&error.message)
    );
    respond(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), text, request_id)
}

/// The code of an error in this protocol, and its status.
fn code_of(service: Option<Service>, error: &ApiError) -> (&str, u16) {
    if let Some((code, status)) = service.and_then(|service| service.model().errors.get(&error.code)) {
        return (code, *status);
    }
    // The query protocol has its own names for some exceptions of the other protocols.
    let code = match error.code.as_str() {
        "ValidationException" => "ValidationError",
        "UnknownOperationException" => "InvalidAction",
        code => code,
    };
    (code, error.status)
}

/// `InvalidParameterValue;Sender`: the error in the form for clients that used the query protocol before.
pub(super) fn in_query(service: Option<Service>, error: &ApiError) -> String {
    let (code, _) = code_of(service, error);
    let blame = if error.is_senders() { "Sender" } else { "Receiver" };
    format!("{code};{blame}")
}

fn respond(status: StatusCode, text: String, request_id: &str) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/xml")
        .header("x-amzn-requestid", request_id)
        .body(Body::from(text))
        .expect("the parts of the head are valid")
}
