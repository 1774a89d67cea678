//! Whole trainings on real data, through the program as a user runs it: prepare, train, evaluate, draw.
//!
//! `cargo xtask bench quality WORK [--set NAME=VALUE …]`; without a name it lists the works.
//!
//! Files stay under `target/quality/WORK`; a run that was interrupted goes on from its last checkpoint.

// What a benchmark prints is its result.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};

use serde_json::Value;

/// A training to be measured.
struct Work {
    name: &'static str,
    what: &'static str,
    data: &'static Data,
    settings: &'static [&'static str],
    /// Validation perplexity and accuracy of Sockeye 1.18.106 at the same checkpoints, where it was recorded (one seed).
    sockeye: &'static [(f64, f64)],
}

/// Where a work's text lies in the shared folder.
struct Data {
    folder: &'static str,
    /// Source and target of training and validation.
    train: [&'static str; 2],
    validation: [&'static str; 2],
    /// What is measured in the end, and how.
    test: [&'static str; 2],
    evaluations: &'static [&'static [&'static str]],
}

const MULTI30K: Data = Data {
    folder: "data/multi30k",
    train: ["train.en.gz", "train.de.gz"],
    validation: ["val.en.gz", "val.de.gz"],
    test: ["test_2016_flickr.en.gz", "test_2016_flickr.de.gz"],
    evaluations: &[&[]],
};

const CMUDICT: Data = Data {
    folder: "data/cmudict",
    train: ["train.graphemes.gz", "train.phonemes.gz"],
    validation: ["val.graphemes.gz", "val.phonemes.gz"],
    test: ["val.graphemes.gz", "val.phonemes.gz"],
    evaluations: &[&[], &["--strip-stress"]],
};

const WORKS: &[Work] = &[
    Work {
        name: "multi30k",
        what: "M30K-RNN512, five epochs, beside Sockeye's curve",
        data: &MULTI30K,
        // 456 updates are one epoch: 29,000 pairs in buckets of 10, batches of 64.
        settings: &[
            "rnn_num_hidden=512",
            "max_seq_len_source=60",
            "max_seq_len_target=60",
            "checkpoint_frequency_num_batches=456",
            "max_num_epochs=5",
        ],
        sockeye: &[(94.9, 0.286), (52.9, 0.359), (34.0, 0.428), (24.0, 0.478), (18.3, 0.521)],
    },
    Work {
        name: "multi30k-rnn",
        what: "English to German with what SageMaker offers: one layer, dropout",
        data: &MULTI30K,
        settings: &[
            "rnn_num_hidden=512",
            "max_seq_len_source=60",
            "max_seq_len_target=60",
            "embed_dropout_source=0.4",
            "embed_dropout_target=0.4",
            "rnn_decoder_hidden_dropout=0.4",
            "learning_rate=0.0006",
            "checkpoint_frequency_num_batches=456",
            "plateau_reduce_lr_threshold=1",
            "checkpoint_threshold=4",
            "max_num_batches=13680",
        ],
        sockeye: &[],
    },
    Work {
        name: "multi30k-cnn",
        what: "the same with convolutions",
        data: &MULTI30K,
        settings: &[
            "encoder_type=cnn",
            "decoder_type=cnn",
            "num_layers_encoder=6",
            "num_layers_decoder=4",
            "cnn_num_hidden=384",
            "max_seq_len_source=60",
            "max_seq_len_target=60",
            "embed_dropout_source=0.3",
            "embed_dropout_target=0.3",
            "cnn_hidden_dropout=0.3",
            "learning_rate=0.0004",
            "checkpoint_frequency_num_batches=456",
            "plateau_reduce_lr_threshold=1",
            "checkpoint_threshold=4",
            "max_num_batches=13680",
        ],
        sockeye: &[],
    },
    Work {
        name: "cmudict-aws",
        what: "pronunciation with the settings of AWS's sample: hidden 512, embeddings 512, batches of 64",
        data: &CMUDICT,
        settings: &["rnn_num_hidden=512", "checkpoint_threshold=3"],
        sockeye: &[],
    },
    Work {
        name: "cmudict-rnn",
        what: "pronunciation with one LSTM layer and dropout",
        data: &CMUDICT,
        settings: &[
            "rnn_num_hidden=512",
            "num_embed_source=128",
            "num_embed_target=128",
            "rnn_decoder_hidden_dropout=0.4",
            "embed_dropout_source=0.1",
            "embed_dropout_target=0.1",
            "bucket_width=50",
            "learning_rate=0.001",
            "plateau_reduce_lr_threshold=1",
            "checkpoint_threshold=5",
        ],
        sockeye: &[],
    },
    Work {
        name: "cmudict-cnn",
        what: "the same with convolutions",
        data: &CMUDICT,
        settings: &[
            "encoder_type=cnn",
            "decoder_type=cnn",
            "num_layers_encoder=5",
            "num_layers_decoder=4",
            "cnn_num_hidden=256",
            "num_embed_source=128",
            "num_embed_target=128",
            "max_seq_len_source=40",
            "max_seq_len_target=40",
            "cnn_hidden_dropout=0.2",
            "bucket_width=50",
            "learning_rate=0.0008",
            "plateau_reduce_lr_threshold=1",
            "checkpoint_threshold=5",
        ],
        sockeye: &[],
    },
];

fn main() {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let work = args.first().and_then(|name| WORKS.iter().find(|work| work.name == *name));
    let result = match work {
        Some(work) => run(work, &args[1..]),
        None => {
            let list: Vec<String> = WORKS.iter().map(|w| format!("  {:<14} {}", w.name, w.what)).collect();
            Err(format!("name a work:\n{}", list.join("\n")))
        }
    };
    if let Err(message) = result {
        eprintln!("error: {message}");
        exit(1);
    }
}

fn run(work: &Work, args: &[String]) -> Result<(), String> {
    let shared = kokanee_testkit::shared_dir().ok_or("the shared data is not there")?;
    let file = |name: &str| shared.join(work.data.folder).join(name);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/quality").join(work.name);
    let cannot = |e: std::io::Error| format!("{}: {e}", folder.display());
    std::fs::create_dir_all(&folder).map_err(cannot)?;
    let folder = folder.canonicalize().map_err(cannot)?;
    let (records, model) = (folder.join("records"), folder.join("model"));

    let mut prepare = kokanee("prepare");
    let flags = ["--train-source", "--train-target", "--val-source", "--val-target"];
    for (flag, name) in flags.iter().zip(work.data.train.iter().chain(&work.data.validation)) {
        prepare.arg(flag).arg(file(name));
    }
    prepare.arg("--output-dir").arg(&records).finish()?;

    let mut train = kokanee("train");
    train.arg("--train").arg(records.join("train.rec")).arg("--validation").arg(records.join("val.rec"));
    train.arg("--vocab").arg(&records).arg("--output").arg(&model);
    if model.join("checkpoints/latest").exists() {
        train.arg("--resume");
    }
    for setting in work.settings {
        train.arg("--set").arg(setting);
    }
    args.iter().for_each(|arg| {
        train.arg(arg);
    });
    let started = std::time::Instant::now();
    train.finish()?;
    let seconds = started.elapsed().as_secs_f64();

    curve(work, &model)?;
    println!("\nthis run of train took {seconds:.0} s\n");
    let picture = folder.join("learning-curve.svg");
    kokanee("inspect").arg(&model).arg("--curve").arg(&picture).finish()?;
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

/// The metrics of every checkpoint, beside Sockeye's where they are known.
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

/// A command of the program, to be run and to succeed.
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
