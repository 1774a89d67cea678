//! Whole trainings on real data, through the program as a user runs it: prepare, train, evaluate, plot.
//!
//! `cargo xtask bench quality WORK [--set NAME=VALUE …]`; without a name it lists the workloads.
//! `cargo xtask bench quality precision [WORK …]` trains some of them in f32 and in bf16, with three seeds each.
//! `cargo xtask bench quality tuning` tunes the hyperparameters of short trainings.
//!
//! Files are kept under `target/quality/WORK`; an interrupted run resumes from its last checkpoint.

// The output of a benchmark is its result.
#![allow(clippy::print_stdout)]

mod precision;
mod tuning;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

/// A training to be measured.
struct Work {
    name: &'static str,
    what: &'static str,
    data: &'static Data,
    /// Hyperparameters, with the shared ones first.
    settings: &'static [&'static [&'static str]],
    /// Validation perplexity and accuracy of Sockeye 1.18.106 at the same checkpoints, if they were recorded (one seed).
    sockeye: &'static [(f64, f64)],
}

/// The files of a workload's text among the corpora.
struct Data {
    folder: &'static str,
    /// Source and target of training and validation.
    train: [&'static str; 2],
    validation: [&'static str; 2],
    /// Further options of `kokanee prepare`.
    prepare: &'static [&'static str],
    /// Whether the stress of target phonemes is removed first (`AA1` becomes `AA`), as in most published results.
    strips_stress: bool,
    /// The source and target of the final measurement, and its options.
    test: [&'static str; 2],
    evaluations: &'static [&'static [&'static str]],
}

const MULTI30K: Data = Data {
    folder: "multi30k",
    train: ["train.en.gz", "train.de.gz"],
    validation: ["val.en.gz", "val.de.gz"],
    prepare: &[],
    strips_stress: false,
    test: ["test_2016_flickr.en.gz", "test_2016_flickr.de.gz"],
    evaluations: &[&[]],
};

/// Words that occur once in training are `<unk>`: the model learns about unknown words, and the output layer is less than half as
/// wide.
const MULTI30K_FREQUENT: Data =
    Data { prepare: &["--word-min-count-source", "2", "--word-min-count-target", "2"], ..MULTI30K };

const CMUDICT: Data = Data {
    folder: "cmudict",
    train: ["train.graphemes.gz", "train.phonemes.gz"],
    validation: ["val.graphemes.gz", "val.phonemes.gz"],
    prepare: &[],
    strips_stress: false,
    test: ["val.graphemes.gz", "val.phonemes.gz"],
    evaluations: &[&[], &["--strip-stress"]],
};

const CMUDICT_WITHOUT_STRESS: Data = Data { strips_stress: true, evaluations: &[&[]], ..CMUDICT };

/// Settings of convolutions for translation.
const MULTI30K_CNN: &[&str] = &[
    "encoder_type=cnn",
    "decoder_type=cnn",
    "num_layers_encoder=4",
    "num_layers_decoder=3",
    "cnn_num_hidden=256",
    "cnn_kernel_width_decoder=3",
    "num_embed_source=256",
    "num_embed_target=256",
    "max_seq_len_source=60",
    "max_seq_len_target=60",
    "learning_rate=0.0005",
    "lr_scheduler_type=fixed_rate_inv_t",
    "clip_gradient=0.1",
    "checkpoint_frequency_num_batches=456",
    "checkpoint_threshold=6",
];

/// Settings of one LSTM layer for pronunciation.
const CMUDICT_RNN: &[&str] = &[
    "rnn_num_hidden=512",
    "num_embed_source=128",
    "num_embed_target=128",
    "bucket_width=50",
    "learning_rate=0.001",
    "lr_scheduler_type=fixed_rate_inv_t",
    "clip_gradient=0.01",
    "checkpoint_threshold=6",
];

/// Settings of convolutions for pronunciation.
const CMUDICT_CNN: &[&str] = &[
    "encoder_type=cnn",
    "decoder_type=cnn",
    "num_layers_encoder=5",
    "num_layers_decoder=4",
    "cnn_num_hidden=256",
    "num_embed_source=128",
    "num_embed_target=128",
    "max_seq_len_source=40",
    "max_seq_len_target=40",
    "bucket_width=50",
    "learning_rate=0.001",
    "lr_scheduler_type=fixed_rate_inv_t",
    "clip_gradient=0.01",
    "checkpoint_threshold=6",
];

const WORKS: &[Work] = &[
    Work {
        name: "multi30k",
        what: "M30K-RNN512, five epochs, beside Sockeye's curve",
        data: &MULTI30K,
        // 456 updates are one epoch: 29,000 pairs in buckets of 10, batches of 64.
        settings: &[&[
            "rnn_num_hidden=512",
            "max_seq_len_source=60",
            "max_seq_len_target=60",
            "checkpoint_frequency_num_batches=456",
            "max_num_epochs=5",
        ]],
        sockeye: &[(94.9, 0.286), (52.9, 0.359), (34.0, 0.428), (24.0, 0.478), (18.3, 0.521)],
    },
    Work {
        name: "multi30k-rnn",
        what: "English to German with what SageMaker offers: one layer of 512 units, dropout",
        data: &MULTI30K_FREQUENT,
        settings: &[&[
            "rnn_num_hidden=512",
            "num_embed_source=256",
            "num_embed_target=256",
            "max_seq_len_source=60",
            "max_seq_len_target=60",
            "embed_dropout_source=0.4",
            "embed_dropout_target=0.4",
            "rnn_decoder_hidden_dropout=0.5",
            "learning_rate=0.001",
            "lr_scheduler_type=fixed_rate_inv_t",
            "fixed_rate_lr_half_life=6",
            "clip_gradient=0.1",
            "optimized_metric=bleu",
            "checkpoint_frequency_num_batches=456",
            "checkpoint_threshold=6",
            "max_num_batches=7752",
        ]],
        sockeye: &[],
    },
    Work {
        name: "multi30k-cnn",
        what: "the same with convolutions",
        data: &MULTI30K_FREQUENT,
        settings: &[
            MULTI30K_CNN,
            &[
                "embed_dropout_source=0.3",
                "embed_dropout_target=0.3",
                "cnn_hidden_dropout=0.3",
                "fixed_rate_lr_half_life=6",
                "optimized_metric=bleu",
                "max_num_batches=7752",
            ],
        ],
        sockeye: &[],
    },
    Work {
        name: "multi30k-cnn-short",
        what: "the same in five epochs, for comparisons",
        data: &MULTI30K_FREQUENT,
        settings: &[MULTI30K_CNN, &["fixed_rate_lr_half_life=2", "max_num_batches=2280"]],
        sockeye: &[],
    },
    Work {
        name: "cmudict-aws",
        what: "pronunciation with the settings of AWS's sample: hidden 512, embeddings 512, batches of 64",
        data: &CMUDICT,
        settings: &[&["rnn_num_hidden=512", "checkpoint_threshold=3"]],
        sockeye: &[],
    },
    Work {
        name: "cmudict-rnn",
        what: "pronunciation with one LSTM layer and dropout",
        data: &CMUDICT,
        settings: &[
            CMUDICT_RNN,
            &[
                "rnn_decoder_hidden_dropout=0.3",
                "embed_dropout_source=0.1",
                "embed_dropout_target=0.1",
                "fixed_rate_lr_half_life=4",
                "max_num_batches=21000",
            ],
        ],
        sockeye: &[],
    },
    Work {
        name: "cmudict-short",
        what: "the same with a tenth of the time, for comparisons",
        data: &CMUDICT,
        settings: &[
            CMUDICT_RNN,
            &["fixed_rate_lr_half_life=1", "checkpoint_frequency_num_batches=500", "max_num_batches=2500"],
        ],
        sockeye: &[],
    },
    Work {
        name: "cmudict-deep",
        what: "pronunciation without stress: two LSTM layers, with what Kokanee has beyond SageMaker",
        data: &CMUDICT_WITHOUT_STRESS,
        settings: &[&[
            "rnn_num_hidden=512",
            "num_layers_encoder=2",
            "num_layers_decoder=2",
            "rnn_residual_connections=true",
            "num_embed_source=128",
            "num_embed_target=128",
            "rnn_decoder_hidden_dropout=0.4",
            "embed_dropout_source=0.2",
            "embed_dropout_target=0.2",
            "label_smoothing=0.1",
            "bucket_width=50",
            "learning_rate=0.001",
            "lr_scheduler_type=fixed_rate_inv_t",
            "fixed_rate_lr_half_life=3",
            "clip_gradient=0.01",
            "checkpoint_averaging=4",
            "checkpoint_threshold=6",
            "max_num_batches=16000",
        ]],
        sockeye: &[],
    },
    Work {
        name: "cmudict-cnn",
        what: "the same with convolutions",
        data: &CMUDICT,
        settings: &[
            CMUDICT_CNN,
            &[
                "cnn_hidden_dropout=0.2",
                "embed_dropout_source=0.1",
                "embed_dropout_target=0.1",
                "fixed_rate_lr_half_life=4",
                "max_num_batches=16000",
            ],
        ],
        sockeye: &[],
    },
    Work {
        name: "cmudict-cnn-short",
        what: "the same in a sixth of the time, for comparisons",
        data: &CMUDICT,
        settings: &[
            CMUDICT_CNN,
            &["fixed_rate_lr_half_life=1", "checkpoint_frequency_num_batches=500", "max_num_batches=2500"],
        ],
        sockeye: &[],
    },
];

fn main() {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let name = args.first().map_or("", String::as_str);
    let result = match WORKS.iter().find(|work| work.name == name) {
        Some(work) => run(work, work.name, &args[1..]),
        None if name == "precision" => precision::compare(&args[1..]),
        None if name == "tuning" => tuning::compare(&args[1..]),
        None if matches!(name, "--help" | "-h") => {
            println!("{}", usage());
            Ok(())
        }
        None => Err(usage()),
    };
    if let Err(message) = result {
        eprintln!("error: {message}");
        exit(1);
    }
}

fn usage() -> String {
    let list: Vec<String> = WORKS.iter().map(|work| format!("  {:<18} {}", work.name, work.what)).collect();
    format!("name a work, `precision` or `tuning`:\n{}", list.join("\n"))
}

/// The folder of a training, created if it is missing.
fn folder_of(label: &str) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/quality").join(label);
    let cannot = |e: std::io::Error| format!("{}: {e}", folder.display());
    std::fs::create_dir_all(&folder).map_err(cannot)?;
    folder.canonicalize().map_err(cannot)
}

/// Runs a workload, in the folder called `label`.
fn run(work: &Work, label: &str, args: &[String]) -> Result<(), String> {
    let corpora = kokanee_testkit::corpora()?;
    let folder = folder_of(label)?;
    let (records, model) = (folder.join("records"), folder.join("model"));
    let data = corpora.join(work.data.folder);
    let files = work.data.train.iter().chain(&work.data.validation).chain(&work.data.test);
    let targets = |name: &&&str| work.data.strips_stress && name.contains("phonemes");
    for name in files.filter(targets) {
        strip_stress(&data.join(name), &folder.join(name))?;
    }
    let file = |name: &str| if targets(&&name) { folder.join(name) } else { data.join(name) };

    prepare(work.data, file, &records)?;

    let mut train = kokanee("train");
    train.data(&records).arg("--output").arg(&model);
    if model.join("checkpoints/latest").exists() {
        train.arg("--resume");
    }
    work.settings.iter().for_each(|settings| {
        train.settings(settings);
    });
    args.iter().for_each(|arg| {
        train.arg(arg);
    });
    let started = std::time::Instant::now();
    train.finish()?;
    let seconds = started.elapsed().as_secs_f64();

    curve(work, &model)?;
    println!("\nthis run of train took {seconds:.0} s\n");
    let picture = folder.join("learning-curve.svg");
    let mut inspect = kokanee("inspect");
    // The picture is named after the model's path: a short one is the same everywhere.
    inspect.0.current_dir(folder_of("")?);
    inspect.arg(Path::new(label).join("model")).arg("--curve").arg(&picture).finish()?;
    for (number, options) in work.data.evaluations.iter().enumerate() {
        let mut evaluate = kokanee("evaluate");
        let [source, target] = work.data.test;
        evaluate.arg("--model").arg(&model).arg("--source").arg(file(source));
        evaluate.arg("--target").arg(file(target));
        for option in *options {
            evaluate.arg(option);
        }
        evaluate.arg("--output-json").arg(folder.join(format!("evaluation-{number}.json"))).finish()?;
    }
    Ok(())
}

/// Creates RecordIO files and vocabularies from the texts that `file` finds.
fn prepare(data: &Data, file: impl Fn(&str) -> PathBuf, records: &Path) -> Result<(), String> {
    let mut prepare = kokanee("prepare");
    let flags = ["--train-source", "--train-target", "--val-source", "--val-target"];
    for (flag, name) in flags.iter().zip(data.train.iter().chain(&data.validation)) {
        prepare.arg(flag).arg(file(name));
    }
    for option in data.prepare {
        prepare.arg(option);
    }
    prepare.arg("--output-dir").arg(records).finish()
}

/// Copies a gzip-compressed text without its digits, which mark stress in ARPAbet.
fn strip_stress(from: &Path, to: &Path) -> Result<(), String> {
    let cannot = |e: std::io::Error| format!("{}: {e}", from.display());
    let mut text = String::new();
    GzDecoder::new(File::open(from).map_err(cannot)?).read_to_string(&mut text).map_err(cannot)?;
    let text = text.replace(|c: char| c.is_ascii_digit(), "");
    let mut out = GzEncoder::new(File::create(to).map_err(cannot)?, Compression::default());
    out.write_all(text.as_bytes()).and_then(|()| out.finish()).map(|_| ()).map_err(cannot)
}

/// Prints the metrics of every checkpoint, beside Sockeye's if they are known.
fn curve(work: &Work, model: &Path) -> Result<(), String> {
    let metrics = read_json(&model.join("metrics.json"))?;
    println!("\n| checkpoint | Sockeye perplexity, accuracy | Kokanee perplexity, accuracy | sentences/s |");
    println!("|---|---|---|---|");
    for (i, checkpoint) in metrics["checkpoints"].as_array().into_iter().flatten().enumerate() {
        let sockeye = work
            .sockeye
            .get(i)
            .map_or("-".to_owned(), |(perplexity, accuracy)| format!("{perplexity:.1}, {accuracy:.3}"));
        let number = |of: &Value| of.as_f64().unwrap_or(f64::NAN);
        println!(
            "| {} | {sockeye} | {:.2}, {:.3} | {:.0} |",
            i + 1,
            number(&checkpoint["validation"]["perplexity"]),
            number(&checkpoint["validation"]["accuracy"]),
            number(&checkpoint["sentences_per_second"]),
        );
    }
    Ok(())
}

/// A command of the program, which must succeed.
struct Kokanee(Command, &'static str);

fn kokanee(command: &'static str) -> Kokanee {
    let mut process = Command::new(env!("CARGO_BIN_EXE_kokanee"));
    process.arg(command).stdin(Stdio::null());
    Kokanee(process, command)
}

impl Kokanee {
    fn arg(&mut self, arg: impl AsRef<std::ffi::OsStr>) -> &mut Self {
        self.0.arg(arg);
        self
    }

    /// Adds the options for training on the output of [`prepare`].
    fn data(&mut self, records: &Path) -> &mut Self {
        self.arg("--train").arg(records.join("train.rec")).arg("--validation").arg(records.join("val.rec"));
        self.arg("--vocab").arg(records)
    }

    fn settings(&mut self, settings: &[&str]) -> &mut Self {
        for setting in settings {
            self.arg("--set").arg(setting);
        }
        self
    }

    fn finish(&mut self) -> Result<(), String> {
        println!("$ {:?}", self.0);
        let status = self.0.status().map_err(|e| format!("{}: {e}", self.1))?;
        if status.success() { Ok(()) } else { Err(format!("kokanee {} ended with {status}", self.1)) }
    }
}

fn read_json(path: &PathBuf) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}
