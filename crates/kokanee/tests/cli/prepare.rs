use std::io::Write as _;

use crate::workplace::{Workplace, model, pairs};

#[test]
fn the_spellings_of_the_script_and_ours_do_the_same() {
    let work = Workplace::new();
    let (source, target) = pairs(50, 1);
    work.write("t.src", &source);
    work.write("t.trg", &target);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(source.as_bytes()).unwrap();
    work.write("t.src.gz", packed.finish().unwrap());

    let said = work
        .run("prepare -ts t.src -tt t.trg -vs t.src -vt t.trg -to a.rec -vo b.rec --output-dir one --report-json r.json")
        .well();
    assert!(said.stdout.contains("pairs kept") && said.stdout.contains("wrote one/a.rec"), "{said:?}");
    assert!(said.stdout.contains("50 of 50 validation pairs are"), "{said:?}");
    let report: serde_json::Value = serde_json::from_str(&work.read("r.json")).unwrap();
    assert_eq!(report["train"]["pairs_kept"], 50);

    let long = "prepare --train-source t.src.gz --train-target t.trg --val-source t.src --val-target t.trg \
                --train-output a.rec --val-output b.rec --output-dir two --quiet";
    assert_eq!(work.run(long).well().stdout, "");
    for file in ["a.rec", "b.rec", "vocab.src.json", "vocab.trg.json"] {
        let read = |folder: &str| std::fs::read(work.path(folder).join(file)).unwrap();
        assert_eq!(read("one"), read("two"), "{file}");
    }
    assert!(work.read("one/vocab.src.json").starts_with("{\n    \"<pad>\": 0,\n"));
}

#[test]
fn one_vocabulary_with_limits() {
    let work = Workplace::new();
    work.write("a", "x y\nx z\n");
    work.write("b", "x p\nq p\n");
    work.run("prepare -ts a -tt b -single-vocab --num-words-source 2").well();
    for file in ["vocab.src.json", "vocab.trg.json"] {
        let expected = "{\n    \"<pad>\": 0,\n    \"<unk>\": 1,\n    \"<s>\": 2,\n    \"</s>\": 3,\n    \"x\": 4,\n    \"p\": 5\n}";
        assert_eq!(work.read(file), expected);
    }
}

#[test]
fn a_dictionary_of_pronunciations_is_prepared() {
    let work = Workplace::new();
    work.write("train.dict", "abend\tAE1 B EH0 N D\nabend(2)\tAH0 B EH1 N D\naber\tEY1 B ER0\n");
    work.write("val.dict", "aber\tEY1 B ER0\n");
    let said = work
        .run("prepare --train-pronunciations train.dict --val-pronunciations val.dict --output-dir data")
        .well();
    assert!(said.stdout.contains("1 of 1 validation pairs are"), "{said:?}");
    let records = work.run(
        "inspect data/train.rec --vocab-source data/vocab.src.json --vocab-target data/vocab.trg.json --head 3",
    );
    let records = records.well().stdout;
    for part in ["a b e n d", "AE1 B EH0 N D", "AH0 B EH1 N D", "a b e r"] {
        assert!(records.contains(part), "lacks {part}: {records}");
    }
    work.run("prepare --train-pronunciations train.dict -ts a -tt b").misused(&["cannot be used with"]);
    work.write("no.dict", "a\n");
    work.run("prepare --train-pronunciations no.dict").refused(&["no.dict:1:1: no sounds follow \"a\""]);
}

#[test]
fn a_pipe_that_would_be_read_twice_is_refused_and_one_that_is_read_once_works() {
    let work = Workplace::new();
    let (source, target) = pairs(20, 1);
    work.write("s", &source);
    work.write("t", &target);
    let refusal =
        ["/dev/stdin: the training text is read twice", "a pipe can be read once only", "give a file"];
    work.run_with("prepare -ts /dev/stdin -tt t", &source).refused(&refusal);
    work.run_with("prepare -ts s -tt /dev/stdin", &target).refused(&refusal);
    assert!(!work.path("train.rec").exists());
    work.run_with("prepare -ts s -tt t -vs /dev/stdin -vt t --output-dir files", &source).well();
    // With both vocabularies nothing is counted.
    let vocabularies = "--vocab-source-json files/vocab.src.json --vocab-target-json files/vocab.trg.json";
    work.run_with(&format!("prepare -ts /dev/stdin -tt t {vocabularies} --output-dir piped"), &source).well();
    let read = |file: &str| std::fs::read(work.path(file)).unwrap();
    assert_eq!(read("files/train.rec"), read("piped/train.rec"));
}

/// A file of each kind, created by the program of its name.
const PACKED: [(&str, &[u8], &str); 4] = [
    ("text.bz2", include_bytes!("../data/packed/text.bz2"), "compressed with bzip2"),
    ("text.xz", include_bytes!("../data/packed/text.xz"), "compressed with xz"),
    ("text.zip", include_bytes!("../data/packed/text.zip"), "a zip archive"),
    (
        "twice.gz",
        include_bytes!("../data/packed/twice.gz"),
        "compressed with gzip, and what comes out of it is compressed with gzip",
    ),
];

#[test]
fn texts_that_are_compressed_in_other_ways_are_named() {
    let work = Workplace::new();
    work.write("t", "a\nb\nc\n");
    for (name, bytes, how) in PACKED {
        work.write(name, bytes);
        let refusal = format!("{name}:1:1: the file is {how}");
        work.run(&format!("prepare -ts {name} -tt t")).refused(&[&refusal, "unpack it first"]);
        work.run(&format!("evaluate --model {} --source {name} --target t", model())).refused(&[&refusal]);
        work.run(&format!("translate --model {} --input {name}", model())).refused(&[&refusal]);
    }
    let how = "xz: the file is compressed with xz, but a vocabulary is read as it is";
    work.run("prepare -ts t -tt t --vocab-source-json text.xz").refused(&[how]);
}

#[track_caller]
fn check_refused(line: &str, parts: &[&str]) {
    let work = Workplace::new();
    work.write("two", "a\nb\n");
    work.write("three", "a\nb\nc\n");
    work.write("bad", b"a\n\xff\n");
    work.write("blank", "\n \n");
    work.write("vocab.json", "{\"<pad>\": 0, \"<unk>\": 1, \"<s>\": 2, \"</s>\": 3, \"a\": 5}");
    work.run(&format!("prepare {line} --output-dir out")).refused(parts);
    assert!(!work.path("out/train.rec").exists(), "nothing may be written after an error");
}

#[test]
fn bad_texts_are_refused() {
    check_refused("-ts two -tt three", &["two ends at line 2, but three goes on to line 3"]);
    check_refused("-ts three -tt two", &["two ends at line 2, but three goes on to line 3"]);
    check_refused("-ts two -tt bad", &["bad:2:1: byte 0xff is not valid UTF-8"]);
    check_refused("-ts blank -tt two", &["none of the 2 line pairs has words on both sides"]);
    check_refused("-ts no -tt two", &["no: cannot open the text file"]);
    check_refused("-ts two -tt two -vs three", &["--val-target", "is missing, though --val-source is given"]);
    check_refused(
        "-ts two -tt two --vocab-source-json vocab.json",
        &["vocab.json", "no word has id 4, though there are 5 words"],
    );
    Workplace::new().run("prepare -ts a").misused(&["--train-target"]);
}
