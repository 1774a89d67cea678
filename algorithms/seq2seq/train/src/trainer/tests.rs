use kokanee_algorithm::{JobFiles, Resume};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kokanee_seq2seq_data::Vocabulary;
use kokanee_seq2seq_data::vocab::VocabularyLimits;
use kokanee_seq2seq_nn::Artifact;
use kokanee_testkit::Rng;
use tempfile::TempDir;

use super::*;
use crate::model_folder::MODEL_FILES;
use crate::observer::Level;
use crate::report::Report;
use crate::report::{Best, CheckpointReport};
use crate::{TrainingData, TrainingJob};

/// A tiny job whose runs take milliseconds: reverse sequences of five words.
pub(crate) fn hyperparameters(set: &[(&str, &str)]) -> Hyperparameters {
    let tiny = [
        ("rnn_num_hidden", "6"),
        ("num_embed_source", "4"),
        ("num_embed_target", "4"),
        ("batch_size", "4"),
        ("learning_rate", "0.01"),
        ("num_threads", "2"),
        ("checkpoint_frequency_num_batches", "5"),
        ("beam_size", "2"),
    ];
    let all: BTreeMap<String, String> =
        tiny.iter().chain(set).map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Hyperparameters::resolve(&all).unwrap()
}

pub(crate) fn data(seed: u64) -> TrainingData {
    let mut rng = Rng::new(seed);
    let mut corpus = |pairs: usize| {
        let mut corpus = Corpus::new();
        for _ in 0..pairs {
            let len = rng.range(1..9);
            let source: Vec<u32> = (0..len).map(|_| rng.range(4..9) as u32).collect();
            let target: Vec<u32> = source.iter().rev().copied().collect();
            corpus.push(&source, &target);
        }
        corpus
    };
    let words = ["a", "b", "c", "d", "e"].map(|word| (word, 1));
    let vocabulary = Vocabulary::build(words, VocabularyLimits::default());
    TrainingData {
        train: corpus(30),
        validation: corpus(7),
        source_vocabulary: vocabulary.clone(),
        target_vocabulary: vocabulary,
    }
}

pub(crate) fn files(folder: &Path) -> JobFiles {
    JobFiles {
        model: folder.join("model"),
        checkpoints: folder.join("checkpoints"),
        archive: Some(folder.join("model.tar.gz")),
    }
}

/// An observer that records events, and asks for a stop after an update.
#[derive(Default)]
pub(crate) struct Witness {
    pub(crate) losses: Vec<(u64, u64)>,
    pub(crate) checkpoints: Vec<CheckpointReport>,
    pub(crate) messages: Vec<String>,
    pub(crate) stop: StopFlag,
    pub(crate) stop_after: Option<u64>,
    pub(crate) stop_in_checkpoint: Option<u64>,
}

impl Observer for Witness {
    fn update(&mut self, progress: &Progress) {
        self.losses.push((progress.update, progress.loss.to_bits()));
        if self.stop_after == Some(progress.update) {
            self.stop.request();
        }
    }
    fn checkpoint_begins(&mut self, checkpoint: u64) {
        if self.stop_in_checkpoint == Some(checkpoint) {
            self.stop.request();
        }
    }
    fn checkpoint(&mut self, report: &CheckpointReport) {
        self.checkpoints.push(report.clone());
    }
    fn message(&mut self, _: Level, text: &str) {
        self.messages.push(text.to_owned());
    }
}

pub(crate) fn run(
    h: &Hyperparameters,
    folder: &Path,
    resume: Resume,
    mut witness: Witness,
) -> (Outcome, Witness, TrainingJob) {
    let mut job = TrainingJob::new(h, data(1), files(folder), resume).unwrap();
    let stop = witness.stop.clone();
    let outcome = job.run(&mut witness, &stop).unwrap();
    (outcome, witness, job)
}

/// All parameters, bit for bit.
fn bits(job: &TrainingJob) -> Vec<(String, Vec<u32>)> {
    let parameters = job.trainer().model().parameters().iter();
    parameters.map(|p| (p.name.clone(), p.value.data().iter().map(|x| x.to_bits()).collect())).collect()
}

/// A checkpoint's figures without times.
fn timeless(report: &CheckpointReport) -> CheckpointReport {
    CheckpointReport {
        train_seconds: 0.0,
        validation_seconds: 0.0,
        elapsed_seconds: 0.0,
        sentences_per_second: 0.0,
        target_tokens_per_second: 0.0,
        ..report.clone()
    }
}

