//! Lists of objects, page by page.

use super::error::{ErrorCode, Result};
use super::record::Record;
use super::store::Store;
use super::walk::Walk;

/// The maximum number of entries on a page.
pub const MAX_KEYS: usize = 1000;

/// The objects to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// The prefix of the keys.
    pub prefix: String,
    /// Keys with the same text up to this delimiter after the prefix are listed as one common prefix; empty for none.
    pub delimiter: String,
    /// Only keys after this one, and common prefixes after it.
    pub after: String,
    /// The maximum number of entries.
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Objects in the order of their keys.
    pub objects: Vec<(String, Record)>,
    /// The common prefixes.
    pub prefixes: Vec<String>,
    /// The last key or prefix of this page, if there is another page.
    pub next: Option<String>,
}

impl Store {
    /// A page of the objects in a bucket.
    ///
    /// # Errors
    /// `NoSuchBucket`; when the system refuses.
    pub fn list(&self, bucket: &str, request: &ListRequest) -> Result<Listing> {
        self.bucket(bucket)?;
        let ListRequest { prefix, delimiter, after, limit } = request;
        let mut page = Listing::default();
        if *limit == 0 {
            return Ok(page);
        }
        let common = |key: &str| {
            let rest = key.strip_prefix(prefix.as_str()).filter(|_| !delimiter.is_empty())?;
            let end = rest.find(delimiter.as_str())? + delimiter.len();
            Some(key[..prefix.len() + end].to_owned())
        };
        let mut walk = Walk::new(self.bucket_folder(bucket), prefix, after)?;
        if common(after).as_deref() == Some(after) {
            walk.skip(after);
        }
        let mut last = None;
        let mut before = String::new();
        while let Some(key) = walk.next()? {
            if key == before {
                continue;
            }
            before.clone_from(&key);
            let is_full = page.objects.len() + page.prefixes.len() >= *limit;
            if is_full {
                page.next = last;
                break;
            }
            if let Some(common) = common(&key) {
                walk.skip(&common);
                last = Some(common.clone());
                page.prefixes.push(common);
                continue;
            }
            match self.stat(bucket, &key) {
                Ok(record) => {
                    last = Some(key.clone());
                    page.objects.push((key, record));
                }
                // It was deleted meanwhile.
                Err(error) if error.code == ErrorCode::NoSuchKey => {}
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }
}
