//! Tests of the user's folders: one command at a time writes into them, sets of files are replaced together, and files of others
//! stay.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::workplace::{Said, TINY, Workplace, copy, model, pairs, prepared, said, trained};

const LINE: &str = "train --train data/train.rec --validation data/val.rec --vocab data";

/// A process that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A training that would never end, after it has locked its folders.
fn endless(work: &Workplace, more: &str) -> Ended {
    let line = format!(
        "{LINE} --output model {TINY} --set checkpoint_threshold=-1 --set checkpoint_frequency_num_batches=1 {more}"
    );
    let mut command = work.command(&line.split_whitespace().collect::<Vec<_>>());
    let child = Ended(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_for_lock(work, "model");
    child
}

/// The holder of a lock writes to the file once it has the lock.
fn wait_for_lock(work: &Workplace, folder: &str) {
    let path = work.path(folder).join(".kokanee-lock");
    wait_for(|| fs::read(&path).is_ok_and(|text| text.ends_with(b"\n")));
}

fn wait_for(mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn check_busy(said: Said, folder: &str, child: &Ended) {
    let process = format!("{folder}: process {} (`", child.0.id());
    said.refused(&[
        &process,
        "kokanee train --train",
        "`, since 20",
        " UTC) is writing into this folder; wait for it",
    ]);
}

#[test]
fn the_second_command_that_writes_into_a_folder_is_refused_at_once() {
    let work = Workplace::new();
    prepared(&work);
    let child = endless(&work, "--checkpoints states");
    wait_for_lock(&work, "states");
    let again = format!("{LINE} {TINY} --set max_num_batches=1");
    check_busy(work.run(&format!("{again} --output model --checkpoints other")), "model", &child);
    check_busy(work.run(&format!("{again} --output other --checkpoints states")), "states", &child);
    assert!(!work.path("other").exists(), "a refused command leaves no folder");
    for format in ["safetensors", "sockeye"] {
        let line = format!("export --model {} --format {format} --output model", model());
        check_busy(work.run(&line), "model", &child);
    }
    let micro =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5/lstm");
    check_busy(work.run(&format!("import {micro} --output model")), "model", &child);
    check_busy(work.run("prepare -ts train.src -tt train.trg --output-dir model"), "model", &child);
    check_busy(work.run("demo --output model"), "model", &child);
    let transform = format!("transform --model {} --input train.src --output model", model());
    check_busy(work.run(&transform), "model", &child);
    // As a container: the same folders under /opt/ml.
    drop(child);
    work.run(&format!("{again} --output model --checkpoints states")).well();
    assert!(!work.path("model/.kokanee-lock").exists() && !work.path("states/.kokanee-lock").exists());
}

#[test]
fn a_container_locks_its_model_and_its_checkpoints() {
    let work = Workplace::new();
    prepared(&work);
    for (channel, files) in [
        ("train", &["train.rec"][..]),
        ("validation", &["val.rec"]),
        ("vocab", &["vocab.src.json", "vocab.trg.json"]),
    ] {
        for file in files {
            work.write(
                &format!("job/input/data/{channel}/{file}"),
                fs::read(work.path("data").join(file)).unwrap(),
            );
        }
    }
    work.write(
        "job/input/config/hyperparameters.json",
        "{\"max_num_batches\": \"1\", \"rnn_num_hidden\": \"8\"}",
    );
    let child = endless(&work, "");
    for (folder, other) in [("model", "checkpoints"), ("checkpoints", "model")] {
        let _ = fs::remove_dir_all(work.path("job").join(other));
        let place = work.path("job").join(folder);
        let _ = fs::remove_dir(&place);
        std::os::unix::fs::symlink(work.path("model"), &place).unwrap();
        let said = work.run("train --prefix job");
        check_busy(said, &format!("job/{folder}"), &child);
        let failure = work.read("job/output/failure");
        assert!(
            failure.starts_with("ClientError: ") && failure.contains("is writing into this folder"),
            "{failure}"
        );
        fs::remove_file(place).unwrap();
    }
}

/// Killed repeatedly at random moments, a training into the folder of an older model with other words leaves one model or the
/// other.
#[test]
fn a_killed_training_leaves_the_old_model_or_the_new_one() {
    let work = Workplace::new();
    // The same words, counted in other sentences, so that their order differs.
    let (source, target) = pairs(90, 5);
    for (side, text) in [("src", source), ("trg", target)] {
        work.write(&format!("train.{side}"), &text);
        work.write(&format!("val.{side}"), text);
    }
    work.run("prepare -ts train.src -tt train.trg -vs val.src -vt val.trg --output-dir data").well();
    let words = |folder: &Path| fs::read(folder.join("vocab.trg.json")).unwrap();
    assert_ne!(
        words(&work.path("data")),
        words(&trained().join("data")),
        "both have the same words in the same order"
    );
    for round in 0..6u64 {
        let _ = fs::remove_dir_all(work.path("model"));
        copy(&trained().join("model"), &work.path("model"));
        let mut child = endless(&work, "--checkpoints states");
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(round * 15));
        } else {
            // At the moment when the first file of the new model is in place.
            wait_for(|| words(&work.path("model")) != words(&trained().join("model")));
        }
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        // Files that do not belong together would be refused: config.json records their digests.
        work.run_with("translate -q --model model", "a b c\n").well();
        let now = words(&work.path("model"));
        let is_new = now == words(&work.path("data"));
        assert!(is_new || (round % 2 == 0 && now == words(&trained().join("model"))), "round {round}");
        let _ = fs::remove_dir_all(work.path("states"));
    }
}

