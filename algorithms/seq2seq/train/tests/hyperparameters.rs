//! Tests that every hyperparameter changes what it is documented to change, and nothing before that: tiny trainings with and
//! without it.
//!
//! `docs/hyperparameter-tests.md` names the test of each; a test in the contract checks that none is missing.

use kokanee_algorithm::{JobFiles, Resume, StopFlag};
use std::collections::BTreeMap;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_seq2seq_data::vocab::VocabularyLimits;
use kokanee_seq2seq_data::{Corpus, Vocabulary};
use kokanee_seq2seq_nn::decode::{Search, translate};
use kokanee_seq2seq_nn::{LengthStatistics, Model, ModelConfig};
use kokanee_seq2seq_train::report::CheckpointReport;
use kokanee_seq2seq_train::{LogLines, Observer, Outcome, Progress, Summary, TrainingData, TrainingJob};
use kokanee_testkit::Rng;

type Set<'a> = &'a [(&'a str, &'a str)];

/// The first effect of a hyperparameter, in the order in which a job produces them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Names and shapes of the parameters.
    Shapes,
    /// The initial values of the parameters.
    InitialValues,
    /// The pairs in each batch.
    Batches,
    /// The loss of the first update: the same parameters give another result.
    FirstLoss,
    /// The learning rate of an update.
    Rates,
    /// The loss of a later update: the same gradients gave another update.
    LaterLosses,
    /// The updates that are followed by a checkpoint.
    Checkpoints,
    /// The end of the run.
    End,
    /// The metrics measured at checkpoints, and the best checkpoint.
    Measures,
}

/// The observed results of a job.
#[derive(Default)]
struct Seen {
    shapes: Vec<String>,
    initial: Vec<u32>,
    sentences: Vec<u64>,
    losses: Vec<u64>,
    rates: Vec<u64>,
    checkpoints: Vec<u64>,
    measures: Vec<String>,
    updates: u64,
}

impl Observer for Seen {
    fn update(&mut self, progress: &Progress) {
        self.sentences.push(progress.work.sentences);
        self.losses.push(progress.loss.to_bits());
        self.rates.push(progress.learning_rate.to_bits());
    }
    fn checkpoint(&mut self, report: &CheckpointReport) {
        self.checkpoints.push(report.update);
        self.measures.push(format!("{:?} {}", report.validation, report.improved));
    }
    fn finished(&mut self, outcome: &Outcome) {
        self.updates = outcome.updates;
    }
}

impl Seen {
    /// The first effect in which this job differs from another.
    fn differs(&self, other: &Seen) -> Option<Effect> {
        let updates = self.losses.len().min(other.losses.len());
        let checkpoints = self.checkpoints.len().min(other.checkpoints.len());
        let effects = [
            (Effect::Shapes, self.shapes != other.shapes),
            (Effect::InitialValues, self.initial != other.initial),
            (Effect::Batches, self.sentences[..updates] != other.sentences[..updates]),
            (Effect::FirstLoss, self.losses.first() != other.losses.first()),
            (Effect::Rates, self.rates[..updates] != other.rates[..updates]),
            (Effect::LaterLosses, self.losses[..updates] != other.losses[..updates]),
            (Effect::Checkpoints, self.checkpoints[..checkpoints] != other.checkpoints[..checkpoints]),
            (Effect::End, self.updates != other.updates),
            (Effect::Measures, self.measures != other.measures),
        ];
        effects.into_iter().find_map(|(effect, differs)| differs.then_some(effect))
    }
}

/// A small model, and a run of a few updates.
const SMALL: Set<'_> = &[
    ("rnn_num_hidden", "6"),
    ("cnn_num_hidden", "6"),
    ("num_embed_source", "4"),
    ("num_embed_target", "4"),
    ("batch_size", "4"),
    ("learning_rate", "0.01"),
    ("num_threads", "1"),
    ("max_num_batches", "5"),
    ("checkpoint_frequency_num_batches", "2"),
    ("checkpoint_threshold", "-1"),
    ("beam_size", "2"),
];

