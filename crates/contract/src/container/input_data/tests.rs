use super::*;
use crate::algorithms::{kmeans, seq2seq};
use crate::channels::{Distribution, InputMode};
use crate::media::{ContentType, MediaType};

/// A job of k-means with this `inputdataconfig.json`, if given, and these channel folders.
fn locate(
    config: Option<&str>,
    folders: &[&str],
) -> (Result<InputChannels, ChannelError>, Layout, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::under(folder.path());
    folders.iter().for_each(|name| std::fs::create_dir_all(layout.channel(name)).unwrap());
    if let Some(config) = config {
        let path = layout.input_data_config();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, config).unwrap();
    }
    (InputChannels::locate(&layout, &kmeans::CONTRACT), layout, folder)
}

#[track_caller]
fn located(config: Option<&str>, folders: &[&str]) -> (InputChannels, Layout) {
    let (found, layout, _folder) = locate(config, folders);
    (found.unwrap_or_else(|error| panic!("{error}")), layout)
}

/// Checks that the channels are refused, with one line for each expected text, which begins with it.
#[track_caller]
fn check(config: Option<&str>, folders: &[&str], expected: &[&str]) {
    let error = locate(config, folders).0.expect_err("it was accepted").to_string();
    assert_eq!(error.lines().count(), expected.len(), "{error}");
    for (line, expected) in error.lines().zip(expected) {
        assert!(line.starts_with(expected), "{line}\ndoes not begin with\n{expected}");
    }
}

/// The content type of the train channel, as parsed.
#[track_caller]
fn content_type(text: &str) -> ContentType {
    let config = format!(r#"{{"train": {{"ContentType": {text}}}}}"#);
    located(Some(&config), &["train"]).0.channels.remove("train").unwrap().content_type
}

#[test]
fn content_types_are_read_with_their_parameters() {
    let record_io = ContentType::from(MediaType::RecordIo);
    for text in [
        "null",
        r#""""#,
        r#"" ""#,
        r#""None""#,
        r#""protobuf""#,
        r#""application/x-labeled-vector-protobuf""#,
    ] {
        assert_eq!(content_type(text), record_io, "{text}");
    }
    for (text, size) in [
        ("text/csv;label_size=0", Some(0)),
        ("text/csv; label_size=0", Some(0)),
        ("text/csv;label-size=0", Some(0)),
        ("TEXT/CSV; Label_Size=2; charset=UTF-8", Some(2)),
        ("text/csv", None),
    ] {
        let config = format!(r#"{{"train": {{"ContentType": "{text}"}}}}"#);
        let channel = located(Some(&config), &["train"]).0.channels.remove("train").unwrap();
        assert_eq!((channel.content_type.media, channel.label_size()), (MediaType::Csv, size), "{text}");
    }
}

#[test]
fn settings_are_typed_and_have_defaults() {
    let config = r#"{"train": {"TrainingInputMode": "Pipe", "S3DistributionType": "ShardedByS3Key",
        "RecordWrapperType": "None", "Newer": {"x": 1}}, "test": {"TrainingInputMode": "FastFile"}}"#;
    let (found, layout) = located(Some(config), &["test"]);
    let train = found.get("train").unwrap();
    assert_eq!((train.mode, train.distribution), (InputMode::Pipe, Distribution::ShardedByS3Key));
    assert_eq!(train.fifo(0), layout.prefix().join("input/data/train_0"));
    assert_eq!(train.fifo(12), layout.prefix().join("input/data/train_12"));
    let test = found.get("test").unwrap();
    assert_eq!((test.mode, test.distribution), (InputMode::FastFile, Distribution::FullyReplicated));
    assert_eq!(test.path, layout.channel("test"));
    assert_eq!(found.notes, Vec::<String>::new());
}

#[test]
fn without_a_configuration_folders_are_channels() {
    let (found, layout) = located(None, &["train", "other"]);
    assert_eq!(found.channels.keys().collect::<Vec<_>>(), ["train"]);
    let train = found.get("train").unwrap();
    assert_eq!((train.mode, &train.path), (InputMode::File, &layout.channel("train")));
    assert_eq!(located(None, &["train", "test"]).0.channels.len(), 2);
    check(
        None,
        &["test"],
        &["Missing required channel: train; channel `train`: its data was looked for in "],
    );
}

