//! Tests of import and export of Sockeye's models: imported models give Sockeye's outputs; exported ones come back bit for bit.

use std::fs;
use std::path::{Path, PathBuf};

use kokanee_testkit::golden;
use serde_json::Value;

use crate::workplace::{Said, Workplace, model, said, trained};

/// Runs the program with arguments that may contain blanks, such as paths of other folders.
fn run<const N: usize>(work: &Workplace, args: [&str; N]) -> Said {
    said(work.command(&args))
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of a folder's files, in order.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A model that Sockeye 1.10.5 trained, and the folder of its test sentences.
fn micro(name: &str) -> (PathBuf, PathBuf) {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5"
    ));
    (folder.join(name), folder.to_owned())
}

/// The trained model of these tests as a Sockeye folder, `sockeye`.
fn exported() -> Workplace {
    let work = Workplace::new();
    let said = run(&work, ["export", "--model", &model(), "--output", "sockeye"]).well();
    assert_eq!(said.stdout, "wrote a model folder of Sockeye to sockeye\n");
    work
}

/// Checks that a recorded case gives the outputs of Sockeye 1.18: best of one, best five, and the scores of given translations.
#[track_caller]
fn check_golden(case: &str) {
    let folder = golden(case);
    let shared = folder.parent().unwrap();
    let text = |path: &Path| String::from_utf8(bytes(path)).unwrap();
    let work = Workplace::new();
    let paths = [folder.display().to_string(), shared.display().to_string()];
    let said = run(&work, ["import", &paths[0], "--vocab", &paths[1], "--output", "m"]).well();
    assert!(
        said.stdout.starts_with("imported a model of ") && said.stdout.ends_with(" into m\n"),
        "{said:?}"
    );
    for name in ["test.src", "test.trg"] {
        work.write(name, bytes(&shared.join(name)));
    }
    let line = "translate --model m --input test.src --quiet";
    let greedy = work.run(&format!("{line} --beam-size 1")).well();
    assert_eq!(greedy.stdout, text(&folder.join("greedy.txt")), "{case}");

    let best = work.run(&format!("{line} --format json --nbest 5")).well();
    let recorded = text(&folder.join("beam5.jsonl"));
    assert_eq!(best.lines().len(), recorded.lines().count());
    for (got, want) in best.lines().iter().zip(recorded.lines()) {
        let (got, want): (Value, Value) =
            (serde_json::from_str(got).unwrap(), serde_json::from_str(want).unwrap());
        assert_eq!(got["target"], want["translation"], "{case}");
        let scores = want["scores"].as_array().unwrap();
        let hypotheses = got["nbest"].as_array().unwrap();
        assert_eq!(hypotheses.len(), scores.len());
        for (hypothesis, score) in hypotheses.iter().zip(scores) {
            let (got, want) = (hypothesis["score"].as_f64().unwrap(), score.as_f64().unwrap());
            assert!((got - want).abs() < 2e-3, "{case}: {hypothesis}, and Sockeye says {want}");
        }
    }

    let scored = work.run("score --model m --source test.src --target test.trg --quiet").well();
    let recorded = text(&folder.join("scores.txt"));
    assert_eq!(scored.lines().len(), recorded.lines().count());
    for (got, want) in scored.lines().iter().zip(recorded.lines()) {
        let (got, want): (f64, f64) = (got.parse().unwrap(), want.parse().unwrap());
        assert!((got - want).abs() < 2e-3, "{case}: {got}, and Sockeye says {want}");
    }
}

#[test]
fn recorded_models_say_what_sockeye_1_18_said() {
    check_golden("rnn_lstm_bilinear_upper2");
    check_golden("cnn_glu_3");
}

#[test]
fn models_of_1_10_say_what_it_said_and_notes_tell_what_was_changed() {
    for (name, notes) in [("lstm", 4), ("gru", 3), ("cnn", 2)] {
        let (folder, data) = micro(name);
        let work = Workplace::new();
        let said = run(&work, ["import", &folder.display().to_string(), "--output", "m"]).well();
        assert_eq!(said.stderr.lines().filter(|line| line.starts_with("note: ")).count(), notes, "{said:?}");
        assert_eq!(
            names(&work.path("m")),
            ["config.json", "model.safetensors", "vocab.src.json", "vocab.trg.json"]
        );
        let input = data.join("test.src").display().to_string();
        let answers = run(&work, ["translate", "--model", "m", "--input", &input, "--quiet"]).well();
        let expected = String::from_utf8(bytes(&folder.join("expected.tsv"))).unwrap();
        let expected: Vec<&str> = expected.lines().map(|line| line.split_once('\t').unwrap().1).collect();
        assert_eq!(answers.lines(), expected, "{name}");
    }
}

