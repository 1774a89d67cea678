//! Signatures of version 4.

use super::canonical;
use super::chunks::ChunkSignatures;
use super::head::{Head, Rules, SKEW_SECONDS};
use super::keys::Keys;
use super::mac::{is_signed, sha256};
use super::proof::Proof;
use super::refusal::{Refusal, Why};
use super::scope::{ALGORITHM, Scope};
use crate::times::{iso, parse_iso};

/// The maximum validity of presigned addresses: a week.
const MAX_EXPIRES_SECONDS: u64 = 604_800;
const PAYLOAD: &str = "x-amz-content-sha256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_CHUNKS_AND_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

#[derive(Debug)]
pub(super) struct Claim {
    pub(super) access: String,
    scope: Scope,
    /// `20130524T000000Z`.
    date: String,
    signed_headers: Vec<String>,
    signature: String,
    /// The body hash in a presigned address.
    payload: Option<String>,
}

impl Claim {
    pub(super) fn of_header(head: &Head<'_>, rules: Rules, value: &str, now: u64) -> Result<Self, Refusal> {
        let fields = value.strip_prefix(ALGORITHM).and_then(|fields| fields.strip_prefix(' '));
        let fields = fields.ok_or_else(|| {
            malformed(&format!("Unsupported authorization type: {ALGORITHM} was expected."))
        })?;
        let [mut credential, mut signed_headers, mut signature] = [None; 3];
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').unwrap_or_default();
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(malformed("Authorization header has a field that is not known.")),
            };
            if place.replace(value).is_some() {
                return Err(malformed("Authorization header has a field twice."));
            }
        }
        let lacks = |name: &str| malformed(&format!("Authorization header requires '{name}' parameter."));
        let credential = credential.ok_or_else(|| lacks("Credential"))?;
        let signature = signature.ok_or_else(|| lacks("Signature"))?;
        let signed_headers = signed_headers.ok_or_else(|| lacks("SignedHeaders"))?;
        let date = head.text("x-amz-date").or_else(|| head.text("date"));
        let date = date.ok_or_else(|| {
            malformed("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        })?;
        let (access, scope) = Scope::parse(credential).ok_or_else(|| {
            malformed("The credential is mal-formed; KEY/DATE/REGION/SERVICE/aws4_request was expected.")
        })?;
        let then = seconds(date)
            .ok_or_else(|| malformed("Date must be in ISO-8601 'basic format', such as 20130524T000000Z."))?;
        let claim = Self {
            access,
            scope,
            date: date.to_owned(),
            signed_headers: names(signed_headers)
                .ok_or_else(|| malformed("SignedHeaders cannot be read."))?,
            signature: signature.to_owned(),
            payload: None,
        };
        claim.check_form(head, rules, malformed)?;
        if now.abs_diff(then) > SKEW_SECONDS {
            let message = "The difference between the request time and the current time is too large.";
            let refusal = Refusal::new(Why::Skewed, message).with("RequestTime", date);
            let refusal = refusal.with("ServerTime", iso(now.saturating_mul(1_000_000_000)));
            return Err(refusal.with("MaxAllowedSkewMilliseconds", (SKEW_SECONDS * 1000).to_string()));
        }
        Ok(claim)
    }

    pub(super) fn of_query(
        head: &Head<'_>,
        rules: Rules,
        parameters: &[(String, String)],
        now: u64,
    ) -> Result<Self, Refusal> {
        let find = |name: &str| {
            let mut values =
                parameters.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
            let value = values.next();
            if values.next().is_some() {
                Err(unreadable(&format!("{name} is given twice")))
            } else {
                Ok(value)
            }
        };
        let get = |name: &str| {
            find(name)?.ok_or_else(|| {
                unreadable("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
            })
        };
        if get("X-Amz-Algorithm")? != ALGORITHM {
            return Err(unreadable("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let (access, scope) = Scope::parse(get("X-Amz-Credential")?).ok_or_else(|| {
            unreadable(
                "Error parsing the X-Amz-Credential parameter; KEY/DATE/REGION/SERVICE/aws4_request was expected",
            )
        })?;
        let date = get("X-Amz-Date")?;
        let then = seconds(date).ok_or_else(|| {
            unreadable("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        })?;
        let expires = get("X-Amz-Expires")?;
        let expires: u64 = expires.parse().map_err(|_| unreadable("X-Amz-Expires should be a number"))?;
        if expires > MAX_EXPIRES_SECONDS {
            return Err(unreadable(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
            ));
        }
        let claim = Self {
            access,
            scope,
            date: date.to_owned(),
            signed_headers: names(get("X-Amz-SignedHeaders")?)
                .ok_or_else(|| unreadable("X-Amz-SignedHeaders cannot be read"))?,
            signature: get("X-Amz-Signature")?.to_owned(),
            payload: Some(payload_of_query(head, find("X-Amz-Content-Sha256")?)?),
        };
        claim.check_form(head, rules, unreadable)?;
        if then > now + SKEW_SECONDS {
            return Err(Refusal::new(Why::Expired, "Request is not yet valid").with("X-Amz-Date", date));
        }
        if now > then + expires {
            let time = |seconds: u64| iso(seconds.saturating_mul(1_000_000_000));
            let refusal =
                Refusal::new(Why::Expired, "Request has expired").with("X-Amz-Expires", expires.to_string());
            return Err(refusal.with("Expires", time(then + expires)).with("ServerTime", time(now)));
        }
        Ok(claim)
    }

    /// Checks the rules that are common to headers and presigned addresses.
    fn check_form(&self, head: &Head<'_>, rules: Rules, refuse: fn(&str) -> Refusal) -> Result<(), Refusal> {
        if self.date.get(..8) != Some(&self.scope.day) {
            return Err(refuse("Invalid credential date: it is not that of the request."));
        }
        if rules == Rules::S3 && self.scope.service != "s3" {
            return Err(refuse(&format!(
                "incorrect service \"{}\". This endpoint belongs to \"s3\".",
                self.scope.service
            )));
        }
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !is_signed("host") {
            return Err(refuse("Host must be a signed header."));
        }
        // With unsigned headers, the holder of a presigned address could turn it into another request, such as a copy of any object. The
        // body's hash is signed anyway.
        let mut names = head.headers.keys().map(|name| name.as_str());
        let unsigned = names.find(|name| name.starts_with("x-amz-") && *name != PAYLOAD && !is_signed(name));
        match unsigned {
            Some(name) => {
                let message = "There were headers present in the request which were not signed";
                Err(Refusal::new(Why::Unusable, message).with("HeadersNotSigned", name))
            }
            None => Ok(()),
        }
    }

    /// Verifies the signature; returns the key that it was made with.
    pub(super) fn check(
        &self,
        keys: &Keys,
        head: &Head<'_>,
        rules: Rules,
        payload: &str,
    ) -> Result<Vec<u8>, Refusal> {
        let names: Vec<&str> = self.signed_headers.iter().map(String::as_str).collect();
        let request = canonical::request(head, rules, &names, payload);
        let text = self.scope.string_to_sign(ALGORITHM, &self.date, &sha256(&request));
        let key = keys.signing_key(&self.scope);
        if is_signed(&key, &text, &self.signature) {
            return Ok(key);
        }
        let refusal = Refusal::mismatch().with("AWSAccessKeyId", &self.access).with("StringToSign", text);
        Err(refusal
            .with("SignatureProvided", &self.signature)
            .with("CanonicalRequest", String::from_utf8_lossy(&request)))
    }

    pub(super) fn prove(&self, keys: &Keys, head: &Head<'_>) -> Result<Proof, Refusal> {
        let payload = match &self.payload {
            Some(payload) => payload.as_str(),
            None => head.text(PAYLOAD).ok_or_else(|| {
                Refusal::new(Why::Unusable, format!("Missing required header for this request: {PAYLOAD}"))
            })?,
        };
        let key = self.check(keys, head, Rules::S3, payload)?;
        let has_trailer = payload == SIGNED_CHUNKS_AND_TRAILER;
        match payload {
            UNSIGNED | UNSIGNED_CHUNKS => Ok(Proof::default()),
            SIGNED_CHUNKS | SIGNED_CHUNKS_AND_TRAILER => {
                let chunks = ChunkSignatures::new(key, &self.date, &self.scope, &self.signature, has_trailer);
                Ok(Proof { chunks: Some(chunks), sha256: None })
            }
            _ if payload.starts_with("STREAMING-") => {
                Err(Refusal::new(Why::Unusable, format!("{PAYLOAD}: {payload} is not offered")))
            }
            hash => Ok(Proof { sha256: Some(hash.to_ascii_lowercase()), chunks: None }),
        }
    }
}

/// The body hash in a presigned address, or otherwise in the header.
fn payload_of_query(head: &Head<'_>, in_query: Option<&str>) -> Result<String, Refusal> {
    let in_header = head.headers.contains_key(PAYLOAD).then(|| head.text(PAYLOAD).unwrap_or_default());
    match (in_query, in_header) {
        (Some(query), Some(header)) if query != header => {
            Err(unreadable("the header x-amz-content-sha256 is not that of the query"))
        }
        (Some(query), None) if query.starts_with("STREAMING-") => {
            Err(unreadable("a body in chunks needs the header x-amz-content-sha256"))
        }
        (query, header) => Ok(query.or(header).unwrap_or(UNSIGNED).to_owned()),
    }
}

/// Names of headers, unique and sorted, so that the signed text is no longer than the request.
fn names(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let is_name = |name: &String| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    (names.iter().all(is_name) && names.is_sorted_by(|a, b| a < b)).then_some(names)
}

/// `20130524T000000Z` in seconds since 1970.
fn seconds(date: &str) -> Option<u64> {
    (date.len() == 16).then(|| parse_iso(date)).flatten()
}

fn malformed(message: &str) -> Refusal {
    Refusal::new(Why::Header, message)
}

fn unreadable(message: &str) -> Refusal {
    Refusal::new(Why::Parameters, message)
}
