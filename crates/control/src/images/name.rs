//! Names of images.

use std::fmt;

/// The tag of a name without a tag, and the fallback for every other tag.
const LATEST: &str = "latest";

/// A name without the registry of ECR, whose account and region vary, and without a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// `my-algo`, `team/my-algo`, `example.com/my-algo`.
    pub repository: String,
    /// The tag; `latest` if none is given.
    pub tag: String,
}

impl ImageName {
    /// Reads `my-algo`, `my-algo:1`, `000000000000.dkr.ecr.us-east-1.amazonaws.com/my-algo:1` or the like.
    pub fn parse(name: &str) -> Self {
        let name = match name.split_once('/') {
            Some((host, rest)) if is_ecr(host) => rest,
            _ => name,
        };
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        // The colon of a port comes before a slash.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') && !tag.is_empty() => (repository, tag),
            _ => (name, LATEST),
        };
        Self { repository: repository.to_owned(), tag: tag.to_owned() }
    }

    /// Whether it stands for every tag of its repository that has no image of its own.
    pub fn is_latest(&self) -> bool {
        self.tag == LATEST
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// Whether a host is `<account>.dkr.ecr.<region>.amazonaws.com`, also with `-fips` and in China.
pub(crate) fn is_ecr(host: &str) -> bool {
    let mut parts = host.split('.');
    let account = parts.next().unwrap_or_default();
    account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && parts.next() == Some("dkr")
        && parts.next().is_some_and(|part| part.starts_with("ecr"))
        && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}
