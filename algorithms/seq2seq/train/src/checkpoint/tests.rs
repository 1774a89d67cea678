use kokanee_algorithm::Resume;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use crate::trainer::tests::{Witness, data, files, hyperparameters, run};
use crate::{TrainError, TrainingJob};

const LIMIT: (&str, &str) = ("max_num_batches", "12");

/// A folder in which a run of 12 updates ended.
fn finished() -> TempDir {
    let folder = TempDir::new().unwrap();
    run(&hyperparameters(&[LIMIT]), folder.path(), Resume::Never, Witness::default());
    folder
}

fn states(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn resume(folder: &Path, set: &[(&str, &str)]) -> Result<TrainingJob, TrainError> {
    TrainingJob::new(&hyperparameters(set), data(1), files(folder), Resume::Required)
}

#[track_caller]
fn check_refused(folder: &Path, set: &[(&str, &str)], parts: &[&str]) {
    let error = resume(folder, set).err().expect("must be refused");
    assert!(error.is_user_error());
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text:?} lacks one of {parts:?}");
}

#[test]
fn only_the_last_state_stays() {
    let folder = finished();
    assert_eq!(states(folder.path()), ["latest", "state-000000012"]);
    let kept = fs::read_dir(folder.path().join("checkpoints/state-000000012")).unwrap();
    let mut kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    kept.sort();
    let best = "best.safetensors";
    let rest = ["optimizer.m.safetensors", "optimizer.v.safetensors", "parameters.safetensors", "state.json"];
    assert_eq!(kept, [&[best], &rest[..]].concat());
}

/// The state contains checkpoints that may be averaged, and not those that cannot be among the best any more.
#[test]
fn checkpoints_to_average_are_kept_with_the_state() {
    let folder = TempDir::new().unwrap();
    let set = [LIMIT, ("checkpoint_averaging", "2"), ("checkpoint_frequency_num_batches", "3")];
    let (outcome, seen, _) = run(&hyperparameters(&set), folder.path(), Resume::Never, Witness::default());
    assert_eq!(seen.checkpoints.len(), 4);
    let chosen = outcome.average.unwrap().checkpoints;
    let state = folder.path().join("checkpoints/state-000000012");
    let mut kept: Vec<_> = fs::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.retain(|name| name.starts_with("checkpoint."));
    kept.sort();
    assert_eq!(kept, chosen.iter().map(|c| format!("checkpoint.{c}.safetensors")).collect::<Vec<_>>());

    fs::remove_file(state.join(&kept[0])).unwrap();
    check_refused(folder.path(), &set, &[&kept[0], "it is missing, and is needed to average checkpoints"]);
}