#[test]
fn an_imported_model_is_trained_on() {
    let work = Workplace::new();
    let (folder, data) = micro("lstm");
    run(&work, ["import", &folder.display().to_string(), "--output", "m"]).well();
    let target: String = "abcdefgh".chars().map(|letter| format!("{letter}\n")).collect();
    work.write("t.src", &target);
    work.write("t.trg", target.to_ascii_uppercase());
    work.run("prepare -ts t.src -tt t.trg -vs t.src -vt t.trg --output-dir data").well();
    let line = "train --train data/train.rec --validation data/val.rec --vocab data --output better --init-from m \
                --set num_layers_encoder=2 --set num_layers_decoder=2 --set num_embed_source=4 --set num_embed_target=4 \
                --set rnn_num_hidden=8 --set rnn_residual_connections=true --set rnn_attention_in_upper_layers=false \
                --set learning_rate=1e-9 --set max_num_batches=1 --set num_threads=1";
    let said = work.run(line).well();
    let words = "source words: 8 kept, 0 new, 0 dropped; target words: 8 kept, 0 new, 0 dropped";
    assert!(said.stdout.contains(words), "{said:?}");
    let input = data.join("test.src").display().to_string();
    let answers = |model: &str| run(&work, ["translate", "--model", model, "--input", &input]).well().stdout;
    // The last sentence is longer than the new data would allow at once, if the old lengths were forgotten.
    assert_eq!(answers("better"), answers("m"));
}

/// Packs files as a `.tar.gz`, each under its name in the archive.
fn pack(archive: &Path, files: &[(&str, Vec<u8>)]) {
    let gzip = flate2::write::GzEncoder::new(fs::File::create(archive).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Written by hand: the library would refuse names that lead out of the archive.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

#[test]
fn an_archive_is_imported_as_its_folder_is() {
    let work = exported();
    let files: Vec<(String, Vec<u8>)> = names(&work.path("sockeye"))
        .into_iter()
        .map(|name| (format!("model/{name}"), bytes(&work.path("sockeye").join(name))))
        .collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, file)| (&**name, file.clone())).collect();
    pack(&work.path("model.tar.gz"), &files);
    work.run("import model.tar.gz --output m").well();
    assert!(bytes(&work.path("m/model.safetensors")) == bytes(&trained().join("model/model.safetensors")));
    assert_eq!(work.run_with("translate --model m --quiet", "a b c\n").well().stdout, "A B C\n");

    pack(&work.path("evil.tar.gz"), &[("../outside", b"x".to_vec())]);
    work.run("import evil.tar.gz --output n")
        .refused(&["evil.tar.gz is not unpacked: entry `../outside` leads out of the archive"]);
    assert!(!work.path("n").exists());
}

#[test]
fn what_is_exported_to_sockeye_comes_back_bit_for_bit() {
    let work = exported();
    let sockeye =
        ["config", "kokanee.json", "params.best", "version", "vocab.src.0.json", "vocab.trg.0.json"];
    assert_eq!(names(&work.path("sockeye")), sockeye);
    let said = work.run("import sockeye --output back").well();
    assert!(!said.stderr.contains("note: "), "{said:?}");
    for file in ["model.safetensors", "config.json", "vocab.src.json", "vocab.trg.json"] {
        let [one, other] =
            [work.path("back"), trained().join("model")].map(|folder| bytes(&folder.join(file)));
        assert!(one == other, "{file} is not what was exported");
    }
}

#[test]
fn the_plain_format_is_a_model_without_its_history() {
    let work = Workplace::new();
    let archive = format!("{}/model.tar.gz", model());
    let said = run(&work, ["export", "--model", &archive, "--format", "safetensors", "--output", "p"]).well();
    assert_eq!(said.stdout, "wrote model.safetensors, config.json and the vocabularies to p\n");
    assert_eq!(
        names(&work.path("p")),
        ["config.json", "model.safetensors", "vocab.src.json", "vocab.trg.json"]
    );
    for file in names(&work.path("p")) {
        assert!(bytes(&work.path("p").join(&file)) == bytes(&trained().join("model").join(&file)), "{file}");
    }
}

