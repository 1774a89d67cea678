use std::io::Write as _;

use crate::workplace::{Workplace, pairs};

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
