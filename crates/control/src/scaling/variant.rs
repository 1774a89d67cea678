//! Names of variants in Application Auto Scaling.

use std::fmt;

/// A variant of an endpoint: `endpoint/<endpoint>/variant/<variant>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VariantId {
    /// The endpoint's name.
    pub endpoint: String,
    /// The variant's name.
    pub variant: String,
}

impl VariantId {
    /// Parses a `ResourceId`; `None` if it names another resource.
    pub fn parse(text: &str) -> Option<Self> {
        let (endpoint, variant) = text.strip_prefix("endpoint/")?.split_once("/variant/")?;
        let is_name = |name: &str| !name.is_empty() && !name.contains('/');
        let id = Self { endpoint: endpoint.to_owned(), variant: variant.to_owned() };
        (is_name(endpoint) && is_name(variant)).then_some(id)
    }
}

impl fmt::Display for VariantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "endpoint/{}/variant/{}", self.endpoint, self.variant)
    }
}