fn model_bytes(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model/model.safetensors")).unwrap()
}

/// The reported checkpoints, without times.
fn reported(seen: &Witness) -> Vec<CheckpointReport> {
    seen.checkpoints.iter().map(timeless).collect()
}

/// Runs to the end at once, and in parts that stop according to `stops`; everything must be the same.
#[track_caller]
fn check_resume(set: &[(&str, &str)], stops: &[Witness]) {
    let h = hyperparameters(set);
    let (whole, parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (want, seen, job) = run(&h, whole.path(), Resume::Never, Witness::default());
    let wanted = reported(&seen);
    let wanted_bits = bits(&job);

    let mut losses = Vec::new();
    let mut resume = Resume::Never;
    for stop in stops {
        let witness = Witness {
            stop_after: stop.stop_after,
            stop_in_checkpoint: stop.stop_in_checkpoint,
            ..Witness::default()
        };
        let (outcome, seen, _) = run(&h, parts.path(), resume, witness);
        assert_eq!(outcome.reason, StopReason::Requested);
        assert!(parts.path().join("model/model.safetensors").exists(), "a stopped run leaves a model");
        losses.extend(seen.losses);
        resume = Resume::Required;
        // The model folder is not needed to resume: SageMaker restores only the checkpoints.
        fs::remove_dir_all(parts.path().join("model")).unwrap();
    }
    let (outcome, last, job) = run(&h, parts.path(), resume, Witness::default());
    losses.extend(last.losses);
    assert_eq!(losses, seen.losses, "losses of {set:?}");
    assert_eq!(bits(&job), wanted_bits, "parameters of {set:?}");
    assert_eq!((outcome.reason, outcome.best, outcome.average), (want.reason, want.best, want.average));
    let history: Vec<_> = job.trainer().state().history.iter().map(timeless).collect();
    assert_eq!(history, wanted, "checkpoints of {set:?}");
    assert_eq!(model_bytes(parts.path()), model_bytes(whole.path()), "best model of {set:?}");
}

fn after(update: u64) -> Witness {
    Witness { stop_after: Some(update), ..Witness::default() }
}

fn within(checkpoint: u64) -> Witness {
    Witness { stop_in_checkpoint: Some(checkpoint), ..Witness::default() }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let twenty = ("max_num_batches", "20");
    check_resume(&[twenty], &[after(7)]);
    // Before the first checkpoint, at checkpoints, within them, several times, and at the very end.
    check_resume(&[twenty], &[after(1), after(3)]);
    check_resume(&[twenty], &[after(5), after(10), after(11)]);
    check_resume(&[twenty], &[within(1), within(2), after(12)]);
    check_resume(&[("max_num_batches", "18")], &[after(18)]);
    check_resume(&[("max_num_batches", "18")], &[within(4)]);
    // The schedule and early stopping have state here.
    let restless = [("learning_rate", "0.3"), ("plateau_reduce_lr_threshold", "1")];
    check_resume(&restless, &[after(13), after(14)]);
    check_resume(&[twenty, ("optimized_metric", "bleu"), ("bleu_sample_size", "3")], &[after(8)]);
    check_resume(&[("max_num_epochs", "2")], &[after(9)]);
    // Every optimizer and schedule has its own state; every dropout draws the same masks again.
    let momentum = [("optimizer_type", "sgd"), ("momentum", "0.9"), ("learning_rate", "0.1")];
    check_resume(&[&momentum[..], &[twenty]].concat(), &[after(3), after(8)]);
    check_resume(&[("optimizer_type", "sgd"), ("learning_rate", "0.5"), twenty], &[after(7)]);
    let rising = [("optimizer_type", "rmsprop"), ("lr_scheduler_type", "fixed_rate_inv_t")];
    check_resume(&[&rising[..], &[twenty, ("learning_rate_warmup", "6")]].concat(), &[after(4), after(12)]);
    let falling = [("lr_scheduler_type", "fixed_rate_inv_sqrt_t"), ("gradient_clipping_type", "norm")];
    check_resume(&[&falling[..], &[twenty]].concat(), &[after(11)]);
    let dropout = [("embed_dropout_source", "0.3"), ("rnn_decoder_hidden_dropout", "0.3")];
    check_resume(&[&dropout[..], &[twenty, ("gradient_accumulation", "2")]].concat(), &[after(3), after(9)]);
    let average = [("checkpoint_averaging", "3"), ("learning_rate", "0.1"), ("max_num_batches", "22")];
    check_resume(&average, &[after(7), within(3), after(21)]);
    let last = [("checkpoint_averaging_strategy", "last")];
    check_resume(&[&average[..], &last].concat(), &[after(5), within(2), after(20)]);
}

#[test]
fn a_run_that_retells_reports_every_checkpoint_of_the_training_once() {
    let h = hyperparameters(&[("max_num_batches", "18")]);
    let whole = TempDir::new().unwrap();
    let (_, want, _) = run(&h, whole.path(), Resume::Retell, Witness::default());
    assert_eq!(want.checkpoints.iter().map(|report| report.update).collect::<Vec<_>>(), [5, 10, 15, 18]);
    // A run that is stopped before its first checkpoint reports one that is not part of the training, and so does its last one when
    // it is killed before its end was recorded.
    for (stop, before) in [(after(3), vec![3]), (after(11), vec![5, 10]), (after(99), vec![5, 10, 15, 18])] {
        let parts = TempDir::new().unwrap();
        let (_, first, _) = run(&h, parts.path(), Resume::Retell, stop);
        assert_eq!(first.checkpoints.iter().map(|report| report.update).collect::<Vec<_>>(), before);
        let (_, last, _) = run(&h, parts.path(), Resume::Retell, Witness::default());
        assert_eq!(reported(&last), reported(&want));
    }
}

#[test]
fn a_higher_limit_goes_on_as_if_it_had_always_been_there() {
    let (whole, parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let limit = |updates: &'static str| hyperparameters(&[("max_num_batches", updates)]);
    let (_, want, _) = run(&limit("20"), whole.path(), Resume::Never, Witness::default());
    let (first, one, _) = run(&limit("8"), parts.path(), Resume::Never, Witness::default());
    assert_eq!((first.reason, first.updates), (StopReason::MaxUpdates, 8));
    assert_eq!(one.checkpoints.last().unwrap().update, 8, "a final checkpoint");
    let (_, two, _) = run(&limit("20"), parts.path(), Resume::IfPresent, Witness::default());
    assert_eq!([&one.losses[..], &two.losses].concat(), want.losses);
    let updates = |seen: &Witness| seen.checkpoints.iter().map(|r| r.update).collect::<Vec<_>>();
    assert_eq!(updates(&two), [10, 15, 20]);
    let last = |seen: &Witness| timeless(seen.checkpoints.last().unwrap());
    assert_eq!(last(&two), last(&want));
}

/// Checks the reason for the end of a run, its number of updates and its checkpoints. The data make 9 batches per epoch.
#[track_caller]
fn check_end(set: &[(&str, &str)], reason: StopReason, updates: u64, checkpoints: &[u64]) {
    let folder = TempDir::new().unwrap();
    let (outcome, seen, _) = run(&hyperparameters(set), folder.path(), Resume::Never, Witness::default());
    assert_eq!((outcome.reason, outcome.updates), (reason, updates), "{set:?}");
    assert_eq!(seen.checkpoints.iter().map(|r| r.update).collect::<Vec<_>>(), checkpoints, "{set:?}");
    for name in MODEL_FILES {
        assert!(folder.path().join("model").join(name).is_file(), "{name}");
    }
    let artifact = Artifact::load(&folder.path().join("model")).unwrap();
    let training = artifact.metadata.training.unwrap();
    let best = outcome.best.unwrap();
    assert_eq!((training.checkpoint, training.updates), (best.checkpoint, best.update));
    let report: Report =
        serde_json::from_slice(&fs::read(folder.path().join("model/metrics.json")).unwrap()).unwrap();
    assert_eq!((report.stop_reason, report.best), (Some(reason), outcome.best));
    assert_eq!(report.checkpoints, seen.checkpoints);
    assert!(folder.path().join("model.tar.gz").is_file());
}

#[test]
fn limits_end_a_run_with_a_final_checkpoint() {
    let epoch = TrainingJob::new(&hyperparameters(&[]), data(1), files(Path::new("nowhere")), Resume::Never)
        .unwrap()
        .summary()
        .batches_per_epoch;
    check_end(&[("max_num_batches", "12")], StopReason::MaxUpdates, 12, &[5, 10, 12]);
    check_end(&[("max_num_batches", "10")], StopReason::MaxUpdates, 10, &[5, 10]);
    check_end(&[("max_num_batches", "3")], StopReason::MaxUpdates, 3, &[3]);
    let every = ("checkpoint_frequency_num_batches", "1000");
    check_end(&[("max_num_epochs", "2"), every], StopReason::MaxEpochs, 2 * epoch, &[2 * epoch]);
    // Without improvement: a learning rate so small that no metric changes after the first checkpoint.
    let still = ("learning_rate", "1e-30");
    let metric = ("optimized_metric", "accuracy");
    let enough = StopReason::NoImprovement { checkpoints: 2 };
    check_end(&[still, metric, ("checkpoint_threshold", "2")], enough, 15, &[5, 10, 15]);
    let forever = [still, metric, ("checkpoint_threshold", "1"), ("max_num_epochs", "3"), every];
    check_end(&forever, StopReason::MaxEpochs, 3 * epoch, &[3 * epoch]);
}

#[test]
fn a_model_that_never_improves_is_kept_all_the_same() {
    // Sources of one word get outputs of one word: there is no 4-gram, so BLEU is 0, which is not better than the start.
    let set = [("max_seq_len_source", "1"), ("optimized_metric", "bleu"), ("checkpoint_threshold", "1")];
    let folder = TempDir::new().unwrap();
    let (outcome, seen, _) = run(&hyperparameters(&set), folder.path(), Resume::Never, Witness::default());
    assert_eq!(seen.checkpoints[0].validation.bleu, Some(0.0));
    assert!(!seen.checkpoints[0].improved);
    assert_eq!(outcome.best, Some(Best { checkpoint: 1, update: 5, value: Some(0.0) }));
    assert_eq!(outcome.reason, StopReason::NoImprovement { checkpoints: 1 });
    assert!(Artifact::load(&folder.path().join("model")).is_ok());
}

#[test]
fn the_same_seed_gives_the_same_losses_and_another_seed_others() {
    let losses = |seed: &str| {
        let folder = TempDir::new().unwrap();
        let h = hyperparameters(&[("max_num_batches", "6"), ("seed", seed)]);
        run(&h, folder.path(), Resume::Never, Witness::default()).1.losses
    };
    assert_eq!(losses("1"), losses("1"));
    assert_ne!(losses("1"), losses("2"));
}

#[track_caller]
fn check_divergence(h: &Hyperparameters, folder: &Path, resume: Resume, parts: &[&str]) {
    let mut job = TrainingJob::new(h, data(1), files(folder), resume).unwrap();
    let error = job.run(&mut (), &StopFlag::default()).unwrap_err();
    assert!(error.is_user_error());
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text:?} lacks one of {parts:?}");
}

#[test]
fn divergence_is_an_error_that_keeps_the_best_model() {
    let (folder, wild) = (TempDir::new().unwrap(), [("learning_rate", "1e38"), ("clip_gradient", "-1")]);
    let told = [
        "diverged at update 2: the loss became ",
        "learning rate 1e38",
        "on 4 pairs with ",
        " target tokens; ",
        "infinite or undefined ones are in ",
        "no model is kept",
    ];
    check_divergence(&hyperparameters(&wild), folder.path(), Resume::Never, &told);
    // Detected by validation first.
    let every = [&wild[..], &[("checkpoint_frequency_num_batches", "1")]].concat();
    check_divergence(
        &hyperparameters(&every),
        folder.path(),
        Resume::Never,
        &["diverged at update 1: after it the loss on the validation data", "parameter"],
    );
    assert!(!folder.path().join("model").exists());

    // After a good start.
    let h = hyperparameters(&[("max_num_batches", "10")]);
    run(&h, folder.path(), Resume::Never, Witness::default());
    let state = folder.path().join("checkpoints/state-000000010/state.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replace("\"learning_rate\": 0.01,", "\"learning_rate\": 1e38,")).unwrap();
    let best = model_bytes(folder.path());
    let h = hyperparameters(&[("max_num_batches", "20")]);
    check_divergence(&h, folder.path(), Resume::Required, &["diverged at update 12", "(update 10) is kept"]);
    assert_eq!(model_bytes(folder.path()), best);
}

