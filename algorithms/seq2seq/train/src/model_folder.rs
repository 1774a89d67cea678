//! The folder of the best model: the files for translation, and the history of its training.

use std::path::{Path, PathBuf};

use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_formats::{FolderUpdate, archive, folder_update, write_atomically};
use kokanee_seq2seq_data::Vocabulary;
use kokanee_seq2seq_nn::Model;
use kokanee_seq2seq_nn::artifact::{
    Artifact, ArtifactError, CONFIG_FILE, Metadata, PARAMETERS_FILE, TrainingSummary, check_replaceable,
    is_own_archive,
};

use crate::TrainError;
use crate::report::Report;

/// The file of the training's history, in a model's folder.
pub const METRICS_FILE: &str = "metrics.json";

/// The files of a packed model.
pub const MODEL_FILES: [&str; 5] =
    [PARAMETERS_FILE, CONFIG_FILE, VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE, METRICS_FILE];

/// The folder that holds the best model so far. Model, vocabularies and history are replaced together.
pub struct ModelFolder {
    folder: PathBuf,
    archive: Option<PathBuf>,
    metadata: Metadata,
    /// Source and target, as JSON.
    vocabularies: [String; 2],
}

impl ModelFolder {
    /// A folder that will be created when there is a model; `archive` is the path to which [`ModelFolder::pack`] packs it.
    /// `vocabularies` are source and target.
    pub fn new(
        folder: PathBuf,
        archive: Option<PathBuf>,
        metadata: Metadata,
        vocabularies: [&Vocabulary; 2],
    ) -> ModelFolder {
        ModelFolder { folder, archive, metadata, vocabularies: vocabularies.map(Vocabulary::to_json) }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Checks that a model may be written here: files of others under its names are not replaced.
    ///
    /// # Errors
    /// Names the first such file.
    pub fn check_replaceable(&self) -> Result<(), TrainError> {
        let own = [PARAMETERS_FILE, CONFIG_FILE, METRICS_FILE];
        // Vocabularies may exist already, if they are those of this training.
        let vocabularies = self.companions().into_iter().filter(|(name, text)| {
            folder_update::read(&self.folder, name).map_or(true, |there| there != *text)
        });
        let names: Vec<&str> = own.into_iter().chain(vocabularies.map(|(name, _)| name)).collect();
        check_replaceable(&self.folder, &names)?;
        match &self.archive {
            Some(path) if path.symlink_metadata().is_ok() && !is_own_archive(path) => {
                Err(ArtifactError::NotOurs { path: path.clone() }.into())
            }
            _ => Ok(()),
        }
    }

    /// Replaces the model and its history, both or neither.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn save(
        &mut self,
        model: &Model,
        training: TrainingSummary,
        report: &Report,
    ) -> Result<(), TrainError> {
        self.metadata.training = Some(training);
        let mut update = FolderUpdate::begin(&self.folder)?;
        update.write_bytes(METRICS_FILE, report.to_json().as_bytes())?;
        Artifact::stage(model, &self.metadata, &self.companions(), &mut update)?;
        Ok(update.commit()?)
    }

    /// Replaces `metrics.json`.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn write_report(&self, report: &Report) -> Result<(), TrainError> {
        Ok(write_atomically(&self.folder.join(METRICS_FILE), report.to_json().as_bytes()).map(drop)?)
    }

    /// Packs the model, if an archive was asked for.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn pack(&self) -> Result<(), TrainError> {
        let Some(path) = &self.archive else { return Ok(()) };
        Ok(archive::pack(&self.folder, &MODEL_FILES, path).map_err(ArtifactError::from)?)
    }

    fn companions(&self) -> [(&'static str, &[u8]); 2] {
        let [source, target] = &self.vocabularies;
        [(VOCAB_SOURCE_FILE, source.as_bytes()), (VOCAB_TARGET_FILE, target.as_bytes())]
    }
}
