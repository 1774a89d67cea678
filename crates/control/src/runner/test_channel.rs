//! Channels and objects for tests.

use kokanee_contract::channels::{Distribution, InputMode};
use tempfile::TempDir;

use crate::s3::{self, Description};
use crate::s3_uri::S3Uri;
use crate::training::ChannelRequest;

/// A plain channel.
pub(super) fn channel(source: &str) -> ChannelRequest {
    ChannelRequest {
        name: "train".to_owned(),
        content_type: None,
        mode: InputMode::File,
        distribution: Distribution::FullyReplicated,
        source: S3Uri::parse(source).unwrap(),
        is_manifest: false,
        is_gzip: false,
        is_wrapped: false,
        shuffle_seed: None,
    }
}

/// A store with these objects in the bucket `bucket`.
pub(super) fn store<B: AsRef<[u8]>>(objects: &[(&str, B)]) -> (TempDir, s3::Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = s3::Store::open(&folder.path().join("s3")).unwrap();
    store.create_bucket("bucket", "us-east-1").unwrap();
    for (key, bytes) in objects {
        put(&store, key, bytes.as_ref(), &folder);
    }
    (folder, store)
}

fn put(store: &s3::Store, key: &str, bytes: &[u8], folder: &TempDir) {
    let file = folder.path().join("object");
    std::fs::write(&file, bytes).unwrap();
    store.put_file("bucket", key, &file, Description::default()).unwrap();
}

/// Compresses these bytes with gzip.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