/// Two batches of two pairs make the update that one batch of the same four pairs makes, whatever their lengths.
#[test]
fn accumulated_gradients_are_those_of_one_large_batch() {
    let pairs: [(&[u32], &[u32]); 4] =
        [(&[4, 5, 6], &[6, 5, 4]), (&[7], &[7, 7, 8, 4, 5]), (&[8, 4], &[4]), (&[5, 5], &[6, 8])];
    let trainer = |pairs: &[(&[u32], &[u32])], set: &[(&str, &str)]| {
        let mut corpus = Corpus::new();
        pairs.iter().for_each(|(source, target)| corpus.push(source, target));
        let h = hyperparameters(set);
        let team = Arc::new(Team::new(2));
        let config = kokanee_seq2seq_nn::ModelConfig::new(&h, 9, 9).unwrap();
        let model = Model::new(config, &kokanee_seq2seq_nn::init::Initialisation::from(&h), &team).unwrap();
        let plan = BatchPlan::new(
            &corpus,
            &kokanee_seq2seq_data::buckets::single_bucket(9, 9),
            h.batch_size,
            h.seed,
        );
        Trainer::new(model, corpus, plan, &h, team).unwrap()
    };
    let plain = [("optimizer_type", "sgd"), ("learning_rate", "0.5"), ("clip_gradient", "-1")];
    let mut one = trainer(&pairs, &plain);
    let mut two =
        trainer(&pairs, &[&plain[..], &[("batch_size", "2"), ("gradient_accumulation", "2")]].concat());
    let mut half = trainer(&pairs, &[&plain[..], &[("batch_size", "2")]].concat());
    assert_eq!([one.updates_per_epoch(), two.updates_per_epoch(), half.updates_per_epoch()], [1, 1, 2]);
    let (first, second) = (one.update().unwrap(), two.update().unwrap());
    half.update().unwrap();
    assert!((first.loss - second.loss).abs() < 1e-6, "{} and {}", first.loss, second.loss);
    assert_eq!(first.work.target_tokens, second.work.target_tokens);
    assert_eq!((second.batch, second.batches_per_epoch), (1, 2));
    let values = |trainer: &Trainer| -> Vec<f32> {
        trainer.model.parameters().iter().flat_map(|p| p.value.data().to_vec()).collect()
    };
    kokanee_testkit::assert_close(&values(&one), &values(&two), 1e-5, 1e-6, "parameters after an update");
    let same = values(&one).iter().zip(values(&half)).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(!same, "half of the pairs make another update");
}

