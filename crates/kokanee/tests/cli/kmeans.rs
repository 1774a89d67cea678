//! Tests of k-means as a user runs it: through the container contract and by hand, in File and Pipe mode, with good data and bad.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use kokanee_contract::algorithms::kmeans::CONTRACT;
use serde_json::{Value, json};

use crate::serve::Served;
use crate::workplace::{Said, Workplace, said};

/// Three groups of points in the plane, as CSV without labels.
fn blobs(rows: usize) -> String {
    let mut rng = kokanee_testkit::Rng::new(3);
    let middles = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]];
    let mut text = String::new();
    for row in 0..rows {
        let [x, y] = middles[row % 3];
        text.push_str(&format!("{},{}\n", x + rng.normal() * 0.5, y + rng.normal() * 0.5));
    }
    text
}

/// A job's folder in SageMaker's layout, with this data in the channel train.
fn job(hyperparameters: &Value, channels: &Value, train: &[(&str, &[u8])]) -> Workplace {
    let work = Workplace::new();
    work.write("job/input/config/hyperparameters.json", hyperparameters.to_string());
    work.write("job/input/config/inputdataconfig.json", channels.to_string());
    work.write("job/input/config/resourceconfig.json", r#"{"current_host": "algo-1", "hosts": ["algo-1"]}"#);
    for (name, bytes) in train {
        work.write(&format!("job/input/data/train/{name}"), bytes);
    }
    work
}

fn run(work: &Workplace) -> Said {
    let mut command = work.command(&["train", "--prefix", "job"]);
    command.env("KOKANEE_ALGORITHM", "kmeans");
    said(command)
}

fn csv() -> Value {
    json!({"ContentType": "text/csv;label_size=0", "TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"})
}

fn three() -> Value {
    json!({"k": "3", "feature_dim": "2", "mini_batch_size": "100", "force_dense": "True"})
}

fn model(work: &Workplace) -> Vec<u8> {
    fs::read(work.path("job/model/model_algo-1")).expect("a model")
}

#[test]
fn a_job_leaves_what_sagemaker_takes_and_logs_what_its_tools_read() {
    let mut hyperparameters = three();
    hyperparameters["eval_metrics"] = json!(r#"["msd","ssd"]"#);
    hyperparameters["_tuning_objective_metric"] = json!("test:msd");
    hyperparameters["epochs"] = json!("2");
    let work = job(
        &hyperparameters,
        &json!({"train": csv(), "test": csv()}),
        &[("part-0.csv", blobs(300).as_bytes()), ("part-1.csv", b""), (".amazon.manifest", b"[]")],
    );
    work.write("job/input/data/test/t.csv", blobs(60));
    work.write("job/output/failure", "of an earlier run");
    let said = run(&work).well();
    for metric in CONTRACT.metrics {
        let pattern = regex::Regex::new(metric.regex).expect("a pattern");
        let found =
            pattern.captures(&said.stdout).unwrap_or_else(|| panic!("no {} in {}", metric.name, said.stdout));
        let value: f64 = found[1].parse().expect("a number");
        assert!(value.is_finite() && value >= 0.0, "{} {value}", metric.name);
    }
    for part in [
        "'extra_center_factor' was set to 'auto', evaluated to 10.",
        "shrinking 30 centers into 3",
        "local kmeans attempt #9. Current mean square distance 0.",
        "processed a total of 300 examples",
        "completed 50.0 % of epochs",
        "completed 100.0 % of epochs",
        r#""Algorithm": "AWS/KMeansWebscale", "Host": "algo-1""#,
        "Loaded iterator creator text/csv for content type ('text/csv', '1.0')",
    ] {
        assert!(said.stdout.contains(part), "lacks {part:?}: {}", said.stdout);
    }
    let mut files: Vec<_> =
        fs::read_dir(work.path("job/model")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["kokanee.json", "model_algo-1"]);
    assert!(!work.path("job/output/failure").exists() && !work.path("job/checkpoints").exists());
    let manifest: Value = serde_json::from_str(&work.read("job/model/kokanee.json")).unwrap();
    assert_eq!(
        (&manifest["algorithm"], &manifest["records"]),
        (&json!("kmeans"), &json!({"train": 300, "test": 60}))
    );
    assert!(manifest["metrics"]["test:ssd"].as_f64().unwrap() < 60.0);
}

#[test]
fn the_first_model_of_a_stranger_is_trained_looked_at_and_asked() {
    let work = Workplace::new();
    work.write("rows.csv", blobs(300));
    let line = "train --algorithm kmeans --train rows.csv --content-type text/csv;label_size=0 --output clusters --set k=3";
    let trained = work.run(line).well();
    assert!(trained.stdout.contains("Batch size 5000 is bigger than the first batch data"), "{trained:?}");
    let inspected = work.run("inspect clusters").well();
    for part in ["model of kmeans, 3 clusters of 2 features", "channel train: 300 records", "33.3%"] {
        assert!(inspected.stdout.contains(part), "lacks {part:?}: {}", inspected.stdout);
    }
    work.run("inspect clusters/model.tar.gz --export centers.csv").well();
    assert_eq!(work.read("centers.csv").lines().count(), 3);
    work.write("asked.csv", "0.1,0.2\n9,1\n");
    work.run("transform --model clusters/model.tar.gz --input asked.csv --output answers --content-type text/csv --accept application/jsonlines")
        .well();
    let answers = work.read("answers/asked.csv.out");
    let clusters: Vec<f64> = answers
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["closest_cluster"].as_f64().unwrap())
        .collect();
    assert!(clusters.len() == 2 && clusters[0] != clusters[1], "{answers}");

    let served = Served::ready(&work, "--model clusters", &[]);
    let one = |body: &str, content_type: &str| {
        let (status, answer) = served.ask_bytes("POST", "/invocations", content_type, body.as_bytes());
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let csv = one("0.1,0.2\n9,1\n", "text/csv");
    let json = one(
        r#"{"instances": [{"features": [0.1, 0.2]}, {"data": {"features": {"values": [9, 1]}}}]}"#,
        "application/json",
    );
    assert_eq!(csv, json);
    assert!(csv.starts_with(r#"{"predictions": [{"closest_cluster": "#), "{csv}");
    let (status, answer) = served.ask_bytes("POST", "/invocations", "text/csv", b"1,2,3\n");
    assert_eq!(status, 400);
    assert!(answer.contains("unable to evaluate payload provided"), "{answer}");
}

#[test]
fn a_sweep_shows_the_elbow() {
    let work = Workplace::new();
    work.write("rows.csv", blobs(300));
    let line = "train --algorithm kmeans --train rows.csv --test rows.csv --content-type text/csv;label_size=0 --output sweep";
    let swept = work.run(&format!("{line} --sweep k=1:5")).well();
    let msd: Vec<f64> = swept.lines()[2..7]
        .iter()
        .map(|line| line.split_whitespace().nth(2).expect("a column").parse().expect("a number"))
        .collect();
    // With three groups, the measure falls steeply up to three clusters, then hardly.
    assert!(msd[0] > 10.0 * msd[2] && msd[2] < 3.0 * msd[4], "{msd:?} {}", swept.stdout);
    assert!(work.read("sweep/sweep.svg").contains("<svg"), "a picture");
    assert!(work.path("sweep/k=3/model_algo-1").exists());
    work.run(&format!("{line} --sweep k=0:2")).refused(&["k"]);
    work.run(&format!("{line} --sweep k")).misused(&["such as k=2:20"]);
}

#[test]
fn a_real_artefact_without_a_manifest_is_served_and_described() {
    let work = Workplace::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../algorithms/kmeans/tests/golden");
    work.write("theirs/model_algo-1", fs::read(golden.join("model_algo-1")).unwrap());
    work.write("theirs/state_2f1f2a0c", "state");
    let inspected = work.run("inspect theirs").well();
    assert!(inspected.stdout.contains("model of kmeans, 10 clusters of 784 features"), "{inspected:?}");
    // Users give the file another name.
    fs::rename(work.path("theirs/model_algo-1"), work.path("theirs/centroids")).unwrap();
    let inspected = work.run("inspect theirs").well();
    assert!(inspected.stdout.contains("looks for a file called model_algo-1"), "{inspected:?}");
    work.run("train --algorithm kmeans --train x --output theirs --set k=2").refused(&["x"]);
}

#[test]
fn bad_jobs_say_what_is_wrong_and_leave_no_model() {
    let check = |hyperparameters: Value, channels: Value, train: &[(&str, &[u8])], parts: &[&str]| {
        let work = job(&hyperparameters, &channels, train);
        run(&work).refused(parts);
        let failure = work.read("job/output/failure");
        assert!(failure.starts_with("ClientError: "), "{failure}");
        for part in parts {
            assert!(failure.contains(part), "lacks {part:?}: {failure}");
        }
        let files = fs::read_dir(work.path("job/model")).map_or(0, Iterator::count);
        assert_eq!(files, 0, "{failure}");
    };
    let train = json!({"train": csv()});
    let good = blobs(300);
    let mut wide = good.clone();
    wide.push_str("1,2,3\n");
    check(
        three(),
        train.clone(),
        &[("a.csv", wide.as_bytes())],
        &["Unable to parse csv", "301", "a.csv", "columns"],
    );
    check(three(), train.clone(), &[("a.csv", b"x,y\n1,2\n")], &["header"]);
    check(three(), train.clone(), &[("a.csv", b"")], &["channel train holds no record"]);
    check(
        three(),
        train.clone(),
        &[("a.csv", b"1,2\n3,4\n")],
        &["k=3 clusters need at least 3 records, channel train holds 2"],
    );
    check(three(), train.clone(), &[("a.csv", b"1,2\nnan,4\n5,6\n7,8\n")], &["row 2", "column 1"]);
    check(
        three(),
        train.clone(),
        &[("a.csv", b"1,2\n1e30,4\n5,6\n7,8\n")],
        &["squares overflow 32-bit floats", "scale column 1"],
    );
    // The most common fault: the first column is taken for a label.
    check(
        three(),
        json!({"train": {"ContentType": "text/csv"}}),
        &[("a.csv", good.as_bytes())],
        &["label_size=0"],
    );
    check(
        three(),
        json!({"train": {"ContentType": "csv"}}),
        &[("a.csv", good.as_bytes())],
        &["No iterator has been registered for ContentType"],
    );
    check(json!({"k": "8.5"}), train.clone(), &[("a.csv", good.as_bytes())], &["8.5"]);
    check(json!({"K": "8"}), train.clone(), &[("a.csv", good.as_bytes())], &["did you mean `k`"]);
    check(json!({}), train.clone(), &[("a.csv", good.as_bytes())], &["Missing required hyperparameter: k"]);
    check(
        three(),
        json!({"test": csv()}),
        &[("a.csv", good.as_bytes())],
        &["Missing required channel: train"],
    );
    check(
        three(),
        json!({"train": csv(), "validation": csv()}),
        &[("a.csv", good.as_bytes())],
        &["Extraneous channel found: validation"],
    );
}

#[test]
fn command_lines_are_wrong_in_words_that_help() {
    let work = Workplace::new();
    work.write("rows.csv", blobs(30));
    let kmeans = "train --algorithm kmeans --train rows.csv --output clusters --set k=2";
    work.run(kmeans).misused(&["looks like CSV", "--content-type 'text/csv;label_size=0'"]);
    work.run(&format!("{kmeans} --validation rows.csv"))
        .misused(&["kmeans has no channel validation", "train, test"]);
    work.run(&format!("{kmeans} --resume")).misused(&["--resume has no meaning for kmeans"]);
    work.run(&format!("{kmeans} --content-type image/png")).misused(&["--content-type \"image/png\""]);
    work.run("train --algorithm kmean --train rows.csv --output x")
        .refused(&["there is no algorithm \"kmean\"", "kmeans"]);
    work.run("train --train x --output y").misused(&["seq2seq needs --validation"]);
    let help = work.run("train --algorithm kmeans --help").well();
    assert!(
        help.stdout.contains("local_lloyd_num_trials") && !help.stdout.contains("rnn_cell_type"),
        "{help:?}"
    );
    let list = work.run("algorithms").well();
    assert!(["seq2seq", "kmeans", "[test]"].iter().all(|part| list.stdout.contains(part)), "{list:?}");
    let one = work.run("algorithms kmeans").well();
    assert!(["test:msd", "text/csv", "Pipe"].iter().all(|part| one.stdout.contains(part)), "{one:?}");
}

/// A record of two 32-bit floats as the SDK writes it: a frame, and the message with the feature `values`.
fn record([x, y]: [f32; 2]) -> Vec<u8> {
    let mut bytes = b"\x0a\x23\xd7\xce\x18\0\0\0\x0a\x16\x0a\x06values\x12\x0c\x12\x0a\x0a\x08".to_vec();
    bytes.extend(x.to_le_bytes());
    bytes.extend(y.to_le_bytes());
    bytes
}

/// Rows of a job as RecordIO, in two objects.
fn records() -> [Vec<u8>; 2] {
    let text = blobs(300);
    let rows = text.lines().map(|line| {
        let (x, y) = line.split_once(',').expect("two columns");
        record([x.parse().expect("a number"), y.parse().expect("a number")])
    });
    let rows: Vec<Vec<u8>> = rows.collect();
    [rows[..200].concat(), rows[200..].concat()]
}

/// Writes each of these to a separate FIFO, when a reader opens it.
fn fifos(work: &Workplace, contents: &[(&str, Vec<u8>)]) -> Vec<JoinHandle<()>> {
    contents
        .iter()
        .map(|(name, bytes)| {
            let path = work.path(&format!("job/input/data/{name}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
            let bytes = bytes.clone();
            std::thread::spawn(move || {
                let mut fifo = fs::OpenOptions::new().write(true).open(path).expect("opens");
                // The reader may leave early.
                let _ = fifo.write_all(&bytes);
            })
        })
        .collect()
}

#[test]
fn file_mode_pipe_mode_shards_and_threads_give_the_same_model() {
    let recordio = |mode: &str| json!({"train": {"TrainingInputMode": mode}});
    let [first, second] = records();
    let hyperparameters = |threads: &str| {
        let mut h = three();
        h["epochs"] = json!("2");
        h["num_threads"] = json!(threads);
        h
    };
    let objects = [("matrix_0.pbr", first.as_slice()), ("matrix_1.pbr", second.as_slice())];
    let file = job(&hyperparameters("1"), &recordio("File"), &objects);
    run(&file).well();
    let want = model(&file);

    let threads = job(&hyperparameters("2"), &recordio("File"), &objects);
    // Two machines: this one reads the union.
    threads.write(
        "job/input/config/resourceconfig.json",
        r#"{"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}"#,
    );
    let said = run(&threads).well();
    assert!(said.stdout.contains("the job was given 2 machines"), "{said:?}");
    assert_eq!(model(&threads), want);

    let pipe = job(&hyperparameters("1"), &recordio("Pipe"), &[]);
    let all = [first, second].concat();
    // One more than is opened: a writer without a reader must not hang the job.
    let writers = fifos(&pipe, &[("train_0", all.clone()), ("train_1", all)]);
    run(&pipe).well();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(model(&pipe), want);
}

#[test]
fn a_writer_that_dies_within_a_record_is_told_with_the_channel() {
    let [first, _] = records();
    let work = job(&three(), &json!({"train": {"TrainingInputMode": "Pipe"}}), &[]);
    let writers = fifos(&work, &[("train_0", first[..first.len() - 7].to_vec())]);
    run(&work).refused(&["train_0", "channel train"]);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let missing = job(&three(), &json!({"train": {"TrainingInputMode": "Pipe"}}), &[]);
    run(&missing).refused(&["channel train", "train_0", "FIFO"]);
}

#[test]
fn a_job_that_is_killed_before_it_has_shrunk_leaves_nothing_half_written() {
    let mut hyperparameters = three();
    hyperparameters["local_lloyd_num_trials"] = json!("1000000");
    let work = job(&hyperparameters, &json!({"train": csv()}), &[("a.csv", blobs(300).as_bytes())]);
    let mut command = work.command(&["train", "--prefix", "job", "--algorithm", "kmeans"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
    let log = BufReader::new(child.stdout.take().expect("piped"));
    let begun = log.lines().map_while(Result::ok).any(|line| line.contains("local kmeans attempt #3"));
    child.kill().expect("is killed");
    child.wait().expect("ends");
    assert!(begun);
    let left: Vec<_> = fs::read_dir(work.path("job/model"))
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    assert!(left.iter().all(|name| name == ".kokanee-lock"), "{left:?}");
}

#[test]
fn a_stopped_job_makes_a_model_of_what_it_has_seen() {
    let [first, _] = records();
    let work = job(&three(), &json!({"train": {"TrainingInputMode": "Pipe"}}), &[]);
    let path = work.path("job/input/data/train_0");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let mut command = work.command(&["train", "--prefix", "job", "--algorithm", "kmeans"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
    let mut fifo = fs::OpenOptions::new().write(true).open(&path).expect("opens");
    fifo.write_all(&first).expect("is read");
    let mut log = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(log.by_ref().any(|line| line.contains("number of center slices")));
    // It waits for more records, which do not come.
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill").success());
    let rest: Vec<String> = log.collect();
    assert!(child.wait().expect("ends").success(), "{rest:#?}");
    assert!(rest.iter().any(|line| line.contains("a stop was requested")), "{rest:#?}");
    assert!(work.path("job/model/model_algo-1").exists());
    drop(fifo);
}
