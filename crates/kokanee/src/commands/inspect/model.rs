//! What a model contains.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use kokanee_contract::{Hyperparameters, hyperparameters};
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_nn::artifact::{Artifact, OpenedFolder, load_parameters, read_mxnet_parameters};
use kokanee_seq2seq_train::model_folder::METRICS_FILE;
use kokanee_tensor::Tensor;

use super::history::describe_history;
use super::kind::Kind;
use crate::render::human;
use crate::render::table::Table;

/// Describes a model's folder or archive.
pub(super) fn describe(path: &Path, head: usize, out: &mut String) -> Result<()> {
    let folder = OpenedFolder::open(path)?;
    let Artifact { model, metadata } = folder.load()?;
    let config =
        serde_json::to_value(model.config()).context("a configuration could not be put into JSON")?;
    let _ = writeln!(
        out,
        "{}: model with {} parameters",
        path.display(),
        human::count(model.parameters().size() as u64)
    );

    let held = |format| model.config().decoder_bytes(format).map(|bytes| human::bytes(bytes.total()));
    let [f32, bf16, int8] = [held(Format::F32)?, held(Format::Bf16)?, held(Format::Int8)?];
    let _ =
        writeln!(out, "when it answers, its weights take {f32} of memory, {bf16} in bf16, {int8} in int8");

    let mut table = Table::new().words("sizes").words("value");
    flatten(&config, "", &mut |name, value| table.row([name, value]));
    let _ = write!(out, "\n{table}");

    let defaults = Hyperparameters::default().to_strings();
    let mut table = Table::new().words("hyperparameter").words("value").words("default");
    let differ = |(name, value): &(&String, &String)| defaults.get(*name) != Some(value);
    for (name, value) in metadata.hyperparameters.iter().filter(differ) {
        let default = match defaults.get(name) {
            Some(default) => default.as_str(),
            None if hyperparameters::spec(name).is_some() => "not set",
            None => "not known to this version",
        };
        table.row([name.as_str(), value, default]);
    }
    let _ = write!(out, "\nhyperparameters that are not the defaults:\n{table}");

    let lengths = &metadata.lengths;
    let _ = writeln!(
        out,
        "\nlengths in the training data: source up to {} tokens, target up to {}, target/source ratio {:.4} ± {:.4}",
        lengths.longest_source, lengths.longest_target, lengths.ratio_mean, lengths.ratio_std
    );
    match &metadata.training {
        Some(training) => {
            let metrics: Vec<String> =
                training.validation.iter().map(|(name, value)| format!("{name} {value:.6}")).collect();
            let _ = writeln!(
                out,
                "trained for {} updates, to epoch {}; checkpoint {}; validation {}",
                human::count(training.updates),
                training.epoch,
                training.checkpoint,
                if metrics.is_empty() { "not measured".to_owned() } else { metrics.join(", ") }
            );
        }
        None => out.push_str("how it was trained is not recorded\n"),
    }
    let history = folder.path().join(METRICS_FILE);
    if history.is_file() {
        out.push('\n');
        describe_history(&history, head, out)?;
    }
    out.push('\n');
    parameters(model.parameters().iter().map(|p| (p.name.as_str(), &*p.value)), out);
    Ok(())
}

/// Describes a file of parameters.
pub(super) fn describe_parameter_file(path: &Path, kind: Kind, out: &mut String) -> Result<()> {
    let named = if kind == Kind::Mxnet { read_mxnet_parameters(path)? } else { load_parameters(path)? };
    let named: BTreeMap<String, Tensor> = named.into_iter().collect();
    let size: usize = named.values().map(|tensor| tensor.data().len()).sum();
    let _ = writeln!(
        out,
        "{}: {kind}, {} tensors, {} numbers\n",
        path.display(),
        named.len(),
        human::count(size as u64)
    );
    parameters(named.iter().map(|(name, tensor)| (name.as_str(), tensor)), out);
    Ok(())
}

/// Describes `metrics.json`.
pub(super) fn describe_history_file(path: &Path, head: usize, out: &mut String) -> Result<()> {
    let _ = writeln!(out, "{}: {}", path.display(), Kind::Metrics);
    describe_history(path, head, out)
}

/// Name, shape and size of values of every tensor.
fn parameters<'a>(named: impl Iterator<Item = (&'a str, &'a Tensor)>, out: &mut String) {
    let mut table = Table::new()
        .words("parameter")
        .words("shape")
        .numbers("numbers")
        .numbers("norm")
        .numbers("largest")
        .words("");
    for (name, tensor) in named {
        let values = tensor.data();
        let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let undefined = values.iter().filter(|value| !value.is_finite()).count();
        let shape: Vec<String> = tensor.shape().extents().iter().map(usize::to_string).collect();
        table.row([
            name.to_owned(),
            shape.join(" x "),
            human::count(values.len() as u64),
            format!("{norm:.4}"),
            format!("{largest:.4}"),
            if undefined > 0 { format!("{undefined} are no numbers!") } else { String::new() },
        ]);
    }
    let _ = write!(out, "{table}");
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
