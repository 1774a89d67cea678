//! The scope of a signature of version 4: a day, a region, a service.

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The scope of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) day: String,
    pub(super) region: String,
    pub(super) service: String,
}

impl Scope {
    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }

    pub(super) fn string_to_sign(&self, algorithm: &str, date: &str, rest: &str) -> String {
        format!("{algorithm}\n{date}\n{}\n{rest}", self.text())
    }

    /// Parses the access key and scope of `KEY/DAY/REGION/SERVICE/aws4_request`.
    pub(super) fn parse(credential: &str) -> Option<(String, Self)> {
        let mut parts = credential.rsplitn(5, '/');
        let is_request = parts.next() == Some("aws4_request");
        let (service, region, day, access) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_whole = is_request && [service, region, access].iter().all(|part| !part.is_empty());
        let is_day = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
        let scope = Self { day: day.to_owned(), region: region.to_owned(), service: service.to_owned() };
        (is_whole && is_day).then(|| (access.to_owned(), scope))
    }
}
