use std::fs;

use kokanee_contract::channels::Distribution;

use super::*;

/// A channel of these files in its own folder, with this content type.
fn channel(folder: &Path, content_type: &str, files: &[(&str, &str)]) -> InputChannel {
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("writes");
    }
    InputChannel {
        name: "train".to_owned(),
        content_type: ContentType::parse(content_type).expect("a content type"),
        mode: InputMode::File,
        distribution: Distribution::FullyReplicated,
        path: folder.to_owned(),
    }
}

/// The number of rows of each batch, or the error.
fn batches(channel: &InputChannel, size: BatchSize) -> Result<Vec<usize>, String> {
    let read = || {
        let opened = RowChannel::open(channel, None)?;
        let mut pass = opened.pass(0, size, &StopFlag::default())?;
        let mut rows = Vec::new();
        while let Some(batch) = pass.next_batch()? {
            rows.push(batch.rows.len());
            pass.give_back(batch);
        }
        Ok(rows)
    };
    read().map_err(|error: RowChannelError| error.to_string())
}

const ALL: BatchSize = BatchSize { rows: 4, most_bytes: 1 << 20 };

#[track_caller]
fn check(content_type: &str, files: &[(&str, &str)], size: BatchSize, want: Result<&[usize], &str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let found = batches(&channel(folder.path(), content_type, files), size);
    match (found, want) {
        (Ok(found), Ok(want)) => assert_eq!(found, want),
        (Err(error), Err(part)) => assert!(error.contains(part), "{error} lacks {part}"),
        (found, want) => panic!("{found:?} instead of {want:?}"),
    }
}

#[test]
fn batches_go_over_the_ends_of_files() {
    let files = [("b.csv", "5,6\n7,8\n"), ("a.csv", "1,2\n3,4\n0,0\n"), ("c.csv", ""), (".hidden", "x")];
    check("text/csv;label_size=0", &files, ALL, Ok(&[4, 1]));
    check("text/csv;label_size=0", &files, BatchSize { rows: 5, ..ALL }, Ok(&[5]));
    check("text/csv;label_size=0", &files, BatchSize { rows: 1, ..ALL }, Ok(&[1, 1, 1, 1, 1]));
    check("text/csv", &files, BatchSize { rows: 100, ..ALL }, Ok(&[5]));
}

#[test]
fn rows_come_in_the_order_of_the_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [("b.csv", "3\n"), ("a.csv", "1\n2\n")];
    let channel = channel(folder.path(), "text/csv;label_size=0", &files);
    let opened = RowChannel::open(&channel, None).expect("opens");
    let batch = opened.pass(0, ALL, &StopFlag::default()).expect("starts").next_batch();
    let batch = batch.expect("reads").expect("rows");
    let mut values = Vec::new();
    (0..batch.rows.len()).for_each(|row| batch.rows.row(row).for_each(|_, value| values.push(value)));
    assert_eq!(values, [1.0, 2.0, 3.0]);
}

#[test]
fn bad_channels_are_told_with_their_name() {
    let csv = "text/csv;label_size=0";
    check(csv, &[], ALL, Err("channel train holds no record"));
    check(csv, &[("a.csv", "")], ALL, Err("channel train holds no record"));
    check(csv, &[("a.csv", "1,2\n"), ("b.csv", "1,2,3\n")], ALL, Err("b.csv"));
    check(csv, &[("a.csv", "1,2\nx,4\n")], ALL, Err("(channel train)"));
    check(
        "text/csv;label_size=x",
        &[("a.csv", "1,2\n")],
        ALL,
        Err("expected a number of columns after label_size="),
    );
    check("application/json", &[("a.json", "{}")], ALL, Err("application/json holds no rows of numbers"));
}

#[test]
fn a_batch_that_outgrows_its_memory_is_refused() {
    let text = "1,2,3,4,5,6,7,8\n".repeat(2000);
    let size = BatchSize { rows: 2000, most_bytes: 10_000 };
    check("text/csv;label_size=0", &[("a.csv", &text)], size, Err("lower mini_batch_size"));
    let size = BatchSize { rows: 100, most_bytes: 10_000 };
    check("text/csv;label_size=0", &[("a.csv", &text)], size, Ok(&[100; 20]));
}

#[test]
fn a_pass_ends_when_it_is_asked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let channel = channel(folder.path(), "text/csv;label_size=0", &[("a.csv", &"1\n".repeat(100))]);
    let stop = StopFlag::default();
    let mut pass = RowChannel::open(&channel, None).expect("opens").pass(0, ALL, &stop).expect("starts");
    assert!(pass.next_batch().expect("reads").is_some());
    stop.request();
    assert!(pass.next_batch().expect("ends").is_none());
}
