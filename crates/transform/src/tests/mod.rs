//! Whole jobs from files to files; `pieces` tests the parts in between.

mod pieces;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

/// Answers each line `{"source":"a"}` or `a` with its letters in capitals, under the other key. A line with "bad" is refused.
fn capitals(_content_type: &str, _accept: &str, body: Vec<u8>) -> Result<Vec<u8>, InvokeError> {
    let text = String::from_utf8(body).expect("UTF-8");
    if let Some(at) = text.lines().position(|line| line.contains("bad")) {
        return Err(InvokeError {
            record: Some(at + 1),
            is_internal: false,
            message: "a bad word".to_owned(),
        });
    }
    Ok(text.replace("source", "target").to_uppercase().replace("TARGET", "target").into_bytes())
}

struct Workplace(tempfile::TempDir);

impl Workplace {
    fn new(files: &[(&str, &str)]) -> Self {
        let work = Self(tempfile::tempdir().unwrap());
        fs::create_dir(work.path("in")).unwrap();
        files.iter().for_each(|(name, text)| work.write(name, text));
        work
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn job(&self, settings: Settings) -> Job {
        let identity = BTreeMap::from([("model".to_owned(), "m1".to_owned())]);
        Job { input: self.path("in"), output: self.path("out"), settings, identity, overwrite: false }
    }

    /// All files in the output folder, except the list of finished files.
    fn outputs(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        collect(&self.path("out"), &mut found);
        let base = self.path("out");
        let mut outputs: Vec<_> = found
            .into_iter()
            .map(|path| (path.strip_prefix(&base).unwrap().display().to_string(), path))
            .filter(|(name, _)| name != JOURNAL_FILE)
            .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
            .collect();
        outputs.sort();
        outputs
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

fn text() -> Settings {
    Settings::new("text/plain", "text/plain")
}

fn json_lines() -> Settings {
    Settings::new("application/jsonlines", "application/jsonlines")
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn folders_of_files_keep_names_order_and_empty_lines() {
    let work = Workplace::new(&[("a.txt", "x\n\ny\r\nz"), ("sub/b.txt", "q\n"), ("sub/none.txt", "")]);
    let expected =
        pairs(&[("a.txt.out", "X\n\nY\r\nZ\n"), ("sub/b.txt.out", "Q\n"), ("sub/none.txt.out", "")]);
    let mut requests = 0;
    for (batch_strategy, max_concurrent, max_records) in [
        (BatchStrategy::MultiRecord, 1, usize::MAX),
        (BatchStrategy::SingleRecord, 3, usize::MAX),
        (BatchStrategy::MultiRecord, 2, 2),
    ] {
        let settings = Settings { batch_strategy, max_concurrent, max_records, ..text() };
        let job = Job { output: work.path(&format!("out{requests}")), ..work.job(settings) };
        let summary = run(&job, &capitals, &Silent).unwrap();
        fs::rename(&job.output, work.path("out")).unwrap();
        assert_eq!(work.outputs(), expected);
        fs::remove_dir_all(work.path("out")).unwrap();
        assert_eq!((summary.files, summary.records, summary.input_bytes), (3, 5, 9));
        assert_eq!(summary.output_bytes, 10);
        requests += summary.requests;
    }
    assert_eq!(requests, 2 + 5 + 3);
}

#[track_caller]
fn check_processing(paths: (&str, JoinSource, &str), input: &str, expected: Result<&str, &str>) {
    check_with(json_lines(), paths, input, expected);
}

#[track_caller]
fn check_with(
    settings: Settings,
    (input_filter, join_source, output_filter): (&str, JoinSource, &str),
    input: &str,
    expected: Result<&str, &str>,
) {
    let data_processing = DataProcessing {
        input_filter: JsonPath::parse(input_filter).unwrap(),
        join_source,
        output_filter: JsonPath::parse(output_filter).unwrap(),
    };
    let work = Workplace::new(&[("a", input)]);
    let job = work.job(Settings { data_processing, ..settings });
    match (run(&job, &capitals, &Silent), expected) {
        (Ok(_), Ok(expected)) => assert_eq!(work.outputs(), pairs(&[("a.out", expected)])),
        (Err(error), Err(expected)) => {
            let error = error.to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
            assert_eq!(work.outputs(), pairs(&[]));
        }
        (got, expected) => panic!("{got:?}, expected {expected:?}"),
    }
}

#[test]
fn filters_and_joins() {
    use JoinSource::{Input, None};
    let ids = "{\"id\": 1, \"source\":\"a b\"}\r\n\n {\"id\":2.50,\"source\":\"c\"} ";
    check_processing(
        ("$", Input, "$"),
        ids,
        Ok("{\"id\": 1, \"source\":\"a b\",\"SageMakerOutput\":{\"ID\": 1, \"target\":\"A B\"}}\n\
            {\"id\":2.50,\"source\":\"c\",\"SageMakerOutput\":{\"ID\":2.50,\"target\":\"C\"}}\n"),
    );
    check_processing(
        ("$['source']", Input, "$['id','SageMakerOutput']"),
        ids,
        Ok("{\"id\":1,\"SageMakerOutput\":\"A B\"}\n{\"id\":2.50,\"SageMakerOutput\":\"C\"}\n"),
    );
    check_processing(("$.source", None, "$"), ids, Ok("\"A B\"\n\"C\"\n"));
    check_processing(("$", None, "$.target"), "{\"source\":\"a\"}\n", Ok("\"A\"\n"));
    check_processing(
        ("$[1:]", Input, "$"),
        "[1,\"x\"]\n7",
        Err("in/a: line 2: the path $[1:] finds nothing: expected an array, got 7"),
    );
    check_processing(
        ("$[1]", Input, "$"),
        "[1,\"x\"]",
        Ok("{\"SageMakerInput\":[1,\"x\"],\"SageMakerOutput\":\"X\"}\n"),
    );
    check_processing(("$", Input, "$"), "{}", Ok("{\"SageMakerOutput\":{}}\n"));
    check_processing(("$.x", Input, "$"), ids, Err("in/a: line 1: the path $.x finds nothing"));
    check_processing(("$", Input, "$[3]"), ids, Err("in/a: line 1: the path $[3] finds nothing"));
    check_processing(("$", Input, "$"), "{}\n\n{", Err("in/a: line 3: expected one JSON value on the line"));
    check_processing(("$", Input, "$"), "{} {}", Err("expected one JSON value on the line"));
    check_processing(("$", Input, "$"), "{\"SageMakerOutput\":1}", Err("\"SageMakerOutput\" already"));
    check_processing(("$", Input, "$"), "{}\n\"bad\"\n{}", Err("in/a: line 2: a bad word"));
}

/// As the check above, for rows of CSV.
#[track_caller]
fn check_rows(paths: (&str, JoinSource, &str), input: &str, expected: Result<&str, &str>) {
    check_with(Settings::new("text/csv;label_size=0", "text/csv"), paths, input, expected);
}

#[test]
fn rows_are_filtered_and_joined() {
    use JoinSource::{Input, None};
    let rows = "1,a,\"b,c\"\r\n2,\"d\"\"\",e\n";
    check_rows(("$[1:]", Input, "$"), rows, Ok("1,a,\"b,c\",A,\"B,C\"\n2,\"d\"\"\",e,\"D\"\"\",E\n"));
    check_rows(("$[1:]", Input, "$[0,-1]"), rows, Ok("1,\"B,C\"\n2,E\n"));
    check_rows(("$[1]", None, "$"), rows, Ok("A\n\"D\"\"\"\n"));
    check_rows(("$", None, "$[2]"), rows, Ok("\"B,C\"\nE\n"));
    check_rows(("$[3]", None, "$"), rows, Err("in/a: line 1: the path $[3] finds nothing"));
    check_rows(("$.a", None, "$"), rows, Err("expected an object"));
    check_rows(("$[0]", None, "$"), "1,\"2\n", Err("a quote is not closed"));
}

#[test]
fn options_that_do_not_go_together_are_refused_before_anything_is_done() {
    let join = DataProcessing { join_source: JoinSource::Input, ..DataProcessing::default() };
    let filter =
        DataProcessing { input_filter: JsonPath::parse("$.a").unwrap(), ..DataProcessing::default() };
    let check = |settings: Settings, part: &str| {
        let work = Workplace::new(&[("a", "x")]);
        let error = run(&work.job(settings), &capitals, &Silent).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(!work.path("out").exists());
    };
    check(
        Settings { data_processing: join.clone(), ..text() },
        "--join-source: works on JSON lines and CSV only",
    );
    check(
        Settings { data_processing: filter.clone(), accept: "application/json".into(), ..json_lines() },
        "--input-filter: works on JSON lines and CSV only, but the type of the answers is application/json",
    );
    check(
        Settings { data_processing: filter, split_type: SplitType::None, ..json_lines() },
        "--split-type Line",
    );
    check(
        Settings { data_processing: join.clone(), accept: "text/csv".into(), ..json_lines() },
        "--join-source: joins records with answers of the same form",
    );
    check(
        Settings { data_processing: join, assemble_with: AssembleWith::None, ..json_lines() },
        "--assemble-with Line",
    );
}

#[test]
fn answers_that_cannot_be_told_apart_are_refused() {
    let work = Workplace::new(&[("a", "x\ny\n")]);
    let two_for_one = |_: &str, _: &str, _: Vec<u8>| Ok(b"1\n2\n3\n".to_vec());
    let error = run(&work.job(text()), &two_for_one, &Silent).unwrap_err().to_string();
    assert!(error.contains("a: one of the lines 1 to 2: the answer has 3 lines, but 2 records"), "{error}");
    // Responses of other types may have any form.
    let settings = Settings { accept: "application/json".into(), ..text() };
    run(&work.job(settings), &two_for_one, &Silent).unwrap();
    assert_eq!(work.outputs(), pairs(&[("a.out", "1\n2\n3\n")]));
}

#[test]
fn a_failed_record_stops_the_job_and_leaves_what_is_finished() {
    let work = Workplace::new(&[("1", "a\n"), ("2", "b\nc\nbad\nd\n"), ("3", "e\n")]);
    for max_concurrent in [1, 4] {
        let settings = Settings { max_concurrent, max_records: 2, ..text() };
        let error = run(&work.job(settings), &capitals, &Silent).unwrap_err().to_string();
        assert!(error.ends_with("in/2: line 3: a bad word"), "{error}");
        assert_eq!(work.outputs(), pairs(&[("1.out", "A\n")]));
    }
    // After the fix, the job resumes with the rest.
    work.write("2", "b\nc\nx\nd\n");
    let summary = run(&work.job(text()), &capitals, &Silent).unwrap();
    assert_eq!((summary.files, summary.finished_before), (2, 1));
    assert_eq!(work.outputs(), pairs(&[("1.out", "A\n"), ("2.out", "B\nC\nX\nD\n"), ("3.out", "E\n")]));
}

/// Records messages, and stops the job after so many mini-batches.
#[derive(Default)]
struct Watch {
    messages: RefCell<Vec<String>>,
    stop_after: Option<u64>,
    asked: RefCell<u64>,
    bytes: RefCell<(u64, u64)>,
}

impl Progress for Watch {
    fn begin(&self, _files: u64, bytes: u64) {
        self.bytes.borrow_mut().1 = bytes;
    }

    fn advance(&self, bytes: u64) {
        self.bytes.borrow_mut().0 += bytes;
    }

    fn message(&self, text: &str) {
        self.messages.borrow_mut().push(text.to_owned());
    }

    fn wants_stop(&self) -> bool {
        *self.asked.borrow_mut() += 1;
        self.stop_after.is_some_and(|after| *self.asked.borrow() > after)
    }
}

#[test]
fn a_stopped_job_goes_on_and_redoes_only_what_changed() {
    let work = Workplace::new(&[("1", "a\nb\n"), ("2", "c\nd\n"), ("3", "e\n")]);
    let job = work.job(Settings { batch_strategy: BatchStrategy::SingleRecord, ..text() });
    // Begin, two responses and end of the first file; begin and one response of the second.
    let watch = Watch { stop_after: Some(5), ..Watch::default() };
    assert!(matches!(run(&job, &capitals, &watch), Err(TransformError::Stopped)));
    assert_eq!(work.outputs(), pairs(&[("1.out", "A\nB\n")]));

    let requests = AtomicUsize::new(0);
    let counting = |content_type: &str, accept: &str, body| {
        requests.fetch_add(1, Ordering::Relaxed);
        capitals(content_type, accept, body)
    };
    let watch = Watch::default();
    let summary = run(&job, &counting, &watch).unwrap();
    assert_eq!((summary.files, summary.finished_before, requests.load(Ordering::Relaxed)), (2, 1, 3));
    assert_eq!(*watch.bytes.borrow(), (6, 6));
    assert_eq!(run(&job, &counting, &watch).unwrap().finished_before, 3);
    assert!(watch.messages.borrow().is_empty());

    work.write("2", "new\n");
    let summary = run(&job, &counting, &watch).unwrap();
    assert_eq!((summary.files, requests.load(Ordering::Relaxed)), (1, 4));
    assert!(watch.messages.borrow()[0].contains("in/2 has changed since"), "{:?}", watch.messages);
    fs::remove_file(work.path("out/3.out")).unwrap();
    assert_eq!(run(&job, &counting, &watch).unwrap().files, 1);
    assert_eq!(work.outputs(), pairs(&[("1.out", "A\nB\n"), ("2.out", "NEW\n"), ("3.out", "E\n")]));
}

#[test]
fn files_of_others_are_not_replaced_unless_that_is_asked_for() {
    let work = Workplace::new(&[("1", "a\n"), ("2", "b\n")]);
    fs::create_dir(work.path("out")).unwrap();
    fs::write(work.path("out/2.out"), "mine").unwrap();
    let check = |job: &Job, parts: &[&str]| {
        let error = run(job, &capitals, &Silent).unwrap_err().to_string();
        parts.iter().for_each(|part| assert!(error.contains(part), "{error} lacks {part}"));
    };
    let job = work.job(text());
    check(&job, &["out/2.out: the file exists, but no transform into this folder has written it"]);
    assert_eq!(work.outputs(), pairs(&[("2.out", "mine")]));
    run(&Job { overwrite: true, ..job.clone() }, &capitals, &Silent).unwrap();
    assert_eq!(work.outputs(), pairs(&[("1.out", "A\n"), ("2.out", "B\n")]));
    let nested = Workplace::new(&[("1", "a\n")]);
    fs::create_dir_all(nested.path("out/1.out")).unwrap();
    let job_with_folder = Job { overwrite: true, ..nested.job(text()) };
    check(&job_with_folder, &["out/1.out: the file exists, but it is a folder"]);
    // Files that the job has finished belong to it, with or without the option.
    assert_eq!(run(&job, &capitals, &Silent).unwrap().finished_before, 2);
    let again = Job { overwrite: true, ..job.clone() };
    assert_eq!(run(&again, &capitals, &Silent).unwrap().finished_before, 2);

    let identity = BTreeMap::from([("model".to_owned(), "m2".to_owned())]);
    check(
        &Job { identity, ..job.clone() },
        &["(and 1 more of the kind)", "made with model m1, and now it is m2"],
    );
    let settings = Settings { accept: "application/json".into(), ..text() };
    check(&work.job(settings), &["made with accept text/plain, and now it is application/json"]);
    let other = Workplace::new(&[("1", "a\n")]);
    check(&Job { input: other.path("in"), ..job.clone() }, &["out/1.out", "it was made of "]);
    fs::write(work.path("out/1.out"), "changed").unwrap();
    check(&job, &["out/1.out: the file exists, but it has been changed since"]);
}

#[test]
fn a_list_that_was_cut_short_is_mended_and_a_damaged_one_is_refused() {
    let work = Workplace::new(&[("1", "a\n"), ("2", "b\n")]);
    let job = work.job(text());
    run(&job, &capitals, &Silent).unwrap();
    let list = work.path("out").join(JOURNAL_FILE);
    let whole = fs::read(&list).unwrap();
    // The process was killed while the second line was written: its file has no name yet.
    fs::write(&list, &whole[..whole.len() - 9]).unwrap();
    fs::remove_file(work.path("out/2.out")).unwrap();
    let summary = run(&job, &capitals, &Silent).unwrap();
    assert_eq!((summary.files, summary.finished_before), (1, 1));
    assert_eq!(fs::read(&list).unwrap(), whole);

    fs::write(&list, [b"{}\n", whole.as_slice()].concat()).unwrap();
    let error = run(&job, &capitals, &Silent).unwrap_err().to_string();
    assert!(error.contains(".kokanee-transform.jsonl:1: this list of finished files is damaged"), "{error}");
    for (format, expected) in [
        ("9", "expected format 1, got 9; a later version wrote it;"),
        ("0", "expected format 1, got 0; remove it"),
    ] {
        let text = String::from_utf8(whole.clone()).unwrap();
        fs::write(&list, text.replace("\"format\":1", &format!("\"format\":{format}"))).unwrap();
        let error = run(&job, &capitals, &Silent).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn two_jobs_do_not_write_into_one_folder() {
    let work = Workplace::new(&[("1", "a\n")]);
    let job = work.job(text());
    let inner = Mutex::new(None);
    let invoke = |content_type: &str, accept: &str, body: Vec<u8>| {
        *inner.lock().unwrap() = Some(run(&job, &capitals, &Silent));
        capitals(content_type, accept, body)
    };
    run(&job, &invoke, &Silent).unwrap();
    let error = inner.lock().unwrap().take().unwrap().unwrap_err();
    assert!(matches!(error, TransformError::Lock(_)));
    let text = error.to_string();
    assert!(text.contains(&format!("process {} (", std::process::id())), "{text}");
    assert!(text.contains("is writing into this folder"), "{text}");
}

#[test]
fn what_others_put_into_the_folder_meanwhile_is_not_replaced() {
    let work = Workplace::new(&[("1", "a\n")]);
    let job = work.job(text());
    let put = |content_type: &str, accept: &str, body: Vec<u8>| {
        fs::write(work.path("out/1.out"), "mine").unwrap();
        capitals(content_type, accept, body)
    };
    let error = run(&job, &put, &Silent).unwrap_err().to_string();
    assert!(
        error.contains("1.out: the file exists, but somebody has put it there while the job was running"),
        "{error}"
    );
    assert_eq!(fs::read(work.path("out/1.out")).unwrap(), b"mine");
    let left: Vec<_> =
        fs::read_dir(work.path("out")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn as_many_requests_at_a_time_as_asked_for() {
    let lines: String = (0..40).map(|line| format!("{line}\n")).collect();
    let work = Workplace::new(&[("1", &lines), ("2", &lines)]);
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let invoke = |content_type: &str, accept: &str, body| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(2));
        now.fetch_sub(1, Ordering::SeqCst);
        capitals(content_type, accept, body)
    };
    let settings = Settings { max_concurrent: 3, batch_strategy: BatchStrategy::SingleRecord, ..text() };
    run(&work.job(settings), &invoke, &Silent).unwrap();
    assert_eq!(work.outputs(), pairs(&[("1.out", &lines), ("2.out", &lines)]));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}
