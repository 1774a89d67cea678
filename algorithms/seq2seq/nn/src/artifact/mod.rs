//! The files of a model: `model.safetensors` and `config.json` in a folder, and that folder as `model.tar.gz`.

mod config_file;
mod error;
mod mxnet;
mod opened;
mod presence;
pub mod sockeye;
mod tensors;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

pub use error::{ArtifactError, Elsewhere};
use kokanee_formats::{FileDigest, FolderUpdate, StagedFile, archive, folder_update, link};
pub use mxnet::{read_parameters as read_mxnet_parameters, write_parameters as write_mxnet_parameters};
pub use opened::OpenedFolder;
pub use presence::holds_sockeye_model;
use serde::{Deserialize, Serialize};
use tensors::load_digested;
pub use tensors::{load_parameters, save_parameters, write_tensors};

use crate::{Model, ModelError};

/// The file of a model's parameters.
pub const PARAMETERS_FILE: &str = "model.safetensors";
/// The file of everything else that a model needs, except its vocabularies.
pub const CONFIG_FILE: &str = "config.json";
/// The files of a model by name, as recorded in `config.json`.
type Digests = BTreeMap<String, FileDigest>;

/// A trained model with its metadata.
pub struct Artifact {
    /// The model.
    pub model: Model,
    /// The other content of `config.json`.
    pub metadata: Metadata,
}

/// The data of an artefact besides the parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The hyperparameters that it was trained with, in the form of SageMaker.
    pub hyperparameters: BTreeMap<String, String>,
    /// Lengths in the training data, which bound the lengths of outputs.
    pub lengths: LengthStatistics,
    /// The state of the training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingSummary>,
}

/// Lengths in the training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LengthStatistics {
    /// Mean over all pairs of (target tokens + 1) / source tokens.
    pub ratio_mean: f64,
    /// Population standard deviation of that ratio.
    pub ratio_std: f64,
    /// Longest source sentence that was trained on, in tokens: the longest input that is decoded in one piece.
    pub longest_source: usize,
    /// Longest target sentence that was trained on, in tokens without `<s>` and `</s>`.
    pub longest_target: usize,
    /// Step between the source lengths that the output limit is computed for.
    pub bucket_width: usize,
}

/// The state of a model's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSummary {
    /// Number of updates that its parameters have received.
    pub updates: u64,
    /// Number of epochs begun.
    pub epoch: u64,
    /// Number of its checkpoint.
    pub checkpoint: u64,
    /// Validation metrics by name.
    pub validation: BTreeMap<String, f64>,
}

