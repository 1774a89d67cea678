//! The domains that AWS's clients send requests to.

/// The domains of AWS's services in all partitions that SageMaker's clients know.
pub(crate) const DOMAINS: [&str; 5] =
    ["amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn", "sagemaker.aws"];

/// Whether a host, without port and in lower case, belongs to one of these domains.
pub(crate) fn is_aws(host: &str) -> bool {
    DOMAINS.iter().any(|domain| is_in(host, domain))
}

/// Whether a host is a domain or belongs to it.
pub(crate) fn is_in(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}
