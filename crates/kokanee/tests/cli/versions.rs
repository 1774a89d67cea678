//! Tests that models, states and data folders of earlier versions still work; `tests/versions/README.md` documents how they were
//! created.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::local::Local;
use crate::local_resources::{kmeans_job, training_job};
use crate::workplace::{Workplace, copy, said};

/// The settings with which the states were trained, as in `make.sh`.
const SETTINGS: &str = "--set batch_size=16 --set num_threads=1 --set max_seq_len_source=12 --set max_seq_len_target=12 \
     --set seed=7 --set num_embed_source=8 --set num_embed_target=8 --set learning_rate=0.01 \
     --set checkpoint_frequency_num_batches=10 --set max_num_batches=40 --resume";
const RNN: &str = "--set rnn_num_hidden=16";
const CNN: &str = "--set encoder_type=cnn --set decoder_type=cnn --set cnn_num_hidden=16 --set num_layers_encoder=1 \
     --set num_layers_decoder=1";

fn versions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions")
}

/// Every version's folder.
fn all() -> Vec<PathBuf> {
    let folders = fs::read_dir(versions()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.join("rnn").is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 2, "{folders:?}");
    folders
}

#[test]
fn models_of_every_version_say_the_same_words_in_every_precision() {
    let input = versions().join("data/input.txt").display().to_string();
    for folder in all() {
        for kind in ["rnn", "cnn"] {
            for precision in ["f32", "bf16", "int8"] {
                let model = folder.join(kind).display().to_string();
                let args =
                    ["translate", "-q", "--model", &*model, "--precision", precision, "--input", &*input];
                let work = Workplace::new();
                let answer = said(work.command(&args)).well();
                let expected = fs::read_to_string(folder.join(format!("{kind}-{precision}.txt"))).unwrap();
                assert_eq!(answer.stdout, expected, "{model} in {precision}");
                assert_eq!(answer.stderr, "", "{model}");
            }
        }
    }
}

/// Sums are rounded in another order by other instruction sets, so the test compares figures, not bits.
#[test]
fn states_of_every_version_are_gone_on_from() {
    const TOLERANCE: f64 = 1e-3;
    let data = versions().join("data").display().to_string();
    for folder in all() {
        for (kind, settings) in [("rnn", RNN), ("cnn", CNN)] {
            let work = Workplace::new();
            copy(&folder.join(format!("{kind}-state")), &work.path("state"));
            let line = format!("train --train {data}/train.rec --validation {data}/val.rec --vocab {data}");
            let said =
                work.run(&format!("{line} --output m --checkpoints state {settings} {SETTINGS}")).well();
            assert!(said.stdout.contains("resumed after update 20"), "{said:?}");
            let figures = |text: &str| -> Vec<f64> {
                let after = |line: &str| line.split("Validation-perplexity=").nth(1)?.parse().ok();
                text.lines().filter_map(after).collect()
            };
            let recorded = fs::read_to_string(folder.join(format!("{kind}-resumed.txt"))).unwrap();
            let (got, want) = (figures(&said.stdout), figures(&recorded));
            assert_eq!((got.len(), want.len()), (2, 2), "{said:?}");
            for (got, want) in got.iter().zip(&want) {
                assert!((got / want - 1.0).abs() < TOLERANCE, "{}: {got}, was {want}", folder.display());
            }
        }
    }
}

