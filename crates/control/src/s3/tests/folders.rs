//! Inputs and outputs of jobs.

use std::fs;

use super::*;
use crate::objects::ObjectStore as _;

#[test]
fn files_become_objects_and_prefixes_become_folders() {
    let place = Place::new();
    let file = place.folder.path().join("local");
    fs::write(&file, "12").unwrap();
    place.store.put_file("bucket", "a/train.rec", &file, Description::default()).unwrap();
    place.put("a/deep/er/x", b"345");
    place.put("a/marker/", b"");
    place.put("a/other", b"6");
    let record = place.store.stat("bucket", "a/train.rec").unwrap();
    assert!(record.checksum.is_some() && record.size == 2);

    let check = |prefix: &str, want: &[&str]| {
        let target = tempfile::tempdir().unwrap();
        let moved = place.store.download_prefix("bucket", prefix, target.path()).unwrap();
        assert!(want.iter().all(|name| target.path().join(name).is_file()), "{prefix}");
        assert_eq!(moved.objects, want.len() as u64, "{prefix}");
    };
    check("a/tr", &["train.rec"]);
    check("a/", &["train.rec", "deep/er/x", "other"]);
    check("a/deep", &["er/x"]);
    check("a/dee", &["deep/er/x"]);
    check("a", &["train.rec", "deep/er/x", "other"]);
    check("", &["a/train.rec", "a/deep/er/x", "a/other"]);
    check("a/other", &["other"]);
    check("nothing", &[]);
}

#[test]
fn keys_that_are_no_paths_are_not_given_to_jobs() {
    let place = Place::new();
    for key in ["a/../../x", "/x", "a//x", "a/./x"] {
        place.put(key, b"");
        let target = tempfile::tempdir().unwrap();
        let error = place.store.download_prefix("bucket", "", &target.path().join("in")).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{key}");
        assert!(fs::read_dir(target.path()).unwrap().all(|entry| entry.unwrap().file_name() == "in"));
        place.delete(key);
    }
    place.put("a", b"");
    place.put("a/b", b"");
    let target = tempfile::tempdir().unwrap();
    let error = place.store.download_prefix("bucket", "", target.path()).unwrap_err();
    assert!(error.message.contains("needs a folder"), "{error}");
}