impl Artifact {
    /// Adds a model to an update of its folder: the companions (vocabularies), `model.safetensors` and, last, `config.json`, whose
    /// digests distinguish these files from those of another model.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn stage(
        model: &Model,
        metadata: &Metadata,
        companions: &[(&str, &[u8])],
        update: &mut FolderUpdate,
    ) -> Result<(), ArtifactError> {
        let mut files = BTreeMap::new();
        for (name, bytes) in companions {
            files.insert((*name).to_owned(), update.write_bytes(name, bytes)?);
        }
        let tensors: Vec<_> = model.parameters().iter().map(|p| (p.name.as_str(), &*p.value)).collect();
        let write = |file: &mut StagedFile| {
            let path = file.path().to_owned();
            write_tensors(file, &tensors).map_err(|e| ArtifactError::io("write", &path, e))
        };
        let ((), digest) = update.write(PARAMETERS_FILE, write)?;
        files.insert(PARAMETERS_FILE.to_owned(), digest);
        let config = config_file::to_text(model.config(), metadata, &files);
        Ok(update.write_bytes(CONFIG_FILE, config.as_bytes()).map(drop)?)
    }

    /// Writes both `model.safetensors` and `config.json` into `folder`, or neither. The folder is created if it is missing.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn save(model: &Model, metadata: &Metadata, folder: &Path) -> Result<(), ArtifactError> {
        let mut update = FolderUpdate::begin(folder)?;
        Artifact::stage(model, metadata, &[], &mut update)?;
        Ok(update.commit()?)
    }

    /// Reads the files written by [`Artifact::stage`]; files that `config.json` describes are checked against it.
    ///
    /// # Errors
    /// When files are missing, damaged, from a later program or from another model, or do not fit each other.
    pub fn load(folder: &Path) -> Result<Artifact, ArtifactError> {
        Artifact::load_with_digests(folder).map(|(artifact, _)| artifact)
    }

    /// As [`load`](Self::load), with the digests in `config.json` of the model's other files.
    fn load_with_digests(folder: &Path) -> Result<(Artifact, Digests), ArtifactError> {
        opened::unless_replaced(folder, || Artifact::load_now(folder))
    }

    fn load_now(folder: &Path) -> Result<(Artifact, Digests), ArtifactError> {
        let path = folder.join(CONFIG_FILE);
        let text = match folder_update::read(folder, CONFIG_FILE) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Err(missing(folder, CONFIG_FILE)),
            Err(e) => return Err(ArtifactError::io("read", &path, e)),
        };
        let config_file::ConfigFile { model, metadata, files } = config_file::parse(&path, &text)?;
        let shown = folder.join(PARAMETERS_FILE);
        let (tensors, digest) = match folder_update::open(folder, PARAMETERS_FILE) {
            Ok(file) => load_digested(file, &shown)?,
            Err(e) if e.kind() == ErrorKind::NotFound => return Err(missing(folder, PARAMETERS_FILE)),
            Err(e) => return Err(ArtifactError::io("read", &shown, e)),
        };
        if let Some(reason) = config_file::foreign(&files, PARAMETERS_FILE, &digest) {
            return Err(ArtifactError::damaged(&shown, reason));
        }
        let model = Model::with_parameters(model, tensors).map_err(|e| match e {
            ModelError::Config(e) => ArtifactError::damaged(&path, e.to_string()),
            ModelError::Parameters(e) => {
                ArtifactError::damaged(&shown, format!("parameters do not fit the configuration: {e}"))
            }
        })?;
        // Vocabularies are read by other code. A missing one is reported by the code that needs it.
        for name in files.keys().filter(|name| *name != PARAMETERS_FILE) {
            let bytes = match folder_update::read(folder, name) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(ArtifactError::io("read", &folder.join(name), e)),
            };
            if let Some(reason) = config_file::foreign(&files, name, &FileDigest::of(&bytes)) {
                return Err(ArtifactError::damaged(&folder.join(name), reason));
            }
        }
        Ok((Artifact { model, metadata }, files))
    }
}

fn missing(folder: &Path, file: &'static str) -> ArtifactError {
    let path = folder.join(file);
    match link::dangling(&path) {
        Some(target) => ArtifactError::Dangling { path, target, remedy: "" },
        None => ArtifactError::NotAModel {
            path: folder.to_owned(),
            missing: file,
            found: opened::elsewhere(folder),
        },
    }
}

/// Whether a model of Kokanee was packed into this archive; also false if the archive cannot be read.
pub fn is_own_archive(path: &Path) -> bool {
    archive::first_entry(path).is_some_and(|first| first == Path::new(PARAMETERS_FILE))
}

/// Checks that a model may be written into `folder`: its files there, if any, must belong to an earlier model of Kokanee. `names`
/// are the files that will be replaced.
///
/// # Errors
/// Names the first file that is not Kokanee's.
pub fn check_replaceable(folder: &Path, names: &[&str]) -> Result<(), ArtifactError> {
    match folder_update::read(folder, CONFIG_FILE) {
        Ok(text) if config_file::is_ours(&text) => return Ok(()),
        _ => {}
    }
    let foreign = names.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok());
    foreign.map_or(Ok(()), |path| Err(ArtifactError::NotOurs { path }))
}

impl LengthStatistics {
    /// Checks that decoding can use these numbers.
    fn check(&self) -> Result<(), String> {
        let sound = |x: f64| x.is_finite() && (0.0..=1e6).contains(&x);
        if !sound(self.ratio_mean) || !sound(self.ratio_std) {
            return Err(format!("length ratios of {} +- {} make no sense", self.ratio_mean, self.ratio_std));
        }
        if self.longest_source == 0 || self.bucket_width == 0 || self.longest_source > 1 << 24 {
            return Err(format!(
                "a longest source of {} tokens in buckets of {} makes no sense",
                self.longest_source, self.bucket_width
            ));
        }
        Ok(())
    }
}
