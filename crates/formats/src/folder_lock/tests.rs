use super::*;

#[test]
fn the_second_learns_who_is_there_and_the_file_goes_with_the_lock() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("a/b");
    let lock = FolderLock::acquire(&folder).unwrap();
    assert_eq!((lock.warning(), lock.folder()), (None, &*folder));
    let error = FolderLock::acquire(&folder).unwrap_err();
    assert!(matches!(error, LockError::Busy(_)));
    let text = error.to_string();
    for part in [
        &format!("{}: process {} (`", folder.display(), std::process::id()),
        "`, since 20",
        " UTC) is writing into this folder; wait for it",
    ] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    fs::write(folder.join("kept"), "").unwrap();
    drop(lock);
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kept"]);
    FolderLock::acquire(&folder).unwrap();
}

#[test]
fn folders_that_were_made_for_a_lock_go_with_it_when_they_are_empty() {
    let place = tempfile::tempdir().unwrap();
    drop(FolderLock::acquire(&place.path().join("a/b")).unwrap());
    assert!(!place.path().join("a").exists());
    fs::create_dir(place.path().join("a")).unwrap();
    drop(FolderLock::acquire(&place.path().join("a/b")).unwrap());
    assert!(place.path().join("a").exists() && !place.path().join("a/b").exists());
}

#[test]
fn what_a_killed_process_left_stops_nobody_and_files_of_others_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(LOCK_FILE);
    let holder = Holder { kokanee_pid: 1, command: "kokanee train".to_owned(), since: 0 };
    for left in ["".to_owned(), serde_json::to_string(&holder).unwrap()] {
        fs::write(&path, left).unwrap();
        drop(FolderLock::acquire(place.path()).unwrap());
        assert!(!path.exists());
    }
    // The temporary files that it recorded are removed, and no others.
    fs::create_dir(place.path().join("sub")).unwrap();
    for name in ["sub/notes.part", ".kokanee-b.part"] {
        fs::write(place.path().join(name), "x").unwrap();
    }
    let mut lock = FolderLock::acquire(place.path()).unwrap();
    let written = lock.begin_file(&place.path().join("sub/x")).unwrap();
    let left =
        fs::read_to_string(&path).unwrap() + "{\"temporary\":\"sub/notes.part\"}\n{\"temporary\":\"../x\"}\n";
    let named = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(OWN_PREFIX.as_bytes());
    let found =
        fs::read_dir(place.path().join("sub")).unwrap().flatten().find(|file| named(&file.file_name()));
    let kept = found.unwrap().path();
    // The process is killed: neither value cleans up.
    drop((lock, written));
    fs::write(&kept, "half").unwrap();
    fs::write(&path, left).unwrap();
    drop(FolderLock::acquire(place.path()).unwrap());
    let there = |name: &str| place.path().join(name).exists();
    assert!(!kept.exists() && there("sub/notes.part") && there(".kokanee-b.part"));
    fs::write(&path, "my own notes").unwrap();
    let error = FolderLock::acquire(place.path()).unwrap_err().to_string();
    assert!(error.contains("it is no lock of Kokanee"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"my own notes");
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_holder_is_waited_for_and_a_living_one_is_not() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(LOCK_FILE);
    let mut killed = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let hold = |pid: u32| {
        let held = File::create(&path).unwrap();
        let holder = Holder { kokanee_pid: pid, command: "kokanee tune".to_owned(), since: 0 };
        serde_json::to_writer(&held, &holder).unwrap();
        held.lock().unwrap();
        held
    };
    let held = hold(killed.id());
    let begun = Instant::now();
    assert!(matches!(FolderLock::acquire(place.path()), Err(LockError::Busy(_))));
    assert!(begun.elapsed() < LONGEST_END / 2);
    drop(held);
    let pid = killed.id();
    let check_waits = || {
        let held = hold(pid);
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(200));
                drop(held);
            });
            FolderLock::acquire(place.path()).unwrap();
        });
    };
    // It is a zombie at first, since nobody has waited for it; then it is gone.
    killed.kill().unwrap();
    check_waits();
    killed.wait().unwrap();
    check_waits();
}

#[test]
fn a_folder_that_its_holder_removes_meanwhile_is_made_again() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("made");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Removes the folder as a holder does at its end, but continuously.
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let _ = fs::remove_dir(&folder);
                thread::sleep(Duration::from_micros(1));
            }
        });
        let failed = (0..200).find_map(|_| FolderLock::acquire(&folder).err());
        is_over.store(true, Ordering::SeqCst);
        assert!(failed.is_none(), "{failed:?}");
    });
}

#[test]
fn of_many_that_come_and_go_never_two_are_in() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let place = tempfile::tempdir().unwrap();
    let (inside, entries) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    if let Ok(lock) = FolderLock::acquire(place.path()) {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        entries.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                }
            });
        }
    });
    assert!(entries.into_inner() > 0);
}
