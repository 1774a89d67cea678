//! Addresses in S3 as requests give them: `s3://bucket/key`, and the equivalent https URLs.

use std::fmt;

use thiserror::Error;

use crate::s3::Address;

/// A bucket, and a key or a prefix of keys in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct S3Uri {
    /// The bucket.
    pub bucket: String,
    /// The key, or the prefix of keys; may be empty.
    pub key: String,
}

/// An error in an address in S3.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("The S3 URI \"{0}\" is not valid: give s3://bucket/prefix")]
pub struct S3UriError(pub String);

impl S3Uri {
    /// Reads `s3://bucket/key`, `https://bucket.s3.region.amazonaws.com/key` or `https://s3.region.amazonaws.com/bucket/key`, each also
    /// with the older `s3-region`, with `dualstack`, and in China. Keys in https URLs are percent-encoded, as in every URL.
    ///
    /// # Errors
    /// If it is neither, or names no bucket.
    pub fn parse(uri: &str) -> Result<Self, S3UriError> {
        let invalid = || S3UriError(uri.to_owned());
        if let Some(rest) = uri.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            return Some(bucket)
                .filter(|bucket| !bucket.is_empty())
                .map(|_| Self::new(bucket, key))
                .ok_or_else(invalid);
        }
        let rest = uri.strip_prefix("https://").ok_or_else(invalid)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_of_s3(host) {
            return Err(invalid());
        }
        let Address { bucket, key } = Address::parse(Some(host), path).map_err(|_| invalid())?;
        Ok(Self { bucket: bucket.ok_or_else(invalid)?, key })
    }

    /// The address of this bucket and key.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }

    /// The address below this one, taken as a folder with or without a slash at its end.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        let slash = if self.key.is_empty() || self.key.ends_with('/') { "" } else { "/" };
        Self::new(self.bucket.clone(), format!("{}{slash}{path}", self.key))
    }
}

/// Whether a host is `s3.amazonaws.com`, or one of its regional and bucket-specific forms.
fn is_of_s3(host: &str) -> bool {
    let Some(host) = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))
    else {
        return false;
    };
    let mut ends = host.match_indices("s3").filter(|&(at, _)| at == 0 || host[..at].ends_with('.'));
    ends.any(|(at, _)| host[at + 2..].is_empty() || host[at + 2..].starts_with(['.', '-']))
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, want: &str) {
        let said = S3Uri::parse(uri).map_or_else(|_| "invalid".to_owned(), |uri| uri.to_string());
        assert_eq!(said, want, "{uri}");
    }

    #[test]
    fn every_form_names_bucket_and_key() {
        check("s3://b/a/b c%20", "s3://b/a/b c%20");
        check("s3://b", "s3://b/");
        check("s3://b//a", "s3://b//a");
        for host in ["s3", "s3.us-west-2", "s3-us-west-2", "s3.dualstack.us-west-2"]
            .map(|host| format!("{host}.amazonaws.com"))
        {
            check(&format!("https://{host}/my.bucket/a/b"), "s3://my.bucket/a/b");
            check(&format!("https://my.bucket.{host}/a%20b"), "s3://my.bucket/a b");
            check(&format!("https://my.bucket.{host}"), "s3://my.bucket/");
            check(&format!("https://{host}/"), "invalid");
        }
        check("https://b-1.s3.cn-north-1.amazonaws.com.cn/a", "s3://b-1/a");
        for uri in [
            "",
            "s3://",
            "s3:///a",
            "b/a",
            "http://s3.amazonaws.com/b",
            "https://example.com/b/a",
            "https://b.ec2.amazonaws.com/a",
        ] {
            check(uri, "invalid");
        }
    }

    #[test]
    fn a_prefix_is_a_folder_with_and_without_a_slash() {
        for (prefix, want) in [("", "s3://b/x"), ("a", "s3://b/a/x"), ("a/", "s3://b/a/x")] {
            assert_eq!(S3Uri::new("b", prefix).below("x").to_string(), want);
        }
    }
}
