//! Copying between the store and folders of this machine, for inputs and outputs of jobs.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use super::checksums::Algorithm;
use super::error::{Result, S3Error};
use super::record::{Description, Record};
use super::staging::Staging;
use super::store::{Store, WriteCondition};

/// The amount that was copied to a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Number of objects.
    pub objects: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl Store {
    /// Stores a file of this machine as an object.
    ///
    /// # Errors
    /// `NoSuchBucket`; when the system refuses.
    pub fn put_file(&self, bucket: &str, key: &str, path: &Path, description: Description) -> Result<Record> {
        let staging = self.stage_file(path)?;
        self.put_staging(bucket, key, staging, description)
    }

    /// Stages a file of this machine, for an object that [`put_staging`](Self::put_staging) makes from it.
    pub(crate) fn stage_file(&self, path: &Path) -> Result<Staging> {
        let mut file = File::open(path).map_err(S3Error::io(path, "open the file"))?;
        let mut staging = self.stage(&[Algorithm::Crc32])?;
        staging.copy(&mut file, u64::MAX, path)?;
        Ok(staging)
    }

    /// Stores the content that [`stage_file`](Self::stage_file) has read.
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

/// The path, below a folder for `prefix`, of the object whose key begins with the prefix. A part of the prefix that ends with a slash, or
/// is followed by one in the key, is a folder. If the prefix is the whole key, the path is the key's last name. A prefix that ends inside a
/// name keeps the name whole: `a/tr` gives `train.rec`.
pub(crate) fn path_below<'a>(prefix: &str, key: &'a str) -> &'a str {
    let rest = key.strip_prefix(prefix).unwrap_or(key);
    if prefix.is_empty() || prefix.ends_with('/') {
        return rest;
    }
    let start = prefix.rfind('/').map_or(0, |slash| slash + 1);
    rest.strip_prefix('/').unwrap_or_else(|| &key[start.min(key.len())..])
}

/// A text as a path that stays below any folder it is joined to.
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
