//! Signatures of requests, for servers that are given keys: made, and verified.
//!
//! | item | promise |
//! |---|---|
//! | [`Keys`] | the one pair of keys that requests are signed with; signs, too |
//! | [`Claim`] | what a request's head says of its signature: known key, right time; its signature is not compared yet |
//! | [`Proof`] | the signature is right; what it says of the body is still to be held against the body |
//! | [`ChunkSignatures`] | the signatures of a body's chunks |
//! | [`Refusal`] | why not; each protocol has its own words for it |
//!
//! Version 4 stands in the header `Authorization` or in the query; version 2 is known for S3 only, whose clients still presign with it.
//! Signatures are compared in constant time. Nothing here knows services: which [`Rules`] hold is the caller's affair.
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
