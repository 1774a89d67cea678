//! Errors in requests about models, endpoint configurations and endpoints.

use thiserror::Error;

use crate::store::StoreError;

/// An error in such a request.
#[derive(Debug, Error)]
pub enum HostingError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such resource.
    #[error("Could not find {noun} \"{arn}\".")]
    NotFound {
        /// `model`, `endpoint configuration`, `endpoint`.
        noun: &'static str,
        /// The ARN that was looked for.
        arn: String,
    },
    /// The name is taken.
    #[error("Cannot create already existing {noun} \"{arn}\".")]
    Exists {
        /// `model`, `endpoint configuration`, `endpoint`.
        noun: &'static str,
        /// The resource that has the name.
        arn: String,
    },
    /// The endpoint is being created, updated or deleted.
    #[error("Cannot update in-progress endpoint \"{0}\".")]
    InProgress(String),
    /// The endpoint does not allow the requested change.
    #[error("{0}")]
    Refused(String),
    /// The machine would have too much to do.
    #[error("{0}")]
    Limit(String),
}

impl From<rusqlite::Error> for HostingError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
