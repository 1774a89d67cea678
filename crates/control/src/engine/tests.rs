use std::fs;

use super::log_file::{LONGEST_LINE_BYTES, Line, LogWriter, find, last_ms, read_from};

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn output_becomes_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = LogWriter::open(&path).unwrap();
    log.write(b"one\ntw").unwrap();
    log.write(b"o\r\n\nth\xffree\tx").unwrap();
    let lines = read_from(&path, 0, 10, 1000).unwrap();
    assert_eq!(texts(&lines), ["one", "two", ""]);
    log.finish().unwrap();
    let rest = read_from(&path, lines[2].end, 10, 1000).unwrap();
    assert_eq!(texts(&rest), ["th\u{fffd}ree\tx"]);
    assert_eq!(last_ms(&path).unwrap(), Some(rest[0].at_ms));
    assert_eq!(texts(&read_from(&path, 0, 2, 1000).unwrap()), ["one", "two"]);
    assert_eq!(texts(&read_from(&path, 0, 9, 1).unwrap()), ["one"], "a page holds a line at least");
}

#[test]
fn long_lines_are_divided() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = LogWriter::open(&path).unwrap();
    log.write(&vec![b'a'; 2 * LONGEST_LINE_BYTES + 5]).unwrap();
    log.write(b"\nend").unwrap();
    log.finish().unwrap();
    let lengths: Vec<usize> =
        read_from(&path, 0, 10, u64::MAX).unwrap().iter().map(|line| line.text.len()).collect();
    assert_eq!(lengths, [LONGEST_LINE_BYTES, LONGEST_LINE_BYTES, 5, 3]);
}

#[test]
fn half_a_line_is_closed_and_times_do_not_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let later = crate::store::now_ms() + 1_000_000;
    fs::write(&path, format!("{later}\tone\n{later}\ttw")).unwrap();
    let mut log = LogWriter::open(&path).unwrap();
    log.write(b"three\n").unwrap();
    let lines = read_from(&path, 0, 10, 1000).unwrap();
    assert_eq!(texts(&lines), ["one", "tw", "three"]);
    assert!(lines.iter().all(|line| line.at_ms == later), "{lines:?}");
}

#[test]
fn a_log_that_is_not_there_is_empty() {
    let path = std::path::Path::new("/nonexistent/log");
    assert_eq!(read_from(path, 0, 1, 1).unwrap(), []);
    assert_eq!(find(path, 0).unwrap(), 0);
    assert_eq!(last_ms(path).unwrap(), None);
}

proptest::proptest! {
    /// Checks that a search finds the same line as a walk over all lines.
    #[test]
    fn lines_are_found_by_their_time(
        lines in proptest::collection::vec((0_i64..5, 0_usize..400), 0..200),
        at_ms in -1_i64..500,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut now = 0;
        let text: String = lines
            .iter()
            .map(|(later, length)| {
                now += later;
                format!("{now}\t{}\n", "x".repeat(*length))
            })
            .collect();
        fs::write(&path, &text).unwrap();
        let all = read_from(&path, 0, usize::MAX, u64::MAX).unwrap();
        let want = all.iter().find(|line| line.at_ms >= at_ms).map_or(text.len() as u64, |line| line.offset);
        assert_eq!(find(&path, at_ms).unwrap(), want);
    }
}

#[test]
fn a_start_that_no_shim_has_taken_up_is_called_off() {
    use super::folder::TaskFolder;
    use super::{Task, TaskState, folder::Order, run_shim};
    let folder = tempfile::tempdir().unwrap();
    let files = TaskFolder(folder.path());
    assert_eq!(files.settle().unwrap(), TaskState::NotStarted);
    let task = Task {
        program: "/bin/true".into(),
        arguments: Vec::new(),
        environment: std::collections::BTreeMap::new(),
        directory: None,
    };
    files.write_order(&Order { start: 1, task: task.clone() }).unwrap();
    assert_eq!(files.settle().unwrap(), TaskState::NotStarted);
    // The shim of the killed server starts late.
    assert!(run_shim(folder.path()).is_err(), "it has no task");
    assert_eq!(files.look().unwrap().0, TaskState::NotStarted);
    // A shim that has the lock and has not recorded its process yet is waited for.
    files.write_order(&Order { start: 2, task }).unwrap();
    let lock = files.lock().unwrap().unwrap();
    std::thread::scope(|scope| {
        let settled = scope.spawn(|| files.settle().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!settled.is_finished());
        drop(lock);
        assert_eq!(settled.join().unwrap(), TaskState::NotStarted);
    });
}
