//! Between the store and folders of this machine: inputs of jobs, and what jobs leave.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use super::checksums::Algorithm;
use super::error::{Result, S3Error};
use super::record::{Description, Record};
use super::staging::Staging;
use super::store::{Store, WriteCondition};

/// What went to a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Puts a file of this machine as an object.
    ///
    /// # Errors
    /// `NoSuchBucket`; when the system refuses.
    pub fn put_file(&self, bucket: &str, key: &str, path: &Path, description: Description) -> Result<Record> {
        let staging = self.stage_file(path)?;
        self.put_staging(bucket, key, staging, description)
    }

    /// Takes in a file of this machine, for an object that [`put_staging`](Self::put_staging) makes of it.
    pub(crate) fn stage_file(&self, path: &Path) -> Result<Staging> {
        let mut file = File::open(path).map_err(S3Error::io(path, "open the file"))?;
        let mut staging = self.stage(&[Algorithm::Crc32])?;
        staging.copy(&mut file, u64::MAX, path)?;
        Ok(staging)
    }

    /// Puts what [`stage_file`](Self::stage_file) took in.
    pub(crate) fn put_staging(
        &self,
        bucket: &str,
        key: &str,
        staging: Staging,
        description: Description,
    ) -> Result<Record> {
        let staged = staging.finish()?;
        let checksum = staged.digests.of(Algorithm::Crc32).cloned();
        let record = Record { etag: staged.digests.etag(), description, checksum, ..Record::default() };
        self.put(bucket, key, staged, record, &WriteCondition::default())
    }
}

/// Where the object of a key that begins with `prefix` lies below a folder for the prefix. What ends with a slash, or is followed by
/// one in the key, is a folder; a key is its own last name; a prefix that ends inside a name leaves the name whole, so that `a/tr`
/// gives `train.rec`.
pub(crate) fn path_below<'a>(prefix: &str, key: &'a str) -> &'a str {
    let rest = key.strip_prefix(prefix).unwrap_or(key);
    if prefix.is_empty() || prefix.ends_with('/') {
        return rest;
    }
    let start = prefix.rfind('/').map_or(0, |slash| slash + 1);
    rest.strip_prefix('/').unwrap_or_else(|| &key[start.min(key.len())..])
}

/// A text as a path that stays below wherever it is put.
pub(crate) fn plain_path(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let is_plain = !text.is_empty()
        && !text.ends_with('/')
        && !text.contains("//")
        && !text.contains('\0')
        && path.components().all(|part| matches!(part, Component::Normal(_)))
        && !text.split('/').any(|part| part == ".");
    is_plain.then(|| path.to_owned())
}
