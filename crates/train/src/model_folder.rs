//! The folder of the best model: what translation needs, and the history of its training.

use std::path::{Path, PathBuf};

use kokanee_contract::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_data::Vocabulary;
use kokanee_nn::Model;
use kokanee_nn::artifact::{
    Artifact, CONFIG_FILE, Metadata, PARAMETERS_FILE, TrainingSummary, pack, write_whole,
};

use crate::TrainError;
use crate::report::Report;

/// The history of the training, in a model's folder.
pub const METRICS_FILE: &str = "metrics.json";

/// The files of a model, as they are packed.
pub const MODEL_FILES: [&str; 5] =
    [PARAMETERS_FILE, CONFIG_FILE, VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE, METRICS_FILE];

/// The folder that holds the best model so far. Each file is written whole or not at all.
pub struct ModelFolder {
    folder: PathBuf,
    archive: Option<PathBuf>,
    metadata: Metadata,
    vocabularies: [Vocabulary; 2],
    vocabularies_written: bool,
}

impl ModelFolder {
    /// A folder that will be made when there is a model; `archive` is where [`ModelFolder::pack`] packs it to. `vocabularies`
    /// are source and target.
    pub fn new(
        folder: PathBuf,
        archive: Option<PathBuf>,
        metadata: Metadata,
        vocabularies: [Vocabulary; 2],
    ) -> ModelFolder {
        ModelFolder { folder, archive, metadata, vocabularies, vocabularies_written: false }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Replaces the model.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn save(&mut self, model: &Model, training: TrainingSummary) -> Result<(), TrainError> {
        self.metadata.training = Some(training);
        std::fs::create_dir_all(&self.folder).map_err(TrainError::io("create the folder", &self.folder))?;
        if !self.vocabularies_written {
            for (file, vocabulary) in [VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE].iter().zip(&self.vocabularies) {
                vocabulary.write(&self.folder.join(file))?;
            }
            self.vocabularies_written = true;
        }
        Ok(Artifact::save(model, &self.metadata, &self.folder)?)
    }

    /// Replaces `metrics.json`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_report(&self, report: &Report) -> Result<(), TrainError> {
        let text = report.to_json();
        Ok(write_whole(&self.folder.join(METRICS_FILE), |file| file.write_all(text.as_bytes()))?)
    }

    /// Packs the model, where an archive was asked for.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn pack(&self) -> Result<(), TrainError> {
        let Some(archive) = &self.archive else { return Ok(()) };
        Ok(pack(&self.folder, &MODEL_FILES, archive)?)
    }
}