fn hyperparameters(set: &[(&str, &str)]) -> Hyperparameters {
    let all: BTreeMap<String, String> =
        SMALL.iter().chain(set).map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Hyperparameters::resolve(&all).unwrap_or_else(|faults| panic!("{set:?}: {faults}"))
}

/// Returns reversed sequences of five words, of many lengths.
fn data() -> TrainingData {
    let mut rng = Rng::new(4);
    let mut corpus = |pairs: usize| {
        let mut corpus = Corpus::new();
        for _ in 0..pairs {
            let source: Vec<u32> = (0..rng.range(1..13)).map(|_| rng.range(4..9) as u32).collect();
            let target: Vec<u32> = source.iter().rev().copied().collect();
            corpus.push(&source, &target);
        }
        corpus
    };
    let words = ["a", "b", "c", "d", "e"].map(|word| (word, 1));
    let vocabulary = Vocabulary::build(words, VocabularyLimits::default());
    TrainingData {
        train: corpus(26),
        validation: corpus(8),
        source_vocabulary: vocabulary.clone(),
        target_vocabulary: vocabulary,
    }
}

/// Runs a job with `observer`; returns the job and its summary.
fn job(set: &[(&str, &str)], observer: &mut dyn Observer) -> (TrainingJob, Summary) {
    let folder = tempfile::tempdir().unwrap();
    let files = JobFiles {
        model: folder.path().join("model"),
        checkpoints: folder.path().join("checkpoints"),
        archive: None,
    };
    let mut job = TrainingJob::new(&hyperparameters(set), data(), files, Resume::Never).unwrap();
    let summary = job.summary().clone();
    job.run(observer, &StopFlag::default()).unwrap_or_else(|error| panic!("{set:?}: {error}"));
    (job, summary)
}

fn seen(set: &[(&str, &str)]) -> Seen {
    let none = TrainingJob::new(
        &hyperparameters(set),
        data(),
        JobFiles { model: "nowhere".into(), checkpoints: "nowhere".into(), archive: None },
        Resume::Never,
    );
    let mut seen = Seen::default();
    for parameter in none.unwrap().trainer().model().parameters().iter() {
        seen.shapes.push(format!("{} {}", parameter.name, parameter.value.shape()));
        seen.initial.extend(parameter.value.data().iter().map(|x| x.to_bits()));
    }
    job(set, &mut seen);
    seen
}

/// Checks that each change, made alone to the settings `base`, has this first effect.
#[track_caller]
fn check(base: Set<'_>, effect: Effect, changes: &[(&str, &str)]) {
    let without = seen(base);
    assert_eq!(without.differs(&seen(base)), None, "a job repeats itself");
    for change in changes {
        let with = seen(&[base, &[*change]].concat());
        assert_eq!(without.differs(&with), Some(effect), "{change:?} after {base:?}");
    }
}

const CNN: Set<'_> = &[("encoder_type", "cnn"), ("decoder_type", "cnn")];
const TWO_LAYERS: Set<'_> = &[("num_layers_encoder", "2"), ("num_layers_decoder", "2")];

#[test]
fn the_architecture_decides_shapes() {
    let changes = [
        ("encoder_type", "cnn"),
        ("decoder_type", "cnn"),
        ("num_layers_encoder", "2"),
        ("num_layers_decoder", "2"),
        ("num_embed_source", "5"),
        ("num_embed_target", "5"),
        ("rnn_cell_type", "gru"),
        ("rnn_num_hidden", "8"),
        ("rnn_attention_type", "dot"),
        ("rnn_attention_type", "bilinear"),
        ("rnn_attention_type", "fixed"),
        ("rnn_attention_num_hidden", "3"),
        ("rnn_decoder_state_init", "zero"),
    ];
    check(&[], Effect::Shapes, &changes);
    check(TWO_LAYERS, Effect::Shapes, &[("rnn_attention_in_upper_layers", "false")]);
    let changes = [
        ("cnn_num_hidden", "8"),
        ("cnn_kernel_width_encoder", "5"),
        ("cnn_kernel_width_decoder", "2"),
        ("cnn_activation_type", "relu"),
    ];
    check(CNN, Effect::Shapes, &changes);
}

