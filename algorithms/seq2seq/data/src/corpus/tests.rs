use std::fs;

use super::*;
use crate::record::encode_pair;
use kokanee_formats::recordio::append_frame;

const SIZES: VocabularySizes = VocabularySizes { source: 10, target: 20 };

fn records(pairs: &[(&[u32], &[u32])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (source, target) in pairs {
        append_frame(&mut bytes, |out| encode_pair(source, target, out));
    }
    bytes
}

fn corpus(pairs: &[(&[u32], &[u32])]) -> Corpus {
    let mut corpus = Corpus::new();
    for (source, target) in pairs {
        corpus.push(source, target);
    }
    corpus
}

/// Reads a channel folder with these files.
fn read(files: &[(&str, &[u8])]) -> Result<Corpus, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let channel = folder.path().join("train");
    fs::create_dir(&channel).expect("creates");
    for (name, bytes) in files {
        let path = channel.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
        fs::write(path, bytes).expect("writes");
    }
    let place = format!("{}/", folder.path().display());
    Corpus::read(&channel, SIZES).map_err(|error| error.to_string().replace(&place, ""))
}

#[test]
fn a_channel_is_all_its_files_in_the_order_of_their_paths() {
    let files: [(&str, &[u8]); 6] = [
        ("part-2.rec", &records(&[(&[6], &[7]), (&[8, 9], &[19])])),
        ("part-1.rec", &records(&[(&[4, 5], &[4])])),
        ("sub/part-0.rec", &records(&[(&[5], &[5])])),
        ("empty.rec", b""),
        (".hidden", b"garbage"),
        ("_SUCCESS", b"garbage"),
    ];
    let expected = corpus(&[(&[4, 5], &[4]), (&[6], &[7]), (&[8, 9], &[19]), (&[5], &[5])]);
    let got = read(&files).expect("reads");
    assert_eq!(got, expected);
    assert_eq!((got.len(), got.source_tokens(), got.target_tokens()), (4, 6, 4));
    assert_eq!((got.source(2), got.target(2)), (&[8, 9][..], &[19][..]));
}

#[test]
fn records_with_an_empty_side_are_skipped_and_counted() {
    let bytes = records(&[(&[4], &[4]), (&[], &[4]), (&[4], &[]), (&[], &[]), (&[5], &[5])]);
    let got = read(&[("a.rec", &bytes)]).expect("reads");
    assert_eq!((got.len(), got.source(1), got.skipped().empty_sides), (2, &[5][..], 3));
    // A corpus with limits applied still reports the skipped records.
    let (limited, _) = got.apply_limits(10, 1, OverlongPolicy::Truncate);
    assert_eq!(limited.skipped().empty_sides, 3);
}

#[test]
fn foreign_files_are_passed_over_and_named() {
    let got = read(&[("train.rec", &records(&[(&[4], &[4])])), ("train.idx", b"0\t0\n")]).expect("reads");
    assert_eq!(got.len(), 1);
    let names: Vec<_> = got.skipped().files.iter().map(|path| path.file_name().expect("a name")).collect();
    assert_eq!(names, ["train.idx"]);
}

#[test]
fn a_channel_may_be_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("train.rec");
    // More than one batch of records, to test the order across batches.
    let ids: Vec<[u32; 1]> = (0..20_000).map(|i| [4 + i % 6]).collect();
    let pairs: Vec<(&[u32], &[u32])> = ids.iter().map(|id| (&id[..], &id[..])).collect();
    fs::write(&path, records(&pairs)).expect("writes");
    assert_eq!(Corpus::read(&path, SIZES).expect("reads"), corpus(&pairs));
}

#[test]
fn faulty_channels_are_refused_with_their_place() {
    let good = records(&[(&[4], &[4])]);
    let at = good.len();
    let bad = |source: &[u32], target: &[u32]| [good.clone(), records(&[(source, target)])].concat();
    let check = |files: &[(&str, &[u8])], expected: &str| assert_eq!(read(files), Err(expected.to_owned()));
    let beyond = "is this the vocabulary the records were made with?";
    check(
        &[("a.rec", &bad(&[4, 10], &[4]))],
        &format!(
            "train/a.rec: record 2 at byte {at}: features[\"source\"]: value 2 is 10; expected an id below the \
             vocabulary's size 10; {beyond}"
        ),
    );
    check(
        &[("a.rec", &good), ("b.rec", &bad(&[4], &[19, 4, 20]))],
        &format!(
            "train/b.rec: record 2 at byte {at}: features[\"target\"]: value 3 is 20; expected an id below the \
             vocabulary's size 20; {beyond}"
        ),
    );
    check(
        &[("a.rec", &bad(&[4, 0], &[4]))],
        &format!(
            "train/a.rec: record 2 at byte {at}: features[\"source\"]: value 2 is 0; expected a word's id; 0 is <pad>, \
             which fills up rows and stands for no word"
        ),
    );
    check(
        &[("a.rec", &records(&[(&[], &[4]), (&[4], &[])]))],
        "train: each of the 2 record(s) has an empty source or an empty target; nothing is left to train on",
    );
    // Of a faulty record and a faulty frame after it, the first is reported.
    check(
        &[("a.rec", &[bad(&[4], &[20]), b"junk".to_vec()].concat())],
        &format!(
            "train/a.rec: record 2 at byte {at}: features[\"target\"]: value 1 is 20; expected an id below the \
             vocabulary's size 20; {beyond}"
        ),
    );
    check(
        &[("a.rec", &good[..at - 1])],
        "train/a.rec: record 1 at byte 0: the frame's padding is cut short: expected 2 bytes, got 1; the file is \
         incomplete, copy or write it again",
    );
    check(
        &[("a.rec", b""), ("b.rec", b"")],
        "train: no record in 2 file(s); looked for RecordIO-framed records in all of them",
    );
    check(
        &[],
        "train: the folder holds no data files; looked for files, in subfolders too, whose names begin with neither \
         '.' nor '_'",
    );
    check(
        &[("_SUCCESS", b"")],
        "train: the folder holds no data files; looked for files, in subfolders too, whose names begin with neither \
         '.' nor '_'; 1 file(s) were passed over by that rule",
    );
    assert_eq!(
        Corpus::read(Path::new("no/such"), SIZES).expect_err("must be refused").to_string(),
        "no/such: there is no such file or folder; looked for a RecordIO file or a folder of them"
    );
}

