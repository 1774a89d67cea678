//! The files below a data folder, such as the folder of a channel.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::FileError;
use crate::folder_update::finish_before_listing;

/// The maximum depth of nested folders. SageMaker keeps the folders of the S3 keys; nobody nests them deeper.
pub const DEPTH_LIMIT: usize = 32;

/// The files below a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataFiles {
    /// The files, including those in subfolders, whose names are not [passed over](is_passed_over); in byte order of their paths, as S3
    /// lists keys.
    pub files: Vec<PathBuf>,
    /// The number of files and folders that were skipped because of their names.
    pub passed_over: usize,
}

/// An error in listing a folder.
#[derive(Debug, Error)]
pub enum DataFilesError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] FileError),
    /// Folders are nested too deep, most likely by a link that leads back.
    #[error(
        "{}: folders are nested more than {DEPTH_LIMIT} deep; does a link lead back to a folder above it?", path.display()
    )]
    TooDeep {
        /// The deepest folder that was visited.
        path: PathBuf,
    },
}

/// Whether files and folders of this name are skipped in a data folder: names that begin with `.` or `_`, such as `.DS_Store`,
/// `.amazon.manifest` and `_SUCCESS`.
pub fn is_passed_over(name: &OsStr) -> bool {
    matches!(name.as_encoded_bytes(), [b'.' | b'_', ..])
}

/// Lists the files below a folder. Interrupted updates of its folders are finished first. Links are followed: data is often mounted that
/// way.
///
/// # Errors
/// When the system refuses, or folders are nested too deep.
pub fn list(folder: &Path) -> Result<DataFiles, DataFilesError> {
    let mut found = DataFiles::default();
    add(folder, 0, &mut found)?;
    found
        .files
        .sort_unstable_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

fn add(folder: &Path, depth: usize, found: &mut DataFiles) -> Result<(), DataFilesError> {
    if depth > DEPTH_LIMIT {
        return Err(DataFilesError::TooDeep { path: folder.to_owned() });
    }
    finish_before_listing(folder)?;
    for entry in fs::read_dir(folder).map_err(FileError::io(folder, "list the folder"))? {
        let entry = entry.map_err(FileError::io(folder, "list the folder"))?;
        let path = entry.path();
        if is_passed_over(&entry.file_name()) {
            found.passed_over += 1;
            continue;
        }
        let metadata = fs::metadata(&path).map_err(FileError::io(&path, "look at the file"))?;
        if metadata.is_dir() {
            add(&path, depth + 1, found)?;
        } else if metadata.is_file() {
            found.files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(there: &[&str], files: &[&str], passed_over: usize) {
        let folder = tempfile::tempdir().unwrap();
        for name in there {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = list(folder.path()).unwrap();
        let files = files.iter().map(|name| folder.path().join(name)).collect();
        assert_eq!(found, DataFiles { files, passed_over });
    }

    #[test]
    fn files_are_listed_in_the_order_of_their_keys() {
        check(&[], &[], 0);
        check(&["b", "a/x", "a-b/x", "a.csv"], &["a-b/x", "a.csv", "a/x", "b"], 0);
        check(&[".amazon.manifest", "matrix_0.pbr", "_SUCCESS", "_logs/x", "a/.part"], &["matrix_0.pbr"], 4);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_that_leads_back_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(".", folder.path().join("loop")).unwrap();
        let error = list(folder.path()).unwrap_err().to_string();
        assert!(error.contains("nested more than 32 deep") || error.contains("cannot look at"), "{error}");
    }
}
