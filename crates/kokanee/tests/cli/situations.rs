//! Tests of problems that users report of similar programs: full disks, odd white space, byte order marks.
//! `docs/situations.md` lists all of them.

use std::fs;

use crate::workplace::{Said, Workplace, model, pairs, prepared, said};

/// Runs a command line in which no file may grow beyond a few blocks, which has the same effect on a writer as a full disk.
fn on_a_full_disk(work: &Workplace, line: &str) -> Said {
    let program = work.command(&line.split_whitespace().collect::<Vec<_>>());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"]).arg(program.get_program());
    shell.args(program.get_args()).current_dir(work.path("")).env_remove("TRAINING_JOB_NAME");
    said(shell)
}

#[test]
fn a_full_disk_is_named_with_the_file_and_leaves_nothing_half_written() {
    let work = Workplace::new();
    prepared(&work);
    let (source, target) = pairs(3000, 7);
    work.write("many.src", &source);
    work.write("many.trg", &target);
    work.write("in/many.txt", &source);
    let check = |line: &str, written: &[&str]| {
        let said = on_a_full_disk(&work, line).refused(&["cannot ", "File too large"]);
        assert!(!said.stderr.contains("panicked"), "{said:?}");
        for file in written {
            assert!(!work.path(file).exists(), "{line} left {file}");
        }
    };
    let model = model();
    check("prepare -ts many.src -tt many.trg --output-dir full", &["full/train.rec", "full/vocab.src.json"]);
    let train = "train --train data/train.rec --validation data/val.rec --vocab data --output out";
    check(
        &format!("{train} --set rnn_num_hidden=32 --set max_num_batches=1 --set num_threads=1"),
        &["out/model.safetensors", "out/config.json", "out/model.tar.gz"],
    );
    check(&format!("translate --model {model} --input many.src --output answers.txt"), &["answers.txt"]);
    check(
        &format!("transform --model {model} --input in --output answers --content-type text/plain"),
        &["answers/many.txt.out"],
    );
    check(
        &format!("export --model {model} --format sockeye --output exported"),
        &["exported/params.best", "exported/config"],
    );
    let golden = kokanee_testkit::golden("cnn_relu_2");
    check(
        &format!(
            "import {} --vocab {} --output imported",
            golden.display(),
            kokanee_testkit::golden_folder().display()
        ),
        &["imported/model.safetensors", "imported/config.json"],
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_training_begins() {
    let work = Workplace::new();
    prepared(&work);
    // No folder can be created below a file, whoever the user is.
    let line = "train --train data/train.rec --validation data/val.rec --vocab data --output";
    for folders in ["model --checkpoints train.src/states", "train.src/model"] {
        let said = work.run(&format!("{line} {folders} --set rnn_num_hidden=8")).refused(&["train.src/"]);
        assert!(!said.stdout.contains("Epoch[0]"), "it trained before it looked: {}", said.stdout);
    }
    assert!(!work.path("model/config.json").exists());
}

#[test]
fn white_space_of_unicode_parts_words_and_ends_no_line() {
    let work = Workplace::new();
    // Line separator, paragraph separator, next line, vertical tab, form feed, no-break space, ideographic space.
    let odd = ["\u{2028}", "\u{2029}", "\u{85}", "\u{b}", "\u{c}", "\u{a0}", "\u{3000}"];
    let (plain, spaced): (String, String) =
        odd.iter().map(|space| ("a b c\n".to_owned(), format!("a{space}b c\n"))).unzip();
    work.write("s", &spaced);
    work.write("t", &plain);
    let report = work.run("prepare -ts s -tt t --output-dir data --report-json report.json").well();
    let report = (report, work.read("report.json"));
    let figures: serde_json::Value = serde_json::from_str(&report.1).expect("JSON");
    assert_eq!(figures["train"]["pairs_kept"], 7, "{report:?}");
    assert_eq!(figures["train"]["source"]["tokens"], 21, "{report:?}");

    let translate = format!("translate --model {}", model());
    let (plain_answers, spaced_answers) =
        (work.run_with(&translate, &plain).well(), work.run_with(&translate, &spaced).well());
    assert_eq!(plain_answers.stdout, spaced_answers.stdout);
    assert_eq!(plain_answers.lines().len(), odd.len());

    let object = |line: &str| format!("{{\"source\": \"{}\"}}\n", line.trim_end_matches('\n'));
    // Control characters are invalid in JSON; the others are contained in it as they are.
    let lines: String =
        spaced.split_inclusive('\n').filter(|line| !line.contains(['\u{b}', '\u{c}'])).map(object).collect();
    work.write("in/x.jsonl", lines);
    work.run(&format!("transform --model {} --input in --output out", model())).well();
    assert_eq!(work.read("out/x.jsonl.out").lines().count(), odd.len() - 2);
}

#[test]
fn a_byte_order_mark_is_passed_over_wherever_it_stands() {
    let work = Workplace::new();
    prepared(&work);
    for file in ["train.src", "train.trg", "data/vocab.src.json"] {
        let text = fs::read_to_string(work.path(file)).expect("reads");
        work.write(file, format!("\u{feff}{text}"));
    }
    work.run("prepare -ts train.src -tt train.trg --output-dir marked").well();
    assert!(!work.read("marked/vocab.src.json").contains('\u{feff}'));
    work.write(
        "h.json",
        "\u{feff}{\"rnn_num_hidden\": \"8\", \"max_num_batches\": \"1\", \"num_threads\": \"1\"}",
    );
    let line = "train --train data/train.rec --validation data/val.rec --vocab data --output model";
    work.run(&format!("{line} --hyperparameters h.json")).well();
    work.write("in/x.jsonl", "\u{feff}{\"source\": \"a b\"}\n");
    work.write("in/x.json", "\u{feff}{\"instances\": [{\"data\": \"a b\"}]}");
    work.run(&format!("transform --model {} --input in/x.jsonl --output out", model())).well();
    let options = "--content-type application/json --split-type None";
    work.run(&format!("transform --model {} --input in/x.json --output out {options}", model())).well();
    assert_eq!(work.read("out/x.jsonl.out"), "{\"target\":\"A B\"}\n");
    assert_eq!(work.read("out/x.json.out"), "{\"predictions\":[{\"target\":\"A B\"}]}");
}
