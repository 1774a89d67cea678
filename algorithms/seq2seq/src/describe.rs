//! The description for a person of a model, its parameters and its training.

use std::io;
use std::path::{Path, PathBuf};

use kokanee_algorithm::human;
use kokanee_algorithm::report::{Report, Table};
use kokanee_contract::Rows as _;
use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_nn::artifact::{Artifact, ArtifactError, OpenedFolder};
use kokanee_seq2seq_nn::config::ConfigError;
use kokanee_seq2seq_train::Report as History;
use kokanee_seq2seq_train::model_folder::METRICS_FILE;
use thiserror::Error;

/// An error in describing a model or a history.
#[derive(Debug, Error)]
pub enum DescribeError {
    /// The model cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Its sizes are invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its configuration cannot be shown.
    #[error("a configuration could not be put into JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The history cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a history.
    #[error("{} is not a history of a training: {source}", path.display())]
    NoHistory {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: serde_json::Error,
    },
}

/// Describes a model's folder or archive.
///
/// # Errors
/// When it cannot be read.
pub fn model(path: &Path, head: usize) -> Result<Report, DescribeError> {
    let folder = OpenedFolder::open(path)?;
    let Artifact { model, metadata } = folder.load()?;
    let config = serde_json::to_value(model.config())?;
    let mut report = Report::default();
    report.line(format!(
        "{}: model with {} parameters",
        path.display(),
        human::count(model.parameters().size() as u64)
    ));
    let held = |format| model.config().decoder_bytes(format).map(|bytes| human::bytes(bytes.total()));
    let [f32, bf16, int8] = [held(Format::F32)?, held(Format::Bf16)?, held(Format::Int8)?];
    report.line(format!("when it answers, its weights take {f32} of memory, {bf16} in bf16, {int8} in int8"));

    let mut table = Table::new().words("sizes").words("value");
    flatten(&config, "", &mut |name, value| table.row([name, value]));
    report.table(table);

    let defaults = Hyperparameters::default().to_strings();
    let mut table = Table::new().words("hyperparameter").words("value").words("default");
    let differ = |(name, value): &(&String, &String)| defaults.get(*name) != Some(value);
    for (name, value) in metadata.hyperparameters.iter().filter(differ) {
        let default = match defaults.get(name) {
            Some(default) => default.as_str(),
            None if Hyperparameters::spec(name).is_some() => "not set",
            None => "not known to this version",
        };
        table.row([name.as_str(), value, default]);
    }
    report.titled("hyperparameters that are not the defaults:", table);

    let lengths = &metadata.lengths;
    report.line("");
    report.line(format!(
        "lengths in the training data: source up to {} tokens, target up to {}, target/source ratio {:.4} ± {:.4}",
        lengths.longest_source, lengths.longest_target, lengths.ratio_mean, lengths.ratio_std
    ));
    match &metadata.training {
        Some(training) => {
            let metrics: Vec<String> =
                training.validation.iter().map(|(name, value)| format!("{name} {value:.6}")).collect();
            report.line(format!(
                "trained for {} updates, to epoch {}; checkpoint {}; validation {}",
                human::count(training.updates),
                training.epoch,
                training.checkpoint,
                if metrics.is_empty() { "not measured".to_owned() } else { metrics.join(", ") }
            ));
        }
        None => report.line("how it was trained is not recorded"),
    }
    let history_file = folder.path().join(METRICS_FILE);
    if history_file.is_file() {
        report.line("");
        history(&read_history(&history_file)?, head, &mut report);
    }
    report.line("");
    let named = model.parameters().iter();
    parameters(named.map(|p| (p.name.as_str(), p.value.shape().extents(), p.value.data())), &mut report);
    Ok(report)
}

/// Reads `metrics.json`.
///
/// # Errors
/// When it cannot be read, or is not a history.
pub fn read_history(path: &Path) -> Result<History, DescribeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| DescribeError::Read { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| DescribeError::NoHistory { path: path.to_owned(), source })
}

/// Adds the last checkpoints of a training, and the best one.
pub fn history(history: &History, head: usize, report: &mut Report) {
    let mut table = Table::new()
        .numbers("checkpoint")
        .numbers("update")
        .numbers("epoch")
        .numbers("learning rate")
        .numbers("train perplexity")
        .numbers("validation perplexity")
        .numbers("accuracy")
        .numbers("BLEU")
        .numbers("tokens/s")
        .words("");
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let left_out = history.checkpoints.len().saturating_sub(head);
    for checkpoint in &history.checkpoints[left_out..] {
        let is_best = history.best.is_some_and(|best| best.checkpoint == checkpoint.checkpoint);
        table.row([
            checkpoint.checkpoint.to_string(),
            human::count(checkpoint.update),
            checkpoint.epoch.to_string(),
            checkpoint.learning_rate.to_string(),
            number(checkpoint.train.perplexity),
            number(checkpoint.validation.perplexity),
            number(checkpoint.validation.accuracy),
            number(checkpoint.validation.bleu),
            human::count(checkpoint.target_tokens_per_second as u64),
            if is_best { "best".to_owned() } else { String::new() },
        ]);
    }
    report.add(table);
    if left_out > 0 {
        let all = history.checkpoints.len();
        report.line(format!("{left_out} earlier checkpoints are not shown (--head {all})"));
    }
    if let Some(best) = history.best {
        let value = best.value.map_or("not measured".to_owned(), |value| format!("{value:.6}"));
        report.line(format!(
            "best by {}: checkpoint {}, update {}, {value}",
            history.optimized_metric,
            best.checkpoint,
            human::count(best.update)
        ));
    }
    report.line(match history.stop_reason {
        Some(reason) => format!("training ended: {reason}"),
        None => "training has not ended, or was interrupted".to_owned(),
    });
}

/// Adds name, shape and size of values of every tensor, given by its name, extents and values.
pub fn parameters<'a>(named: impl Iterator<Item = (&'a str, &'a [usize], &'a [f32])>, report: &mut Report) {
    let mut table = Table::new()
        .words("parameter")
        .words("shape")
        .numbers("numbers")
        .numbers("norm")
        .numbers("largest")
        .words("");
    for (name, extents, values) in named {
        let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let undefined = values.iter().filter(|value| !value.is_finite()).count();
        let shape: Vec<String> = extents.iter().map(usize::to_string).collect();
        table.row([
            name.to_owned(),
            shape.join(" x "),
            human::count(values.len() as u64),
            format!("{norm:.4}"),
            format!("{largest:.4}"),
            if undefined > 0 { format!("{undefined} are no numbers!") } else { String::new() },
        ]);
    }
    report.add(table);
}

/// The leaves of a JSON value with their dotted names.
fn flatten(value: &serde_json::Value, prefix: &str, add: &mut dyn FnMut(&str, &str)) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(value, &name, add);
            }
        }
        serde_json::Value::String(text) => add(prefix, text),
        other => add(prefix, &other.to_string()),
    }
}
