//! Uploads from HTML forms, with a policy that the form's author signed.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::auth::refused;
use super::body::{Announced, MAX_BODY_BYTES, Writer, of_shell};
use super::described::{description, written};
use super::service::{Call, empty, quoted, set, xml};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::form_data::{FormData, Piece};
use crate::s3::names::check_key;
use crate::s3::record::Record;
use crate::s3::store::WriteCondition;
use crate::s3::xml::Document;
use crate::times::{now_ns, parse_iso};

/// Fields that a policy need not mention.
const FREE: &[&str] = &["policy", "x-amz-signature", "signature", "awsaccesskeyid", "file"];

/// `POST` of a form. If the request itself is not signed, its policy must be.
pub(super) async fn post(call: &Call, must_be_signed: bool) -> Result<Response> {
    let mut form = FormData::new(call.header("content-type").unwrap_or_default())?;
    let bucket = call.bucket();
    let name = bucket.clone();
    call.blocking(move |store| store.bucket(&name)).await?;
    let mut body = call.take_body();
    let mut share = call.service.memory.share();
    share.grow(Writer::HELD_BYTES).await.map_err(of_shell)?;
    let arrival = share.arrival();
    let mut fields = BTreeMap::from([("bucket".to_owned(), bucket.clone())]);
    let mut begun: Option<Begun> = None;
    let mut is_whole = false;
    while let Some(bytes) = body.next_of(&arrival).await.map_err(of_shell)? {
        arrival.received(bytes.len(), share.bytes());
        form.push(&bytes);
        while let Some(piece) = form.next_piece()? {
            match (piece, &mut begun) {
                // The address determines the bucket, regardless of a field.
                (Piece::Field { name, value }, _) if name != "bucket" => {
                    fields.insert(name, value);
                }
                (Piece::Field { .. }, _) => {}
                (Piece::File { name }, _) => {
                    if let (true, Some(keys)) = (must_be_signed, &call.service.settings.keys) {
                        keys.check_policy(&fields).map_err(refused)?;
                    }
                    begun = Some(Begun::new(call, &mut fields, &name)?);
                }
                (Piece::Data(data), Some(begun)) => begun.write(&data).await?,
                (Piece::End, _) => is_whole = true,
                (Piece::Data(_), None) => {}
            }
        }
    }
    let Some(begun) = begun.filter(|_| is_whole) else {
        let message =
            "The body of your POST request is not well-formed multipart/form-data: it has no whole file.";
        return Err(S3Error::new(ErrorCode::MalformedPOSTRequest, message));
    };
    let Begun { key, headers, range, size, mut writer, .. } = begun;
    let (least, most) = range;
    if size < least {
        let error = S3Error::new(
            ErrorCode::EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size",
        );
        return Err(error.with("ProposedSize", size.to_string()).with("MinSizeAllowed", least.to_string()));
    }
    if size > most {
        return Err(too_large(size, most));
    }
    let announced = Announced::of(&headers)?;
    let staged = writer.finish().await?;
    announced.check(&staged.digests, &[])?;
    let record = Record {
        etag: staged.digests.etag(),
        description: description(&headers)?,
        checksum: announced.algorithm().and_then(|algorithm| staged.digests.of(algorithm)).cloned(),
        ..Record::default()
    };
    let (name, path) = (bucket.clone(), key.clone());
    let put =
        move |store: &crate::s3::Store| store.put(&name, &path, staged, record, &WriteCondition::default());
    let record = call.blocking(put).await?;
    Ok(done(call, &fields, &bucket, &key, &record))
}

