//! A model's folder: `kokanee.json` beside the files that the real container writes. All are replaced together, and found again wherever
//! the folder lies.
//!
//! Real containers ignore files that they do not know, so a model with `kokanee.json` works there too. A folder without it comes from
//! another program, and its files are the only source of information.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use kokanee_formats::archive::{self, ArchiveError};
use kokanee_formats::{FileDigest, FolderUpdate, folder_update, link};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Algorithm;

/// The manifest in a model's folder.
pub const MANIFEST_FILE: &str = "kokanee.json";
/// Version of the manifest's layout; raised when an older program could not read it.
const FORMAT_VERSION: u32 = 1;

/// The content of `kokanee.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout.
    pub format_version: u32,
    /// The program that wrote it.
    pub kokanee_version: String,
    /// Image name of the algorithm.
    pub algorithm: String,
    /// Every hyperparameter in force.
    pub hyperparameters: BTreeMap<String, String>,
    /// Features of a row.
    pub feature_dim: usize,
    /// Records that were read from each channel, in one epoch.
    pub records: BTreeMap<String, u64>,
    /// Measured values, by the names of SageMaker's metrics.
    pub metrics: BTreeMap<String, f64>,
    /// Details that the algorithm adds.
    #[serde(default)]
    pub details: serde_json::Value,
    /// The other files of the model.
    #[serde(default)]
    pub files: BTreeMap<String, FileDigest>,
}

/// An error in reading or writing a model's folder.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The path does not exist.
    #[error("{}: there is no such file or folder{hint}", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
        /// The probable cause.
        hint: String,
    },
    /// The folder holds no known model.
    #[error("{}: no model was found; a folder was expected that `kokanee train` or SageMaker has written, or its model.tar.gz", path.display())]
    NoModel {
        /// The folder.
        path: PathBuf,
    },
    /// Several sub-folders hold a model.
    #[error("{}: several folders hold a model: {}; name one of them", path.display(), folders.join(", "))]
    SeveralModels {
        /// The folder.
        path: PathBuf,
        /// The sub-folders.
        folders: Vec<String>,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file that Kokanee did not write has the name of one to be written.
    #[error("{}: this file is no part of an earlier model of Kokanee, and is not replaced; choose another folder, or move it away", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The archive cannot be unpacked or written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The system refused an operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The files cannot be replaced.
    #[error(transparent)]
    Files(#[from] kokanee_formats::FileError),
}

impl Manifest {
    /// A manifest of this version.
    pub fn new(algorithm: &str, hyperparameters: BTreeMap<String, String>, feature_dim: usize) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            kokanee_version: env!("CARGO_PKG_VERSION").to_owned(),
            algorithm: algorithm.to_owned(),
            hyperparameters,
            feature_dim,
            records: BTreeMap::new(),
            metrics: BTreeMap::new(),
            details: serde_json::Value::Null,
            files: BTreeMap::new(),
        }
    }

    /// Reads the manifest of a folder; `None` if it has none.
    ///
    /// # Errors
    /// When it is damaged or written by a later program.
    pub fn read(folder: &Path) -> Result<Option<Self>, ModelError> {
        let path = folder.join(MANIFEST_FILE);
        let text = match folder_update::read(folder, MANIFEST_FILE) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ModelError::Io { action: "read", path, source }),
        };
        let damaged = |reason: String| ModelError::Damaged { path: path.clone(), reason };
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|error| damaged(format!("not what Kokanee writes: {error}")))?;
        if manifest.format_version > FORMAT_VERSION {
            return Err(damaged(format!(
                "its format version {} is of Kokanee {}, and this one reads versions up to {FORMAT_VERSION}; use a later Kokanee",
                manifest.format_version, manifest.kokanee_version
            )));
        }
        Ok(Some(manifest))
    }

    /// Writes the files and a manifest that lists them, all or none.
    ///
    /// # Errors
    /// When another program's file is in the way, or the system refuses.
    pub fn save(mut self, folder: &Path, files: &[(&str, &[u8])]) -> Result<(), ModelError> {
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        check_replaceable(folder, &names)?;
        let mut update = FolderUpdate::begin(folder)?;
        for (name, bytes) in files {
            self.files.insert((*name).to_owned(), update.write_bytes(name, bytes)?);
        }
        let text = serde_json::to_string_pretty(&self).map_err(|error| ModelError::Damaged {
            path: folder.join(MANIFEST_FILE),
            reason: error.to_string(),
        })?;
        update.write_bytes(MANIFEST_FILE, text.as_bytes())?;
        Ok(update.commit()?)
    }

    /// Compares a file of the model with its entry in the manifest.
    ///
    /// # Errors
    /// When it is missing or belongs to another model.
    pub fn check_file(&self, folder: &Path, name: &str) -> Result<(), ModelError> {
        let path = folder.join(name);
        let bytes = folder_update::read(folder, name).map_err(|source| ModelError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        match self.files.get(name) {
            Some(digest) if *digest != FileDigest::of(&bytes) => Err(ModelError::Damaged {
                path,
                reason: format!(
                    "it is not the file that {MANIFEST_FILE} tells of: it is damaged, or of another model"
                ),
            }),
            _ => Ok(()),
        }
    }
}

