//! Access to a model's folder at a given path: the folder itself, its only sub-folder, or an archive of either.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use kokanee_formats::{FileDigest, archive, folder_update, link};

use super::error::Elsewhere;
use super::presence::{holds_model, holds_sockeye_model};
use super::{Artifact, ArtifactError, CONFIG_FILE, Digests, config_file};

/// A model's folder. A `model.tar.gz` is unpacked into a temporary folder that lives as long as this value.
pub struct OpenedFolder {
    path: PathBuf,
    /// The path for the user.
    shown: PathBuf,
    /// The digests of the files of the model loaded last.
    files: Mutex<Digests>,
    _unpacked: Option<tempfile::TempDir>,
}

impl OpenedFolder {
    /// Opens a folder or an archive. If the model is in its only sub-folder, that one is opened. An interrupted update of the
    /// folder is completed.
    ///
    /// # Errors
    /// When nothing exists at the path, or the archive is unsafe or damaged.
    pub fn open(path: &Path) -> Result<OpenedFolder, ArtifactError> {
        if path.is_dir() {
            let (folder, shown) = Self::locate(path, path)?;
            folder_update::finish(&folder)?;
            return Ok(OpenedFolder { path: folder, shown, files: Mutex::default(), _unpacked: None });
        }
        if let Some(target) = link::dangling(path) {
            return Err(ArtifactError::Dangling { path: path.to_owned(), target, remedy: "" });
        }
        if !path.exists() {
            return Err(ArtifactError::NotFound { path: path.to_owned() });
        }
        let unpacked = tempfile::tempdir().map_err(|e| ArtifactError::io("unpack", path, e))?;
        archive::unpack(path, unpacked.path()).map_err(|error| match error.into() {
            // A temporary folder tells a user nothing, except where to make room.
            ArtifactError::Io { path: place, source, .. } if place.starts_with(unpacked.path()) => {
                let action = "unpack into a temporary folder (the variable TMPDIR names another place)";
                ArtifactError::io(action, path, source)
            }
            error => error,
        })?;
        let (folder, shown) = Self::locate(unpacked.path(), path)?;
        Ok(OpenedFolder { path: folder, shown, files: Mutex::default(), _unpacked: Some(unpacked) })
    }

    fn locate(folder: &Path, shown: &Path) -> Result<(PathBuf, PathBuf), ArtifactError> {
        if holds_model(folder) || holds_sockeye_model(folder) {
            return Ok((folder.to_owned(), shown.to_owned()));
        }
        let mut names = subfolders_with(folder, holds_model);
        match names.len() {
            1 => {
                let name = names.remove(0);
                Ok((folder.join(&name), shown.join(name)))
            }
            // A missing file is reported by the code that needs it.
            0 => Ok((folder.to_owned(), shown.to_owned())),
            _ => Err(ArtifactError::SeveralModels { path: shown.to_owned(), folders: names }),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the folder for the user.
    pub fn shown_folder(&self) -> &Path {
        &self.shown
    }

    /// The path of one of its files for messages: in the archive, if it was one.
    pub fn shown(&self, file: &str) -> PathBuf {
        self.shown.join(file)
    }

    /// Loads the model; errors name files as [`shown`](Self::shown) does.
    ///
    /// # Errors
    /// As [`Artifact::load`].
    pub fn load(&self) -> Result<Artifact, ArtifactError> {
        let loaded = Artifact::load_with_digests(&self.path);
        let (artifact, files) = loaded.map_err(|error| error.relocated(&self.path, &self.shown))?;
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        Ok(artifact)
    }

    /// Reads a file of the model that [`load`](Self::load) has loaded; `None` if it is absent.
    ///
    /// # Errors
    /// When the system returns an error, or the file is not the one that the model's `config.json` was written with, for example
    /// because another process has replaced the model since.
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>, ArtifactError> {
        let bytes = match folder_update::read(&self.path, file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match link::dangling(&self.path.join(file)) {
                    Some(target) => {
                        Err(ArtifactError::Dangling { path: self.shown(file), target, remedy: "" })
                    }
                    None => Ok(None),
                };
            }
            Err(error) => return Err(ArtifactError::io("read", &self.shown(file), error)),
        };
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        match config_file::foreign(&files, file, &FileDigest::of(&bytes)) {
            None => Ok(Some(bytes)),
            Some(reason) => Err(ArtifactError::damaged(&self.shown(file), reason)),
        }
    }
}

/// Retries an attempt that failed while another process replaced the model.
pub(super) fn unless_replaced<T>(
    folder: &Path,
    mut attempt: impl FnMut() -> Result<T, ArtifactError>,
) -> Result<T, ArtifactError> {
    /// A real training does not write a model this often while one is read.
    const MOST_ATTEMPTS: usize = 20;
    let config = || folder_update::read(folder, CONFIG_FILE).ok();
    let mut left = MOST_ATTEMPTS;
    loop {
        let before = config();
        left -= 1;
        match attempt() {
            Err(_) if left > 0 && config() != before => {}
            result => return result,
        }
    }
}

/// The names of the visible sub-folders for which `holds` is true, in order.
fn subfolders_with(folder: &Path, holds: impl Fn(&Path) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let visible = entries.flatten().filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let holding = visible.filter(|entry| entry.path().is_dir() && holds(&entry.path()));
    let mut names: Vec<_> = holding.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// The content of a folder without a model of Kokanee.
pub(super) fn elsewhere(folder: &Path) -> Elsewhere {
    if holds_sockeye_model(folder) || !subfolders_with(folder, holds_sockeye_model).is_empty() {
        return Elsewhere::Sockeye;
    }
    Elsewhere::Nowhere
}