/// Four batches in updates of three: the last update of an epoch takes the batch that is left.
#[test]
fn the_last_update_of_an_epoch_takes_what_is_left() {
    let folder = TempDir::new().unwrap();
    let set = [("gradient_accumulation", "3"), ("max_num_epochs", "2"), ("batch_size", "10")];
    let (outcome, seen, job) = run(&hyperparameters(&set), folder.path(), Resume::Never, Witness::default());
    let summary = job.summary();
    assert_eq!(summary.batches_per_epoch, 4);
    assert_eq!((outcome.updates, summary.updates_per_epoch), (4, 2));
    assert_eq!(seen.checkpoints.last().unwrap().samples, 80, "four batches of ten, twice");
}

/// Checks that the average of checkpoints is their arithmetic mean, and is in the model's folder if it is better.
#[track_caller]
fn check_average(strategy: &str, rate: &str, kept: bool) {
    let folder = TempDir::new().unwrap();
    let set = [
        ("checkpoint_averaging", "3"),
        ("checkpoint_averaging_strategy", strategy),
        ("max_num_batches", "22"),
        ("learning_rate", rate),
    ];
    let (outcome, seen, job) = run(&hyperparameters(&set), folder.path(), Resume::Never, Witness::default());
    let average = outcome.average.expect("an average");
    assert_eq!(average.kept, kept, "{average:?} of {:?}", outcome.best);
    assert_eq!(average.checkpoints.len(), 3);
    let told = if kept { "the average is kept as the best model" } else { "the best checkpoint stays" };
    assert!(seen.messages.iter().any(|text| text.contains(told)), "{:?}", seen.messages);
    let report: Report =
        serde_json::from_slice(&fs::read(folder.path().join("model/metrics.json")).unwrap()).unwrap();
    assert_eq!(report.average, Some(average.clone()));
    assert_eq!(report.best, outcome.best);

    // Computes each checkpoint again, by a run that ends there, and then their mean.
    let mut sums: Vec<Vec<f64>> = Vec::new();
    for checkpoint in &average.checkpoints {
        let update = seen.checkpoints[*checkpoint as usize - 1].update.to_string();
        let folder = TempDir::new().unwrap();
        let set = [("max_num_batches", &*update), ("learning_rate", rate)];
        let (_, _, job) = run(&hyperparameters(&set), folder.path(), Resume::Never, Witness::default());
        let values = job.trainer().model.parameters().iter();
        let values = values.map(|p| p.value.data().iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
        match sums.is_empty() {
            true => sums = values.collect(),
            false => {
                sums.iter_mut().zip(values).for_each(|(s, v)| s.iter_mut().zip(v).for_each(|(s, v)| *s += v))
            }
        }
    }
    let artifact = Artifact::load(&folder.path().join("model")).unwrap();
    let close = artifact.model.parameters().iter().zip(&sums).all(|(parameter, sums)| {
        parameter.value.data().iter().zip(sums).all(|(x, sum)| (f64::from(*x) - sum / 3.0).abs() < 1e-6)
    });
    assert_eq!(close, kept, "whether the model is the mean");
    let saved = artifact.metadata.training.unwrap().validation["perplexity"];
    assert_eq!(Some(saved), outcome.best.unwrap().value);
    assert_eq!(job.trainer().state().best.is_some_and(|best| best.value == Some(saved)), !kept);
}

#[test]
fn an_average_is_kept_where_it_is_better() {
    // Large steps go back and forth over the valley, and the mean lies in it; small ones go down its side.
    check_average("best", "0.1", true);
    check_average("last", "0.0001", false);
}

#[test]
fn one_checkpoint_is_no_average() {
    let folder = TempDir::new().unwrap();
    let set = [("checkpoint_averaging", "3"), ("max_num_batches", "4")];
    let (outcome, seen, _) = run(&hyperparameters(&set), folder.path(), Resume::Never, Witness::default());
    assert_eq!(outcome.average, None);
    assert!(seen.messages.iter().any(|text| text.contains("not averaged: there is only one")));
}

#[test]
fn an_infinite_gradient_is_told_even_if_the_loss_is_not() {
    let gradient = |values: &[f32]| {
        Some(Gradient::Dense(kokanee_tensor::Tensor::from_vec([values.len()], values.to_vec())))
    };
    let job =
        TrainingJob::new(&hyperparameters(&[]), data(1), files(Path::new("nowhere")), Resume::Never).unwrap();
    let parameters = job.trainer().model().parameters();
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let gradients = vec![gradient(&[1.0, -3.0]), None, gradient(&[f32::NAN, 2.0, f32::INFINITY])];
    let gradients = Magnitudes::of_gradients(parameters, &gradients);
    let place = Place::Update { pairs: 4, target_tokens: 9, gradients };
    let text = job.trainer().diverged(7, 2.5, place).to_string();
    for part in [
        "diverged at update 7: a gradient is not a number while the loss is 2.5",
        "on 4 pairs with 9 target tokens",
        &format!("the largest finite gradient is -3e0 in {}", names[0]),
        &format!("infinite or undefined ones are in {} (2 of 3)", names[2]),
        "Lower the learning rate",
    ] {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[test]
fn training_metrics_are_those_of_the_updates_since_the_last_checkpoint() {
    let folder = TempDir::new().unwrap();
    let h = hyperparameters(&[("max_num_batches", "10")]);
    let (_, seen, job) = run(&h, folder.path(), Resume::Never, Witness::default());
    let last = seen.checkpoints.last().unwrap();
    // Perplexity lies between those of the best and the worst batch.
    let losses: Vec<f64> = seen.losses[5..].iter().map(|(_, bits)| f64::from_bits(*bits)).collect();
    let (low, high) = losses.iter().fold((f64::MAX, 0f64), |(l, h), &x| (l.min(x), h.max(x)));
    let perplexity = last.train.perplexity.unwrap();
    assert!((low.exp()..=high.exp()).contains(&perplexity), "{perplexity} of {losses:?}");
    assert_eq!(job.trainer().state().sums.tokens(), 0);
    let validation = data(1).validation;
    let tokens: usize = (0..validation.len()).map(|i| validation.target(i).len() + 1).sum();
    assert_eq!(last.validation.target_tokens, tokens as u64, "every pair once");
}
