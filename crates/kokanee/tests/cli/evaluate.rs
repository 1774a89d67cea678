use serde_json::Value;

use crate::workplace::{Workplace, model, pairs};

fn evaluate(work: &Workplace, options: &str) -> (String, Value) {
    let said = work.run(&format!("evaluate --model {} --output-json out.json {options}", model())).well();
    (said.stdout, serde_json::from_str(&work.read("out.json")).unwrap())
}

#[test]
fn a_good_model_has_good_figures() {
    let work = Workplace::new();
    let (source, target) = pairs(60, 3);
    work.write("s", source);
    work.write("t", target);
    let (text, figures) = evaluate(&work, "--source s --target t");
    for measure in ["perplexity", "accuracy", "BLEU", "PER", "WER"] {
        assert!(text.contains(measure), "{text}");
    }
    let number = |name: &str| figures[name].as_f64().unwrap_or_else(|| panic!("{name}: {figures}"));
    assert!(number("perplexity") < 1.3 && number("perplexity") >= 1.0, "{figures}");
    assert!(number("accuracy") > 0.9 && number("bleu") > 0.8 && number("per") < 0.1, "{figures}");
    assert_eq!(figures["sources"], 60);
}

#[test]
fn several_references_and_the_worst_sentences() {
    let work = Workplace::new();
    work.write("s", "a b\na b\nc d\n\n");
    work.write("t1", "X\nA Y\nC D\n\n");
    work.write("t2", "Y\nA B\nZ\nQ\n");
    let (text, figures) = evaluate(&work, "--source s --target t1 --target t2 --worst 9");
    assert_eq!((&figures["sources"], &figures["references"]), (&4.into(), &8.into()));
    assert_eq!((&figures["wer"], &figures["empty_sources"]), (&0.25.into(), &2.into()), "{figures}");
    let worst = figures["worst"].as_array().unwrap();
    assert_eq!(worst.len(), 1);
    assert_eq!((&worst[0]["number"], &worst[0]["edits"]), (&1.into(), &2.into()), "{figures}");
    assert!(text.contains("2 pairs have a source without tokens"), "{text}");

    let (_, figures) = evaluate(&work, "--source s --target t1 --target t2 --group-duplicate-sources");
    assert_eq!((&figures["sources"], &figures["wer"]), (&3.into(), &0.0.into()), "{figures}");
}

#[test]
fn stress_can_be_left_out() {
    let work = Workplace::new();
    work.write("s", "a b\n");
    work.write("t", "A1 B\n");
    assert_eq!(evaluate(&work, "--source s --target t").1["per"], 0.5);
    assert_eq!(evaluate(&work, "--source s --target t --strip-stress").1["per"], 0.0);
}

#[test]
fn every_pronunciation_of_a_dictionary_is_a_reference() {
    let work = Workplace::new();
    work.write("d.dict", ";;; letters are their capitals\nab\tX Y\nab(2)\tA B\ncd  C D # as in CMUdict\n");
    let (_, figures) = evaluate(&work, "--pronunciations d.dict");
    assert_eq!((&figures["sources"], &figures["references"]), (&2.into(), &3.into()), "{figures}");
    assert_eq!(figures["wer"], 0.0, "{figures}");
    work.write("bad.dict", "ab\tA B\ncd\n");
    let run = |options: &str| work.run(&format!("evaluate --model {} {options}", model()));
    run("--pronunciations bad.dict").refused(&["bad.dict:2:1: no sounds follow \"cd\""]);
    run("--pronunciations d.dict --source s").misused(&["cannot be used with"]);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let work = Workplace::new();
    work.write("two", "a\nb\n");
    work.write("one", "A\n");
    work.write("none", "");
    let run = |options: &str| work.run(&format!("evaluate --model {} {options}", model()));
    run("--source two --target two --target one").refused(&["one ends at line 1, but two goes on to line 2"]);
    run("--source none --target none").refused(&["none is empty"]);
    run("--source two").misused(&["--target"]);
}
