//! Tests of the effect of each hyperparameter, seen from outside: in the model that a job leaves, and its log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use kokanee_algorithm::{Algorithm as _, Console, JobFiles, Progress, Resume, StopFlag, TrainingJob};

use kokanee_contract::channels::{Distribution, InputMode};
use kokanee_contract::{ContentType, InputChannel, InputChannels};
use kokanee_kmeans::KMeans;
use kokanee_testkit::Rng;

/// The result of a job.
struct Outcome {
    model: Vec<u8>,
    log: Vec<String>,
}

impl Outcome {
    /// The number of lines of the log that contain `part`.
    fn count(&self, part: &str) -> usize {
        self.log.iter().filter(|line| line.contains(part)).count()
    }

    /// Numbers of centres and features, as they are in the file.
    fn shape(&self) -> [u64; 2] {
        let number = |at: usize| u64::from_le_bytes(self.model[at..at + 8].try_into().expect("eight bytes"));
        [number(36), number(44)]
    }
}

/// Returns rows in five groups, 400 of them; another `shift` gives others.
fn rows(shift: u64) -> String {
    let mut rng = Rng::new(9 + shift);
    let mut text = String::new();
    for row in 0..400 {
        let middle = (row % 5) as f32 * 3.0;
        text.push_str(&format!(
            "{},{},{}\n",
            middle + rng.normal(),
            rng.normal(),
            middle * 0.5 + rng.normal()
        ));
    }
    text
}

/// Trains with k=5, small batches, and the settings `set`.
fn train(set: &[(&str, &str)]) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let channel = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        std::fs::write(path.join("rows.csv"), text).expect("writes");
        let content_type = ContentType::parse("text/csv;label_size=0").expect("a content type");
        let distribution = Distribution::FullyReplicated;
        let channel =
            InputChannel { name: name.to_owned(), content_type, mode: InputMode::File, distribution, path };
        (name.to_owned(), channel)
    };
    let channels = BTreeMap::from([channel("train", rows(0)), channel("test", rows(1))]);
    let mut hyperparameters: BTreeMap<String, String> = [("k", "5"), ("mini_batch_size", "100")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    hyperparameters.extend(set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let model = folder.path().join("model");
    let job = TrainingJob {
        hyperparameters,
        channels: InputChannels { channels, notes: Vec::new() },
        files: JobFiles {
            model: model.clone(),
            checkpoints: folder.path().join("checkpoints"),
            archive: None,
        },
        resume: Resume::Never,
        host: "algo-1".to_owned(),
        hosts: 1,
        stop: StopFlag::default(),
        notes: Vec::new(),
    };
    let log = Log::default();
    KMeans.train(&job, &log).map_err(|error| error.to_string())?;
    Ok(Outcome { model: read(&model), log: log.0.into_inner().expect("no panic") })
}

fn read(model: &Path) -> Vec<u8> {
    std::fs::read(model.join("model_algo-1")).expect("a model")
}

#[track_caller]
fn good(set: &[(&str, &str)]) -> Outcome {
    train(set).unwrap_or_else(|error| panic!("{set:?}: {error}"))
}

/// Checks that the two settings give different models, and that each gives the same model again.
#[track_caller]
fn check_changes(name: &str, values: [&str; 2], besides: &[(&str, &str)]) {
    let with = |value| good(&[&[(name, value)], besides].concat()).model;
    let models = values.map(with);
    assert_ne!(models[0], models[1], "{name} has no effect");
    assert_eq!(models, values.map(with), "{name}: not the same again");
}

#[test]
fn rows_have_the_width_that_is_given() {
    assert_eq!(good(&[("feature_dim", "3")]).model, good(&[]).model);
    let error = train(&[("feature_dim", "4")]).err().expect("refused");
    assert!(error.contains("rows.csv"), "{error}");
}

#[test]
fn batches_and_passes_are_as_told() {
    check_changes("mini_batch_size", ["100", "200"], &[]);
    let three = good(&[("epochs", "3")]);
    assert_eq!((three.count("#progress_metric"), three.count("processed a total of 400 examples")), (3, 3));
    check_changes("epochs", ["1", "3"], &[]);
    assert_eq!(good(&[("force_dense", "false")]).model, good(&[("force_dense", "True")]).model);
}

#[test]
fn centres_are_as_many_as_told_and_start_as_told() {
    assert_eq!(good(&[("k", "7")]).shape(), [7, 3]);
    check_changes("init_method", ["random", "kmeans++"], &[]);
    assert_eq!(good(&[("init_method", "k-means++")]).model, good(&[("init_method", "kmeans++")]).model);
    assert_eq!(good(&[("extra_center_factor", "4")]).count("shrinking 20 centers into 5"), 1);
    assert_eq!(good(&[("extra_center_factor", "auto")]).count("evaluated to 10."), 1);
    assert_eq!(good(&[("extra_center_factor", "1")]).count("No shrinking is required"), 1);
    check_changes("half_life_time_size", ["0", "50"], &[]);
}

#[test]
fn the_final_clustering_is_as_told() {
    assert_eq!(good(&[("local_lloyd_num_trials", "3")]).count("local kmeans attempt"), 3);
    assert_eq!(good(&[]).count("local kmeans attempt"), 10);
    let one = ("local_lloyd_num_trials", "1");
    check_changes("local_lloyd_init_method", ["random", "kmeans++"], &[one]);
    check_changes("local_lloyd_max_iter", ["1", "300"], &[one, ("local_lloyd_init_method", "random")]);
    check_changes("local_lloyd_tol", ["0.9", "0"], &[one, ("local_lloyd_init_method", "random")]);
}

#[test]
fn test_data_is_measured_as_told() {
    let lines = |metrics: &str| {
        let outcome = good(&[("eval_metrics", metrics)]);
        (outcome.count("test msd <loss>="), outcome.count("test ssd <loss>="))
    };
    assert_eq!(lines(r#"["msd"]"#), (1, 0));
    assert_eq!(lines("['msd','ssd']"), (1, 1));
    assert_eq!(lines("ssd"), (0, 1));
    for wrong in ["[]", r#"["mse"]"#] {
        let error = train(&[("eval_metrics", wrong)]).err().expect("refused");
        assert!(error.contains("msd") && error.contains("ssd"), "{error}");
    }
}

#[test]
fn the_seed_decides_and_threads_do_not() {
    check_changes("_seed", ["0", "1"], &[]);
    assert_eq!(good(&[("num_threads", "1")]).model, good(&[("num_threads", "3")]).model);
}

/// A console that keeps the log.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Console for Log {
    fn is_quiet(&self) -> bool {
        false
    }

    fn line(&self, line: &str) {
        self.0.lock().expect("no panic").push(line.to_owned());
    }

    fn warning(&self, _: &str) {}

    fn note(&self, _: &str) {}

    fn busy(&self, _: &str) {}

    fn progress(&self, _: &Progress<'_>) {}

    fn clear(&self) {}
}
