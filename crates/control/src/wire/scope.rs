//! The credential scope of a signature: the region and service that the client signed for.

use axum::http::header;
use axum::http::request::Parts;

/// Longest name of a region or service.
const LONGEST_NAME: usize = 40;

/// The scope in a request's signature; it is not verified here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// `us-west-2`.
    pub region: Option<String>,
    /// `sagemaker`, `s3`, `sts`.
    pub service: Option<String>,
}

impl Scope {
    /// The scope in the header `Authorization` or in the query of a presigned address; empty if there is none.
    pub fn of(head: &Parts) -> Self {
        let header = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let query = head.uri.query().unwrap_or_default();
        header
            .and_then(|text| text.split_once("Credential="))
            .and_then(|(_, rest)| Self::parse(rest.split([',', ' ']).next()?, "/"))
            .or_else(|| {
                let credential = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?;
                let divider = if credential.contains('/') { "/" } else { "%2F" };
                Self::parse(credential, divider)
            })
            .unwrap_or_default()
    }

    /// Parses `KEY/DATE/REGION/SERVICE/aws4_request`.
    fn parse(credential: &str, divider: &str) -> Option<Self> {
        let mut parts = credential.rsplit(divider).skip(1);
        let (service, region) = (parts.next()?, parts.next()?);
        Some(Self { region: name(region), service: name(service) })
    }
}

fn name(text: &str) -> Option<String> {
    let is_name = |text: &str| text.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric());
    (!text.is_empty() && text.len() <= LONGEST_NAME && is_name(text)).then(|| text.to_ascii_lowercase())
}
