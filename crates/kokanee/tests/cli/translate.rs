use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::Value;

use crate::workplace::{Workplace, model, trained};

fn translate(options: &str, input: &str) -> crate::workplace::Said {
    Workplace::new().run_with(&format!("translate --model {} {options}", model()), input).well()
}

#[test]
fn order_is_kept_and_empty_lines_stay_empty() {
    let said = translate("", "a b c\n\nf\n  \nc b\r\nno end of line a");
    let lines = said.lines();
    assert_eq!(lines[..5], ["A B C", "", "F", "", "C B"]);
    assert_eq!(lines.len(), 6);
    assert!(
        said.stderr
            .contains("translated 6 lines, 11 tokens; 2 empty; 4 tokens (36.4%) in 1 lines are unknown"),
        "{said:?}"
    );
    assert_eq!(translate("--quiet", "a\n").stderr, "");
    assert_eq!(translate("", "").stdout, "");
}

#[test]
fn answers_do_not_depend_on_threads_or_neighbours() {
    let input = "a b c d e\nf\nb b b\na f a f\nx y z\n";
    let together = translate("--threads 2 --format json", input).stdout;
    let alone: String =
        input.lines().map(|line| translate("--threads 1 --format json", line).stdout).collect();
    let words = |text: &str| -> Vec<(String, f64)> {
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|value| (value["target"].as_str().unwrap().to_owned(), value["score"].as_f64().unwrap()))
            .collect()
    };
    for (one, other) in words(&together).iter().zip(words(&alone)) {
        assert_eq!(one.0, other.0);
        assert!((one.1 - other.1).abs() < 1e-5, "{one:?} {other:?}");
    }
}

#[test]
fn a_picture_that_would_be_too_large_is_refused() {
    let line = format!("translate --model {} --plot p.svg", model());
    Workplace::new().run_with(&line, &"a b c d e f ".repeat(200)).refused(&[
        "--plot: line 1 has ",
        "1200 source tokens), too many to be drawn",
        "--attention",
    ]);
}

#[test]
fn inputs_longer_than_any_trained_on_are_translated_in_pieces() {
    let long = "a b c d e f ".repeat(4);
    let said = translate("--format json --attention", &long);
    assert!(
        said.stderr.contains("1 lines are too long for the model as a whole and were translated in pieces"),
        "{said:?}"
    );
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    let matrix = answer["matrix"].as_array().unwrap();
    assert_eq!(matrix.len(), answer["target"].as_str().unwrap().split(' ').count());
    assert!(matrix.iter().all(|row| row.as_array().unwrap().len() == 24));
}