/// Checks that a model with these files may be written into a folder: existing files of these names must belong to an earlier model of
/// Kokanee.
///
/// # Errors
/// Names the first file that Kokanee did not write.
pub fn check_replaceable(folder: &Path, names: &[&str]) -> Result<(), ModelError> {
    if Manifest::read(folder).is_ok_and(|manifest| manifest.is_some()) {
        return Ok(());
    }
    let names = names.iter().copied().chain([MANIFEST_FILE]);
    let foreign = names.map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok());
    foreign.map_or(Ok(()), |path| Err(ModelError::NotOurs { path }))
}

/// The algorithm of the model at a path, a folder or an archive.
///
/// # Errors
/// When the path does not exist, or no known model is there.
pub fn algorithm_of<'a>(
    path: &Path,
    algorithms: &[&'a dyn Algorithm],
) -> Result<&'a dyn Algorithm, ModelError> {
    if path.is_file()
        && let Some(first) = archive::first_entry(path)
        && let Some(found) =
            algorithms.iter().find(|one| one.first_file().is_some_and(|name| first == Path::new(name)))
    {
        return Ok(*found);
    }
    let whose = |folder: &Path| match Manifest::read(folder) {
        Ok(Some(manifest)) => algorithms.iter().find(|one| one.contract().name == manifest.algorithm),
        _ => algorithms.iter().find(|one| one.recognises(folder)),
    };
    let opened = OpenedModel::open(path, |folder| whose(folder).is_some())?;
    // A damaged manifest gives a more exact error than `NoModel`.
    Manifest::read(opened.folder())?;
    whose(opened.folder()).copied().ok_or_else(|| ModelError::NoModel { path: path.to_owned() })
}

/// A model's folder. A `model.tar.gz` is unpacked into a temporary folder that lives as long as this value.
#[derive(Debug)]
pub struct OpenedModel {
    folder: PathBuf,
    shown: PathBuf,
    _unpacked: Option<tempfile::TempDir>,
}

impl OpenedModel {
    /// Opens a folder or an archive. Where `holds_model` is true of its one sub-folder, that sub-folder is opened. An interrupted update of
    /// the folder is finished first.
    ///
    /// # Errors
    /// When the path does not exist, several sub-folders hold a model, or the archive is unsafe or damaged.
    pub fn open(path: &Path, holds_model: impl Fn(&Path) -> bool) -> Result<Self, ModelError> {
        if path.is_dir() {
            let (folder, shown) = locate(path, path, holds_model)?;
            folder_update::finish(&folder)?;
            return Ok(Self { folder, shown, _unpacked: None });
        }
        if !path.exists() {
            let hint = link::dangling(path).map(|target| format!("; it is a link to {}", target.display()));
            return Err(ModelError::NotFound { path: path.to_owned(), hint: hint.unwrap_or_default() });
        }
        let unpacked = tempfile::tempdir().map_err(|source| ModelError::Io {
            action: "unpack",
            path: path.to_owned(),
            source,
        })?;
        archive::unpack(path, unpacked.path())?;
        let (folder, shown) = locate(unpacked.path(), path, holds_model)?;
        Ok(Self { folder, shown, _unpacked: Some(unpacked) })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder as the user knows it; for an archive, the path inside it.
    pub fn shown(&self) -> &Path {
        &self.shown
    }
}

fn locate(
    folder: &Path,
    shown: &Path,
    holds_model: impl Fn(&Path) -> bool,
) -> Result<(PathBuf, PathBuf), ModelError> {
    if holds_model(folder) {
        return Ok((folder.to_owned(), shown.to_owned()));
    }
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>());
    let mut names: Vec<_> = entries.unwrap_or_default().into_iter().map(|entry| entry.file_name()).collect();
    names.retain(|name| folder.join(name).is_dir() && holds_model(&folder.join(name)));
    names.sort_unstable();
    match names.as_slice() {
        [] => Err(ModelError::NoModel { path: shown.to_owned() }),
        [name] => Ok((folder.join(name), shown.join(name))),
        _ => {
            let folders = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            Err(ModelError::SeveralModels { path: shown.to_owned(), folders })
        }
    }
}

#[cfg(test)]
mod tests;
