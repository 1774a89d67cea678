//! Tests of import and export; see the file names.

mod bad_input;
mod old_files;
mod round_trip;
mod yaml;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use kokanee_contract::algorithms::seq2seq::special_ids::SPECIAL_SYMBOLS;
use kokanee_tensor::Tensor;
use kokanee_testkit::golden;

use super::*;

/// The cases that Sockeye recorded.
fn golden_cases() -> Vec<PathBuf> {
    kokanee_testkit::golden_cases().iter().map(|case| golden(case)).collect()
}

/// Golden cases have their vocabularies in the folder above.
fn import_golden(case: &Path) -> Imported {
    let options = ImportOptions { vocabularies: case.parent(), ..ImportOptions::default() };
    import(case, &options).unwrap_or_else(|e| panic!("{}: {e}", case.display()))
}

fn words(count: usize) -> Vec<String> {
    let special = SPECIAL_SYMBOLS.iter().map(|symbol| (*symbol).to_owned());
    // Words that JSON must escape are words too.
    special.chain((4..count).map(|id| format!("w\"{id}\\é"))).collect()
}

/// Names and bits, which distinguish 0 from -0.
fn bits<'a>(tensors: impl Iterator<Item = (&'a str, &'a Tensor)>) -> HashMap<String, (String, Vec<u32>)> {
    let content = |t: &Tensor| (t.shape().to_string(), t.data().iter().map(|x| x.to_bits()).collect());
    tensors.map(|(name, tensor)| (name.to_owned(), content(tensor))).collect()
}

fn model_bits(model: &Model) -> HashMap<String, (String, Vec<u32>)> {
    bits(model.parameters().iter().map(|p| (p.name.as_str(), &*p.value)))
}

fn saved_bits(saved: &HashMap<String, Tensor>) -> HashMap<String, (String, Vec<u32>)> {
    bits(saved.iter().map(|(name, tensor)| (name.as_str(), tensor)))
}

fn write_saved(path: &Path, saved: &HashMap<String, Tensor>) {
    let tensors: Vec<_> = saved.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    mxnet::write_parameters(path, &tensors).unwrap();
}
