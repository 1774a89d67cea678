//! Records: the metadata of objects.
//!
//! The bytes and the record are two files, which no system replaces together. So a record names the file that it belongs to, by size and
//! time, and while an object is replaced the file of records holds both the old and the new one. Whichever file of bytes exists, its record
//! exists too. A file that someone added or changed by hand has no record, and is an object all the same.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use super::checksums::{Checksum, hex};
use crate::times::ns_of;

/// The type of objects that were stored without one.
pub(crate) const DEFAULT_TYPE: &str = "binary/octet-stream";

/// The metadata of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Size in bytes.
    pub size: u64,
    /// Time of storing, in nanoseconds since 1970; equal to the time of its file.
    pub modified_ns: u64,
    /// The ETag, without quotes.
    pub etag: String,
    /// The description that the client gave.
    #[serde(flatten)]
    pub description: Description,
    /// The requested checksum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// Sizes in bytes of its uploaded parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<u64>,
    /// The upload that it was completed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

/// A client's description of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Headers that are returned: `content-type`, `cache-control`, `x-amz-storage-class`, ...
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// User metadata, without the prefix `x-amz-meta-`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Record {
    /// The record of a file that was added by hand. Its ETag changes when the file does.
    pub(crate) fn of_file(metadata: &Metadata) -> Self {
        let (size, modified_ns) = identity(metadata);
        let etag = hex(&Md5::digest(format!("{size} {modified_ns}"))) + "-1";
        Self { size, modified_ns, etag, ..Self::default() }
    }

    /// Whether it belongs to this file.
    pub(crate) fn is_of(&self, metadata: &Metadata) -> bool {
        identity(metadata) == (self.size, self.modified_ns)
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.len(), metadata.modified().map_or(0, ns_of))
}

/// A file of records: at most the present one and the next.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RecordFile {
    pub(crate) records: Vec<Record>,
}

impl RecordFile {
    /// Reads the file. A missing or malformed one contains no records.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the record of an object cannot be read");
                Self::default()
            })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Self::default())
            }
            Err(error) => Err(error),
        }
    }

    /// The record of a file.
    pub(crate) fn of(self, metadata: &Metadata) -> Option<Record> {
        self.records.into_iter().find(|record| record.is_of(metadata))
    }
}
