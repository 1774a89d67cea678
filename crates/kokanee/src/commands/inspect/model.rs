//! What a model contains, and its parameters and history as files of their own.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use kokanee_algorithm::human;
use kokanee_algorithm::report::Report;
use kokanee_seq2seq::describe;
use kokanee_seq2seq_nn::artifact::{load_parameters, read_mxnet_parameters};
use kokanee_tensor::Tensor;

use super::kind::Kind;
use crate::commands::model::algorithm_of;

/// Describes a model's folder or archive.
pub(super) fn model(path: &Path, head: usize) -> Result<Report> {
    Ok(algorithm_of(path)?.describe(path, head)?)
}

/// Describes a file of parameters.
pub(super) fn parameter_file(path: &Path, kind: Kind) -> Result<Report> {
    let named = if kind == Kind::Mxnet { read_mxnet_parameters(path)? } else { load_parameters(path)? };
    let named: BTreeMap<String, Tensor> = named.into_iter().collect();
    let size: usize = named.values().map(|tensor| tensor.data().len()).sum();
    let mut report = Report::default();
    report.line(format!(
        "{}: {kind}, {} tensors, {} numbers",
        path.display(),
        named.len(),
        human::count(size as u64)
    ));
    report.line("");
    describe::parameters(named.iter().map(|(name, tensor)| (name.as_str(), tensor)), &mut report);
    Ok(report)
}

/// Describes `metrics.json`.
pub(super) fn history_file(path: &Path, head: usize) -> Result<Report> {
    let mut report = Report::default();
    report.line(format!("{}: {}", path.display(), Kind::Metrics));
    describe::history(&describe::read_history(path)?, head, &mut report);
    Ok(report)
}
