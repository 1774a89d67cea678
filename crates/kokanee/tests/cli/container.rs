//! Tests of training as a SageMaker container, under another folder.

use std::fs;

use crate::workplace::{Said, Workplace, prepared, said};

const HYPERPARAMETERS: &str = r#"{"num_embed_source": "8", "num_embed_target": "8", "rnn_num_hidden": "16", "batch_size": "64",
    "max_num_batches": "4", "num_threads": "1", "_tuning_objective_metric": "validation:bleu"}"#;
const CHANNELS: &str = r#"{"train": {"ContentType": "application/x-recordio-protobuf", "TrainingInputMode": "File"},
    "validation": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}, "vocab": {}, "extra": {}}"#;

/// A job's folder in SageMaker's layout.
pub(crate) fn job() -> Workplace {
    let work = Workplace::new();
    prepared(&work);
    for (from, to) in [
        ("data/train.rec", "job/input/data/train/train.rec"),
        ("data/val.rec", "job/input/data/validation/val.rec"),
        ("data/vocab.src.json", "job/input/data/vocab/vocab.src.json"),
        ("data/vocab.trg.json", "job/input/data/vocab/vocab.trg.json"),
    ] {
        work.write(to, fs::read(work.path(from)).unwrap());
    }
    work.write("job/input/config/hyperparameters.json", HYPERPARAMETERS);
    work.write("job/input/config/inputdataconfig.json", CHANNELS);
    work.write("job/input/config/resourceconfig.json", r#"{"current_host": "algo-7", "hosts": ["algo-7"]}"#);
    work
}

fn run(work: &Workplace) -> Said {
    let mut command = work.command(&["train", "--prefix", "job"]);
    command.env("TRAINING_JOB_NAME", "first-light");
    said(command)
}

#[test]
fn a_job_runs_and_leaves_what_sagemaker_takes() {
    let work = job();
    work.write("job/output/failure", "of an earlier run");
    let said = run(&work).well();
    assert!(said.stdout.contains("training job first-light"), "{said:?}");
    assert!(said.stdout.contains("channel `extra` plays no part"), "{said:?}");
    assert!(
        said.stdout.contains("#quality_metric: host=algo-7, epoch=0, validation perplexity="),
        "{said:?}"
    );
    let mut files: Vec<String> = fs::read_dir(work.path("job/model"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(
        files,
        ["config.json", "metrics.json", "model.safetensors", "vocab.src.json", "vocab.trg.json"]
    );
    assert!(work.path("job/checkpoints/latest").exists());
    assert!(!work.path("job/output/failure").exists());
}

#[test]
fn a_job_goes_on_where_it_was_interrupted() {
    let work = job();
    run(&work).well();
    work.write(
        "job/input/config/hyperparameters.json",
        HYPERPARAMETERS.replace("\"max_num_batches\": \"4\"", "\"max_num_batches\": \"6\""),
    );
    let said = run(&work).well();
    assert!(said.stdout.contains("resumed after update 4"), "{said:?}");
}

#[test]
fn a_job_starts_from_the_model_channel() {
    let earlier = job();
    let said = run(&earlier).well();
    assert!(!said.stdout.contains("started from an earlier model"), "{said:?}");
    let files = ["config.json", "model.safetensors", "vocab.src.json", "vocab.trg.json"];
    let folder = earlier.path("job/model");
    kokanee_formats::archive::pack(&folder, &files, &earlier.path("model.tar.gz")).unwrap();

    let packed = job();
    packed.write("job/input/data/model/model.tar.gz", fs::read(earlier.path("model.tar.gz")).unwrap());
    let unpacked = job();
    for file in files {
        unpacked.write(&format!("job/input/data/model/{file}"), fs::read(folder.join(file)).unwrap());
    }
    for work in [packed, unpacked] {
        let said = run(&work).well();
        let words = "started from an earlier model; source words: 6 kept, 0 new, 0 dropped; \
                     target words: 6 kept, 0 new, 0 dropped";
        assert!(said.stdout.contains(words), "lacks {words:?}: {}", said.stdout);
        let parameters = |work: &Workplace| fs::read(work.path("job/model/model.safetensors")).unwrap();
        assert!(parameters(&work) != parameters(&earlier), "the earlier model played no part");
    }

    let damaged = |work: &Workplace| work.write("job/input/data/model/model.tar.gz", "no archive");
    check(damaged, &["model.tar.gz", "not a whole gzip-compressed tar archive"]);
    check(
        |work| fs::create_dir(work.path("job/input/data/model")).unwrap(),
        &["channel `model`: it is empty"],
    );
    check(
        |work| {
            work.write("job/input/data/model/model.tar.gz", fs::read(earlier.path("model.tar.gz")).unwrap());
            let wider = HYPERPARAMETERS.replace("\"rnn_num_hidden\": \"16\"", "\"rnn_num_hidden\": \"20\"");
            work.write("job/input/config/hyperparameters.json", wider);
        },
        &["the initial model cannot be trained on with these hyperparameters", "is 16 and 20 was asked for"],
    );
}

/// Damages a job, and expects these parts in the part of the failure file that SageMaker shows, and on stderr.
#[track_caller]
fn check(spoil: impl FnOnce(&Workplace), parts: &[&str]) {
    let work = job();
    spoil(&work);
    run(&work).refused(parts);
    let failure = work.read("job/output/failure");
    let shown: String = failure.chars().take(1024).collect();
    assert!(shown.starts_with("ClientError: "), "{shown}");
    for part in parts {
        assert!(shown.contains(part), "the failure file lacks {part:?}: {shown}");
    }
    assert!(!work.path("job/model").exists());
}

#[test]
fn failures_are_told_in_the_failure_file() {
    let hyperparameters = |text: &'static str| {
        move |work: &Workplace| work.write("job/input/config/hyperparameters.json", text)
    };
    check(
        hyperparameters(r#"{"batch_sise": "64", "beam_size": "0"}"#),
        &["2 hyperparameters cannot be used (batch_sise, beam_size)", "did you mean `batch_size`?"],
    );
    check(hyperparameters("{\"batch_size\": \"64\""), &["hyperparameters.json: line 1, column"]);
    check(hyperparameters(""), &["hyperparameters.json", "the file is empty"]);
    check(
        |work| fs::remove_dir_all(work.path("job/input/data/train")).unwrap(),
        &["channel `train`: it is missing", "job/input/data/train"],
    );
    check(
        |work| fs::remove_file(work.path("job/input/data/validation/val.rec")).unwrap(),
        &["channel `validation`: it is empty"],
    );
    check(
        |work| fs::remove_file(work.path("job/input/data/vocab/vocab.trg.json")).unwrap(),
        &[
            "channel `vocab`: Vocab files are not present in the input directory: vocab.trg.json was looked for",
        ],
    );
    check(
        |work| {
            fs::remove_dir_all(work.path("job/input/data/vocab")).unwrap();
            work.write("job/input/config/hyperparameters.json", r#"{"seed": "x"}"#);
        },
        &["`seed`=\"x\"", "channel `vocab`"],
    );
    check(
        |work| {
            work.write(
                "job/input/config/inputdataconfig.json",
                r#"{"train": {"ContentType": "text/csv"}, "validaton": {}, "vocab": {"TrainingInputMode": "Pipe"}}"#,
            );
        },
        &["ContentType \"text/csv\"", "is `validaton` meant?", "TrainingInputMode \"Pipe\" is not supported"],
    );
    check(
        |work| {
            work.write(
                "job/input/config/resourceconfig.json",
                r#"{"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}"#,
            );
        },
        &["names 2 hosts", "set InstanceCount to 1"],
    );
    check(
        |work| work.write("job/input/data/train/train.rec", "no records"),
        &["train.rec: record 1 at byte 0", "expected the RecordIO magic"],
    );
}

#[test]
fn a_prefix_that_is_not_there_is_not_made() {
    let work = Workplace::new();
    work.run("train --prefix nowhere").refused(&["there is no folder nowhere", "--train"]);
    assert!(!work.path("nowhere").exists());
}
