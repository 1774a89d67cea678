//! Descriptions of a model, and of files with only its parameters or history.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use kokanee_algorithm::human;
use kokanee_algorithm::report::Report;
use kokanee_formats::mxnet;
use kokanee_seq2seq::describe;
use kokanee_seq2seq_nn::artifact::load_parameters;

use super::kind::Kind;
use crate::commands::model::algorithm_of;

/// Describes a model's folder or archive.
pub(super) fn model(path: &Path, head: usize) -> Result<Report> {
    Ok(algorithm_of(path)?.describe(path, head)?)
}

/// Describes a file of parameters.
pub(super) fn parameter_file(path: &Path, kind: Kind) -> Result<Report> {
    let named = if kind == Kind::Mxnet { mxnet_arrays(path)? } else { tensors(path)? };
    let size: usize = named.values().map(|(_, values)| values.len()).sum();
    let mut report = Report::default();
    report.line(format!(
        "{}: {kind}, {} tensors, {} numbers",
        path.display(),
        named.len(),
        human::count(size as u64)
    ));
    report.line("");
    let named = named.iter().map(|(name, (extents, values))| (name.as_str(), &extents[..], &values[..]));
    describe::parameters(named, &mut report);
    Ok(report)
}

/// Extents and values by name.
type Named = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn tensors(path: &Path) -> Result<Named> {
    let named = load_parameters(path)?.into_iter();
    Ok(named
        .map(|(name, tensor)| (name, (tensor.shape().extents().to_vec(), tensor.data().to_vec())))
        .collect())
}

/// Reads the arrays of an MXNet file; those of a list have numbers as names.
fn mxnet_arrays(path: &Path) -> Result<Named> {
    let mxnet::Arrays { arrays, names } = mxnet::read(path)?;
    let mut named = Named::new();
    for (index, array) in arrays.into_iter().enumerate() {
        let name = names.get(index);
        let name = name.map_or_else(|| index.to_string(), |name| name.trim_start_matches("arg:").to_owned());
        let values = array.values.into_f32().with_context(|| format!("{}: array {name}", path.display()))?;
        named.insert(name, (array.shape, values));
    }
    Ok(named)
}

/// Describes `metrics.json`.
pub(super) fn history_file(path: &Path, head: usize) -> Result<Report> {
    let mut report = Report::default();
    report.line(format!("{}: {}", path.display(), Kind::Metrics));
    describe::history(&describe::read_history(path)?, head, &mut report);
    Ok(report)
}
