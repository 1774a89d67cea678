//! S3, as far as boto3, s3transfer, s3fs, SageMaker's SDKs and the AWS CLI use it.
//!
//! | item | promise |
//! |---|---|
//! | [`Store`] | buckets and objects in a folder, as plain files named by their keys; independent of HTTP |
//! | [`router`] | the protocol in front of a store, with bodies streamed and counted in a budget |
//! | [`S3Site`] | the server shell's errors, in S3's XML |
//! | [`bucket_of_host`] | for servers with other services on the same port |
//!
//! An object is acknowledged when it and its record are on disk. The operations of [`Store`] block on the disk: call them on a suitable
//! thread. Parsers of clients' data ([`AwsChunked`], [`Element`], [`FormData`]) are public for fuzzing.

mod address;
mod aws_chunked;
mod checksums;
mod conditions;
mod error;
mod folders;
mod form_data;
mod http;
mod keys;
mod listing;
mod multipart;
mod names;
mod record;
mod staging;
mod store;
mod walk;
mod xml;

#[cfg(test)]
mod tests;

pub use address::bucket_of_host;
pub(crate) use address::{Address, Query, encode_key};
pub use aws_chunked::AwsChunked;
pub use checksums::{Algorithm, Checksum, ChecksumType, Digests};
pub use error::{ErrorCode, Result, S3Error};
pub use folders::Moved;
pub(crate) use folders::{path_below, plain_path};
pub use form_data::{FormData, Piece};
pub use http::{S3Site, Settings, router};
pub use listing::{ListRequest, Listing, MAX_KEYS};
pub use multipart::{ListedPart, ListedParts, MAX_PARTS, Part, Upload};
pub use record::{Description, Record};
pub use staging::{Staged, Staging};
pub use store::{Bucket, Object, OpenError, Store, WriteCondition};
pub use xml::Element;
