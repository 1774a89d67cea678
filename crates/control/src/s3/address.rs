//! The bucket and key of a request, from its host and path, and its query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error::{ErrorCode, Result, S3Error};
use super::names::check_bucket;

/// The bytes that S3 does not encode when it percent-encodes keys.
const KEPT_IN_KEYS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b'*');

/// A bucket, and a key in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// None for the list of all buckets.
    pub(crate) bucket: Option<String>,
    /// Empty for the bucket itself.
    pub(crate) key: String,
}

impl Address {
    /// Reads host and path.
    ///
    /// # Errors
    /// `InvalidURI` if the path is not percent-encoded UTF-8.
    pub(crate) fn parse(host: Option<&str>, path: &str) -> Result<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        if let Some(bucket) = host.and_then(bucket_of_host) {
            return Ok(Self { bucket: Some(bucket.to_owned()), key: decode(path)? });
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let bucket = decode(bucket)?;
        Ok(Self { bucket: (!bucket.is_empty()).then_some(bucket), key: decode(key)? })
    }
}

/// The bucket in a host: `<bucket>.localhost`, `<bucket>.s3.<region>.amazonaws.com` and its older forms.
pub fn bucket_of_host(host: &str) -> Option<&str> {
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(host, _)| host);
    let host = host.strip_suffix('.').unwrap_or(host);
    let bucket = match host.strip_suffix(".localhost") {
        Some(bucket) => bucket.strip_suffix(".s3").unwrap_or(bucket),
        None => {
            let host =
                host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
            // A region follows the service, optionally with `dualstack` before it.
            let ends = host.match_indices(".s3").map(|(at, _)| at);
            let end = ends
                .filter(|&at| host[at + 3..].is_empty() || host[at + 3..].starts_with(['.', '-']))
                .last()?;
            &host[..end]
        }
    };
    (bucket != "s3" && check_bucket(bucket).is_ok()).then_some(bucket)
}

/// Decodes percent-encoding.
pub(crate) fn decode(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| {
        S3Error::new(
            ErrorCode::InvalidURI,
            "Couldn't parse the specified URI: it is not percent-encoded UTF-8.",
        )
    })
}

/// Percent-encodes a key for a list.
pub(crate) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, KEPT_IN_KEYS).to_string()
}

/// The parameters of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    /// Parses the text after the `?`.
    ///
    /// # Errors
    /// `InvalidURI` if it is not percent-encoded UTF-8.
    pub(crate) fn parse(query: &str) -> Result<Self> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        });
        Ok(Self { parameters: pairs.collect::<Result<_>>()? })
    }

    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, ignoring the case of its name.
    pub(crate) fn get_any_case(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether the parameter exists, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, path: &str, bucket: Option<&str>, key: &str) {
        let found = Address::parse(Some(host), path).unwrap();
        assert_eq!((found.bucket.as_deref(), &*found.key), (bucket, key));
    }

    #[test]
    fn buckets_stand_in_paths_or_hosts() {
        for host in [
            "127.0.0.1:4510",
            "localhost",
            "localhost:80",
            "s3.us-west-2.amazonaws.com",
            "s3.amazonaws.com",
            "[::1]:80",
            "s3.localhost",
        ] {
            check(host, "/", None, "");
            check(host, "/bucket", Some("bucket"), "");
            check(host, "/bucket/", Some("bucket"), "");
            check(host, "/bucket/a/b%20%C3%BC+%2F%00", Some("bucket"), "a/b ü+/\0");
            check(host, "/bucket//a/../b//", Some("bucket"), "/a/../b//");
        }
        for host in [
            "my.bucket.localhost:4510",
            "my.bucket.s3.localhost",
            "my.bucket.s3.amazonaws.com",
            "my.bucket.s3.us-west-2.amazonaws.com",
            "my.bucket.s3-us-west-2.amazonaws.com",
            "my.bucket.s3.dualstack.us-west-2.amazonaws.com",
            "my.bucket.s3.cn-north-1.amazonaws.com.cn",
        ] {
            check(host, "/", Some("my.bucket"), "");
            check(host, "//a", Some("my.bucket"), "/a");
        }
        check("a.s3.b.s3.eu-west-1.amazonaws.com", "/x", Some("a.s3.b"), "x");
        assert_eq!(Address::parse(None, "/b%FF/x").unwrap_err().code, ErrorCode::InvalidURI);
    }

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("prefix=a%2Fb+c&uploads&x=1=2&").unwrap();
        assert_eq!(query.get("prefix"), Some("a/b c"));
        assert!(query.has("uploads") && !query.has("upload"));
        assert_eq!((query.get("x"), query.get_any_case("X")), (Some("1=2"), Some("1=2")));
        assert_eq!(encode_key("a b/ü+*.~\0"), "a%20b/%C3%BC%2B*.%7E%00");
    }
}
