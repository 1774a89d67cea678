use crate::workplace::Workplace;

#[test]
#[cfg(unix)]
fn the_demo_runs_to_its_end_and_its_commands_work() {
    let work = Workplace::new();
    // Time for a few updates only: the test is about the steps, not the quality.
    let said = work.run("demo --minutes 0.001 --threads 1 kokanee").well();
    for part in [
        "105,565 words to train on",
        "words that were not trained on",
        "phoneme error rate",
        "supercalifragilistic",
        "kokanee",
        "(not in it)",
        "where the model looked in \"kokanee\"",
        "to go on from here:",
    ] {
        assert!(said.stdout.contains(part), "lacks {part:?}: {}", said.stdout);
    }
    for file in [
        "train.graphemes",
        "test.phonemes",
        "train.rec",
        "val.rec",
        "vocab.src.json",
        "vocab.trg.json",
        "model/model.safetensors",
        "model/model.tar.gz",
        "attention.svg",
        "learning-curve.svg",
        "LICENSE-CMUDICT",
    ] {
        assert!(work.path("kokanee-demo").join(file).exists(), "{file}");
    }
    let commands: Vec<&str> = said
        .stdout
        .lines()
        .skip_while(|line| !line.contains("to go on from here"))
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    assert_eq!(commands.len(), 6, "{commands:?}");
    for command in commands {
        // Everything but long commands is pasted into a shell as it is; the training is only begun.
        let command = match command {
            command if command.contains(" evaluate ") => continue,
            command if command.contains(" train ") => {
                format!("{command} --set max_num_batches=3 --set num_threads=1")
            }
            command => command.to_owned(),
        };
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &command]).current_dir(work.path(""));
        let said = crate::workplace::said(shell).well();
        if command.contains(" demo ") {
            assert!(said.stdout.contains("the model of an earlier run is in"), "{said:?}");
        }
    }
}

#[test]
fn words_are_letters() {
    let work = Workplace::new();
    work.run("demo caf\u{e9}").misused(&["expected the letters a to z only, got 'é'"]);
    work.run("demo --minutes 0").misused(&["expected a number above 0"]);
    assert!(!work.path("kokanee-demo").exists());
}