fn done(
    call: &Call,
    fields: &BTreeMap<String, String>,
    bucket: &str,
    key: &str,
    record: &Record,
) -> Response {
    let host = call.header("host").unwrap_or("localhost");
    let path = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
    let location = format!("http://{host}/{bucket}/{path}");
    let redirect = fields.get("success_action_redirect").or(fields.get("redirect"));
    let status = fields.get("success_action_status").map(String::as_str);
    let mut response = match (redirect, status) {
        (Some(url), _) => {
            let mut response = empty(StatusCode::SEE_OTHER);
            let separator = if url.contains('?') { '&' } else { '?' };
            let etag = quoted(&record.etag).replace('"', "%22");
            set(
                &mut response,
                "location",
                &format!("{url}{separator}bucket={bucket}&key={path}&etag={etag}"),
            );
            response
        }
        (None, Some("201")) => {
            let mut response = xml(Document::plain("PostResponse", |document| {
                document.text("Location", &location);
                document.text("Bucket", bucket);
                document.text("Key", key);
                document.text("ETag", &quoted(&record.etag));
            }));
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        (None, Some("200")) => empty(StatusCode::OK),
        _ => empty(StatusCode::NO_CONTENT),
    };
    written(&mut response, record);
    if redirect.is_none() {
        set(&mut response, "location", &location);
    }
    response
}

/// A form whose fields have arrived, and whose file is arriving.
struct Begun {
    key: String,
    headers: HeaderMap,
    /// The minimum and maximum bytes that the policy allows.
    range: (u64, u64),
    size: u64,
    writer: Writer,
}

impl Begun {
    fn new(call: &Call, fields: &mut BTreeMap<String, String>, file: &str) -> Result<Self> {
        let key = fields.get_mut("key").ok_or_else(|| {
            S3Error::argument("key", "", "Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.")
        })?;
        *key = key.replace("${filename}", file.rsplit(['/', '\\']).next().unwrap_or_default());
        let key = key.clone();
        check_key(&key)?;
        let range = check_policy(fields, now_ns() / 1_000_000_000)?;
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter() {
            let is_header = name.starts_with("x-amz-meta-")
                || name.starts_with("x-amz-checksum-")
                || name.starts_with("x-amz-server-side-encryption")
                || matches!(
                    &**name,
                    "content-type"
                        | "cache-control"
                        | "content-disposition"
                        | "content-encoding"
                        | "expires"
                        | "x-amz-storage-class"
                );
            if let (true, Ok(name), Ok(value)) =
                (is_header, HeaderName::try_from(name.as_str()), HeaderValue::from_bytes(value.as_bytes()))
            {
                headers.insert(name, value);
            }
        }
        let announced = Announced::of(&headers)?;
        description(&headers)?;
        let algorithms = announced.algorithm().into_iter().collect();
        Ok(Self {
            key,
            headers,
            range,
            size: 0,
            writer: Writer::new(&call.service, algorithms, Writer::PIECE_BYTES),
        })
    }

    async fn write(&mut self, data: &[u8]) -> Result<()> {
        self.size += data.len() as u64;
        let most = self.range.1;
        if self.size > most {
            return Err(too_large(self.size, most));
        }
        self.writer.write(data).await
    }
}

fn too_large(size: u64, most: u64) -> S3Error {
    let error =
        S3Error::new(ErrorCode::EntityTooLarge, "Your proposed upload exceeds the maximum allowed size");
    error.with("ProposedSize", size.to_string()).with("MaxSizeAllowed", most.to_string())
}

/// Checks the fields against the policy; returns the minimum and maximum bytes of the file.
fn check_policy(fields: &BTreeMap<String, String>, now: u64) -> Result<(u64, u64)> {
    let mut range = (0, MAX_BODY_BYTES);
    let Some(policy) = fields.get("policy") else { return Ok(range) };
    let invalid =
        |message: &str| S3Error::new(ErrorCode::InvalidPolicyDocument, format!("Invalid Policy: {message}"));
    let denied = |message: String| {
        S3Error::new(ErrorCode::AccessDenied, format!("Invalid according to Policy: {message}"))
    };
    let policy = BASE64.decode(policy).map_err(|_| invalid("it is not base64"))?;
    let policy: Value = serde_json::from_slice(&policy).map_err(|error| invalid(&error.to_string()))?;
    let expiration = policy["expiration"].as_str().and_then(parse_iso);
    let expiration =
        expiration.ok_or_else(|| invalid("it has no expiration such as 2018-06-08T20:15:33Z"))?;
    if now > expiration {
        return Err(denied("Policy expired.".to_owned()));
    }
    let conditions = policy["conditions"].as_array().ok_or_else(|| invalid("it has no conditions"))?;
    let mut spoken_of = Vec::new();
    for condition in conditions {
        let mut tests: Vec<(String, String, String)> = Vec::new();
        match condition {
            Value::Object(equals) => {
                for (name, value) in equals {
                    let value = value.as_str().ok_or_else(|| invalid("a value is not text"))?;
                    tests.push(("eq".to_owned(), name.to_lowercase(), value.to_owned()));
                }
            }
            Value::Array(parts) => match &parts[..] {
                [Value::String(kind), least, most] if kind.eq_ignore_ascii_case("content-length-range") => {
                    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
                    let (Some(least), Some(most)) = (number(least), number(most)) else {
                        return Err(invalid("content-length-range has no two numbers"));
                    };
                    range = (range.0.max(least), range.1.min(most));
                }
                [Value::String(kind), Value::String(name), Value::String(value)] => {
                    let name = name
                        .strip_prefix('$')
                        .ok_or_else(|| invalid("a condition's field does not begin with $"))?;
                    tests.push((kind.to_lowercase(), name.to_lowercase(), value.clone()));
                }
                _ => return Err(invalid("a condition is none of eq, starts-with and content-length-range")),
            },
            _ => return Err(invalid("a condition is neither an object nor a list")),
        }
        for (kind, name, want) in tests {
            let value = fields.get(&name).map_or("", String::as_str);
            let holds = match &*kind {
                "eq" => value == want,
                "starts-with" => value.starts_with(&want),
                _ => return Err(invalid("a condition is none of eq, starts-with and content-length-range")),
            };
            if !holds {
                return Err(denied(format!(
                    "Policy Condition failed: [\"{kind}\", \"${name}\", \"{want}\"]"
                )));
            }
            spoken_of.push(name);
        }
    }
    let is_free = |name: &str| name == "bucket" || FREE.contains(&name) || name.starts_with("x-ignore-");
    match fields.keys().find(|name| !is_free(name) && !spoken_of.contains(name)) {
        Some(extra) => Err(denied(format!("Extra input fields: {extra}"))),
        None => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policy: &str, key: &str, want: std::result::Result<(u64, u64), ErrorCode>) {
        let fields =
            [("bucket", "b"), ("key", key), ("policy", &*BASE64.encode(policy)), ("x-amz-signature", "s")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let found = check_policy(&fields, parse_iso("2018-06-08T20:15:33Z").unwrap());
        assert_eq!(found.map_err(|error| error.code), want, "{policy}");
    }

    #[test]
    fn fields_must_be_those_of_the_policy() {
        let policy = |conditions: &str| {
            format!(r#"{{"expiration":"2018-06-08T20:15:33Z","conditions":[{conditions}]}}"#)
        };
        let by_prefix =
            policy(r#"{"bucket":"b"},["starts-with","$key","a/"],["content-length-range",1,"9"]"#);
        check(&by_prefix, "a/x", Ok((1, 9)));
        check(&by_prefix, "b/x", Err(ErrorCode::AccessDenied));
        check(&policy(r#"["eq","$Key","x"]"#), "x", Ok((0, MAX_BODY_BYTES)));
        check(&policy(r#"{"bucket":"c"},["eq","$key","x"]"#), "x", Err(ErrorCode::AccessDenied));
        check(&policy(r#"{"bucket":"b"}"#), "x", Err(ErrorCode::AccessDenied));
        check(&by_prefix.replace("33Z", "32Z"), "a/x", Err(ErrorCode::AccessDenied));
        for invalid in [
            "",
            "{}",
            r#"{"expiration":"2018-06-08T20:15:33Z"}"#,
            &policy("1"),
            &policy(r#"["ne","$key","x"]"#),
            &policy(r#"["eq","key","x"]"#),
        ] {
            check(invalid, "x", Err(ErrorCode::InvalidPolicyDocument));
        }
    }
}