#[test]
fn what_is_no_model_is_refused() {
    let work = exported();
    fs::create_dir(work.path("empty")).unwrap();
    work.write("text.tar.gz", "not an archive");
    let refused = |line: &str, parts: &[&str]| {
        work.run(line).refused(parts);
        assert!(!work.path("m").exists(), "{line} wrote something");
    };
    refused("import none --output m", &["no model at none: there is no such file or folder"]);
    refused(
        "import empty --output m",
        &["empty holds no whole model of Sockeye 1.x: it has no config, nor config.yaml"],
    );
    refused("import text.tar.gz --output m", &["text.tar.gz", "not a whole gzip-compressed tar archive"]);
    refused("import sockeye --params params.00007 --output m", &["sockeye", "it has no params.00007"]);
    refused(
        "import sockeye --vocab empty --output m",
        &["empty", "it has no vocab.src.0.json, nor vocab.src.json"],
    );
    refused("export --model empty --output m", &["empty holds no model of Kokanee: it has no config.json"]);
    refused("export --model sockeye --output m", &["sockeye holds no model of Kokanee"]);
    work.run("export --model sockeye --output m --format onnx")
        .misused(&["[possible values: sockeye, safetensors]"]);

    work.write("file", "in the way");
    work.run("import sockeye --output file/m").refused(&["file/m: cannot create the folder"]);
    for format in ["sockeye", "safetensors"] {
        let said = run(&work, ["export", "--model", &model(), "--format", format, "--output", "file/m"]);
        said.refused(&["file/m: cannot create the folder"]);
    }
}

