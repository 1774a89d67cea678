use std::fs;
use std::path::Path;

use kokanee_contract::algorithms::seq2seq::CONTRACT;
use kokanee_contract::{InputChannels, Layout};
use kokanee_seq2seq_data::{PrepareOptions, Silent, prepare};
use kokanee_seq2seq_nn::Artifact;
use kokanee_seq2seq_nn::artifact::OpenedFolder;
use tempfile::TempDir;

use super::*;
use crate::model_folder::MODEL_FILES;
use crate::trainer::tests::{data, files, hyperparameters};

#[track_caller]
fn check_refused(set: &[(&str, &str)], change: fn(&mut TrainingData), part: &str) {
    let mut data = data(1);
    change(&mut data);
    let h = hyperparameters(set);
    let error =
        TrainingJob::new(&h, data, files(Path::new("nowhere")), Resume::Never).err().expect("refused");
    assert!(error.is_user_error());
    assert!(error.to_string().contains(part), "{error} lacks {part:?}");
}

#[test]
fn data_that_cannot_be_trained_on_is_refused() {
    let limits = [("max_seq_len_target", "1")];
    check_refused(
        &limits,
        |_| (),
        "no pair of the training data is left: all 30 exceed the length limits (100 source tokens, 1 target tokens",
    );
    check_refused(&[], |data| data.train = Corpus::new(), "no pair of the training data is left");
    check_refused(
        &[],
        |data| data.validation.push(&[], &[4]),
        "pair 8 of the validation data has an empty source",
    );
    let drop = [("overlong_sequences", "drop"), ("max_seq_len_source", "1")];
    let long = |data: &mut TrainingData| {
        data.validation = Corpus::new();
        data.validation.push(&[4, 5], &[4]);
    };
    check_refused(&drop, long, "no pair of the validation data is left: all 1 exceed");
}

#[test]
fn the_summary_says_what_is_about_to_happen() {
    let set = [("max_seq_len_source", "6"), ("max_seq_len_target", "6"), ("bleu_sample_size", "2")];
    let h = hyperparameters(&set);
    let job = TrainingJob::new(&h, data(1), files(Path::new("nowhere")), Resume::Never).unwrap();
    let summary = job.summary();
    assert!(summary.train.limits.truncated_source > 0 && summary.train.limits.truncated_target > 0);
    let buckets: usize = summary.buckets.iter().map(|(_, pairs)| pairs).sum();
    assert_eq!(buckets, 30, "every pair has a bucket");
    let text = summary.lines().join("\n");
    for part in [
        "training data: 30 pairs",
        "validation data: 7 pairs",
        "cut to the length limits, 0 pairs left out",
        "target/source length ratio: mean 1.",
        "vocabularies: 9 source and 9 target words",
        "memory: about",
        "BLEU: 2 validation pairs",
    ] {
        assert!(text.contains(part), "{text} lacks {part:?}");
    }
    assert!(summary.warnings[0].contains("training stops before a reduced learning rate"), "{summary:?}");
    let counted = job.trainer().model().parameters().iter().map(|p| p.value.data().len()).sum::<usize>();
    assert_eq!(summary.parameters, counted);
    let bytes_of = |what: &str| summary.memory.items().iter().find(|item| item.what == what).unwrap().bytes;
    assert_eq!([bytes_of("weights"), bytes_of("optimizer state")], [4, 8].map(|n| n * counted as u64));
}

/// From text files, through records and channels, to a usable archive.
#[test]
fn a_job_reads_channels_and_packs_its_model() {
    let folder = TempDir::new().unwrap();
    let text = |name: &str, lines: &[&str]| {
        let path = folder.path().join(name);
        fs::write(&path, lines.join("\n")).unwrap();
        path
    };
    let (source, target) = (["a b c", "b", "c a b ü"], ["x y", "y z", "z"]);
    let layout = Layout::under(folder.path().join("ml"));
    let prepared = folder.path().join("prepared");
    fs::create_dir_all(&prepared).unwrap();
    let options = PrepareOptions {
        val_source: Some(text("val.src", &["a c", "d"])),
        val_target: Some(text("val.trg", &["x", "z"])),
        output_dir: Some(prepared.clone()),
        ..PrepareOptions::new(text("train.src", &source), text("train.trg", &target))
    };
    prepare(&options, &Silent).unwrap();
    for (channel, file) in [
        ("train", "train.rec"),
        ("validation", "val.rec"),
        ("vocab", "vocab.src.json"),
        ("vocab", "vocab.trg.json"),
    ] {
        fs::create_dir_all(layout.channel(channel)).unwrap();
        fs::copy(prepared.join(file), layout.channel(channel).join(file)).unwrap();
    }

    let data = TrainingData::read(
        &TrainingChannels::locate(&InputChannels::locate(&layout, &CONTRACT).unwrap()).unwrap(),
    )
    .unwrap();
    assert_eq!((data.train.len(), data.validation.len()), (3, 2));
    let h = hyperparameters(&[("max_num_batches", "4")]);
    let mut job = TrainingJob::new(&h, data, files(folder.path()), Resume::Never).unwrap();
    job.run(&mut (), &StopFlag::default()).unwrap();

    let unpacked = OpenedFolder::open(&folder.path().join("model.tar.gz")).unwrap();
    let mut names: Vec<_> = fs::read_dir(unpacked.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut wanted = MODEL_FILES.to_vec();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    let artifact = Artifact::load(unpacked.path()).unwrap();
    assert_eq!(artifact.metadata.hyperparameters, h.to_strings());
    assert_eq!(artifact.metadata.lengths.longest_source, 4);
    for file in ["vocab.src.json", "vocab.trg.json"] {
        assert_eq!(fs::read(unpacked.path().join(file)).unwrap(), fs::read(prepared.join(file)).unwrap());
    }
}

/// `data` and `contract` do not depend on our other crates, so each defines the first ids; here they must agree.
#[test]
fn special_ids_are_the_same_in_files_and_in_models() {
    use kokanee_contract::algorithms::seq2seq::special_ids;
    use kokanee_seq2seq_data::vocab;
    assert_eq!(
        [vocab::PAD_ID, vocab::UNK_ID, vocab::BOS_ID, vocab::EOS_ID],
        [special_ids::PAD, special_ids::UNK, special_ids::BOS, special_ids::EOS]
    );
    assert_eq!(vocab::SPECIAL_SYMBOLS, special_ids::SPECIAL_SYMBOLS);
}
