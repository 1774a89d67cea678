//! Authentication of requests. A server without keys parses signatures but does not compare them: it listens on the loopback, and clients
//! have arbitrary keys. The expiry of a presigned URL is always checked.

use axum::http::{HeaderMap, Method, header};

use super::service::Call;
use crate::s3::address::{Query, bucket_of_host};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::signature::{Claim, Head, Proof, Refusal, Rules, Why};
use crate::times::{iso, now_seconds, parse_iso};

/// The maximum validity of presigned URLs: a week.
const MAX_EXPIRES_SECONDS: u64 = 604_800;
const SECOND_NS: u64 = 1_000_000_000;

/// The result of authenticating the head.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// The request is allowed: it is signed with the keys, or the server has none.
    Allowed(Box<Proof>),
    /// An HTML form, whose fields contain the signature.
    ByForm,
}

/// Compares the signature of a request.
///
/// # Errors
/// As S3 errors.
pub(super) fn check(call: &Call) -> Result<Asked> {
    let Some(keys) = &call.service.settings.keys else {
        check_presence(&call.headers, &call.query)?;
        return Ok(Asked::Allowed(Box::default()));
    };
    let head = Head { method: &call.method, uri: &call.uri, headers: &call.headers };
    let claim = match Claim::of(keys, head, Rules::S3, now_seconds()) {
        Err(refusal) if refusal.why == Why::Missing && is_form(call) => return Ok(Asked::ByForm),
        claim => claim.map_err(refused)?,
    };
    let host = call.header("host").or_else(|| call.uri.host());
    let proof = claim.prove(host.and_then(bucket_of_host)).map_err(refused)?;
    Ok(Asked::Allowed(Box::new(proof)))
}

fn is_form(call: &Call) -> bool {
    let content_type = call.header("content-type").unwrap_or_default().to_ascii_lowercase();
    call.method == Method::POST
        && call.address.bucket.is_some()
        && call.address.key.is_empty()
        && call.query == Query::default()
        && content_type.starts_with("multipart/form-data")
}

/// Turns a refusal into an S3 error.
pub(super) fn refused(refusal: Refusal) -> S3Error {
    let Refusal { why, message, details } = refusal;
    let (code, message) = match why {
        Why::Missing => (ErrorCode::AccessDenied, "Access Denied".to_owned()),
        Why::Header => (ErrorCode::AuthorizationHeaderMalformed, message),
        Why::Parameters => (ErrorCode::AuthorizationQueryParametersError, message),
        Why::UnknownKey => (ErrorCode::InvalidAccessKeyId, message),
        Why::Mismatch => (ErrorCode::SignatureDoesNotMatch, message),
        Why::Skewed => (ErrorCode::RequestTimeTooSkewed, message),
        Why::Expired => (ErrorCode::AccessDenied, message),
        Why::Unusable if details.iter().any(|(name, _)| *name == "HeadersNotSigned") => {
            (ErrorCode::AccessDenied, message)
        }
        Why::Unusable => (ErrorCode::InvalidRequest, message),
    };
    S3Error { code, message, details }
}

/// Checks the form of the signature, and the expiry of presigned URLs.
fn check_presence(headers: &HeaderMap, query: &Query) -> Result<()> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        check_header(value.to_str().unwrap_or_default())?;
    }
    check_expiry(query, now_seconds())
}

fn check_header(value: &str) -> Result<()> {
    let Some(fields) = value.strip_prefix("AWS4-HMAC-SHA256 ") else {
        // Version 2, which is `AWS KEY:SIGNATURE`, and asymmetric signatures.
        if value.starts_with("AWS ") || value.starts_with("AWS4-ECDSA-P256-SHA256 ") {
            return Ok(());
        }
        return Err(S3Error::argument("Authorization", value, "Unsupported Authorization Type"));
    };
    let credential = fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="));
    if credential.is_some_and(|credential| scope(credential).is_some()) {
        return Ok(());
    }
    let message =
        "The authorization header is malformed; Credential=KEY/DATE/REGION/SERVICE/aws4_request was expected";
    Err(S3Error::new(ErrorCode::AuthorizationHeaderMalformed, message))
}