#[test]
fn the_architecture_decides_what_is_computed() {
    check(&[], Effect::FirstLoss, &[("rnn_decoder_state_init", "avg")]);
    check(TWO_LAYERS, Effect::FirstLoss, &[("rnn_residual_connections", "true")]);
    let three = [("num_layers_encoder", "3"), ("rnn_residual_connections", "true")];
    check(&three, Effect::FirstLoss, &[("rnn_first_residual_layer", "3")]);
    let relu = [CNN, &[("cnn_activation_type", "relu")]].concat();
    let activations = ["tanh", "sigmoid", "softrelu"].map(|kind| ("cnn_activation_type", kind));
    check(&relu, Effect::FirstLoss, &activations);
}

#[test]
fn dropout_leaves_something_out() {
    let changes = [
        ("embed_dropout_source", "0.5"),
        ("embed_dropout_target", "0.5"),
        ("rnn_decoder_hidden_dropout", "0.5"),
        ("rnn_input_dropout", "0.5"),
        ("rnn_state_dropout", "0.5"),
        ("rnn_recurrent_dropout", "0.5"),
    ];
    check(&[], Effect::FirstLoss, &changes);
    let gru = [("rnn_cell_type", "gru")];
    check(&gru, Effect::FirstLoss, &[("rnn_input_dropout", "0.5"), ("rnn_state_dropout", "0.5")]);
    check(CNN, Effect::FirstLoss, &[("cnn_hidden_dropout", "0.5"), ("embed_dropout_source", "0.5")]);
}

#[test]
fn smoothing_changes_gradients_and_not_the_loss() {
    check(&[], Effect::LaterLosses, &[("label_smoothing", "0.1")]);
    check(CNN, Effect::LaterLosses, &[("label_smoothing", "0.1")]);
}

#[test]
fn tied_weights_are_one() {
    let base = [("num_embed_source", "6"), ("num_embed_target", "6")];
    let sizes = |tying: &str| {
        let set = [&base[..], &[("weight_tying", tying)]].concat();
        let (job, summary) = job(&set, &mut ());
        (job.trainer().model().parameters().len(), summary.parameters)
    };
    // Nine words of six numbers; the bias of the output layer stays.
    let (tensors, numbers) = sizes("none");
    assert_eq!(sizes("trg_softmax"), (tensors - 1, numbers - 54));
    assert_eq!(sizes("src_trg"), (tensors - 1, numbers - 54));
    assert_eq!(sizes("src_trg_softmax"), (tensors - 2, numbers - 108));

    let other =
        Vocabulary::build([("x", 1), ("y", 1), ("z", 1), ("v", 1), ("w", 1)], VocabularyLimits::default());
    let files = JobFiles { model: "nowhere".into(), checkpoints: "nowhere".into(), archive: None };
    let data = TrainingData { target_vocabulary: other, ..data() };
    let set = [&base[..], &[("weight_tying", "src_trg")]].concat();
    let error = TrainingJob::new(&hyperparameters(&set), data, files, Resume::Never).err().unwrap();
    assert!(error.to_string().contains("vocab.src.json and vocab.trg.json differ"), "{error}");
    assert!(error.is_user_error());
}

#[test]
fn embeddings_start_from_word_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.vec");
    std::fs::write(&path, "3 4\nb 1 2 3 4\nnowhere 9 9 9 9\nd -1 -2 -3 -4\n").unwrap();
    let path = path.to_str().unwrap();
    for (side, name) in [("source", "source_vectors"), ("target", "target_vectors")] {
        check(&[], Effect::InitialValues, &[(name, path)]);
        let files = JobFiles { model: "nowhere".into(), checkpoints: "nowhere".into(), archive: None };
        let h = hyperparameters(&[(name, path)]);
        let words = data().source_vocabulary;
        let job = TrainingJob::new(&h, data(), files, Resume::Never).unwrap();
        let said = job.summary().vectors.iter().map(ToString::to_string).collect::<Vec<_>>();
        let want =
            format!("{side} vectors: 2 of 5 words start from one of the 3 in the file, the others at random");
        assert_eq!(said, [want]);
        let table = format!("{side}_embed");
        let parameters = job.trainer().model().parameters();
        let table = parameters.iter().find(|p| p.name.starts_with(&table)).unwrap();
        assert_eq!(table.value.row(words.id("b") as usize), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(table.value.row(words.id("d") as usize), [-1.0, -2.0, -3.0, -4.0]);
    }
}

