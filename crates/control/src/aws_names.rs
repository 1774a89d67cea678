//! The domains that AWS's clients send requests to.

/// Domains of AWS's services, of all its partitions that SageMaker's clients know.
pub(crate) const DOMAINS: [&str; 5] =
    ["amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn", "sagemaker.aws"];

/// Whether a host, without port and in lower case, is in one of them.
pub(crate) fn is_aws(host: &str) -> bool {
    DOMAINS.iter().any(|domain| is_in(host, domain))
}

/// Whether a host is a domain, or in it.
pub(crate) fn is_in(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}
