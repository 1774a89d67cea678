//! Reading files of a folder that may have an unfinished update.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::{COMMIT_FOLDER, MANIFEST_FILE, finish};
use crate::FileError;
use crate::atomic_file::folder_of;

/// The current path of a file of the folder: in its place, or in a committed update that is not in place yet.
pub fn path_of(folder: &Path, name: &str) -> PathBuf {
    let commit = folder.join(COMMIT_FOLDER);
    let plain = folder.join(name);
    let Ok(text) = fs::read(commit.join(MANIFEST_FILE)) else { return plain };
    match Manifest::parse(&text) {
        Ok(Some(manifest)) if manifest.is_complete => {
            let waits = manifest.files.iter().any(|file| file == name) && commit.join(name).exists();
            let goes = manifest.removed.iter().any(|file| file == name);
            if waits || goes { commit.join(name) } else { plain }
        }
        _ => plain,
    }
}

/// The current path of a file, after finishing an interrupted update of its folder.
///
/// # Errors
/// As [`finish`].
pub fn current(path: &Path) -> Result<PathBuf, FileError> {
    let folder = folder_of(path);
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(path.to_owned()) };
    if !folder.join(COMMIT_FOLDER).exists() {
        return Ok(path.to_owned());
    }
    finish(folder)?;
    Ok(path_of(folder, name))
}

/// Opens a file of the folder at [`path_of`]; it does not matter if another process moves the file meanwhile.
///
/// # Errors
/// When the file is absent or the system refuses.
pub fn open(folder: &Path, name: &str) -> io::Result<File> {
    /// Between two attempts another process can move a name once; more attempts than this mean more than one update.
    const MOST_LOOKS: usize = 20;
    for _ in 1..MOST_LOOKS {
        let path = path_of(folder, name);
        match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && path != folder.join(name) => {}
            Err(error) if error.kind() == ErrorKind::NotFound && path != path_of(folder, name) => {}
            result => return result,
        }
    }
    File::open(path_of(folder, name))
}

/// Reads a file of the folder; see [`open`].
///
/// # Errors
/// When the file is absent or the system refuses.
pub fn read(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(folder, name)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