/// The keys of an object, in the order of the text.
fn keys(line: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(line).unwrap();
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn json_has_what_was_asked_for_and_no_more() {
    let said = translate("--format json", "a b\n\n");
    assert_eq!(keys(said.lines()[0]), keys(r#"{"source":"","target":"","score":0}"#));
    assert!(said.lines()[0].starts_with(r#"{"source":"a b","target":"A B","score":"#), "{said:?}");
    assert_eq!(said.lines()[1], r#"{"source":"","target":"","score":null}"#);

    let said = translate("--format json --nbest 3 --attention", "a b\n\n");
    let answer: Value = serde_json::from_str(said.lines()[0]).unwrap();
    let nbest = answer["nbest"].as_array().unwrap();
    assert_eq!(nbest.len(), 3);
    assert_eq!(nbest[0], serde_json::json!({"target": answer["target"], "score": answer["score"]}));
    let scores: Vec<f64> = nbest.iter().map(|one| one["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|pair| 0.0 <= pair[0] && pair[0] <= pair[1]), "{scores:?}");
    let matrix = answer["matrix"].as_array().unwrap();
    assert_eq!(matrix.len(), 2);
    for row in matrix {
        let weights: Vec<f64> = row.as_array().unwrap().iter().map(|w| w.as_f64().unwrap()).collect();
        assert!(weights.len() == 2 && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{weights:?}");
    }
    assert_eq!(said.lines()[1], r#"{"source":"","target":"","score":null,"nbest":[],"matrix":[]}"#);
}

#[test]
fn nbest_in_text_says_line_and_rank() {
    let said = translate("--nbest 2", "a b\n\nc\n");
    let fields: Vec<Vec<&str>> = said.lines().iter().map(|line| line.split('\t').collect()).collect();
    let places: Vec<(&str, &str)> = fields.iter().map(|field| (field[0], field[1])).collect();
    assert_eq!(places, [("1", "1"), ("1", "2"), ("2", "1"), ("3", "1"), ("3", "2")]);
    assert_eq!((fields[0][3], fields[3][3]), ("A B", "C"));
    assert_eq!(fields[2][2..], ["", ""]);
}

#[test]
fn the_archive_and_files_serve_as_well() {
    let work = Workplace::new();
    let archive = trained().join("model/model.tar.gz");
    work.write("in.txt", "a b\nc\n");
    let line =
        format!("translate --model {} --input in.txt --output out.txt --beam-size 1", archive.display());
    assert_eq!(work.run(&line).well().stdout, "");
    assert_eq!(work.read("out.txt"), "A B\nC\n");
    for options in [
        "--beam-search-rule sockeye_1_18",
        "--length-penalty-alpha 0",
        "--length-penalty-alpha 0.6 --length-penalty-beta 5",
    ] {
        assert_eq!(translate(options, "a b\n").stdout, "A B\n", "{options}");
    }
}

#[test]
fn attention_is_drawn() {
    let work = Workplace::new();
    let line = format!("translate --model {} --plot a.svg --plot-line 2", model());
    work.run_with(&line, "a\nb c d\n").well();
    let svg = work.read("a.svg");
    assert!(svg.contains("<svg") && svg.contains("B C D") && svg.matches(" ← ").count() == 9, "{svg}");
    work.run_with(&line, "a\n").refused(&["--plot-line 2: stdin has only 1 lines"]);
    work.run_with(&line, "a\n\n").refused(&["line 2 has no tokens, so there is nothing to draw"]);
}

#[test]
fn each_line_is_answered_as_it_comes() {
    let work = Workplace::new();
    let mut command = work.command(&["translate", "--model", &model()]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut output = BufReader::new(output).lines();
    for (line, expected) in [("a b\n", "A B"), ("\n", ""), ("c\n", "C")] {
        input.write_all(line.as_bytes()).unwrap();
        assert_eq!(output.next().unwrap().unwrap(), expected);
    }
    // The reader closes the pipe, which is not an error.
    drop(output);
    let _ = input.write_all(b"a\na\n");
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[track_caller]
fn check_refused(model: &str, options: &str, input: &[u8], parts: &[&str]) {
    let work = Workplace::new();
    work.write("in.txt", input);
    std::fs::create_dir(work.path("empty")).unwrap();
    work.write("text.tar.gz", "not an archive");
    work.run(&format!("translate --model {model} --input in.txt {options}")).refused(parts);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let model = model();
    check_refused("none", "", b"", &["no model at none"]);
    check_refused("empty", "", b"", &["empty holds no model of Kokanee: it has no config.json"]);
    check_refused("text.tar.gz", "", b"", &["text.tar.gz", "not a whole gzip-compressed tar archive"]);
    check_refused(&model, "--attention", b"a\n", &["--attention needs --format json"]);
    check_refused(&model, "--nbest 6", b"a\n", &["--nbest 6: expected a number from 1 to the beam size, 5"]);
    check_refused(&model, "--beam-size 0", b"a\n", &["`beam_size`=\"0\"", "from 1 to 1000"]);
    check_refused(&model, "--length-penalty-alpha -1", b"a\n", &["length_penalty_alpha"]);
    check_refused(&model, "", b"a\nb\xc3\n", &["in.txt:2:2: byte 0xc3 is not valid UTF-8"]);
    check_refused(&model, "--output no/out", b"a\n", &["no/out"]);
    let work = Workplace::new();
    work.run(&format!("translate --model {model} --input none.txt")).refused(&["cannot open none.txt"]);
    work.run(&format!("translate --model {model} --beam-search-rule x")).misused(&["sockeye_1_12"]);
}

#[test]
fn a_model_without_its_vocabulary_is_refused() {
    let work = Workplace::new();
    for file in ["config.json", "model.safetensors", "vocab.src.json"] {
        work.write(&format!("m/{file}"), std::fs::read(trained().join("model").join(file)).unwrap());
    }
    let run = || work.run_with("translate --model m", "a\n");
    run().refused(&["m has no vocab.trg.json"]);
    work.write("m/vocab.trg.json", "{\"<pad>\": 0, \"<unk>\": 1, \"<s>\": 2, \"</s>\": 3}");
    run().refused(&[
        "m/vocab.trg.json cannot be used: it is not the vocab.trg.json that this model was written with",
    ]);
    // As earlier versions wrote it, without the digests of files.
    let mut config: serde_json::Value = serde_json::from_str(&work.read("m/config.json")).unwrap();
    config.as_object_mut().unwrap().remove("files").unwrap();
    work.write("m/config.json", config.to_string());
    run().refused(&["vocab.trg.json in m has 4 words, but the model was trained with 10"]);
    let bytes = std::fs::read(work.path("m/model.safetensors")).unwrap();
    work.write("m/model.safetensors", &bytes[..bytes.len() / 2]);
    run().refused(&["model.safetensors cannot be used: not a whole safetensors file"]);
}
