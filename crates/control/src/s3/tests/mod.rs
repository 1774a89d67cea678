//! The store without HTTP.

mod folders;
mod listing;
mod objects;
mod uploads;

use std::io::Read as _;

use super::*;

/// A store in a temporary folder.
struct Place {
    store: Store,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s3")).unwrap();
        store.create_bucket("bucket", "us-east-1").unwrap();
        Self { store, folder }
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Record {
        self.try_put(key, bytes, &WriteCondition::default()).unwrap()
    }

    fn try_put(&self, key: &str, bytes: &[u8], condition: &WriteCondition) -> Result<Record> {
        let mut staging = self.store.stage(&[])?;
        staging.write(bytes)?;
        let staged = staging.finish()?;
        let record = Record { etag: staged.digests.etag(), ..Record::default() };
        self.store.put("bucket", key, staged, record, condition)
    }

    fn get(&self, key: &str) -> Option<String> {
        let mut object = self.store.get("bucket", key).ok()?;
        let mut text = String::new();
        object.file.read_to_string(&mut text).unwrap();
        assert_eq!(object.record.size, text.len() as u64);
        Some(text)
    }

    fn delete(&self, key: &str) {
        for result in self.store.delete("bucket", [key], &WriteCondition::default()).unwrap() {
            result.unwrap();
        }
    }

    fn path(&self, below: &str) -> std::path::PathBuf {
        self.folder.path().join("s3").join(below)
    }

    /// Every file in the folder of the bucket.
    fn files(&self) -> Vec<String> {
        fn collect(folder: &std::path::Path, prefix: &str, all: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    all.push(format!("{name}/"));
                    collect(&entry.path(), &format!("{name}/"), all);
                } else {
                    all.push(name);
                }
            }
        }
        let mut all = Vec::new();
        collect(&self.path("bucket"), "", &mut all);
        all.sort();
        all
    }
}