#[test]
fn parameters_that_play_no_part_are_noted() {
    let config = r#"{"train": {"ContentType": "text/csv; label_size=0; header=present"}}"#;
    let notes = located(Some(config), &["train"]).0.notes;
    assert_eq!(notes, ["channel `train`: the parameter `header` of ContentType plays no part"]);
}

#[test]
fn faults_begin_with_the_words_of_the_real_containers() {
    check(
        Some(r#"{"train": {"ContentType": "csv"}}"#),
        &["train"],
        &[
            "No iterator has been registered for ContentType ('csv', '1.0'); channel `train`: ContentType \"csv\" is not \
           supported: expected application/x-recordio-protobuf or text/csv, or none; `text/csv;label_size=0` is CSV",
        ],
    );
    check(
        Some(r#"{"train": {"ContentType": "application/json"}}"#),
        &["train"],
        &["No iterator has been registered for ContentType ('application/json', '1.0'); "],
    );
    check(
        Some(r#"{"training": {}}"#),
        &[],
        &[
            "Missing required channel: train; channel `train`: it is missing from ",
            "Extraneous channel found: training; channel `training`: kmeans reads only train and test; is `train` meant?",
        ],
    );
    check(
        Some(r#"{"train": {"TrainingInputMode": "Tape"}, "test": {"S3DistributionType": "Half"}}"#),
        &["train", "test"],
        &[
            "Channel configuration for 'train' channel is not supported: {\"TrainingInputMode\":\"Tape\"}; channel `train`: \
             TrainingInputMode \"Tape\" is not known: expected File or Pipe",
            "Channel configuration for 'test' channel is not supported: {\"S3DistributionType\":\"Half\"}; channel `test`: \
             S3DistributionType \"Half\" is not known: expected FullyReplicated or ShardedByS3Key",
        ],
    );
    check(
        Some(r#"{"train": {"RecordWrapperType": "RecordIO"}, "model": {}}"#),
        &["train"],
        &[
            "Channel configuration for 'train' channel is not supported: ",
            "Extraneous channel found: model; ",
        ],
    );
}

#[test]
fn every_fault_of_every_channel_is_reported() {
    check(
        Some(
            r#"{"train": {"ContentType": "text/csv;label_size=all;charset=latin1"}, "test": {"ContentType": "image/png",
                "TrainingInputMode": "pipe"}}"#,
        ),
        &["train", "test"],
        &[
            "Channel configuration for 'train' channel is not supported: ",
            "Channel configuration for 'train' channel is not supported: ",
            "No iterator has been registered for ContentType ('image/png', '1.0'); ",
            "Channel configuration for 'test' channel is not supported: ",
        ],
    );
    check(
        Some(r#"{"train": {}, "test": {}}"#),
        &[],
        &[
            "Missing required channel: train; channel `train`: its data was looked for in ",
            "channel `test`: its data was looked for in ",
        ],
    );
    check(Some("[]"), &["train"], &[""]);
}

#[test]
fn long_and_odd_texts_are_cut_and_escaped() {
    let long = "x".repeat(100_000);
    let config = format!(r#"{{"train": {{"ContentType": "{long}"}}, "a\nb": {{}}}}"#);
    let error = locate(Some(&config), &["train"]).0.unwrap_err().to_string();
    assert!(error.len() < 1000, "{}", error.len());
    assert!(error.contains("xxx…") && error.contains("Extraneous channel found: a\\nb; "), "{error}");
}

#[test]
fn what_a_parent_writes_its_child_reads() {
    let text = r#"{"train":{"ContentType":"text/csv;label_size=0","TrainingInputMode":"Pipe"},"test":{}}"#;
    let config = InputDataConfig::parse(text, Path::new("f"), &kmeans::CONTRACT).unwrap();
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(
        written,
        r#"{"test":{},"train":{"ContentType":"text/csv;label_size=0","TrainingInputMode":"Pipe"}}"#
    );
    assert_eq!(InputDataConfig::parse(&written, Path::new("f"), &kmeans::CONTRACT).unwrap(), config);
}

#[test]
fn channels_of_sequence_to_sequence_are_read_by_the_same_rules() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::under(folder.path());
    for file in ["train/a.rec", "validation/a.rec", "vocab/vocab.src.json", "vocab/vocab.trg.json"] {
        let path = layout.channel(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let found = InputChannels::locate(&layout, &seq2seq::CONTRACT).unwrap();
    assert_eq!(found.channels.keys().collect::<Vec<_>>(), ["train", "validation", "vocab"]);
    assert_eq!(found.get("vocab").unwrap().content_type.media, MediaType::Json);
}