/// Files that a kill leaves beside the last complete state change nothing.
#[test]
fn what_a_killed_run_left_unfinished_is_passed_over() {
    let want = {
        let folder = finished();
        let longer = hyperparameters(&[("max_num_batches", "20")]);
        run(&longer, folder.path(), Resume::Required, Witness::default()).1.losses
    };
    type Kill = fn(&Path);
    let kills: [(&str, Kill); 4] = [
        ("while the first file was written", |c| {
            fs::create_dir(c.join(".kokanee-staging-x")).unwrap();
            let list = "{\"kokanee_folder_update\":1}\n{\"file\":\"parameters.safetensors\"}\n";
            fs::write(c.join(".kokanee-staging-x/update.jsonl"), list).unwrap();
            fs::write(c.join(".kokanee-staging-x/parameters.safetensors"), b"half").unwrap();
        }),
        ("before the rename, by 0.1.0", |c| {
            copy(&c.join("state-000000012"), &c.join(".state-000000015.part"));
        }),
        ("after the rename, before `latest`", |c| {
            copy(&c.join("state-000000012"), &c.join("state-000000015"));
            fs::write(c.join("state-000000015/parameters.safetensors"), b"").unwrap();
            fs::write(c.join("state-000000015/update.jsonl"), b"{\"kokanee_folder_update\":1}\n").unwrap();
        }),
        ("after `latest`, before the old state was removed", |c| {
            copy(&c.join("state-000000012"), &c.join("state-000000010"));
        }),
    ];
    for (when, kill) in kills {
        let folder = finished();
        kill(&folder.path().join("checkpoints"));
        let longer = hyperparameters(&[("max_num_batches", "20")]);
        let (_, seen, _) = run(&longer, folder.path(), Resume::Required, Witness::default());
        assert_eq!(seen.losses, want, "killed {when}");
        assert_eq!(states(folder.path()), ["latest", "state-000000020"], "killed {when}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Files of others in the folder, whatever their names, are unchanged after a run.
#[test]
fn files_and_folders_of_others_stay_whatever_their_names() {
    let folder = finished();
    let checkpoints = folder.path().join("checkpoints");
    let foreign = [
        "state-notes/a.txt",
        "state-000000003/notes.txt",
        "state-000000004/state.json",
        "state-000000005/parameters.safetensors",
        "state-00001/state.json",
        "state-000000006.bak/state.json",
        ".state-notes.part/a.txt",
        ".state-000000007.part/.writing-x",
        ".state-000000008/parameters.safetensors",
        ".kokanee-staging-mine/parameters.safetensors",
        "state-000000009-/x",
        "notes.txt",
    ];
    for name in foreign {
        let path = checkpoints.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{\"mine\": 1}").unwrap();
    }
    // Beside the files of our own state that will be removed, and behind a link.
    fs::write(checkpoints.join("state-000000012/my-notes.txt"), "mine").unwrap();
    let elsewhere = folder.path().join("elsewhere");
    copy(&checkpoints.join("state-000000012"), &elsewhere);
    #[cfg(unix)]
    std::os::unix::fs::symlink(&elsewhere, checkpoints.join("state-000000002")).unwrap();
    let count = fs::read_dir(&elsewhere).unwrap().count();

    let longer = hyperparameters(&[("max_num_batches", "20")]);
    run(&longer, folder.path(), Resume::Required, Witness::default());
    for name in foreign {
        assert_eq!(fs::read_to_string(checkpoints.join(name)).unwrap(), "{\"mine\": 1}", "{name}");
    }
    let left: Vec<_> = fs::read_dir(checkpoints.join("state-000000012")).unwrap().flatten().collect();
    assert!(left.len() == 1 && left[0].file_name() == "my-notes.txt", "{left:?}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), count);
    assert!(checkpoints.join("state-000000020/state.json").exists());
}

#[test]
fn a_file_called_latest_of_somebody_else_stays() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("checkpoints")).unwrap();
    let latest = folder.path().join("checkpoints/latest");
    fs::write(&latest, "release 7\n").unwrap();
    let h = hyperparameters(&[LIMIT]);
    let error = TrainingJob::new(&h, data(1), files(folder.path()), Resume::Never).err().unwrap().to_string();
    assert!(error.contains("checkpoints/latest is there and was not written by Kokanee"), "{error}");
    assert_eq!(fs::read_to_string(&latest).unwrap(), "release 7\n");
}

/// A state left by a version that did not have some hyperparameters, or wrote values in another way.
#[test]
fn a_state_of_an_older_version_is_gone_on_from() {
    let want = {
        let folder = finished();
        run(
            &hyperparameters(&[("max_num_batches", "20")]),
            folder.path(),
            Resume::Required,
            Witness::default(),
        )
        .1
        .losses
    };
    let folder = finished();
    let path = folder.path().join("checkpoints/state-000000012/state.json");
    let mut state: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    state.as_object_mut().unwrap().remove("algorithm").unwrap();
    let hyperparameters_of_state = state["identity"]["hyperparameters"].as_object_mut().unwrap();
    for name in ["precision", "beam_search_rule", "label_smoothing"] {
        assert!(hyperparameters_of_state.remove(name).is_some(), "{name}");
    }
    hyperparameters_of_state["learning_rate"] = "1e-2".into();
    fs::write(&path, state.to_string()).unwrap();
    check_refused(
        folder.path(),
        &[LIMIT, ("label_smoothing", "0.1")],
        &["`label_smoothing` was 0 and is 0.1"],
    );
    let longer = hyperparameters(&[("max_num_batches", "20")]);
    let (_, seen, _) = run(&longer, folder.path(), Resume::Required, Witness::default());
    assert_eq!(seen.losses, want);

    // A later version's hyperparameter could matter.
    let folder = finished();
    let path = folder.path().join("checkpoints/state-000000012/state.json");
    let mut state: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    state["kokanee_version"] = "7.0.0".into();
    state["identity"]["hyperparameters"]["attention_heads"] = "4".into();
    fs::write(&path, state.to_string()).unwrap();
    let part = "`attention_heads` was 4, which Kokanee 7.0.0 wrote and this version does not know";
    check_refused(folder.path(), &[LIMIT], &[part]);
}

#[test]
fn without_a_state_there_is_nothing_to_resume() {
    let folder = TempDir::new().unwrap();
    check_refused(folder.path(), &[LIMIT], &["nothing to resume in", "checkpoints", "no file `latest`"]);
    let job = TrainingJob::new(&hyperparameters(&[LIMIT]), data(1), files(folder.path()), Resume::IfPresent)
        .unwrap();
    assert_eq!(job.summary().resumed_from, None);
}

#[test]
fn another_run_is_not_continued() {
    let folder = finished();
    check_refused(
        folder.path(),
        &[LIMIT, ("learning_rate", "0.02"), ("batch_size", "5")],
        &["belongs to another run", "`learning_rate` was 0.01 and is 0.02", "`batch_size` was 4 and is 5"],
    );
    check_refused(
        folder.path(),
        &[LIMIT, ("rnn_attention_num_hidden", "8")],
        &["`rnn_attention_num_hidden` was not set and is 8"],
    );
    let refused = |change: fn(&mut crate::TrainingData), part: &str| {
        let mut other = data(1);
        change(&mut other);
        let h = hyperparameters(&[LIMIT]);
        let error = TrainingJob::new(&h, other, files(folder.path()), Resume::IfPresent).err().unwrap();
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(|data| data.train.push(&[4], &[4]), "the training data is not the same");
    refused(|data| data.validation.push(&[4], &[4]), "the validation data is not the same");
    refused(
        |data| {
            data.source_vocabulary = kokanee_seq2seq_data::Vocabulary::build([("z", 1)], Default::default())
        },
        "the source vocabulary is not the same",
    );
    // Limits and threads are not part of a run's identity.
    let others = [("max_num_epochs", "40"), ("checkpoint_threshold", "9"), ("num_threads", "1")];
    let job = resume(folder.path(), &others).unwrap();
    assert_eq!(job.summary().resumed_from, Some(12));
}

#[test]
fn damage_is_told_and_never_a_panic() {
    type Damage = fn(&Path);
    let cases: [(Damage, &str); 11] = [
        (|c| fs::write(c.join("latest"), "../../secret").unwrap(), "it should name a folder"),
        (
            |c| fs::write(c.join("latest"), "state-000000099").unwrap(),
            "state.json cannot be used: it cannot be read",
        ),
        (|c| fs::write(c.join("latest"), [0xff, 0xfe]).unwrap(), "cannot read"),
        (|c| edit(c, "{", "["), "state.json cannot be used"),
        (
            |c| edit(c, "\"format_version\": 1", "\"format_version\": 9"),
            "format_version is 9 (Kokanee 0.1.0 wrote it) and this program, Kokanee 0.1.0, reads 1; use the Kokanee that",
        ),
        (
            |c| edit(c, "\"format_version\": 1", "\"format_version\": 0"),
            "format_version is 0, which no version of Kokanee writes",
        ),
        (
            |c| edit(c, "\"algorithm\": \"seq2seq\"", "\"algorithm\": \"deepar\""),
            "a state of the algorithm deepar",
        ),
        (|c| edit(c, "\"updates\": 12", "\"updates\": 18446744073709551615"), "its counts are impossible"),
        (|c| edit(c, "\"updates\": 12", "\"updates\": 2"), "last checkpoint (update 10) lies after"),
        (
            |c| fs::write(c.join("state-000000012/parameters.safetensors"), b"xx").unwrap(),
            "parameters.safetensors",
        ),
        (
            |c| fs::remove_file(c.join("state-000000012/optimizer.v.safetensors")).unwrap(),
            "optimizer.v.safetensors",
        ),
    ];
    for (damage, part) in cases {
        let folder = finished();
        damage(&folder.path().join("checkpoints"));
        check_refused(folder.path(), &[LIMIT], &[part]);
    }
}

fn edit(checkpoints: &Path, from: &str, to: &str) {
    let path = checkpoints.join("state-000000012/state.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_fresh_run_beside_an_old_state_says_so_and_replaces_it() {
    let folder = finished();
    let h = hyperparameters(&[LIMIT, ("seed", "5")]);
    let (_, seen, _) = run(&h, folder.path(), Resume::Never, Witness::default());
    assert!(
        seen.messages.iter().any(|text| text.contains("an earlier run left a state")),
        "{:?}",
        seen.messages
    );
    assert_eq!(states(folder.path()).len(), 2);
    let job = TrainingJob::new(&h, data(1), files(folder.path()), Resume::Required).unwrap();
    assert_eq!(job.summary().resumed_from, Some(12));
}

/// Checks that model, vocabularies and history in a folder belong together.
fn check_model(folder: &Path) {
    if !folder.exists() {
        return;
    }
    let opened = kokanee_seq2seq_nn::artifact::OpenedFolder::open(folder).unwrap();
    let artifact = opened.load().unwrap();
    let report: crate::Report =
        serde_json::from_slice(&fs::read(folder.join("metrics.json")).unwrap()).unwrap();
    let best = report.best.unwrap();
    // A history that is one checkpoint ahead has the same best model.
    assert_eq!(artifact.metadata.training.unwrap().checkpoint, best.checkpoint);
    for file in ["vocab.src.json", "vocab.trg.json"] {
        assert!(opened.read(file).unwrap().is_some(), "{file}");
    }
    assert!(!folder.join(".kokanee-commit").exists());
}

/// Names the folder in which a child process of the test below trains.
const CHILD: &str = "KOKANEE_TEST_TRAIN_UNTIL_KILLED";

/// A test with real kills: another process trains with a checkpoint after every update and is killed without warning, repeatedly.
/// Each time the next one resumes from what it leaves, and the final model is that of an undisturbed run.
#[test]
fn a_run_that_is_killed_at_any_moment_goes_on_from_a_whole_state() {
    let set = [
        ("max_num_batches", "40"),
        ("checkpoint_frequency_num_batches", "1"),
        ("checkpoint_threshold", "-1"),
    ];
    let h = hyperparameters(&set);
    if let Some(folder) = std::env::var_os(CHILD) {
        run(&h, Path::new(&folder), Resume::IfPresent, Witness::default());
        return;
    }
    let (whole, killed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    run(&h, whole.path(), Resume::Never, Witness::default());
    let name = std::thread::current().name().expect("a test's thread has its name").to_owned();
    let latest = killed.path().join("checkpoints/latest");
    for round in 0..6 {
        let before = fs::read(&latest).ok();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name.as_str(), "--exact"])
            .env(CHILD, killed.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Once it has written its own state it is killed at some moment of the next updates.
        while fs::read(&latest).ok() == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        check_model(&killed.path().join("model"));
    }
    let (_, seen, _) = run(&h, killed.path(), Resume::IfPresent, Witness::default());
    let done_by_children = 40 - seen.losses.len();
    assert!(done_by_children >= 6, "only {done_by_children} updates were done by the children");
    let model = |folder: &TempDir| fs::read(folder.path().join("model/model.safetensors")).unwrap();
    assert_eq!(model(&killed), model(&whole));
}
