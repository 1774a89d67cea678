//! Tests of learning a lexicon through the program.

use crate::workplace::{Workplace, model, pairs, prepared, trained};

#[test]
fn texts_and_records_give_the_same_lexicon() {
    let work = Workplace::new();
    prepared(&work);
    let vocabularies = "--vocab-source-json data/vocab.src.json --vocab-target-json data/vocab.trg.json";
    let texts = "--source train.src --target train.trg --val-source val.src --val-target val.trg";
    let said =
        work.run(&format!("lexicon {texts} {vocabularies} --output a.bin --words-per-source 1 --frequent 0"));
    let said = said.well();
    // In the tiny language each letter stands for its capital, so each word has exactly one translation.
    for part in [
        "400 pairs; 6 translations of 10 source words; wrote a.bin",
        "with the 0 most frequent words: 100.00% of the reference's tokens and 100.00% of its sentences are left",
        "of 10 words",
    ] {
        assert!(said.stdout.contains(part), "lacks {part}: {}", said.stdout);
    }
    let records = "--train data/train.rec --model data --output b.bin --words-per-source 1 --quiet";
    assert_eq!(work.run(&format!("lexicon {records}")).well().stdout, "");
    let read = |name: &str| std::fs::read(work.path(name)).unwrap();
    assert_eq!(read("a.bin"), read("b.bin"));

    let train = trained().join("data/train.rec").display().to_string();
    let line = format!("lexicon --train {train} --model {} --output c.bin --validation {train}", model());
    let said = work.run(&line).well();
    assert_eq!(said.stdout.matches("most frequent words").count(), 3, "{said:?}");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_written() {
    let work = Workplace::new();
    prepared(&work);
    work.write("short", pairs(399, 1).0);
    let check = |options: &str, parts: &[&str]| {
        work.run(&format!("lexicon {options} --output l.bin")).refused(parts);
        assert!(!work.path("l.bin").exists());
    };
    check("--source short --target train.trg --model data", &["short ends at line 399"]);
    check("--train val.src --model data", &["val.src: record 1 at byte 0", "RecordIO magic"]);
    check("--train data/train.rec --model .", &["vocab.src.json"]);
    work.write("other", "x\n");
    check("--source other --target other --model data", &["no pair with known words"]);
    work.run("lexicon --source train.src --model data --output l").misused(&["--target"]);
    work.run("lexicon --train a --source b --target c --model data --output l").misused(&["cannot be used"]);
    work.run("lexicon --train a --output l").misused(&["--vocab-source-json"]);
    work.run("lexicon --train a --model b --output l --words-per-source 0")
        .misused(&["a whole number from 1"]);
}
