//! Objects in the data folder.

use std::fs::File;
use std::path::Path;

use super::{Input, ObjectStore, Opened};
use crate::api::Objects;
use crate::s3::{
    Algorithm, ErrorCode, ListRequest, Listing, Object, Record, Result, S3Error, Store, WriteCondition,
};

impl Objects for Store {
    fn has_any(&self, bucket: &str, prefix: &str) -> std::result::Result<bool, String> {
        let request = ListRequest { prefix: prefix.to_owned(), limit: 1, ..ListRequest::default() };
        let page = self.list(bucket, &request).map_err(|error| error.to_string())?;
        Ok(!page.objects.is_empty())
    }

    fn has(&self, bucket: &str, key: &str) -> std::result::Result<bool, String> {
        match self.stat(bucket, key) {
            Ok(_) => Ok(true),
            Err(error) if error.code == ErrorCode::NoSuchKey => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl ObjectStore for Store {
    fn page(&self, bucket: &str, request: &ListRequest) -> Result<Listing> {
        self.list(bucket, request)
    }

    fn open_object(&self, bucket: &str, key: &str) -> Result<Opened> {
        let Object { file, record, .. } = self.get(bucket, key)?;
        Ok(Opened { input: Input::File(file), size: record.size })
    }

    fn upload_file(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
        is_current: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let mut file = File::open(path).map_err(S3Error::io(path, "open the file"))?;
        let mut staging = self.stage(&[Algorithm::Crc32])?;
        staging.copy(&mut file, u64::MAX, path)?;
        if !is_current() {
            return Ok(false);
        }
        let staged = staging.finish()?;
        let checksum = staged.digests.of(Algorithm::Crc32).cloned();
        let record = Record { etag: staged.digests.etag(), checksum, ..Record::default() };
        self.put(bucket, key, staged, record, &WriteCondition::default())?;
        Ok(true)
    }
}
