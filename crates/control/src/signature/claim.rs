//! The signature that a request claims, and its verification.

use axum::http::header;

use super::head::{Head, Rules};
use super::keys::Keys;
use super::mac::sha256;
use super::proof::Proof;
use super::refusal::{Refusal, Why};
use super::{version_2, version_4};

/// A signature with a known key and a valid time, not verified yet.
#[derive(Debug)]
pub struct Claim<'a> {
    keys: &'a Keys,
    head: Head<'a>,
    rules: Rules,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Version2(version_2::Claim),
    Version4(version_4::Claim),
}

impl<'a> Claim<'a> {
    /// Parses the signature of a request, at `now` seconds since 1970. A missing or unknown key is refused here, before the body is read.
    ///
    /// # Errors
    /// All except a wrong signature.
    pub fn of(keys: &'a Keys, head: Head<'a>, rules: Rules, now: u64) -> Result<Self, Refusal> {
        let parameters = head.parameters();
        let has = |name: &str| parameters.iter().any(|(known, _)| known == name);
        let in_header = head.headers.contains_key(header::AUTHORIZATION);
        let is_4 = has("X-Amz-Algorithm") || has("X-Amz-Signature") || has("X-Amz-Credential");
        let is_2 = rules == Rules::S3 && (has("AWSAccessKeyId") || has("Signature"));
        if usize::from(in_header) + usize::from(is_4) + usize::from(is_2) > 1 {
            let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or \
                           the Authorization header should be specified";
            return Err(Refusal::new(Why::Unusable, message));
        }
        let form = if is_4 {
            Form::Version4(version_4::Claim::of_query(&head, rules, &parameters, now)?)
        } else if is_2 {
            Form::Version2(version_2::Claim::of_query(&parameters, now)?)
        } else if in_header {
            let value = head.text("authorization").unwrap_or_default();
            match value.strip_prefix("AWS ") {
                Some(fields) if rules == Rules::S3 => {
                    Form::Version2(version_2::Claim::of_header(&head, fields, now)?)
                }
                _ => Form::Version4(version_4::Claim::of_header(&head, rules, value, now)?),
            }
        } else {
            return Err(Refusal::missing());
        };
        let access = match &form {
            Form::Version2(claim) => &claim.access,
            Form::Version4(claim) => &claim.access,
        };
        if access != keys.access() {
            return Err(Refusal::unknown_key(access));
        }
        Ok(Self { keys, head, rules, form })
    }

    /// Verifies the signature of a request with this body.
    ///
    /// # Errors
    /// If it is wrong.
    pub fn check(&self, body: &[u8]) -> Result<(), Refusal> {
        match &self.form {
            Form::Version4(claim) => {
                let payload = sha256(body);
                claim.check(self.keys, &self.head, self.rules, &payload).map(|_| ())
            }
            Form::Version2(_) => Err(Refusal::mismatch()),
        }
    }

    /// Verifies the signature of a request to S3, whose body has not arrived yet. `bucket` is the one that the host names.
    ///
    /// # Errors
    /// If it is wrong.
    pub fn prove(&self, bucket: Option<&str>) -> Result<Proof, Refusal> {
        match &self.form {
            Form::Version4(claim) => claim.prove(self.keys, &self.head),
            Form::Version2(claim) => claim.check(self.keys, &self.head, bucket).map(|()| Proof::default()),
        }
    }
}