#[test]
fn a_divided_record_that_makes_no_sense_tells_how_it_was_joined() {
    let whole = records(&[(&[4, 5], &[4])]);
    let payload = &whole[8..];
    // The data is cut where it holds no magic number, as readers that join parts without it expect.
    let mut bytes = Vec::new();
    for (flag, part) in [(1_u32, &payload[..8]), (3, &payload[8..])] {
        bytes.extend_from_slice(&whole[..4]);
        bytes.extend_from_slice(&(flag << 29 | part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let error = read(&[("a.rec", &bytes)]).expect_err("must be refused");
    assert!(
        error.contains("divided into 2 parts, which were joined with the magic number between them"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn links_that_lead_back_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).expect("links");
    let error = Corpus::read(folder.path(), SIZES).expect_err("must be refused").to_string();
    assert!(
        error.ends_with("nested more than 32 deep; does a link lead back to a folder above it?"),
        "{error}"
    );
}

#[test]
fn statistics_are_those_of_sockeye() {
    let statistics =
        corpus(&[(&[4, 4], &[5]), (&[4], &[5, 5, 5, 5]), (&[4, 4, 4, 4], &[5])]).length_statistics();
    // Ratios (1+1)/2, (4+1)/1, (1+1)/4: mean 13/6, variance (1 + 25 + 1/4)/3 - (13/6)^2.
    let (mean, std) = (13.0_f64 / 6.0, (26.25_f64 / 3.0 - (13.0_f64 / 6.0).powi(2)).sqrt());
    assert!((statistics.ratio_mean - mean).abs() < 1e-12, "{statistics:?}");
    assert!((statistics.ratio_std - std).abs() < 1e-12, "{statistics:?}");
    let LengthStatistics { pairs, source_tokens, target_tokens, longest_source, longest_target, .. } =
        statistics;
    assert_eq!((pairs, source_tokens, target_tokens, longest_source, longest_target), (3, 7, 6, 4, 4));
    assert_eq!(Corpus::new().length_statistics(), LengthStatistics::default());
}

#[test]
fn limits_cut_or_drop_and_count_the_begin_symbol() {
    let long =
        corpus(&[(&[4, 5, 6], &[4, 5]), (&[4], &[4, 5, 6]), (&[4, 5, 6], &[4, 5, 6]), (&[7, 8], &[7, 8])]);
    let check =
        |max_source, max_target, policy, pairs: &[(&[u32], &[u32])], counts: (usize, usize, usize)| {
            let (got, report) = long.clone().apply_limits(max_source, max_target, policy);
            assert_eq!(got, corpus(pairs), "limits {max_source} {max_target} {policy:?}");
            assert_eq!((report.truncated_source, report.truncated_target, report.dropped), counts);
        };
    use OverlongPolicy::{Drop, Truncate};
    let cut: [(&[u32], &[u32]); 4] =
        [(&[4, 5], &[4, 5]), (&[4], &[4, 5]), (&[4, 5], &[4, 5]), (&[7, 8], &[7, 8])];
    check(2, 3, Truncate, &cut, (2, 2, 0));
    check(2, 3, Drop, &[(&[7, 8], &[7, 8])], (0, 0, 3));
    let all: [(&[u32], &[u32]); 4] =
        [(&[4, 5, 6], &[4, 5]), (&[4], &[4, 5, 6]), (&[4, 5, 6], &[4, 5, 6]), (&[7, 8], &[7, 8])];
    check(3, 4, Truncate, &all, (0, 0, 0));
    check(100, 1, Truncate, &[], (0, 0, 4));
    check(0, 100, Truncate, &[], (0, 0, 4));
}

#[test]
fn fingerprints_tell_corpora_apart_and_stay() {
    let different = [
        corpus(&[]),
        corpus(&[(&[4, 5], &[6])]),
        corpus(&[(&[4], &[5, 6])]),
        corpus(&[(&[6], &[4, 5])]),
        corpus(&[(&[5, 4], &[6])]),
        corpus(&[(&[4, 5], &[6]), (&[4, 5], &[6])]),
        corpus(&[(&[4], &[6]), (&[5], &[6])]),
        corpus(&[(&[5], &[6]), (&[4], &[6])]),
    ];
    let fingerprints: Vec<_> = different.iter().map(Corpus::fingerprint).collect();
    for (i, fingerprint) in fingerprints.iter().enumerate() {
        assert!(!fingerprints[..i].contains(fingerprint), "{fingerprints:x?}");
    }
    // The fingerprint is stored in checkpoints: another value here would break resuming older runs.
    assert_eq!(fingerprints[1], 13_244_171_631_448_058_931);
}
