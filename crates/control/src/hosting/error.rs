//! What can be wrong with a request about models, endpoint configurations and endpoints.

use thiserror::Error;

use crate::store::StoreError;

/// What can be wrong with a request.
#[derive(Debug, Error)]
pub enum HostingError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such thing.
    #[error("Could not find {noun} \"{arn}\".")]
    NotFound {
        /// `model`, `endpoint configuration`, `endpoint`.
        noun: &'static str,
        /// What was looked for.
        arn: String,
    },
    /// The name is taken.
    #[error("Cannot create already existing {noun} \"{arn}\".")]
    Exists {
        /// `model`, `endpoint configuration`, `endpoint`.
        noun: &'static str,
        /// The one that has the name.
        arn: String,
    },
    /// The endpoint is being created, updated or deleted.
    #[error("Cannot update in-progress endpoint \"{0}\".")]
    InProgress(String),
    /// What is asked for cannot be done with the endpoint.
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
