//! Signatures of requests, for servers with keys: creation and verification.
//!
//! | item | promise |
//! |---|---|
//! | [`Keys`] | the key pair that requests are signed with; also signs |
//! | [`Claim`] | the parsed signature of a request: known key, valid time; not verified yet |
//! | [`Proof`] | a verified signature; its properties of the body are still to be compared with the body |
//! | [`ChunkSignatures`] | the signatures of a body's chunks |
//! | [`Refusal`] | the reason for a refusal; each protocol has its own words for it |
//!
//! Version 4 is in the header `Authorization` or in the query; version 2 is supported for S3 only, whose clients still presign with it.
//! Signatures are compared in constant time. Nothing here knows services: the caller selects the [`Rules`].
//!
//! Sources: AWS's "Signature Version 4 signing process" and "Authenticating Requests (AWS Signature Version 4)" of S3, whose published
//! examples are tests, and "Signing and authenticating REST requests (AWS signature version 2)".

mod canonical;
mod chunks;
mod claim;
mod head;
mod keys;
mod mac;
mod policy;
mod proof;
mod refusal;
mod scope;
mod version_2;
mod version_4;

#[cfg(test)]
mod tests;

pub use chunks::ChunkSignatures;
pub use claim::Claim;
pub use head::{Head, Rules};
pub use keys::{Keys, date_of_now};
pub use proof::Proof;
pub use refusal::{Refusal, Why};
