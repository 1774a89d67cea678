//! Creating, deleting, replacing and recovering objects.

use std::fs;

use super::*;

#[test]
fn an_object_lies_where_its_key_says_and_goes_with_its_folders() {
    let place = Place::new();
    place.put("train/a/part-0.csv", b"1,2\n");
    assert_eq!(place.files(), ["train/", "train/a/", "train/a/part-0.csv"]);
    assert_eq!(place.get("train/a/part-0.csv").as_deref(), Some("1,2\n"));
    assert_eq!((place.get("train/a"), place.get("train/a/part-0.csv/x")), (None, None));
    place.delete("train/a/part-0.csv");
    place.delete("train/a/part-0.csv");
    assert!(place.files().is_empty());
    assert!(fs::read_dir(place.path(".kokanee-s3/bucket/objects")).unwrap().next().is_none());
}

#[test]
fn a_key_may_be_what_other_keys_lie_below_whichever_comes_first() {
    let place = Place::new();
    place.put("a", b"1");
    place.put("a/b", b"2");
    place.put("a/b/c", b"3");
    place.put("d/e", b"4");
    place.put("d", b"5");
    let check = |want: [Option<&str>; 5]| {
        let found = ["a", "a/b", "a/b/c", "d/e", "d"].map(|key| place.get(key));
        assert_eq!(found.each_ref().map(Option::as_deref), want);
    };
    check([Some("1"), Some("2"), Some("3"), Some("4"), Some("5")]);
    place.put("a", b"6");
    place.delete("a/b");
    check([Some("6"), None, Some("3"), Some("4"), Some("5")]);
    // The folder's name is free again, and there must not be two files.
    place.delete("d/e");
    place.put("d", b"7");
    check([Some("6"), None, Some("3"), None, Some("7")]);
    assert_eq!(place.files(), ["a%=", "a/", "a/b/", "a/b/c", "d%="]);
}

#[test]
fn no_key_leaves_the_folder() {
    let place = Place::new();
    for key in ["../x", "/etc/passwd", "a/../../x", "..", ".", "a\0b", "%2e%2e/x", ".kokanee-s3/x", "a//b/"] {
        place.put(key, key.as_bytes());
        assert_eq!(place.get(key).as_deref(), Some(key));
    }
    let outside: Vec<_> = fs::read_dir(place.folder.path()).unwrap().collect();
    assert_eq!(outside.len(), 1);
    assert_eq!(place.store.buckets().unwrap().len(), 1);
    std::os::unix::fs::symlink(place.folder.path(), place.path("bucket/link")).unwrap();
    for key in ["link/x", "link"] {
        assert!(place.try_put(key, b"x", &WriteCondition::default()).is_err() || key == "link");
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn conditions_of_writing_hold_at_the_moment_of_writing() {
    let place = Place::new();
    let is_new = WriteCondition { is_new: true, etag: None };
    let etag = place.try_put("a", b"1", &is_new).unwrap().etag;
    assert_eq!(place.try_put("a", b"2", &is_new).unwrap_err().code, ErrorCode::PreconditionFailed);
    let same = WriteCondition { is_new: false, etag: Some(etag) };
    place.try_put("a", b"3", &same).unwrap();
    assert_eq!(place.try_put("a", b"4", &same).unwrap_err().code, ErrorCode::PreconditionFailed);
    assert_eq!(place.try_put("b", b"4", &same).unwrap_err().code, ErrorCode::NoSuchKey);
    assert_eq!(place.get("a").as_deref(), Some("3"));
}

#[test]
fn everything_is_there_after_a_restart_and_what_was_not_finished_is_gone() {
    let place = Place::new();
    let record = place.put("a/b", b"1");
    let mut half = place.store.stage(&[]).unwrap();
    half.write(b"half").unwrap();
    // A killed process removes nothing.
    std::mem::forget(half);
    let unnamed = place.path(".kokanee-s3/unnamed");
    assert_eq!(fs::read_dir(&unnamed).unwrap().count(), 1);
    assert!(matches!(Store::open(&place.path("")), Err(OpenError::Lock(_))));
    let Place { store, folder } = place;
    let buckets = store.buckets().unwrap();
    drop(store);
    let store = Store::open(&folder.path().join("s3")).unwrap();
    assert_eq!(fs::read_dir(&unnamed).unwrap().count(), 0);
    assert_eq!((store.stat("bucket", "a/b").unwrap(), store.buckets().unwrap()), (record, buckets));
}

#[test]
fn a_record_belongs_to_its_file_at_every_step_of_a_replacement() {
    let place = Place::new();
    let old = place.put("a", b"1");
    let path = place.path("bucket/a");
    let saved = place.path("saved");
    assert!(std::process::Command::new("cp").arg("-a").args([&path, &saved]).status().unwrap().success());
    let new = place.put("a", b"2");
    assert_eq!(place.store.stat("bucket", "a").unwrap(), new);
    // The state after a crash between the two renames.
    fs::rename(&saved, &path).unwrap();
    assert_eq!(place.store.stat("bucket", "a").unwrap(), old);
    place.put("a", b"3");
    assert_eq!(place.get("a").as_deref(), Some("3"));
}

#[test]
fn files_that_somebody_puts_or_changes_by_hand_are_objects() {
    let place = Place::new();
    fs::create_dir(place.path("bucket/by")).unwrap();
    fs::write(place.path("bucket/by/hand"), "1").unwrap();
    fs::write(place.path("bucket/by/50%"), "no key is called so").unwrap();
    assert_eq!(place.get("by/hand").as_deref(), Some("1"));
    let etag = place.store.stat("bucket", "by/hand").unwrap().etag;
    fs::write(place.path("bucket/by/hand"), "22").unwrap();
    assert_ne!(place.store.stat("bucket", "by/hand").unwrap().etag, etag);
    place.delete("by/hand");
    // Anything that is not an object is kept, and so is its bucket.
    assert_eq!(place.files(), ["by/", "by/50%"]);
    let error = place.store.delete_bucket("bucket").unwrap_err();
    assert_eq!(error.code, ErrorCode::BucketNotEmpty);
    fs::remove_file(place.path("bucket/by/50%")).unwrap();
    place.store.delete_bucket("bucket").unwrap();
    assert!(place.store.buckets().unwrap().is_empty());
    assert_eq!(place.store.stat("bucket", "x").unwrap_err().code, ErrorCode::NoSuchBucket);
}

#[test]
fn of_two_writers_at_once_one_wins_whole() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let place = &place;
            scope.spawn(move || {
                for round in 0..25 {
                    place.put("a", format!("{writer} {round}").repeat(1000).as_bytes());
                    // A folder that conflicts with it is created and removed all the time.
                    place.put(&format!("a/{writer}"), b"x");
                    place.delete(&format!("a/{writer}"));
                    let mut object = place.store.get("bucket", "a").unwrap();
                    let mut text = String::new();
                    object.file.read_to_string(&mut text).unwrap();
                    assert_eq!(text, text[..text.len() / 1000].repeat(1000));
                    let mut hashes = checksums::Hashes::new(&[]);
                    hashes.update(text.as_bytes());
                    assert_eq!(hashes.finish().etag(), object.record.etag);
                }
            });
        }
    });
    let record = place.store.stat("bucket", "a").unwrap();
    assert!(!record.etag.contains('-'));
    assert_eq!(fs::read_dir(place.path(".kokanee-s3/unnamed")).unwrap().count(), 0);
}
