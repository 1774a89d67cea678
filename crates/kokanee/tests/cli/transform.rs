//! Tests of batch transform through the program: its answers, its refusals, and the files after a kill.

use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::workplace::{Said, Workplace, model, pairs};

fn transform(work: &Workplace, options: &str) -> Said {
    work.run(&format!("transform --model {} --input in --output out {options}", model()))
}

/// Names of everything below a folder, hidden files included, without the list of finished files.
fn names(work: &Workplace, folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(work.path(folder)).into_iter().flatten() {
        let name = format!("{folder}/{}", entry.unwrap().file_name().into_string().unwrap());
        if work.path(&name).is_dir() {
            names.extend(crate::transform::names(work, &name));
        } else if name.contains("/.kokanee-") && name.ends_with(".part") {
            names.push(format!("{folder}/UNFINISHED"));
        } else if !name.ends_with("/.kokanee-transform.jsonl") && !name.ends_with("/.kokanee-lock") {
            names.push(name);
        }
    }
    names.sort();
    names
}

#[test]
fn json_lines_and_text_in_folders() {
    let work = Workplace::new();
    work.write("in/a.jsonl", "{\"source\": \"a b\"}\n{\"data\":\"c\",\"id\":7}\r\n\n{\"source\":\"\"}");
    work.write("in/sub/b.jsonl", "{\"source\":\"f\"}\n");
    let said = transform(&work, "").well();
    assert!(said.stderr.contains("transformed 2 files, 4 records; "), "{said:?}");
    let expected = "{\"target\":\"A B\"}\n{\"target\":\"C\"}\n{\"target\":\"\"}\n";
    assert_eq!(work.read("out/a.jsonl.out"), expected);
    assert_eq!(work.read("out/sub/b.jsonl.out"), "{\"target\":\"F\"}\n");

    let said = transform(&work, "").well();
    assert!(said.stderr.contains("transformed 0 files, 0 records; 2 files finished before"), "{said:?}");
    let parts = [
        "out/a.jsonl.out: the file exists (and 1 more of the kind)",
        "made with search beam 5",
        "--overwrite",
    ];
    transform(&work, "--beam-size 2").refused(&parts);
    assert_eq!(transform(&work, "--beam-size 2 --overwrite --quiet").well().stderr, "");

    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"a b\n\nc").unwrap();
    work.write("t.gz", packed.finish().unwrap());
    let line = format!("transform --model {} --input t.gz --output o", model());
    work.run(&format!("{line} --content-type text/plain --compression-type Gzip")).well();
    assert_eq!(work.read("o/t.gz.out"), "A B\n\nC\n");
    let line = format!("transform --model {} --input t.gz --output o2", model());
    let said = work.run(&format!(
        "{line} --content-type text/plain --accept application/jsonlines --compression-type Gzip --batch-strategy SingleRecord"
    ));
    said.well();
    assert_eq!(work.read("o2/t.gz.out"), "{\"target\":\"A B\"}\n{\"target\":\"\"}\n{\"target\":\"C\"}\n");
}

#[test]
fn answers_are_joined_with_what_was_asked() {
    let work = Workplace::new();
    work.write("in/a", "{\"id\": 1.0, \"source\": \"a b\"}\n{\"source\":\"c\",\"id\":\"x\"}\n");
    let filter = "--input-filter $['source','id'] --join-source --output-filter $['id','SageMakerOutput']";
    transform(&work, filter).well();
    let expected = "{\"id\":1.0,\"SageMakerOutput\":{\"target\":\"A B\"}}\n{\"id\":\"x\",\"SageMakerOutput\":{\"target\":\"C\"}}\n";
    assert_eq!(work.read("out/a.out"), expected);
    transform(&work, "--overwrite --join-source Input").well();
    assert!(work.read("out/a.out").starts_with(
        "{\"id\": 1.0, \"source\": \"a b\",\"SageMakerOutput\":{\"target\":\"A B\"}}\n{\"source\":\"c\""
    ));
}

/// The commands of a text that begin with `kokanee transform`, with continued lines joined.
fn documented(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("kokanee transform "));
    lines.map(str::to_owned).collect()
}

