use std::fs;

use crate::workplace::{Workplace, trained};

#[track_caller]
fn check(path: &str, options: &str, parts: &[&str]) {
    let path = trained().join(path);
    let said = Workplace::new().run(&format!("inspect {} {options}", path.display())).well();
    for part in parts {
        assert!(said.stdout.contains(part), "lacks {part:?}: {}", said.stdout);
    }
}

#[test]
fn records_are_decoded_with_the_vocabulary_beside_them() {
    check(
        "data/train.rec",
        "--head 2",
        &["400 records", "p50", "longest", "4..9", "record 1\n  source  d\n  target  D\n", "record 2\n"],
    );
    let work = Workplace::new();
    fs::copy(trained().join("data/train.rec"), work.path("alone.rec")).unwrap();
    let said = work.run("inspect alone.rec --head 1").well();
    assert!(said.stdout.contains("ids are shown where no vocabulary"), "{said:?}");
    work.write("small.json", "{\"<pad>\": 0, \"<unk>\": 1, \"<s>\": 2, \"</s>\": 3}");
    let said = work.run("inspect alone.rec --vocab-source small.json --head 1").well();
    assert!(said.stdout.contains("the source vocabulary has only 4 ids"), "{said:?}");
    assert!(said.stdout.contains("  source  ["), "{said:?}");
}

#[test]
fn models_tell_what_they_are() {
    let parts = [
        "model with",
        "when it answers, its weights take",
        "decoder.hidden",
        "rnn_num_hidden",
        "1024",
        "lengths in the training data: source up to 5 tokens",
        "trained for 450 updates",
        "validation perplexity",
        "32 x",
        "training ended: the limit of updates is reached",
    ];
    check("model", "", &parts);
    check("model/model.tar.gz", "", &parts);
    check("model/model.safetensors", "", &["safetensors", "norm", "32 x"]);
    check("model/metrics.json", "--head 1", &["2 earlier checkpoints are not shown", "best by perplexity"]);
    check(
        "model/checkpoints",
        "",
        &["state after 450 updates", "learning rate of the next update: 0.01", "training data"],
    );
    check("data/vocab.src.json", "", &["10 ids", "6 words", "<pad> <unk> <s> </s>"]);
    check("data", "", &["a folder with 4 entries", "records (RecordIO)", "vocabulary"]);
}

#[test]
fn other_things_are_named_for_what_they_are() {
    let work = Workplace::new();
    for (content, part) in [
        (&b""[..], "an empty file"),
        (b"some text\n", "text, which begins with \"some text\""),
        (b"\x7fELF\x00\x01\x02", "binary data, which begins with the bytes 7f 45 4c 46"),
        (b"{\"a\": 1, \"b\": 2}", "a JSON object with 2 keys (a, b)"),
        (b"{\"a\": ", "damaged JSON"),
        (b"\x1f\x8b\x00", "damaged gzip"),
    ] {
        work.write("thing", content);
        let said = work.run("inspect thing").well();
        assert!(said.stdout.contains(part), "{said:?}");
    }
    work.run("inspect nothing").refused(&["cannot inspect nothing"]);
}

#[test]
fn of_damaged_records_those_before_are_shown() {
    let work = Workplace::new();
    let bytes = fs::read(trained().join("data/train.rec")).unwrap();
    work.write("cut.rec", &bytes[..bytes.len() - 5]);
    let said = work.run("inspect cut.rec").refused(&["cut.rec: record 400 at byte", "is cut short"]);
    assert!(said.stdout.contains("399 records before the damage"), "{said:?}");
    work.write("vocab.json", "{\"<pad>\": 0, \"<unk>\": 0}");
    work.run("inspect vocab.json").refused(&["vocab.json:1", "id 0 is given to \"<unk>\""]);
}

#[test]
fn parameters_of_sockeye_are_listed() {
    let case = kokanee_testkit::golden("rnn_lstm_mlp_last");
    let said = Workplace::new().run(&format!("inspect {}", case.join("params.mxnet").display())).well();
    for part in ["parameters (MXNet)", "target_output_weight", "decoder_rnn_att_e2h_weight", "norm"] {
        assert!(said.stdout.contains(part), "lacks {part:?}: {}", said.stdout);
    }
}
