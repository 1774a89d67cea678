use std::fmt;

use super::super::CONTRACT;
use super::*;
use crate::container::input_data::{ChannelError, InputDataConfig};
use crate::container::layout::Layout;

const GOOD: &str = r#"{"ContentType":"application/x-recordio-protobuf","TrainingInputMode":"File",
    "S3DistributionType":"FullyReplicated","RecordWrapperType":"None"}"#;

/// Checks that there is one fault for each expected piece, and that its text contains the piece.
#[track_caller]
fn check<T: fmt::Debug>(found: Result<T, ChannelError>, expected: &[&str]) {
    match found {
        Ok(found) => assert!(expected.is_empty(), "found {found:?}, expected {expected:?}"),
        Err(ChannelError::File(error)) => {
            assert!(
                expected.len() == 1 && error.to_string().contains(expected[0]),
                "{error} lacks {expected:?}"
            );
        }
        Err(ChannelError::Unusable(faults)) => {
            assert_eq!(faults.0.len(), expected.len(), "{faults:#?}");
            for (fault, expected) in faults.0.iter().zip(expected) {
                assert!(fault.to_string().contains(expected), "{fault} lacks {expected:?}");
            }
        }
    }
}

fn located(layout: &Layout) -> Result<TrainingChannels, ChannelError> {
    Ok(TrainingChannels::locate(&InputChannels::locate(layout, &CONTRACT)?)?)
}

#[track_caller]
fn check_config(text: &str, expected: &[&str]) {
    check(InputDataConfig::parse(text, Path::new("inputdataconfig.json"), &CONTRACT), expected);
}