#[test]
fn initialisation_decides_the_first_values() {
    let changes = [
        ("weight_init_type", "uniform"),
        ("weight_init_scale", "1"),
        ("xavier_factor_type", "out"),
        ("xavier_factor_type", "avg"),
        ("seed", "14"),
    ];
    check(&[], Effect::InitialValues, &changes);
}

#[test]
fn batches_are_made_as_told() {
    check(&[], Effect::Batches, &[("batch_size", "5"), ("gradient_accumulation", "2")]);
    let summary = |set: Set<'_>| job(set, &mut ()).1;
    let lengths: Vec<usize> =
        summary(&[("bucket_width", "3")]).buckets.iter().map(|(b, _)| b.target).collect();
    assert!(lengths.len() > 3 && lengths.windows(2).all(|w| w[1] - w[0] <= 3), "{lengths:?}");
    let wide: Vec<usize> = summary(&[]).buckets.iter().map(|(bucket, _)| bucket.target).collect();
    assert_eq!(wide, [10, 20]);
    let off = [("bucketing_enabled", "false"), ("max_seq_len_source", "30"), ("max_seq_len_target", "40")];
    let buckets = summary(&off).buckets;
    let only = kokanee_seq2seq_data::Bucket { source: 30, target: 40 };
    assert_eq!(buckets, [(only, 26)], "all pairs in one bucket");
    assert_eq!(seen(&[]).differs(&seen(&off[..1])), Some(Effect::FirstLoss), "long beside short");
}

/// Checks the effect of the limits on the training data: sources cut, targets cut, pairs dropped, pairs left, and the line in the
/// log.
#[track_caller]
fn check_limits(set: Set<'_>, want: [usize; 4], line: &str) {
    let mut log = Vec::new();
    let h = hyperparameters(set);
    let mut lines = LogLines::new(&mut log, "algo-1", h.training_metric, h.optimized_metric);
    let (_, summary) = job(set, &mut lines);
    let limits = summary.train.limits;
    let got = [limits.truncated_source, limits.truncated_target, limits.dropped, summary.train.pairs];
    assert_eq!(got, want, "{set:?}");
    let log = String::from_utf8(log).unwrap();
    assert_eq!(log.contains("to the length limits"), !line.is_empty(), "{log}");
    assert!(log.contains(line), "{log} lacks {line:?}");
}

#[test]
fn long_pairs_are_cut_or_left_out_and_counted() {
    let data = data();
    let longer = |limit: usize| (0..26).filter(|&pair| data.train.source(pair).len() > limit).count();
    let (over6, over4) = (longer(6), longer(4));
    assert!(0 < over6 && over6 < over4 && over4 < 26, "{over6} {over4}");
    check_limits(&[], [0, 0, 0, 26], "");
    let line = |cut: [usize; 2], dropped: usize| {
        format!(
            "training data: {} sources and {} targets cut to the length limits, {dropped} pairs left out",
            cut[0], cut[1]
        )
    };
    check_limits(&[("max_seq_len_source", "6")], [over6, 0, 0, 26], &line([over6, 0], 0));
    // The limit of targets includes `<s>`.
    check_limits(&[("max_seq_len_target", "7")], [0, over6, 0, 26], &line([0, over6], 0));
    let drop = ("overlong_sequences", "drop");
    check_limits(&[("max_seq_len_source", "6"), drop], [0, 0, over6, 26 - over6], &line([0, 0], over6));
    let both = [("max_seq_len_source", "6"), ("max_seq_len_target", "5"), drop];
    check_limits(&both, [0, 0, over4, 26 - over4], &line([0, 0], over4));
}