/// The visible files of a folder with their content.
fn visible(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_file() && !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Runs a command into a copy of the folder `old`, kills it after longer and longer times, and runs `open` on the result: that must
/// be the old set or the new one, from `new`.
#[track_caller]
fn check_killed(work: &Workplace, command: &str, open: &str) {
    work.run(&command.replace("OUT", "new")).well();
    let (old, new) = (visible(&work.path("old")), visible(&work.path("new")));
    assert_ne!(old, new);
    let line = command.replace("OUT", "out");
    let args: Vec<&str> = line.split_whitespace().collect();
    for wait_ms in (0..60).step_by(3) {
        let _ = fs::remove_dir_all(work.path("out"));
        copy(&work.path("old"), &work.path("out"));
        let mut process = work.command(&args);
        let mut child = Ended(process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        std::thread::sleep(Duration::from_millis(wait_ms));
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        work.run(open).well();
        let now = visible(&work.path("out"));
        assert!(now == old || now == new, "a mixture after {wait_ms} ms");
    }
    // What the kills left behind stops nobody.
    work.run(&line).well();
    assert_eq!(visible(&work.path("out")), new);
    let hidden: Vec<_> =
        fs::read_dir(work.path("out")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!hidden.iter().any(|name| name.as_encoded_bytes().starts_with(b".kokanee-commit")), "{hidden:?}");
}

#[test]
fn an_import_an_export_or_prepared_data_that_is_killed_is_the_old_set_or_the_new_one() {
    let micro =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5/lstm");
    let work = Workplace::new();
    copy(&trained().join("model"), &work.path("old"));
    fs::remove_dir_all(work.path("old/checkpoints")).unwrap();
    fs::remove_file(work.path("old/model.tar.gz")).unwrap();
    check_killed(&work, &format!("import {micro} --output OUT"), "inspect out");

    let work = Workplace::new();
    work.run(&format!("import {micro} --output m")).well();
    work.run("export --model m --output old").well();
    check_killed(&work, &format!("export --model {} --output OUT", model()), "import out --output checked");

    let work = Workplace::new();
    prepared(&work);
    fs::rename(work.path("data"), work.path("old")).unwrap();
    let (source, target) = pairs(50, 9);
    work.write("n.src", source);
    work.write("n.trg", target);
    check_killed(
        &work,
        "prepare -ts n.src -tt n.trg -vs n.src -vt n.trg --output-dir OUT",
        "inspect out/train.rec",
    );
}

#[test]
fn an_interrupted_update_of_a_model_is_finished_by_whoever_opens_it() {
    let work = Workplace::new();
    prepared(&work);
    copy(&trained().join("model"), &work.path("model"));
    work.run(&format!("{LINE} {TINY} --set max_num_batches=1 --output new")).well();
    // The state after a process was killed between two renames: two files are in place, three are not.
    let commit = work.path("model/.kokanee-commit");
    fs::create_dir(&commit).unwrap();
    let names = ["metrics.json", "vocab.src.json", "vocab.trg.json", "model.safetensors", "config.json"];
    for (index, name) in names.iter().enumerate() {
        let place = if index < 2 { work.path("model") } else { commit.clone() };
        fs::copy(work.path("new").join(name), place.join(name)).unwrap();
    }
    let lines: String = names.iter().map(|name| format!("{{\"file\":\"{name}\"}}\n")).collect();
    fs::write(commit.join("update.jsonl"), format!("{{\"kokanee_folder_update\":1}}\n{lines}\"complete\"\n"))
        .unwrap();
    copy(&work.path("model"), &work.path("second"));

    let described = work.run("inspect model").well().stdout;
    assert_eq!(described, work.run("inspect new").well().stdout.replacen("new: ", "model: ", 1));
    assert!(!commit.exists());
    let answer = |model: &str| work.run_with(&format!("translate -q --model {model}"), "a b\n").well().stdout;
    assert_eq!(answer("second"), answer("new"));
    assert!(!work.path("second/.kokanee-commit").exists());
}

#[test]
fn files_of_others_in_an_output_folder_stay() {
    let work = Workplace::new();
    prepared(&work);
    let train = format!("{LINE} {TINY} --set max_num_batches=1 --output out");
    let export = format!("export --model {} --format safetensors --output out", model());
    let micro =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5/lstm");
    let import = format!("import {micro} --output out");
    let sockeye = format!("export --model {} --output out", model());
    for (line, name) in [
        (&train, "config.json"),
        (&train, "model.safetensors"),
        (&train, "metrics.json"),
        (&train, "vocab.src.json"),
        (&train, "model.tar.gz"),
        (&train, "checkpoints/latest"),
        (&export, "config.json"),
        (&import, "model.safetensors"),
        (&sockeye, "params.best"),
        (&sockeye, "config"),
    ] {
        let _ = fs::remove_dir_all(work.path("out"));
        work.write(&format!("out/{name}"), "{\"mine\": 1}");
        work.run(line).refused(&[&format!("out/{name} is there and was not written by Kokanee")]);
        assert_eq!(work.read(&format!("out/{name}")), "{\"mine\": 1}", "{line}");
    }
    // Files with other names are no obstacle.
    for line in [&train, &export, &import, &train] {
        work.write("out/notes.txt", "mine");
        work.write("out/state-notes/a.txt", "mine");
        let _ = fs::remove_file(work.path("out/config.json"));
        for name in ["model.safetensors", "metrics.json", "model.tar.gz", "vocab.src.json", "vocab.trg.json"]
        {
            let _ = fs::remove_file(work.path("out").join(name));
        }
        work.run(line).well();
        assert_eq!(
            (work.read("out/notes.txt"), work.read("out/state-notes/a.txt")),
            ("mine".into(), "mine".into())
        );
    }
    work.write("mine/hyperparameters.json", "{\"mine\": 1}");
    work.run("demo --output mine")
        .refused(&["mine holds hyperparameters.json, which the demo has not written"]);
    assert_eq!(work.read("mine/hyperparameters.json"), "{\"mine\": 1}");
}

#[test]
fn the_history_of_an_earlier_model_goes_with_it() {
    let work = Workplace::new();
    copy(&trained().join("model"), &work.path("out"));
    let micro =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5/lstm");
    work.run(&format!("import {micro} --output out")).well();
    assert!(!work.path("out/metrics.json").exists());
    assert!(work.path("out/checkpoints/latest").exists());
    said(work.command(&["inspect", "out"])).well();
}

#[test]
fn locks_and_unfinished_files_are_no_part_of_a_channel_or_an_archive() {
    let work = Workplace::new();
    prepared(&work);
    for name in [".kokanee-lock", ".kokanee-x.part", ".kokanee-staging-x/train.rec"] {
        work.write(&format!("data/{name}"), "junk");
    }
    fs::create_dir(work.path("records")).unwrap();
    fs::rename(work.path("data/train.rec"), work.path("records/train.rec")).unwrap();
    work.write("records/.kokanee-lock", "junk");
    let line = LINE.replace("data/train.rec", "records");
    work.write("model/.kokanee-staging-x/model.safetensors", "junk");
    work.run(&format!("{line} {TINY} --set max_num_batches=1 --output model")).well();
    let file = fs::File::open(work.path("model/model.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in archive.entries().unwrap() {
        let path = entry.unwrap().path().unwrap().display().to_string();
        assert!(!path.contains("kokanee"), "{path}");
    }
}
