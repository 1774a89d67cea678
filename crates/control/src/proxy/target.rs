//! The target of a `CONNECT`, and how it is handled.

use std::fmt::{self, Display};

use axum::http::Uri;

use crate::aws_names::is_aws;

/// The port of HTTPS.
const HTTPS: u16 = 443;

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// In lower case, without a final dot; an IPv6 address has no brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// How a connection is handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is served here.
    Here,
    /// It is forwarded.
    Elsewhere,
    /// It is refused, for this reason.
    Refused(String),
}

impl Target {
    /// Parses the target of a request, `host:port`.
    ///
    /// # Errors
    /// The expected form, as human-readable text.
    pub(super) fn parse(uri: &Uri) -> Result<Self, String> {
        let expected = || "CONNECT needs a host and a port, such as CONNECT s3.us-east-1.amazonaws.com:443";
        let authority = uri.authority().filter(|_| uri.scheme().is_none()).ok_or_else(expected)?;
        let port = authority.port_u16().filter(|port| *port != 0).ok_or_else(expected)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(expected().to_owned());
        }
        Ok(Self { host, port })
    }

    /// Decides how the connection is handled; `passes_on` says whether hosts other than AWS's may be reached through this server.
    pub(super) fn choose(&self, passes_on: bool) -> Choice {
        match (is_aws(&self.host), self.port) {
            (true, HTTPS) => Choice::Here,
            // Credentials for this server must not reach AWS through an unusual port.
            (true, port) => Choice::Refused(format!(
                "of {} this server answers port {HTTPS}, not {port}; and nothing that is for AWS is passed on",
                self.host
            )),
            (false, _) if passes_on => Choice::Elsewhere,
            (false, _) => Choice::Refused(format!(
                "{self} is not an address of AWS; a local SageMaker that other machines reach passes nothing on. Name the host in NO_PROXY"
            )),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(&str, u16)>) {
        let found = text.parse::<Uri>().ok().and_then(|uri| Target::parse(&uri).ok());
        assert_eq!(found.as_ref().map(|target| (&*target.host, target.port)), want, "{text}");
    }

    #[test]
    fn targets_have_a_host_and_a_port() {
        check("S3.Us-East-1.amazonaws.com:443", Some(("s3.us-east-1.amazonaws.com", 443)));
        check("pypi.org.:443", Some(("pypi.org", 443)));
        check("[::1]:8080", Some(("::1", 8080)));
        for text in ["pypi.org", "pypi.org:0", "pypi.org:65536", ":443", "user@pypi.org:443", "/", "*"] {
            check(text, None);
        }
        check("https://pypi.org:443/", None);
    }

    #[test]
    fn aws_is_served_here_and_others_are_passed_on_or_refused() {
        let choose = |host: &str, port, passes_on| Target { host: host.to_owned(), port }.choose(passes_on);
        for host in [
            "sts.us-west-2.amazonaws.com",
            "my.bucket.s3.cn-north-1.amazonaws.com.cn",
            "s3.us-west-2.api.aws",
            "us-west-2.experiments.sagemaker.aws",
            "amazonaws.com",
        ] {
            for passes_on in [false, true] {
                assert_eq!(choose(host, 443, passes_on), Choice::Here, "{host}");
                assert!(matches!(choose(host, 80, passes_on), Choice::Refused(_)), "{host}");
            }
        }
        for host in ["pypi.org", "amazonaws.com.evil.example", "notamazonaws.com", "127.0.0.1", "::1"] {
            assert_eq!(choose(host, 443, true), Choice::Elsewhere, "{host}");
            assert!(matches!(choose(host, 443, false), Choice::Refused(_)), "{host}");
        }
    }
}
