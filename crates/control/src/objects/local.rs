//! Objects in the data folder.

use std::path::Path;

use super::{Input, ObjectStore, Opened};
use crate::s3::{Description, ListRequest, Listing, Object, Result, Store};

impl ObjectStore for Store {
    fn page(&self, bucket: &str, request: &ListRequest) -> Result<Listing> {
        self.list(bucket, request)
    }

    fn find(&self, bucket: &str, key: &str) -> Result<()> {
        self.stat(bucket, key).map(drop)
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
        let staging = self.stage_file(path)?;
        if !is_current() {
            return Ok(false);
        }
        self.put_staging(bucket, key, staging, Description::default())?;
        Ok(true)
    }
}