#[test]
fn what_does_not_fit_is_told_all_at_once() {
    let work = exported();
    let config = work.read("sockeye/config");
    let check = |from: &[(&str, &str)], parts: &[&str]| {
        let mut changed = config.clone();
        for (from, to) in from {
            assert_eq!(changed.matches(from).count(), 1, "{from}");
            changed = changed.replace(from, to);
        }
        work.write("sockeye/config", changed);
        work.run("import sockeye --output m").refused(parts);
        assert!(!work.path("m").exists());
        work.write("sockeye/config", &config);
    };
    check(
        &[("context_gating: false", "context_gating: true"), ("\nlhuc: false", "\nlhuc: true")],
        &[
            "sockeye/config describes a model that Kokanee cannot compute",
            "config_decoder.context_gating is true",
            "lhuc is true",
        ],
    );
    check(
        &[("state_init: last", "state_init: zero"), ("type: mlp", "type: bilinear")],
        &[
            "sockeye/params.best",
            "missing: decoder_rnn_att_s2t_weight",
            "unexpected: ",
            "decoder_rnn_enc2decinit_0_weight",
        ],
    );
    check(&[("!ModelConfig", "!ModelConfig [")], &["sockeye/config cannot be used: line 5: not YAML"]);
    fs::remove_file(work.path("sockeye/vocab.trg.0.json")).unwrap();
    check(&[], &["sockeye", "it has no vocab.trg.0.json, nor vocab.trg.json"]);
    fs::copy(work.path("sockeye/vocab.src.0.json"), work.path("sockeye/vocab.trg.json")).unwrap();
    work.write("sockeye/vocab.src.json", r#"{"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3, "a": 4}"#);
    fs::remove_file(work.path("sockeye/vocab.src.0.json")).unwrap();
    check(&[], &["sockeye/vocab.src.json cannot be used: it has 5 words, and the model has 10"]);
}

/// A case from a user's files: a link with one of Sockeye's names that leads nowhere.
#[test]
#[cfg(unix)]
fn parameters_behind_a_dangling_link_are_not_replaced_by_others() {
    let (folder, _) = micro("lstm");
    let work = Workplace::new();
    for name in ["config", "version", "vocab.src.json", "vocab.trg.json"] {
        work.write(&format!("s/{name}"), bytes(&folder.join(name)));
    }
    work.write("s/params.00042", bytes(&folder.join("params.best")));
    std::os::unix::fs::symlink("params.00017", work.path("s/params.best")).unwrap();
    work.run("import s --output m").refused(&[
        "s/params.best is a link to params.00017, which does not exist",
        "or name other parameters with --params",
    ]);
    assert!(!work.path("m").exists());
    work.run("import s --output m --params params.00042").well();
}

#[test]
fn the_rule_of_the_search_is_taken_from_the_version_or_asked_for() {
    let (folder, _) = micro("gru");
    let work = Workplace::new();
    for name in ["config", "params.best", "vocab.src.json", "vocab.trg.json"] {
        work.write(&format!("s/{name}"), bytes(&folder.join(name)));
    }
    let rule = |work: &Workplace| {
        let config: Value = serde_json::from_str(&work.read("m/config.json")).unwrap();
        config["hyperparameters"]["beam_search_rule"].as_str().unwrap().to_owned()
    };
    let said = work.run("import s --output m").well();
    assert!(said.stderr.contains("note: there is no file `version`"), "{said:?}");
    assert_eq!(rule(&work), "sockeye_1_12");
    work.write("s/version", "1.18.106");
    let said = work.run("import s --output m").well();
    assert!(!said.stderr.contains("beam_search_rule"), "{said:?}");
    assert_eq!(rule(&work), "sockeye_1_18");
    work.run("import s --output m --beam-search-rule sockeye_1_12").well();
    assert_eq!(rule(&work), "sockeye_1_12");
    work.run("import s --output m --beam-search-rule other").misused(&["sockeye_1_12, sockeye_1_18"]);
    let said = work.run("export --model m --output e").well();
    assert!(said.stderr.contains("note: the model searches by beam_search_rule sockeye_1_12"), "{said:?}");
    assert_eq!(work.read("e/version"), "1.18.8");
}

#[test]
fn each_command_says_what_a_model_of_sockeye_needs_and_what_one_of_kokanee_does_not() {
    let (folder, _) = micro("cnn");
    let sockeye = folder.display().to_string();
    let work = Workplace::new();
    work.write("in.txt", "a\n");
    let names = ["config", "params.best", "version", "vocab.src.json", "vocab.trg.json"];
    let files: Vec<_> = names.iter().map(|name| (*name, bytes(&folder.join(name)))).collect();
    pack(&work.path("old.tar.gz"), &files);
    let refs = "--source in.txt --target in.txt";
    for path in [&*sockeye, "old.tar.gz"] {
        let hint =
            format!("{path} holds no model of Kokanee: it has no config.json; it holds a model of Sockeye");
        let command = format!("`kokanee import {path} --output FOLDER`");
        for line in [
            format!("translate --model {path} --input in.txt"),
            format!("score --model {path} {refs}"),
            format!("transform --model {path} --input in.txt --output out"),
            format!("serve --model {path} --port 0"),
            format!("export --model {path} --output out"),
        ] {
            work.run(&line).refused(&[&hint, &command]);
        }
        let said = work.run(&format!("inspect {path}")).well();
        assert!(said.stdout.starts_with(&format!("{path}: model of Sockeye, version 1.10.5\n")), "{said:?}");
        assert!(said.stdout.contains(&format!("kokanee import {path} --output FOLDER")), "{said:?}");
    }
    let archive = trained().join("model/model.tar.gz").display().to_string();
    for path in [model(), archive] {
        let told = format!(
            "{path} is a model of Kokanee already: use it as it is, such as `kokanee translate --model {path}`"
        );
        work.run(&format!("import {path} --output m")).refused(&[&told]);
    }
}

#[test]
fn a_model_in_the_one_sub_folder_opens_in_every_command() {
    let work = Workplace::new();
    let names = ["config.json", "model.safetensors", "vocab.src.json", "vocab.trg.json"];
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for name in names {
        let content = bytes(&trained().join("model").join(name));
        work.write(&format!("folder/deep/{name}"), &content);
        files.push((format!("deep/{name}"), content));
    }
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, file)| (&**name, file.clone())).collect();
    pack(&work.path("deep.tar.gz"), &files);
    pack(&work.path("broken.tar.gz"), &files[..1]);
    work.write("in.txt", "a b c\n");
    work.write("ref.txt", "A B C\n");
    for path in ["folder", "deep.tar.gz"] {
        let said = work.run(&format!("translate -q --model {path} --input in.txt")).well();
        assert_eq!(said.stdout, "A B C\n", "{path}");
        work.run(&format!("score --model {path} --source in.txt --target ref.txt")).well();
        work.run(&format!("evaluate --model {path} --source in.txt --target ref.txt")).well();
        work.run(&format!("inspect {path}")).well();
        work.run(&format!("export --model {path} --output out-{path}")).well();
        let line = format!(
            "transform --model {path} --input in.txt --output answers-{path} --content-type text/plain"
        );
        work.run(&line).well();
        assert_eq!(work.read(&format!("answers-{path}/in.txt.out")), "A B C\n");
    }
    work.run("translate --model broken.tar.gz --input in.txt")
        .refused(&["broken.tar.gz/deep holds no model of Kokanee: it has no model.safetensors"]);
}
