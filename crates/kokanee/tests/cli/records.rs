//! Tests of damaged and doubtful records, vocabularies and text in training.

use kokanee_formats::recordio::RecordWriter;
use kokanee_seq2seq_data::Vocabulary;

use crate::workplace::{TINY, Workplace, prepared};

/// `aialgs.data.Record` with int32 tensors, encoded by hand so that it can contain what our writers would not write.
fn record(source: &[i32], target: &[i32]) -> Vec<u8> {
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).expect("short")];
        bytes.extend_from_slice(content);
        bytes
    }
    let feature = |name: &str, ids: &[i32]| {
        let mut packed = Vec::new();
        for &id in ids {
            let mut rest = i64::from(id) as u64;
            while rest >= 0x80 {
                packed.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            packed.push(rest as u8);
        }
        let value = field(7, &field(1, &packed));
        field(1, &[field(1, name.as_bytes()), field(2, &value)].concat())
    };
    [feature("source", source), feature("target", target)].concat()
}

fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), "test");
    for payload in payloads {
        writer.write(payload).expect("writes");
    }
    writer.finish().expect("flushes")
}

/// Trains on `content` and expects the refusal.
#[track_caller]
fn check(content: &[u8], parts: &[&str]) {
    let work = Workplace::new();
    prepared(&work);
    work.write("bad.rec", content);
    let line = "train --train bad.rec --validation data/val.rec --vocab data --output model";
    work.run(&format!("{line} {TINY}")).refused(&[&["bad.rec: "], parts].concat());
    assert!(!work.path("model").exists());
}

#[test]
fn damaged_records_are_refused_with_their_place() {
    let good = record(&[4, 5], &[4, 5]);
    let whole = file(&[good.clone(), good.clone()]);
    let second = whole.len() / 2;
    let at = format!("record 2 at byte {second}");
    check(&whole[..whole.len() - 3], &[&at, "is cut short", "the file is incomplete"]);
    check(&[&whole[..second], b"nonsense"].concat(), &[&at, "expected the RecordIO magic", "6e 6f 6e 73"]);
    let long = [&whole[..second + 4], &0x1fff_ffff_u32.to_le_bytes()[..], &[0; 64]].concat();
    check(&long, &[&at, "536870911 bytes"]);
    check(
        &file(&[good.clone(), vec![0xff; 9]]),
        &[&at, "are not an aialgs.data.Record in protobuf encoding"],
    );
    check(&file(&[good.clone(), Vec::new()]), &[&at, "features[\"source\"] is missing"]);
    check(&file(&[record(&[], &[4]), record(&[4], &[])]), &["each of the 2 record(s) has an empty source"]);
    check(&file(&[good.clone(), record(&[4, -1], &[4])]), &[&at, "features[\"source\"]: value 2 is -1"]);
    check(
        &file(&[good, record(&[4], &[4, 99])]),
        &[&at, "features[\"target\"]: value 2 is 99", "an id below the vocabulary's size 10"],
    );
    check(b"", &["no record in 1 file(s)"]);
    check(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0], &["compressed with gzip", "unpack it first (gunzip)"]);
}

#[test]
fn empty_sides_and_foreign_files_are_passed_over_and_told() {
    let work = Workplace::new();
    prepared(&work);
    let pair = record(&[4, 5], &[4, 5]);
    work.write("channel/train.rec", file(&[pair.clone(), record(&[], &[4]), record(&[4], &[]), pair]));
    work.write("channel/train.idx", "0\t0\n1\t48\n");
    let line = "train --train channel --validation data/val.rec --vocab data --output model";
    let said = work.run(&format!("{line} {TINY} --set max_num_batches=1")).well();
    for part in [
        "training data: 2 pairs",
        "training data: 2 records with an empty source or an empty target were skipped",
        "training data: passed over, since not RecordIO: channel/train.idx",
    ] {
        assert!(said.stdout.contains(part), "lacks {part}: {}", said.stdout);
    }
}

#[test]
fn word_vectors_of_other_words_bring_a_warning() {
    let work = Workplace::new();
    prepared(&work);
    let vector = " 0.5".repeat(16);
    work.write("other.vec", format!("house{vector}\n. . .{vector}\ntree{vector}\n"));
    let line = "train --train data/train.rec --validation data/val.rec --vocab data --output model";
    let said =
        work.run(&format!("{line} {TINY} --set max_num_batches=1 --set source_vectors=other.vec")).well();
    let warning = "source vectors: none of the 6 words of the vocabulary is among the 3 of the file";
    assert!(
        said.stdout.lines().any(|line| line.contains("WARN") && line.contains(warning)),
        "{}",
        said.stdout
    );
}

#[track_caller]
fn check_vocabulary(json: &str, parts: &[&str]) {
    let work = Workplace::new();
    prepared(&work);
    work.write("data/vocab.src.json", json);
    let line = "train --train data/train.rec --validation data/val.rec --vocab data --output model";
    work.run(&format!("{line} {TINY}")).refused(&[&["data/vocab.src.json"], parts].concat());
}

#[test]
fn damaged_vocabularies_are_refused() {
    let special = "\"<pad>\": 0, \"<unk>\": 1, \"<s>\": 2, \"</s>\": 3";
    check_vocabulary(&format!("{{{special}, \"a\": 4, \"a\": 5}}"), &[":1", "\"a\" stands there twice"]);
    check_vocabulary(&format!("{{{special}, \"a\": 4, \"b\": 4}}"), &["id 4 is given to \"b\""]);
    check_vocabulary(&format!("{{{special}, \"a\": 5}}"), &["no word has id 4"]);
    check_vocabulary("{\"a\": 0}", &["the special symbol \"<pad>\" is missing"]);
    check_vocabulary("[1]", &["expected a JSON object"]);
    // Complete, but for other records.
    let other = Vocabulary::build([("a", 1)], Default::default());
    let work = Workplace::new();
    prepared(&work);
    work.write("data/vocab.src.json", other.to_json());
    let line = "train --train data/train.rec --validation data/val.rec --vocab data --output model";
    work.run(line).refused(&[
        "data/train.rec: record",
        "an id below the vocabulary's size 5",
        "is this the vocabulary",
    ]);
}