/// An untrained model considers every word equally likely, so each has the same loss.
#[test]
fn the_loss_is_cross_entropy() {
    let h = hyperparameters(&[("loss_type", "cross-entropy")]);
    let model = Model::zeros(ModelConfig::new(&h, 9, 9).unwrap()).unwrap();
    let batch = model.batch([(&[4u32, 5][..], &[6u32, 7, 8][..]), (&[4], &[5])]);
    let loss = model.loss(&Arc::new(Team::new(1)), &batch);
    let mean = loss.nll_sum() / loss.tokens.len() as f64;
    assert_eq!(loss.tokens.len(), 6, "both ends of sentence count");
    assert!((mean - 9f64.ln()).abs() < 1e-6, "{mean}");
}

#[test]
fn optimizers_make_other_updates_of_the_same_gradients() {
    let changes = [("optimizer_type", "sgd"), ("optimizer_type", "rmsprop"), ("weight_decay", "0.5")];
    check(&[], Effect::LaterLosses, &changes);
    let sgd = [("optimizer_type", "sgd"), ("clip_gradient", "0.01")];
    let changes = [
        ("momentum", "0.9"),
        ("weight_decay", "0.5"),
        ("clip_gradient", "0.02"),
        ("clip_gradient", "-1"),
        ("gradient_clipping_type", "norm"),
        ("gradient_clipping_type", "none"),
    ];
    check(&sgd, Effect::LaterLosses, &changes);
}

/// A negative limit clips nothing, with either type of clipping; nor does a limit that no gradient reaches.
#[test]
fn no_clipping_is_the_same_however_it_is_said() {
    let losses = |clip: &str, kind: &str| {
        seen(&[("optimizer_type", "sgd"), ("clip_gradient", clip), ("gradient_clipping_type", kind)]).losses
    };
    let free = losses("-1", "abs");
    for (clip, kind) in [("-1", "norm"), ("0.01", "none"), ("1000", "abs"), ("1000", "norm")] {
        assert_eq!(losses(clip, kind), free, "{clip} {kind}");
    }
}

#[test]
fn schedules_decide_learning_rates() {
    let changes = [
        ("learning_rate", "0.02"),
        ("lr_scheduler_type", "fixed_rate_inv_t"),
        ("lr_scheduler_type", "fixed_rate_inv_sqrt_t"),
        ("learning_rate_warmup", "3"),
    ];
    check(&[], Effect::Rates, &changes);
    let fixed = [("lr_scheduler_type", "fixed_rate_inv_t")];
    let changes = [("fixed_rate_lr_half_life", "3"), ("checkpoint_frequency_num_batches", "1")];
    check(&fixed, Effect::Rates, &changes);
    // Steps so small that accuracy does not change after the first checkpoint.
    let changes = [("plateau_reduce_lr_factor", "0.1"), ("plateau_reduce_lr_threshold", "2")];
    check(&[STILL, &[("plateau_reduce_lr_threshold", "1")]].concat(), Effect::Rates, &changes);
}

const STILL: Set<'_> = &[("learning_rate", "1e-30"), ("optimized_metric", "accuracy")];

#[test]
fn checkpoints_and_the_end_come_as_told() {
    check(&[], Effect::Checkpoints, &[("checkpoint_frequency_num_batches", "3")]);
    let every = ("checkpoint_frequency_num_batches", "1");
    check(&[every], Effect::End, &[("max_num_batches", "7"), ("max_num_batches", "4")]);
    let endless = [STILL, &[every, ("max_num_batches", "20"), ("max_num_epochs", "2")]].concat();
    check(&endless, Effect::End, &[("max_num_epochs", "1")]);
    let patient = [STILL, &[("max_num_batches", "40"), ("checkpoint_threshold", "1")]].concat();
    check(
        &patient,
        Effect::End,
        &[("checkpoint_threshold", "2"), ("min_num_epochs", "2"), ("max_num_epochs", "3")],
    );
    // Stops not before the second epoch is over, and then at the next checkpoint.
    let updates = seen(&[&patient[..], &[("min_num_epochs", "2")]].concat()).updates;
    let epoch = job(STILL, &mut ()).1.updates_per_epoch;
    assert!(updates >= 2 * epoch && updates < 2 * epoch + 2, "{updates} updates, {epoch} an epoch");
}