/// Region and service of a credential.
fn scope(credential: &str) -> Option<(&str, &str)> {
    let mut parts = credential.rsplit('/');
    let is_request = parts.next() == Some("aws4_request");
    let (service, region) = (parts.next()?, parts.next()?);
    parts.next()?;
    parts.next()?;
    is_request.then_some((region, service))
}

fn check_expiry(query: &Query, now: u64) -> Result<()> {
    let until = if query.get_any_case("X-Amz-Algorithm").is_some() {
        let get = |name: &str| {
            query.get_any_case(name).ok_or_else(|| {
                malformed("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
            })
        };
        let (date, expires, credential) =
            (get("X-Amz-Date")?, get("X-Amz-Expires")?, get("X-Amz-Credential")?);
        if scope(credential).is_none() {
            return Err(malformed(
                "Error parsing the X-Amz-Credential parameter; KEY/DATE/REGION/SERVICE/aws4_request was expected",
            ));
        }
        let date = parse_iso(date).ok_or_else(|| {
            malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        })?;
        let expires: u64 = expires.parse().map_err(|_| malformed("X-Amz-Expires should be a number"))?;
        if expires > MAX_EXPIRES_SECONDS {
            return Err(malformed(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
            ));
        }
        date + expires
    } else if query.has("AWSAccessKeyId") && query.has("Signature") {
        let expires = query.get("Expires").and_then(|expires| expires.parse().ok());
        expires.ok_or_else(|| {
            S3Error::new(ErrorCode::AccessDenied, "Invalid date (should be seconds since epoch)")
        })?
    } else {
        return Ok(());
    };
    if now <= until {
        return Ok(());
    }
    let error = S3Error::new(ErrorCode::AccessDenied, "Request has expired");
    let time = |seconds: u64| iso(seconds.saturating_mul(SECOND_NS));
    Err(error.with("Expires", time(until)).with("ServerTime", time(now)))
}

fn malformed(message: &str) -> S3Error {
    S3Error::new(ErrorCode::AuthorizationQueryParametersError, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: u64 = 1_528_488_933;

    #[track_caller]
    fn check(query: &str, later: u64, want: Option<ErrorCode>) {
        let found = check_expiry(&Query::parse(query).unwrap(), DATE + later);
        assert_eq!(found.err().map(|error| error.code), want, "{query}");
    }

    #[test]
    fn presigned_urls_hold_for_as_long_as_they_say() {
        let signed = |expires: &str| {
            format!(
                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k%2F20180608%2Fus-east-1%2Fs3%2Faws4_request&\
                 X-Amz-Date=20180608T201533Z&X-Amz-Expires={expires}&X-Amz-Signature=0"
            )
        };
        check("list-type=2", 0, None);
        check(&signed("60"), 60, None);
        check(&signed("60"), 61, Some(ErrorCode::AccessDenied));
        for expires in ["", "x", "604801"] {
            check(&signed(expires), 0, Some(ErrorCode::AuthorizationQueryParametersError));
        }
        check("X-Amz-Algorithm=AWS4-HMAC-SHA256", 0, Some(ErrorCode::AuthorizationQueryParametersError));
        let second = format!("AWSAccessKeyId=k&Signature=s&Expires={}", DATE + 60);
        check(&second, 60, None);
        check(&second, 61, Some(ErrorCode::AccessDenied));
        check("AWSAccessKeyId=k&Signature=s", 0, Some(ErrorCode::AccessDenied));
    }

    #[test]
    fn headers_must_have_the_form_of_a_signature() {
        let signed = "AWS4-HMAC-SHA256 Credential=a/b/20180608/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        for value in [signed, "AWS key:signature"] {
            check_header(value).unwrap();
        }
        assert_eq!(scope("a/b/20180608/us-east-1/s3/aws4_request"), Some(("us-east-1", "s3")));
        for value in ["AWS4-HMAC-SHA256 Credential=a/b", "AWS4-HMAC-SHA256 x", "Bearer x"] {
            assert!(check_header(value).is_err(), "{value}");
        }
    }
}
