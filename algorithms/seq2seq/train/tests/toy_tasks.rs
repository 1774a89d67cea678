//! Tests that a model of every kind learns simple tasks: to copy and to sort strings of digits, from another seed each time.

use kokanee_algorithm::{JobFiles, Resume, StopFlag};
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_seq2seq_data::vocab::VocabularyLimits;
use kokanee_seq2seq_data::{Corpus, Vocabulary};
use kokanee_seq2seq_train::report::CheckpointReport;
use kokanee_seq2seq_train::{Observer, TrainingData, TrainingJob};
use kokanee_testkit::Rng;

/// Perplexity near 1: the model is sure of every digit.
const LEARNED: f64 = 1.05;
/// A string has from 1 to this many digits.
const LONGEST: usize = 8;
/// The same without attention, where everything passes through one vector.
const LONGEST_WITHOUT_ATTENTION: usize = 5;
const FIRST_DIGIT: u32 = 4;
const TRAIN_PAIRS: usize = 12_000;
const VALIDATION_PAIRS: usize = 400;

/// Stops when the task is learned.
struct Teacher {
    stop: StopFlag,
    last: Option<CheckpointReport>,
}

impl Observer for Teacher {
    fn checkpoint(&mut self, report: &CheckpointReport) {
        eprintln!(
            "update {}: validation perplexity {:.4}, accuracy {:.4}, {:.1} s",
            report.update,
            report.validation.perplexity.unwrap_or(f64::NAN),
            report.validation.accuracy.unwrap_or(f64::NAN),
            report.elapsed_seconds,
        );
        if report.validation.perplexity.is_some_and(|perplexity| perplexity < LEARNED) {
            self.stop.request();
        }
        self.last = Some(report.clone());
    }
}

/// Every encoder, decoder, cell, attention and state initialisation, by its differences from the default.
const KINDS: [&[(&str, &str)]; 13] = [
    &[],
    &[("rnn_cell_type", "gru")],
    &[("rnn_attention_type", "dot")],
    &[("rnn_attention_type", "bilinear"), ("rnn_decoder_state_init", "avg")],
    &[("rnn_attention_type", "fixed")],
    &[("rnn_decoder_state_init", "zero"), ("rnn_cell_type", "gru")],
    &[("num_layers_encoder", "2"), ("num_layers_decoder", "2"), ("rnn_residual_connections", "true")],
    &[
        ("encoder_type", "cnn"),
        ("decoder_type", "cnn"),
        ("num_layers_encoder", "3"),
        ("num_layers_decoder", "3"),
    ],
    &[
        ("encoder_type", "cnn"),
        ("decoder_type", "cnn"),
        ("num_layers_encoder", "3"),
        ("num_layers_decoder", "3"),
        ("cnn_activation_type", "relu"),
    ],
    &[("encoder_type", "cnn"), ("num_layers_encoder", "3")],
    &[("decoder_type", "cnn"), ("num_layers_decoder", "3")],
    &[("precision", "bf16")],
    &[
        ("precision", "bf16"),
        ("encoder_type", "cnn"),
        ("decoder_type", "cnn"),
        ("num_layers_encoder", "3"),
        ("num_layers_decoder", "3"),
    ],
];

fn hyperparameters(seed: u64, kind: &[(&str, &str)]) -> Hyperparameters {
    let set = [
        ("rnn_num_hidden", "64".to_owned()),
        ("cnn_num_hidden", "64".to_owned()),
        ("num_embed_source", "32".to_owned()),
        ("num_embed_target", "32".to_owned()),
        ("batch_size", "32".to_owned()),
        ("learning_rate", "0.003".to_owned()),
        ("clip_gradient", "1".to_owned()),
        ("checkpoint_frequency_num_batches", "250".to_owned()),
        ("plateau_reduce_lr_threshold", "2".to_owned()),
        ("checkpoint_threshold", "8".to_owned()),
        ("max_num_batches", "12000".to_owned()),
        ("bleu_sample_size", "50".to_owned()),
        ("num_threads", "2".to_owned()),
        ("seed", seed.to_string()),
    ];
    let mut set: BTreeMap<String, String> = set.map(|(name, value)| (name.to_owned(), value)).into();
    set.extend(kind.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    Hyperparameters::resolve(&set).expect("valid hyperparameters")
}

fn data(rng: &mut Rng, longest: usize, task: fn(&mut Vec<u32>)) -> TrainingData {
    let mut corpus = |pairs: usize| {
        let mut corpus = Corpus::new();
        for _ in 0..pairs {
            let length = rng.range(1..longest + 1);
            let source: Vec<u32> = (0..length).map(|_| FIRST_DIGIT + rng.range(0..10) as u32).collect();
            let mut target = source.clone();
            task(&mut target);
            corpus.push(&source, &target);
        }
        corpus
    };
    // Among equal counts the words that sort last come first: 9 has the first id, so ids sort in the opposite order of digits.
    let digits = (0..10).map(|digit| (digit.to_string(), 1));
    let vocabulary = Vocabulary::build(digits, VocabularyLimits::default());
    TrainingData {
        train: corpus(TRAIN_PAIRS),
        validation: corpus(VALIDATION_PAIRS),
        source_vocabulary: vocabulary.clone(),
        target_vocabulary: vocabulary,
    }
}

fn check(name: &str, kind: &[(&str, &str)], task: fn(&mut Vec<u32>)) {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let seed = clock.as_nanos() as u64 % 1_000_000_007;
    let name = format!("{name} {kind:?}");
    eprintln!("{name}: seed {seed}");
    let without_attention = kind.contains(&("rnn_attention_type", "fixed"));
    let longest = if without_attention { LONGEST_WITHOUT_ATTENTION } else { LONGEST };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = JobFiles {
        model: folder.path().join("model"),
        checkpoints: folder.path().join("checkpoints"),
        archive: None,
    };
    let data = data(&mut Rng::new(seed), longest, task);
    let started = Instant::now();
    let mut job = TrainingJob::new(&hyperparameters(seed, kind), data, files, Resume::Never)
        .expect("a job that can run");
    let mut teacher = Teacher { stop: StopFlag::default(), last: None };
    let stop = teacher.stop.clone();
    job.run(&mut teacher, &stop).expect("training that does not fail");
    let last = teacher.last.expect("a checkpoint");
    let perplexity = last.validation.perplexity.expect("a perplexity");
    let bleu = last.validation.bleu.expect("a BLEU");
    assert!(
        bleu > 0.8,
        "{name} from seed {seed}: what is learned is not said when it is decoded: BLEU {bleu}"
    );
    assert!(
        perplexity < LEARNED,
        "{name} was not learned from seed {seed}: perplexity {perplexity} after {} updates and {:?}",
        last.update,
        started.elapsed()
    );
}

#[test]
fn strings_are_copied() {
    KINDS.iter().for_each(|kind| check("copy", kind, |_| ()));
}

#[test]
fn strings_are_sorted() {
    KINDS.iter().for_each(|kind| check("sort", kind, |digits| digits.sort_unstable()));
}