/// The results of the documented commands; `tests/outside` pastes the commands into the shells that people use.
#[test]
fn the_documented_filters_pair_each_id_with_its_answer() {
    let help = Workplace::new().run("transform --help").well().stdout;
    let documents = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/batch-transform.md");
    let documents = std::fs::read_to_string(documents).unwrap();
    let commands = [documented(&help), documented(&documents)].concat();
    assert!(commands.iter().filter(|command| command.contains("filter")).count() >= 2, "{commands:#?}");
    let work = Workplace::new();
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_kokanee")).parent().unwrap().to_owned();
    work.write("sentences.jsonl", "{\"source\": \"a b\"}\n");
    work.write("in.jsonl", "{\"id\": 7, \"source\": \"a b\", \"more\": null}\n");
    work.write("texts/a.txt", "a b\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"{\"source\": \"c\"}\n").unwrap();
    work.write("records/a.gz", packed.finish().unwrap());
    std::os::unix::fs::symlink(model(), work.path("model")).unwrap();
    let files = ["config.json", "model.safetensors", "vocab.src.json", "vocab.trg.json"];
    kokanee_formats::archive::pack(std::path::Path::new(&model()), &files, &work.path("model.tar.gz"))
        .unwrap();
    for command in &commands {
        let mut line = std::process::Command::new("sh");
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let _ = std::fs::remove_dir_all(work.path("answers"));
        line.args(["-c", command]).current_dir(work.path("")).env("PATH", path);
        crate::workplace::said(line).well();
        if command.contains("filter") {
            let expected = "{\"id\":7,\"SageMakerOutput\":{\"target\":\"A B\"}}\n";
            assert_eq!(work.read("answers/in.jsonl.out"), expected, "{command}");
        }
    }
}

#[test]
fn every_spelling_of_json_lines_is_divided_filtered_and_joined() {
    let work = Workplace::new();
    work.write("in/a", "{\"source\":\"a b\"}\n\n{\"source\":\"c\"}\n");
    let expected = "{\"target\":\"A B\"}\n{\"target\":\"C\"}\n";
    for name in ["application/x-ndjson", "application/jsonl", "application/x-jsonlines"] {
        transform(&work, &format!("--content-type {name} --output-filter $ --overwrite")).well();
        assert_eq!(work.read("out/a.out"), expected, "{name}");
        transform(&work, &format!("--content-type {name} --join-source --overwrite")).well();
        assert!(work.read("out/a.out").starts_with("{\"source\":\"a b\",\"SageMakerOutput\":"), "{name}");
    }
}

#[test]
fn what_is_no_input_is_passed_over_or_refused_before_anything_is_translated() {
    let work = Workplace::new();
    work.write("in/a", "{\"source\":\"a\"}\n");
    work.write("in/_SUCCESS", "");
    work.write("in/_logs/x", "no JSON");
    work.write("in/.hidden", "no JSON");
    transform(&work, "").well();
    assert_eq!(names(&work, "out"), ["out/a.out"]);

    work.write("in/b", "{\"source\":\"b\"}\n");
    work.write("in/b.out/c", "{\"source\":\"c\"}\n");
    let parts = ["in/b: its output, b.out, is a file where that of in/b.out/c needs a folder"];
    transform(&work, "").refused(&parts);
    assert_eq!(names(&work, "out"), ["out/a.out"]);
    std::fs::remove_file(work.path("in/b")).unwrap();
    work.write("out/b.out", "from elsewhere");
    let parts = ["out/b.out: the file exists", "b.out/c.out needs a folder of that name"];
    transform(&work, "").refused(&parts);
    transform(&work, "--overwrite").refused(&parts);

    work.write("packed.jsonl", b"BZh91AY&SY\xb5\xf1");
    let line = format!("transform --model {} --output o --input", model());
    work.run(&format!("{line} packed.jsonl"))
        .refused(&["compressed with bzip2", "unpack it first (bunzip2)"]);
    let parts = ["neither a file nor a folder: pipes, stdin", "write their content to a file first"];
    work.run_with(&format!("{line} /dev/stdin"), "{\"source\":\"a\"}\n").refused(&parts[..1]);
    work.run_with(&format!("{line} -"), "").refused(&parts[..1]);
    let pipe = format!("{} {line} <(printf '{{\"source\":\"a\"}}\\n')", env!("CARGO_BIN_EXE_kokanee"));
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", &pipe]).current_dir(work.path(""));
    crate::workplace::said(bash).refused(&parts[..1]);
}

#[test]
fn a_bad_record_is_named_and_finished_files_stay() {
    let work = Workplace::new();
    work.write("in/1", "{\"source\":\"a\"}\n");
    work.write("in/2", "{\"source\":\"b\"}\n\n{\"sauce\":\"b\"}\n");
    work.write("in/3", "{\"source\":\"c\"}\n");
    let parts = ["in/2: line 3: it has no \"source\"; expected {\"source\": \"...\"}"];
    transform(&work, "").refused(&parts);
    assert_eq!(names(&work, "out"), ["out/1.out"]);
    assert_eq!(work.read("out/1.out"), "{\"target\":\"A\"}\n");
    work.write("in/2", b"{\"source\":\"b\"}\n\"\xff\"\n");
    transform(&work, "").refused(&["in/2: line 2: byte 1 of the line is not UTF-8"]);
    work.write("in/2", "{\"source\":\"b\"}\n");
    let said = transform(&work, "").well();
    assert!(said.stderr.contains("transformed 2 files, 2 records; 1 file finished before"), "{said:?}");
}

#[test]
fn wrong_options_are_refused() {
    let work = Workplace::new();
    work.write("in/a", "no RecordIO\n");
    transform(&work, "--split-type line").misused(&["invalid value 'line'", "None, Line, RecordIO"]);
    transform(&work, "--batch-strategy MULTI_RECORD").misused(&["MultiRecord, SingleRecord"]);
    transform(&work, "--input-filter source")
        .misused(&["\"source\" is not a path: expected $, the root, at byte 0"]);
    transform(&work, "--content-type text/csv")
        .refused(&["--content-type: ", "supported are application/json, application/jsonlines"]);
    transform(&work, "--content-type text/plain --join-source")
        .refused(&["--join-source: works on JSON lines and CSV only"]);
    transform(&work, "--split-type RecordIO").refused(&["in/a: record 1 at byte 0", "RecordIO magic"]);
    let line = format!("transform --model {} --output out --input", model());
    work.run(&format!("{line} nothing")).refused(&["nothing: cannot look at the input"]);
    work.run(&format!("{line} .")).refused(&["outputs would be taken for inputs"]);
    let large = "a ".repeat(600_000);
    work.write("large", &large);
    let said = work.run(&format!("{line} large --content-type text/plain --max-payload-mb 1"));
    said.refused(&[
        "large: line 1: the record is larger than a request may be, 1048576 bytes (--max-payload-mb 1)",
    ]);
}

/// Kills the job without warning once its first file is finished and its second is being written.
#[test]
fn a_killed_job_leaves_nothing_half_written_and_goes_on() {
    const LINES: usize = 4000;
    let work = Workplace::new();
    let (first, first_answers) = pairs(20, 11);
    let (second, _) = pairs(LINES, 12);
    work.write("in/1", first);
    work.write("in/2", second);
    let options = "--content-type text/plain --batch-strategy SingleRecord --threads 1 --max-concurrent 2";
    let line = format!("transform --model {} --input in --output out {options}", model());
    let args: Vec<&str> = line.split_whitespace().collect();
    let mut command = work.command(&args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let began = Instant::now();
    while names(&work, "out") != ["out/1.out", "out/UNFINISHED"] {
        assert!(began.elapsed() < Duration::from_secs(120), "{:?}", names(&work, "out"));
        assert_eq!(child.try_wait().expect("asks"), None, "ended before it was killed");
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("kills");
    assert_eq!(child.wait().expect("ends").code(), None, "ended before it was killed");
    assert_eq!(names(&work, "out"), ["out/1.out", "out/UNFINISHED"]);
    assert_eq!(work.read("out/1.out"), first_answers);

    let said = work.run(&line).well();
    let expected = "transformed 1 file, 4,000 records; 1 file finished before";
    assert!(said.stderr.contains(expected), "{said:?}");
    assert_eq!(names(&work, "out"), ["out/1.out", "out/2.out"]);
    assert_eq!(work.read("out/2.out").lines().count(), LINES);
    work.run(&line.replace("--output out", "--output whole")).well();
    assert_eq!(work.read("out/2.out"), work.read("whole/2.out"));
}

#[test]
#[cfg(unix)]
fn a_signal_stops_the_job_in_order() {
    let work = Workplace::new();
    work.write("in/1", pairs(4000, 13).0);
    let line = format!(
        "transform --model {} --input in --output out --content-type text/plain --batch-strategy SingleRecord",
        model()
    );
    let args: Vec<&str> = line.split_whitespace().collect();
    let child = work.command(&args).stderr(Stdio::piped()).spawn().expect("starts");
    let began = Instant::now();
    while names(&work, "out").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(120));
        thread::sleep(Duration::from_millis(2));
    }
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    let output = child.wait_with_output().expect("ends");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the same command goes on with the others"), "{stderr}");
    assert!(names(&work, "out").is_empty(), "{:?}", names(&work, "out"));
}