/// The content of the local SageMaker was created by `make_local.sh`.
#[test]
fn data_folders_of_every_version_are_opened() {
    let folders = fs::read_dir(versions()).unwrap().map(|entry| entry.unwrap().path().join("local"));
    let folders: Vec<_> = folders.filter(|folder| folder.is_dir()).collect();
    assert!(!folders.is_empty());
    for folder in folders {
        let work = Workplace::new();
        copy(&folder, &work.path("data"));
        restore_times(&work.path("data/s3/.kokanee-s3/bucket/objects"), &work.path("data/s3/bucket"));
        let server = Local::start(&work);
        let ask = |operation: &str, input: Value| {
            let (status, answer) = server.operation(operation, &input).expect("answers");
            assert_eq!(status, 200, "{operation}: {answer}");
            answer
        };
        let job = ask("DescribeTrainingJob", json!({"TrainingJobName": "clusters"}));
        assert_eq!(job["TrainingJobStatus"], "Completed", "{job:#}");
        assert!(job["FinalMetricDataList"].as_array().is_some_and(|metrics| !metrics.is_empty()), "{job:#}");
        let tags = ask("ListTags", json!({"ResourceArn": job["TrainingJobArn"]}));
        assert_eq!(tags["Tags"][0]["Value"], "fish", "{tags}");
        let job = ask("DescribeTrainingJob", json!({"TrainingJobName": "wrong"}));
        let reason = job["FailureReason"].as_str().unwrap_or_default();
        assert!(job["TrainingJobStatus"] == "Failed" && reason.starts_with("ClientError"), "{job:#}");
        let job = ask("DescribeTransformJob", json!({"TransformJobName": "t"}));
        assert_eq!(job["TransformJobStatus"], "Completed", "{job:#}");

        assert_eq!(server.get("/bucket/in/rows.csv"), b"0,0\n0,1\n50,0\n50,1\n");
        let head = "GET /bucket/odd%20key/%C3%BC HTTP/1.1\r\nHost: 127.0.0.1\r\n";
        let (status, odd) = server.ask(head, b"").expect("answers");
        assert!(status == 200 && String::from_utf8_lossy(&odd).contains("x-amz-meta-note: kept"));
        assert!(!server.get("/bucket/out/clusters/output/model.tar.gz").is_empty());
        let answers = String::from_utf8(server.get("/bucket/answers/rows.csv.out")).unwrap();
        assert_eq!(answers.matches("closest_cluster").count(), 4, "{answers}");

        for (name, said) in
            [("clusters", "#quality_metric"), ("ep", "ready address="), ("t", "ready address=")]
        {
            let logs = said_by(&work, &["local", "logs", "--data", "data", name]);
            assert!(logs.contains(said), "{name}: {logs}");
        }
        server.until("DescribeEndpoint", &json!({"EndpointName": "ep"}), "EndpointStatus", "InService");
        let head = "POST /endpoints/ep/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n";
        let (status, answer) = server.ask(head, b"1,2\n").expect("answers");
        assert!(status == 200 && String::from_utf8_lossy(&answer).contains("closest_cluster"));

        // It can be used further.
        ask(
            "CreateTrainingJob",
            training_job("later", "174872318107.dkr.ecr.us-west-2.amazonaws.com/own:1", &json!({})),
        );
        server.until(
            "DescribeTrainingJob",
            &json!({"TrainingJobName": "later"}),
            "TrainingJobStatus",
            "Completed",
        );
        let (status, again) =
            server.operation("CreateTrainingJob", &kmeans_job("clusters", 1)).expect("answers");
        assert!(status == 400 && again["__type"] == "ResourceInUse", "{again}");
    }
}

/// Sets the times of objects to those in their records, which a copy with times keeps and git does not.
fn restore_times(records: &Path, objects: &Path) {
    for entry in fs::read_dir(records).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let Some(key) = name.strip_suffix("%meta") else {
            restore_times(&entry.path(), &objects.join(name));
            continue;
        };
        let record: Value = serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
        let since = Duration::from_nanos(record["records"][0]["modified_ns"].as_u64().unwrap());
        let object = fs::File::options().write(true).open(objects.join(key)).unwrap();
        object.set_modified(UNIX_EPOCH + since).unwrap();
    }
}

fn said_by(work: &Workplace, args: &[&str]) -> String {
    said(work.command(args)).well().stdout
}

/// A model in the form of a later version, with everything that this one can accept.
#[test]
fn a_model_of_a_later_version_is_used_with_a_note() {
    let work = Workplace::new();
    copy(&versions().join("0.1.0/rnn"), &work.path("m"));
    let mut config: Value = serde_json::from_str(&work.read("m/config.json")).unwrap();
    config["kokanee_version"] = "7.0.0".into();
    config["hyperparameters"]["attention_heads"] = "4".into();
    config["hyperparameters"]["optimizer_type"] = "lion".into();
    config["tokenizer"] = "none".into();
    work.write("m/config.json", config.to_string());
    let notes = [
        "note: the hyperparameter `attention_heads` (\"4\") is not known",
        "note: the hyperparameter `optimizer_type`",
    ];
    work.write("in.txt", "a\n");
    for line in
        ["translate -q --model m --input in.txt", "score -q --model m --source in.txt --target in.txt"]
    {
        let said = work.run(line).well();
        assert!(notes.iter().all(|note| said.stderr.contains(note)), "{said:?}");
    }
    let described = work.run("inspect m").well().stdout;
    assert!(described.contains("not known to this version"), "{described}");

    config["hyperparameters"]["beam_search_rule"] = "sockeye_3".into();
    work.write("m/config.json", config.to_string());
    work.run("translate --model m --input in.txt").refused(&["beam_search_rule", "sockeye_3"]);
    config["hyperparameters"]["beam_search_rule"] = "sockeye_1_12".into();
    config["model"]["decoder"]["heads"] = 4.into();
    work.write("m/config.json", config.to_string());
    work.run("translate --model m --input in.txt").refused(&[
        "m/config.json cannot be used: it describes a model by model.decoder.heads = 4",
        "Kokanee 7.0.0 wrote it, and this is 0.1.0",
    ]);
}