#[test]
fn metrics_decide_what_is_measured_and_best() {
    check(&[], Effect::Measures, &[("bleu_sample_size", "3"), ("optimized_metric", "bleu")]);
    // Perplexity falls with every checkpoint; accuracy does not rise with each.
    check(&[], Effect::Measures, &[("optimized_metric", "accuracy")]);
}

#[test]
fn the_training_metric_is_the_one_that_is_logged() {
    let line = |metric: &str| {
        let set = [("max_num_batches", "50"), ("training_metric", metric)];
        let mut log = Vec::new();
        let h = hyperparameters(&set);
        job(&set, &mut LogLines::new(&mut log, "algo-1", h.training_metric, h.optimized_metric));
        let log = String::from_utf8(log).unwrap();
        log.lines().find(|line| line.contains("Speed: ")).expect("a line after 50 updates").to_owned()
    };
    let (perplexity, accuracy) = (line("perplexity"), line("accuracy"));
    assert!(perplexity.contains("\tperplexity=") && !perplexity.contains("accuracy"), "{perplexity}");
    assert!(accuracy.contains("\taccuracy=") && !accuracy.contains("perplexity"), "{accuracy}");
}

#[test]
fn threads_are_as_many_as_told() {
    let threads = |count: &str| job(&[("num_threads", count)], &mut ()).1.threads;
    assert_eq!([threads("1"), threads("3")], [1, 3]);
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    assert_eq!(threads("0"), cores);
}

#[test]
fn bf16_rounds_what_is_multiplied() {
    let (mut exact, mut rounded) = (Seen::default(), Seen::default());
    let (_, summary) = job(&[("precision", "f32")], &mut exact);
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    let (_, summary) = job(&[("precision", "bf16")], &mut rounded);
    if !kokanee_kernels::Precision::Bf16.is_native() {
        // Without instructions for the format, it would only be slow.
        assert!(summary.warnings.iter().any(|text| text.contains("AVX-512 BF16")), "{:?}", summary.warnings);
        return assert_eq!(rounded.differs(&exact), None);
    }
    assert_eq!(rounded.differs(&exact), Some(Effect::FirstLoss));
    let far = |(a, b): (&u64, &u64)| (f64::from_bits(*a) / f64::from_bits(*b) - 1.0).abs();
    let farthest = rounded.losses.iter().zip(&exact.losses).map(far).fold(0.0, f64::max);
    assert!(farthest < 0.02, "losses are {:.1}% apart", 100.0 * farthest);
}

/// Searches with a model that has learned a little: every setting changes the result.
#[test]
fn search_settings_change_what_is_found() {
    let (job, _) = job(&[("max_num_batches", "60")], &mut ());
    let team = Arc::new(Team::new(1));
    let lengths = LengthStatistics {
        ratio_mean: 1.2,
        ratio_std: 0.2,
        longest_source: 12,
        longest_target: 12,
        bucket_width: 10,
    };
    let sources: [&[u32]; 3] = [&[4, 5, 6, 7], &[8, 4], &[5, 5, 7, 6, 8, 4]];
    let found = |set: &[(&str, &str)]| {
        let search = Search { nbest: 9, ..Search::new(&hyperparameters(set)) };
        let translations = translate(job.trainer().model(), &lengths, &team, &sources, &search);
        let found: Vec<(Vec<u32>, u64)> = translations
            .iter()
            .flat_map(|t| t.hypotheses.iter().map(|h| (h.words.clone(), h.score.to_bits())))
            .collect();
        found
    };
    let base = [("beam_size", "4")];
    assert_eq!(found(&base), found(&base));
    assert_eq!(found(&base).len(), 12, "as many as the beam is wide");
    assert_eq!(found(&[("beam_size", "3")]).len(), 9);
    for change in
        [("beam_search_rule", "sockeye_1_18"), ("length_penalty_alpha", "0"), ("length_penalty_beta", "5")]
    {
        assert_ne!(found(&[base[0], change]), found(&base), "{change:?}");
    }
}
