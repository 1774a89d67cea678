//! Updates that are killed between any two steps, and folders with other programs' files.

use std::collections::BTreeMap;

use super::recovery::{Recovered, recover};
use super::*;

const OLD: [(&str, &str); 3] = [("words", "old words"), ("history", "old"), ("config", "old config")];
const NEW: [(&str, &str); 3] = [("words", "new words"), ("numbers", "new numbers"), ("config", "new config")];

fn staged(folder: &Path) -> FolderUpdate {
    let mut update = FolderUpdate::begin(folder).unwrap();
    for (name, content) in NEW {
        update.write_bytes(name, content.as_bytes()).unwrap();
    }
    update.remove("history").unwrap();
    update
}

/// A folder with the old set and other programs' files.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in OLD {
        fs::write(folder.path().join(name), content).unwrap();
    }
    fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
    let look_alike = folder.path().join(format!("{STAGING_PREFIX}mine"));
    fs::create_dir(&look_alike).unwrap();
    fs::write(look_alike.join(MANIFEST_FILE), "my own list\n").unwrap();
    folder
}

/// Every file below the folder, by path.
fn content(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            for (inner, text) in content(&entry.path()) {
                found.insert(format!("{name}/{inner}"), text);
            }
        } else {
            found.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    found
}

fn expected(set: &[(&str, &str)]) -> BTreeMap<String, String> {
    let look_alike = format!("{STAGING_PREFIX}mine/{MANIFEST_FILE}");
    let foreign = [("notes.txt", "not ours"), (&*look_alike, "my own list\n")];
    set.iter().chain(&foreign).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// The content that a reader without write permission sees.
fn seen(folder: &Path, names: &[&str]) -> BTreeMap<String, String> {
    let text = |name: &&str| Some(((*name).to_owned(), String::from_utf8(read(folder, name).ok()?).unwrap()));
    names.iter().filter_map(text).collect()
}

fn set(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_set_replaces_its_predecessor_and_nothing_else() {
    let folder = folder();
    staged(folder.path()).commit().unwrap();
    assert_eq!(content(folder.path()), expected(&NEW));
}

#[test]
fn killed_between_any_two_steps_a_folder_holds_the_old_set_or_the_new_one() {
    let names = ["words", "numbers", "history", "config"];
    let mut both = [false; 2];
    for step in 0.. {
        let folder = folder();
        let mut left = step;
        let mut lives = || {
            left -= i32::from(left > 0);
            left > 0
        };
        if step > 0 && staged(folder.path()).commit_while(&mut lives).unwrap() {
            break;
        }
        if step == 0 {
            // The process is killed while files are still being written.
            staged(folder.path()).ended = true;
        }
        let old = !folder.path().join(COMMIT_FOLDER).join(MANIFEST_FILE).exists()
            && fs::read(folder.path().join("words")).unwrap() == b"old words";
        both[usize::from(old)] = true;
        let wanted: &[(&str, &str)] = if old { &OLD } else { &NEW };
        assert_eq!(seen(folder.path(), &names), set(wanted), "a reader after step {step}");
        finish(folder.path()).unwrap();
        assert_eq!(seen(folder.path(), &names), set(wanted), "finished after step {step}");
        finish(folder.path()).unwrap();
        // The next writer removes all traces of the interruption.
        drop(FolderUpdate::begin(folder.path()).unwrap());
        assert_eq!(content(folder.path()), expected(wanted), "begun after step {step}");
        staged(folder.path()).commit().unwrap();
        assert_eq!(content(folder.path()), expected(&NEW), "replaced after step {step}");
        assert!(!folder.path().join(COMMIT_FOLDER).exists());
    }
    assert_eq!(both, [true, true], "both sides of the commit were tried");
}

#[test]
fn a_folder_under_a_files_name_stops_the_update_before_anything_changed() {
    let folder = folder();
    fs::create_dir(folder.path().join("numbers")).unwrap();
    let error = staged(folder.path()).commit().unwrap_err().to_string();
    assert!(error.contains("numbers: cannot write the file: a folder has this name"), "{error}");
    assert_eq!(content(folder.path()), expected(&OLD));
}

#[test]
fn a_foreign_folder_in_the_way_is_named_and_kept() {
    let folder = folder();
    let commit = folder.path().join(COMMIT_FOLDER);
    fs::create_dir(&commit).unwrap();
    fs::write(commit.join(MANIFEST_FILE), "letters\n").unwrap();
    let error = FolderUpdate::begin(folder.path()).unwrap_err().to_string();
    assert!(error.contains(".kokanee-commit: cannot finish the update: no update of Kokanee"), "{error}");
    assert_eq!(seen(folder.path(), &["words"]), set(&OLD[..1]), "it is not read through either");
    assert_eq!(fs::read(commit.join(MANIFEST_FILE)).unwrap(), b"letters\n");
}

#[test]
fn an_update_of_a_live_process_is_read_through_and_left_alone() {
    let folder = folder();
    let update = staged(folder.path());
    let staging = update.staging.clone();
    // Another update, begun meanwhile, does not consider it abandoned.
    drop(FolderUpdate::begin(folder.path()).unwrap());
    assert!(staging.join("words").exists());
    // The list is locked, as while its files are moved.
    let held = update.manifest.try_clone().unwrap();
    let mut left = 3;
    let mut lives = || {
        left -= 1;
        left > 0
    };
    assert!(!update.commit_while(&mut lives).unwrap());
    assert_eq!(recover(folder.path()).unwrap(), Recovered::Live);
    finish(folder.path()).unwrap();
    assert!(folder.path().join(COMMIT_FOLDER).exists());
    assert_eq!(seen(folder.path(), &["words", "numbers", "history", "config"]), set(&NEW));
    drop(held);
    assert_eq!(recover(folder.path()).unwrap(), Recovered::Finished);
    assert_eq!(content(folder.path()), expected(&NEW));
}

#[test]
fn a_set_can_become_a_folder_of_its_own() {
    let folder = folder();
    let mut update = FolderUpdate::begin(folder.path()).unwrap();
    update.write_bytes("numbers", b"1").unwrap();
    let staged = update.staged("numbers");
    update
        .place("again", |path| fs::hard_link(&staged, path).map_err(FileError::io(path, "link the file")))
        .unwrap();
    assert!(!folder.path().join("set-1").exists());
    update.commit_as("set-1").unwrap();
    let mut expected = expected(&OLD);
    expected
        .extend([("set-1/numbers".to_owned(), "1".to_owned()), ("set-1/again".to_owned(), "1".to_owned())]);
    assert_eq!(content(folder.path()), expected);

    // A non-empty folder with this name stays unchanged, and nothing else is left behind.
    let mut update = FolderUpdate::begin(folder.path()).unwrap();
    update.write_bytes("numbers", b"2").unwrap();
    update.commit_as("set-1").unwrap_err();
    assert_eq!(content(folder.path()), expected);
}

#[test]
fn a_dropped_update_leaves_nothing() {
    let folder = folder();
    drop(staged(folder.path()));
    assert_eq!(content(folder.path()), expected(&OLD));
    let mut update = FolderUpdate::begin(folder.path()).unwrap();
    assert_eq!(update.write_bytes("x", b"123456789").unwrap(), FileDigest::of(b"123456789"));
}