/// A configuration whose train channel is `train`.
fn with_train(train: &str) -> String {
    format!(r#"{{"train":{train},"validation":{GOOD},"vocab":{{}}}}"#)
}

#[test]
fn usable_configurations() {
    check_config(&with_train(GOOD), &[]);
    check_config(&with_train("{}"), &[]);
    check_config(&with_train(r#"{"ContentType":null,"TrainingInputMode":"FastFile","Newer":{"x":1}}"#), &[]);
    check_config(&with_train(r#"{"ContentType":"Application/X-RecordIO-Protobuf; v=1"}"#), &[]);
    check_config(r#"{"train":{},"validation":{},"vocab":{"ContentType":"application/json"}}"#, &[]);
}

#[test]
fn other_channels_are_listed_as_unused() {
    let text = r#"{"train":{},"validation":{},"vocab":{},"test":{},
        "model":{"ContentType":"application/x-sagemaker-model"}}"#;
    let config = InputDataConfig::parse(text, Path::new("f"), &CONTRACT).unwrap();
    assert_eq!(
        config.notes(&CONTRACT),
        ["channel `test` plays no part in training: only train, validation, vocab and model are read"]
    );
}

#[test]
fn unsupported_settings_are_refused_with_reasons() {
    check_config(
        &with_train(r#"{"TrainingInputMode":"Pipe"}"#),
        &["channel `train`: TrainingInputMode \"Pipe\" is not supported: pairs are sorted"],
    );
    check_config(&with_train(r#"{"TrainingInputMode":"Tape"}"#), &["\"Tape\" is not known: expected File"]);
    check_config(
        &with_train(r#"{"ContentType":"text/csv"}"#),
        &["ContentType \"text/csv\" is not supported: expected application/x-recordio-protobuf, or none"],
    );
    check_config(&with_train(r#"{"ContentType":"application/json"}"#), &["ContentType \"application/json\""]);
    check_config(
        &with_train(r#"{"S3DistributionType":"Sharded"}"#),
        &["expected FullyReplicated or ShardedByS3Key"],
    );
    check_config(
        &with_train(r#"{"RecordWrapperType":"RecordIO"}"#),
        &["wraps every object in one more record"],
    );
    check_config(&with_train(r#"{"RecordWrapperType":"Zip"}"#), &["\"Zip\" is not known"]);
    check_config(
        r#"{"train":{},"validation":{},"vocab":{},"model":{"ContentType":"text/csv","TrainingInputMode":"Pipe"}}"#,
        &[
            "channel `model`: ContentType \"text/csv\" is not supported: expected application/x-sagemaker-model, or none; \
             a training job",
            "channel `model`: TrainingInputMode \"Pipe\"",
        ],
    );
}

#[test]
fn every_unusable_channel_is_reported() {
    check_config(
        r#"{"train":{"TrainingInputMode":"Pipe","ContentType":"text/csv"},"validate":{}}"#,
        &[
            "channel `train`: ContentType",
            "channel `train`: TrainingInputMode",
            "channel `validation`: it is missing from inputdataconfig.json, which lists `train`, `validate` (is `validate` meant?)",
            "channel `vocab`: Vocab files are not present in the input directory",
        ],
    );
}

#[test]
fn a_missing_channel_is_told_with_those_that_are_listed() {
    check_config(
        r#"{"train":{},"validation":{}}"#,
        &[
            "the channel is missing from inputdataconfig.json, which lists `train`, `validation`; training needs",
        ],
    );
    check_config(
        "{}",
        &["which lists no channel; training needs", "which lists no channel", "which lists no channel"],
    );
}

#[test]
fn malformed_files_say_where() {
    check_config("", &["inputdataconfig.json: line 1, column 1: the file is empty"]);
    check_config("{\n\"train\": 5}", &["line 2, column 10: value of \"train\": invalid type: integer `5`"]);
    check_config(
        "{\"train\": {\"ContentType\": 5}}",
        &["value of \"train\": invalid type: integer `5`, expected a string"],
    );
    check_config("{\"train\": {}, \"train\": {}}", &["\"train\" is given twice"]);
}

#[test]
fn an_absent_file_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(InputDataConfig::read(&folder.path().join("inputdataconfig.json"), &CONTRACT).unwrap(), None);
}

#[test]
fn folders_and_files_are_found_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::under(folder.path());
    let put = |path: &str| {
        let path = folder.path().join("input/data").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    };
    check(
        located(&layout),
        &[
            "channel `train`: it is missing: a folder with files such as train.rec was looked for at ",
            "channel `validation`: it is missing: a folder with files such as val.rec",
            "Vocab files are not present in the input directory: vocab.src.json and vocab.trg.json was looked for in ",
        ],
    );

    put("train/.hidden");
    put("validation/deeper/part-0");
    put("vocab/vocab.src.json");
    check(
        located(&layout),
        &["channel `train`: it is empty: ", "input directory: vocab.trg.json was looked for in "],
    );

    put("train/part-0");
    put("vocab/vocab.trg.json");
    let found = located(&layout).unwrap();
    assert_eq!(found.train, layout.channel(TRAIN));
    assert_eq!(found.validation, layout.channel(VALIDATION));
    assert_eq!(found.vocab_source, layout.channel(VOCAB).join("vocab.src.json"));
    assert_eq!(found.vocab_target, layout.channel(VOCAB).join("vocab.trg.json"));

    assert_eq!(found.model, None);

    let model = layout.channel(MODEL);
    let model_of = || located(&layout).unwrap().model;
    put("model/config.json");
    assert_eq!(model_of(), Some(model.clone()), "an unpacked model");
    put("model/model.tar.gz");
    assert_eq!(model_of(), Some(model.join("model.tar.gz")), "a packed model");
    std::fs::remove_dir_all(&model).unwrap();
    std::fs::create_dir(&model).unwrap();
    check(located(&layout), &["channel `model`: it is empty: a model to start from was"]);
    std::fs::remove_dir(&model).unwrap();
    std::fs::write(&model, "x").unwrap();
    assert_eq!(model_of(), Some(model), "an archive that a user names");
}

#[test]
fn a_file_may_take_the_place_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("input/data/vocab")).unwrap();
    std::fs::write(folder.path().join("input/data/train"), "x").unwrap();
    std::fs::create_dir_all(folder.path().join("input/data/validation")).unwrap();
    check(located(&Layout::under(folder.path())), &["channel `validation`: it is empty", "Vocab files"]);
}
