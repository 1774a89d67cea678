//! Models as files: `model.safetensors` and `config.json` in a folder, and that folder as `model.tar.gz`.

mod error;
mod mxnet;
pub mod sockeye;
mod tarball;
mod tensors;
#[cfg(test)]
mod tests;
mod whole_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use error::ArtifactError;
pub use mxnet::{read_parameters as read_mxnet_parameters, write_parameters as write_mxnet_parameters};
use serde::{Deserialize, Serialize};
pub use tarball::{pack, unpack};
pub use tensors::{load_parameters, save_parameters};
pub use whole_file::write_whole;

use crate::{Model, ModelConfig, ModelError};

/// Parameters of a model.
pub const PARAMETERS_FILE: &str = "model.safetensors";
/// Everything else that a model needs but its vocabularies.
pub const CONFIG_FILE: &str = "config.json";
/// Version of the layout of `config.json`; raised when an older program could not read it.
const FORMAT_VERSION: u32 = 1;

/// A trained model with what is known about it.
pub struct Artifact {
    /// The model.
    pub model: Model,
    /// What else `config.json` says.
    pub metadata: Metadata,
}

/// What an artefact says about its model besides the parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The hyperparameters it was trained with, as SageMaker carries them.
    pub hyperparameters: BTreeMap<String, String>,
    /// Lengths in the training data, which bound the lengths of outputs.
    pub lengths: LengthStatistics,
    /// How the training went.
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

/// How far a model was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSummary {
    /// Updates that its parameters have seen.
    pub updates: u64,
    /// Epochs begun.
    pub epoch: u64,
    /// Number of the checkpoint that it is.
    pub checkpoint: u64,
    /// Validation metrics by name.
    pub validation: BTreeMap<String, f64>,
}

#[derive(Serialize, Deserialize)]
struct ConfigFile {
    format_version: u32,
    /// Version of the program that wrote it.
    kokanee_version: String,
    model: ModelConfig,
    #[serde(flatten)]
    metadata: Metadata,
}

impl Artifact {
    /// Writes `model.safetensors` and `config.json` into `folder`, which is made where it is missing. Each file is written
    /// whole or not at all, the parameters first.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn save(model: &Model, metadata: &Metadata, folder: &Path) -> Result<(), ArtifactError> {
        std::fs::create_dir_all(folder).map_err(|e| ArtifactError::io("create the folder", folder, e))?;
        let tensors: Vec<_> = model.parameters().iter().map(|p| (p.name.as_str(), &*p.value)).collect();
        save_parameters(&folder.join(PARAMETERS_FILE), &tensors)?;
        let config = ConfigFile {
            format_version: FORMAT_VERSION,
            kokanee_version: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.config().clone(),
            metadata: metadata.clone(),
        };
        let mut text = serde_json::to_string_pretty(&config).expect("a configuration is plain data");
        text.push('\n');
        write_whole(&folder.join(CONFIG_FILE), |file| file.write_all(text.as_bytes()))
    }

    /// Reads what [`Artifact::save`] wrote.
    ///
    /// # Errors
    /// When files are missing, damaged, from a later program, or do not fit each other.
    pub fn load(folder: &Path) -> Result<Artifact, ArtifactError> {
        let path = folder.join(CONFIG_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(ArtifactError::NotAModel { path: folder.to_owned(), missing: CONFIG_FILE });
            }
            Err(e) => return Err(ArtifactError::io("read", &path, e)),
        };
        let damaged = |reason: String| ArtifactError::Damaged { path: path.clone(), reason };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        // The version comes first: a later layout must not be reported as damage.
        let version = value.get("format_version").and_then(serde_json::Value::as_u64);
        match version {
            Some(version) if version == u64::from(FORMAT_VERSION) => {}
            Some(version) => {
                return Err(damaged(format!(
                    "its format_version is {version} and this program reads {FORMAT_VERSION}; use a later Kokanee"
                )));
            }
            None => return Err(damaged("it has no format_version: not a model of Kokanee".to_owned())),
        }
        let config: ConfigFile = serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?;
        config.metadata.lengths.check().map_err(damaged)?;
        let parameters = folder.join(PARAMETERS_FILE);
        if !parameters.exists() {
            return Err(ArtifactError::NotAModel { path: folder.to_owned(), missing: PARAMETERS_FILE });
        }
        let model =
            Model::with_parameters(config.model, load_parameters(&parameters)?).map_err(|e| match e {
                ModelError::Config(e) => damaged(e.to_string()),
                ModelError::Parameters(e) => ArtifactError::Damaged {
                    path: parameters,
                    reason: format!("parameters do not fit the configuration: {e}"),
                },
            })?;
        Ok(Artifact { model, metadata: config.metadata })
    }
}

impl LengthStatistics {
    /// Whether decoding can use these numbers.
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

/// A model's folder that may have been a `model.tar.gz`: then it is unpacked into a temporary folder that lives as long as
/// this value.
pub struct OpenedFolder {
    path: PathBuf,
    _unpacked: Option<tempfile::TempDir>,
}

impl OpenedFolder {
    /// Opens a folder or a `.tar.gz`.
    ///
    /// # Errors
    /// When there is nothing, or the archive is unsafe or damaged.
    pub fn open(path: &Path) -> Result<OpenedFolder, ArtifactError> {
        if path.is_dir() {
            return Ok(OpenedFolder { path: path.to_owned(), _unpacked: None });
        }
        if !path.exists() {
            return Err(ArtifactError::NotFound { path: path.to_owned() });
        }
        let folder = tempfile::tempdir().map_err(|e| ArtifactError::io("unpack", path, e))?;
        unpack(path, folder.path())?;
        Ok(OpenedFolder { path: folder.path().to_owned(), _unpacked: Some(folder) })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
