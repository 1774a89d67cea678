//! Tests that after interruptions and kills of `kokanee tune` the same command resumes, and reaches the result of an undisturbed
//! run.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use kokanee_formats::FolderLock;
use serde_json::Value;

use crate::tune::{SEQ2SEQ, essence, reports, trials};
use crate::workplace::{TINY, Workplace, prepared};

/// A tuning of a small model that takes seconds; `every` updates lie between checkpoints, and a training has `updates` of them.
fn small(output: &str, jobs: u32, [every, updates]: [u32; 2]) -> String {
    format!(
        "{SEQ2SEQ} --output {output} --jobs {jobs} {TINY} --set checkpoint_frequency_num_batches={every} \
         --set max_num_batches={updates} --range embed_dropout_source=0:0.5 --range num_layers_encoder=1:2 \
         --objective validation:perplexity"
    )
}

fn start(work: &Workplace, line: &str) -> Child {
    let mut command = work.command(&line.split_whitespace().collect::<Vec<_>>());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
}

#[track_caller]
fn wait_for(mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a process a signal, without waiting for its effect.
fn signal(name: &str, process: u32) {
    assert!(
        Command::new("kill").args([name, &process.to_string()]).status().expect("kill is there").success()
    );
}

/// The text of a file as far as it exists.
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The process of a training, from the lock of its folder.
fn trainer(lock: &Path) -> u32 {
    let holder: Value = serde_json::from_str(text(lock).lines().next().expect("a line")).expect("JSON");
    holder["kokanee_pid"].as_u64().expect("a number") as u32
}

#[test]
fn a_killed_or_interrupted_tuning_goes_on_to_the_same_history() {
    let work = Workplace::new();
    prepared(&work);
    work.run(&small("undisturbed", 3, [10, 60])).well();
    let line = small("killed", 3, [10, 60]);
    let mut killed = Vec::new();
    for round in 0..3 {
        let mut child = start(&work, &line);
        let log = work.path(&format!("killed/trials/{:03}/train.log", round + 1));
        // While a trial trains: the last of the rounds interrupts in good order, the others kill.
        wait_for(|| text(&log).contains("Checkpoint [2]"));
        if round < 2 {
            // The next command comes at once, as in a script: the killed one may still be ending.
            signal("-KILL", child.id());
            killed.push(child);
        } else {
            signal("-INT", child.id());
            assert_eq!(child.wait().expect("ends").code(), Some(130));
            assert!(trials(&work, "killed").iter().any(|trial| trial["status"] == "InProgress"));
        }
    }
    for child in &mut killed {
        assert_eq!(child.wait().expect("ends").code(), None);
    }
    work.run(&line).well();
    assert_eq!(essence(&work, "killed"), essence(&work, "undisturbed"));
    // No process holds the folder of a trial any more.
    for number in 1..=3 {
        assert!(!work.path(&format!("killed/trials/{number:03}/model/.kokanee-lock")).exists());
    }
}

#[test]
fn a_trial_that_goes_on_reports_each_checkpoint_once() {
    let work = Workplace::new();
    prepared(&work);
    let long = [200, 500];
    work.run(&small("undisturbed", 1, long)).well();
    let line = small("killed", 1, long);
    let folder = work.path("killed/trials/001");
    let (log, lock) = (folder.join("train.log"), folder.join("model/.kokanee-lock"));
    let reported = || text(&log).matches(", validation perplexity=").count();

    // Killed before the first checkpoint: the training stops, and measures what it has.
    let mut child = start(&work, &line);
    wait_for(|| text(&log).contains("first update: "));
    child.kill().expect("is killed");
    child.wait().expect("ends");
    wait_for(|| FolderLock::acquire(&folder.join("model")).is_ok());
    assert_eq!(reported(), 1, "of a training that was stopped early");

    // Then the system kills the training itself, after a checkpoint; the tuning runs it again.
    let child = start(&work, &line);
    wait_for(|| reported() == 2);
    signal("-KILL", trainer(&lock));
    assert_eq!(child.wait_with_output().expect("ends").status.code(), Some(0));
    assert!(reported() > 4, "the log has more reports than the training has checkpoints");
    let trial = &trials(&work, "killed")[0];
    assert_eq!((trial["retries"].as_u64(), reports(trial)), (Some(1), 3), "{trial:#}");
    assert_eq!(essence(&work, "killed"), essence(&work, "undisturbed"));
}

#[test]
fn a_second_tuning_of_the_same_folder_is_refused_at_once() {
    let work = Workplace::new();
    prepared(&work);
    let line = small("tuned", 50, [10, 60]);
    let mut child = start(&work, &line);
    wait_for(|| work.path("tuned/trials/001").exists());
    let begun = Instant::now();
    work.run(&line).refused(&["is writing into this folder"]);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    child.kill().expect("is killed");
    child.wait().expect("ends");
    // The training that is left over stops by itself.
    let folder = work.path("tuned/trials/001/model");
    wait_for(|| FolderLock::acquire(&folder).is_ok());
}

/// Reads the output of a process until it contains `wanted`.
fn read_until(stderr: &mut ChildStderr, wanted: &str) {
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains(wanted) {
        assert_eq!(stderr.read(&mut byte).expect("reads"), 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
}

#[test]
fn a_training_that_an_earlier_tuning_left_is_waited_for() {
    let work = Workplace::new();
    prepared(&work);
    let line = small("tuned", 1, [10, 60]);
    let folder = work.path("tuned/trials/001/model");
    let lock = FolderLock::acquire(&folder).expect("locks");
    // Ctrl-C ends the wait.
    let mut child = start(&work, &line);
    read_until(child.stderr.as_mut().expect("piped"), "trial 1 waits for process ");
    signal("-INT", child.id());
    assert_eq!(child.wait_with_output().expect("ends").status.code(), Some(130));
    let mut child = start(&work, &line);
    read_until(child.stderr.as_mut().expect("piped"), "trial 1 waits for process ");
    drop(lock);
    assert_eq!(child.wait_with_output().expect("ends").status.code(), Some(0));
    assert_eq!(trials(&work, "tuned")[0]["status"], "Completed");
}
