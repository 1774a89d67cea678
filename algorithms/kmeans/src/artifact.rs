//! The files of a model: `model_algo-1`, an MXNet list of one array (k x feature_dim, without a name), as the real container writes
//! it, and `kokanee.json` beside it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kokanee_algorithm::model_folder::{Manifest, ModelError};
use kokanee_formats::FileError;
use kokanee_formats::mxnet::{self, ArrayView, MxnetError, ValuesView};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Model;

/// The real container's name for the file of centres.
pub(crate) const MODEL_FILE: &str = "model_algo-1";
/// Real models also hold the state of their training, which nothing reads.
const STATE_PREFIX: &str = "state_";

/// A model with the record of its training.
pub(crate) struct Artifact {
    pub(crate) model: Model,
    /// None for a model that Kokanee did not write.
    pub(crate) manifest: Option<Manifest>,
    /// The file that holds the centres.
    pub(crate) file: String,
}

/// The part of `kokanee.json` that only k-means has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// The number of rows that each cluster represents.
    pub(crate) counts: Vec<f64>,
}

/// An error in reading or writing a model of k-means.
#[derive(Debug, Error)]
pub(crate) enum ArtifactError {
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] ModelError),
    /// The file is not a list of arrays.
    #[error(transparent)]
    Mxnet(#[from] MxnetError),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not exist.
    #[error("{}: there is no {MODEL_FILE}, and not just one other MXNet file in its place", .0.display())]
    Missing(PathBuf),
    /// The arrays are not centres.
    #[error("{}: {reason}; expected one array of two dimensions, k x feature_dim, the centres of k-means", path.display())]
    NotCenters {
        /// The file.
        path: PathBuf,
        /// The actual content.
        reason: String,
    },
}

impl Artifact {
    /// Reads a model: one of ours, of a real container, or one that a user has made from other centres.
    pub(crate) fn read(folder: &Path) -> Result<Self, ArtifactError> {
        let manifest = Manifest::read(folder)?;
        let file = if folder.join(MODEL_FILE).is_file() {
            MODEL_FILE.to_owned()
        } else {
            only_mxnet_file(folder).ok_or_else(|| ArtifactError::Missing(folder.to_owned()))?
        };
        if let Some(manifest) = &manifest {
            manifest.check_file(folder, &file)?;
        }
        let path = folder.join(&file);
        let mut arrays = mxnet::read(&path)?.arrays;
        let not_centers = |reason: String| ArtifactError::NotCenters { path: path.clone(), reason };
        let (Some(array), 0) = (arrays.pop(), arrays.len()) else {
            return Err(not_centers(format!("it holds {} arrays", arrays.len() + 1)));
        };
        let &[k, width] = array.shape.as_slice() else {
            return Err(not_centers(format!("its array has {} dimensions", array.shape.len())));
        };
        let centers = array.values.into_f32().map_err(|fault| not_centers(fault.to_string()))?;
        if centers.is_empty() {
            return Err(not_centers(format!("its array has the shape {k} x {width}")));
        }
        if let Some(at) = centers.iter().position(|value| !value.is_finite()) {
            return Err(not_centers(format!(
                "value {} of centre {} is not a finite number",
                at % width,
                at / width
            )));
        }
        let details = manifest
            .as_ref()
            .and_then(|manifest| serde_json::from_value::<Details>(manifest.details.clone()).ok());
        let counts = details.map(|details| details.counts).filter(|counts| counts.len() == k);
        let model = Model::from_centers(width, centers, counts);
        Ok(Self { model, manifest, file })
    }

    /// Writes a model, completely or not at all.
    pub(crate) fn save(model: &Model, mut manifest: Manifest, folder: &Path) -> Result<(), ArtifactError> {
        let array =
            ArrayView { shape: &[model.k(), model.width()], values: ValuesView::F32(model.centers()) };
        let mut bytes = Vec::new();
        mxnet::write(&mut bytes, &[array], &[])
            .map_err(FileError::io(&folder.join(MODEL_FILE), "write the file"))?;
        manifest.details = serde_json::json!(Details { counts: model.counts().to_vec() });
        Ok(manifest.save(folder, &[(MODEL_FILE, &bytes)])?)
    }
}

/// Users give the file other names; the only file of its kind is taken.
fn only_mxnet_file(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_file = entry.metadata().is_ok_and(|file| file.is_file());
        (is_file && !name.starts_with(STATE_PREFIX) && begins_as_list(&entry.path())).then_some(name)
    });
    let name = names.next()?;
    names.next().is_none().then_some(name)
}

fn begins_as_list(path: &Path) -> bool {
    let mut magic = [0; size_of::<u64>()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && u64::from_le_bytes(magic) == mxnet::LIST_MAGIC
}

#[cfg(test)]
mod tests;
