//! Version 2 of S3: HMAC-SHA1 of a few headers, the path, and the parameters that select an operation.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use super::head::{Head, SKEW_SECONDS, decoded};
use super::keys::Keys;
use super::refusal::{Refusal, Why};
use crate::times::{iso, parse_http_date};

/// The signed parameters.
const SIGNED: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

#[derive(Debug)]
pub(super) struct Claim {
    pub(super) access: String,
    signature: String,
    /// The expiry of a presigned address, as written.
    expires: Option<String>,
}

impl Claim {
    /// Parses `KEY:SIGNATURE`.
    pub(super) fn of_header(head: &Head<'_>, fields: &str, now: u64) -> Result<Self, Refusal> {
        let malformed = |message: &str| Refusal::new(Why::Header, message);
        let (access, signature) = fields.split_once(':').ok_or_else(|| {
            malformed("AWS authorization header is invalid. Expected AwsAccessKeyId:signature")
        })?;
        let date = head.text("x-amz-date").or_else(|| head.text("date"));
        let then = date.and_then(parse_http_date);
        let then =
            then.ok_or_else(|| malformed("AWS authentication requires a valid Date or x-amz-date header"))?;
        if now.abs_diff(then) > SKEW_SECONDS {
            let message = "The difference between the request time and the current time is too large.";
            return Err(Refusal::new(Why::Skewed, message).with("RequestTime", date.unwrap_or_default()));
        }
        Ok(Self { access: access.to_owned(), signature: signature.to_owned(), expires: None })
    }

    pub(super) fn of_query(parameters: &[(String, String)], now: u64) -> Result<Self, Refusal> {
        // The signed text consists of lines; parameters with line breaks could give one request the text of another.
        if parameters.iter().any(|(name, value)| name.contains('\n') || value.contains('\n')) {
            return Err(Refusal::new(Why::Unusable, "a parameter has more than one line"));
        }
        let get = |name: &str| {
            let mut values =
                parameters.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone());
            let value = values.next().filter(|_| values.next().is_none());
            value.ok_or_else(|| {
                let message = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters";
                Refusal::new(Why::Expired, message)
            })
        };
        let (access, signature, expires) = (get("AWSAccessKeyId")?, get("Signature")?, get("Expires")?);
        let until: u64 = expires
            .parse()
            .map_err(|_| Refusal::new(Why::Expired, "Invalid date (should be seconds since epoch)"))?;
        if now > until {
            let time = |seconds: u64| iso(seconds.saturating_mul(1_000_000_000));
            let refusal = Refusal::new(Why::Expired, "Request has expired");
            return Err(refusal.with("Expires", time(until)).with("ServerTime", time(now)));
        }
        Ok(Self { access, signature, expires: Some(expires) })
    }

    /// Verifies the signature. `bucket` is the one that the host names.
    pub(super) fn check(&self, keys: &Keys, head: &Head<'_>, bucket: Option<&str>) -> Result<(), Refusal> {
        let path = head.uri.path();
        let text = self.text(head, bucket, path);
        if is_signed(keys.secret(), &text, &self.signature) {
            return Ok(());
        }
        // Some clients sign a bucket with a final slash, whether they send it or not.
        let is_bucket = bucket.is_none() && path.len() > 1 && !path[1..].contains('/');
        if is_bucket
            && is_signed(keys.secret(), &self.text(head, bucket, &format!("{path}/")), &self.signature)
        {
            return Ok(());
        }
        let refusal = Refusal::mismatch().with("AWSAccessKeyId", &self.access);
        Err(refusal.with("StringToSign", String::from_utf8_lossy(&text)))
    }

    fn text(&self, head: &Head<'_>, bucket: Option<&str>, path: &str) -> Vec<u8> {
        let parameters = head.parameters();
        // Presigned addresses carry headers of the request as parameters.
        let of_query = |name: &str| {
            let mut found = parameters.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            self.expires
                .as_ref()
                .and_then(|_| found.next())
                .map(|(_, value)| value.trim().as_bytes().to_vec())
        };
        let header = |name: &str| trimmed(head, name).or_else(|| of_query(name)).unwrap_or_default();
        let mut custom: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (name, value) in parameters.iter().filter(|_| self.expires.is_some()) {
            let name = name.to_ascii_lowercase();
            if name.starts_with("x-amz-") {
                custom.insert(name, value.trim().as_bytes().to_vec());
            }
        }
        for name in head.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
            custom.insert(name.as_str().to_owned(), trimmed(head, name.as_str()).unwrap_or_default());
        }
        let date = match &self.expires {
            Some(expires) => expires.as_bytes().to_vec(),
            None if custom.contains_key("x-amz-date") => Vec::new(),
            None => header("date"),
        };
        let mut text = head.method.as_str().as_bytes().to_vec();
        for line in [header("content-md5"), header("content-type"), date] {
            text.push(b'\n');
            text.extend(line);
        }
        text.push(b'\n');
        for (name, value) in custom {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend(value);
            text.push(b'\n');
        }
        if let Some(bucket) = bucket {
            text.extend_from_slice(format!("/{bucket}").as_bytes());
        }
        text.extend_from_slice(path.as_bytes());
        text.extend_from_slice(resources(head.uri.query().unwrap_or_default()).as_bytes());
        text
    }
}

/// The signed parameters, in their signed form.
fn resources(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (pair, None),
    });
    let mut pairs: Vec<(&str, Option<&str>)> = pairs.filter(|(name, _)| SIGNED.contains(name)).collect();
    pairs.sort_by_key(|(name, _)| *name);
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| match value {
            Some(value) => format!("{name}={}", String::from_utf8_lossy(&decoded(value))),
            None => name.to_owned(),
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// The values of a header, separated by commas.
fn trimmed(head: &Head<'_>, name: &str) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> =
        head.headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    (!values.is_empty()).then(|| values.join(&b','))
}

/// Whether a text has this signature, in base64. The comparison takes constant time.
pub(super) fn is_signed(secret: &str, text: &[u8], signature: &str) -> bool {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
    mac.update(text);
    BASE64.decode(signature).is_ok_and(|bytes| mac.verify_slice(&bytes).is_ok())
}
