//! The model as files: `model_algo-1`, an MXNet list of one array (k x feature_dim, without a name), as the real container writes it,
//! and `kokanee.json` beside it.

use std::path::{Path, PathBuf};

use kokanee_algorithm::model_folder::{Manifest, ModelError, read_file};
use kokanee_formats::mxnet::{self, Array, MxnetError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Model;

/// What the real container calls the centres.
pub(crate) const MODEL_FILE: &str = "model_algo-1";
/// Real models hold the state of their training too, which nothing reads.
const STATE_PREFIX: &str = "state_";
/// MXNet's files are small beside what else a folder may hold.
const LARGEST_FILE_BYTES: u64 = 16 << 30;

/// A model with what is known of its training.
pub(crate) struct Artifact {
    pub(crate) model: Model,
    /// None of a model that Kokanee has not written.
    pub(crate) manifest: Option<Manifest>,
    /// The file that holds the centres.
    pub(crate) file: String,
}

/// What `kokanee.json` says of k-means alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// Rows that each cluster stands for.
    pub(crate) counts: Vec<f64>,
}

/// A folder without a model of k-means.
#[derive(Debug, Error)]
pub(crate) enum ArtifactError {
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] ModelError),
    /// The file is no list of arrays.
    #[error(transparent)]
    Mxnet(#[from] MxnetError),
    /// There is no such file.
    #[error("{}: there is no {MODEL_FILE}, and not just one other MXNet file in its place", .0.display())]
    Missing(PathBuf),
    /// The arrays are not centres.
    #[error("{}: {reason}; expected one array of two dimensions, k x feature_dim, the centres of k-means", path.display())]
    NotCenters {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        reason: String,
    },
}

impl Artifact {
    /// Reads a model: ours, a real container's, or one that a user has made of other centres.
    pub(crate) fn read(folder: &Path) -> Result<Self, ArtifactError> {
        let manifest = Manifest::read(folder)?;
        let file = if folder.join(MODEL_FILE).is_file() {
            MODEL_FILE.to_owned()
        } else {
            only_mxnet_file(folder).ok_or_else(|| ArtifactError::Missing(folder.to_owned()))?
        };
        let bytes = match &manifest {
            Some(manifest) => manifest.read_file(folder, &file)?,
            None => read_file(folder, &file)?,
        };
        let path = folder.join(&file);
        let arrays = mxnet::read(&bytes, &path)?;
        let not_centers = |reason: String| ArtifactError::NotCenters { path: path.clone(), reason };
        let [array] = arrays.as_slice() else {
            return Err(not_centers(format!("it holds {} arrays", arrays.len())));
        };
        let &[k, width] = array.shape.as_slice() else {
            return Err(not_centers(format!("its array has {} dimensions", array.shape.len())));
        };
        if k == 0 || width == 0 {
            return Err(not_centers(format!("its array has the shape {k} x {width}")));
        }
        if let Some(at) = array.values.iter().position(|value| !value.is_finite()) {
            return Err(not_centers(format!("value {} of centre {} is no finite number", at % width, at / width)));
        }
        let details = manifest.as_ref().and_then(|manifest| {
            serde_json::from_value::<Details>(manifest.details.clone()).ok()
        });
        let counts = details.map(|details| details.counts).filter(|counts| counts.len() == k);
        let model = Model::from_centers(width, array.values.clone(), counts);
        Ok(Self { model, manifest, file })
    }

    /// Writes a model, whole or not at all.
    pub(crate) fn save(model: &Model, mut manifest: Manifest, folder: &Path) -> Result<(), ArtifactError> {
        let array = Array::unnamed(vec![model.k(), model.width()], model.centers().to_vec());
        manifest.details = serde_json::json!(Details { counts: model.counts().to_vec() });
        Ok(manifest.save(folder, &[(MODEL_FILE, &mxnet::write(&[array]))])?)
    }
}

/// Users give the file other names; the only one of its kind is meant.
fn only_mxnet_file(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_small = entry.metadata().is_ok_and(|file| file.is_file() && file.len() <= LARGEST_FILE_BYTES);
        (is_small && !name.starts_with(STATE_PREFIX) && mxnet::is_list(&entry.path())).then_some(name)
    });
    let name = names.next()?;
    names.next().is_none().then_some(name)
}
