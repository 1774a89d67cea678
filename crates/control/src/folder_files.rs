//! The files that a program left in a folder, and the removal of our own files and folders.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use kokanee_formats::OWN_PREFIX;

/// A file that a program left.
#[derive(Debug)]
pub(crate) struct FolderFile {
    /// Its path below the folder, with slashes.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) metadata: Metadata,
}

/// All files below a folder, sorted by name; none if the folder does not exist. Links are followed unless they lead back. Kokanee's
/// temporary files, pipes and sockets are skipped.
pub(crate) fn files_below(folder: &Path) -> io::Result<Vec<FolderFile>> {
    let mut files = Vec::new();
    add(folder, "", &mut files)?;
    Ok(files)
}

fn add(folder: &Path, prefix: &str, files: &mut Vec<FolderFile>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            let problem = format!("the name of {} is not UTF-8, and keys of objects are", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        };
        if name.starts_with(OWN_PREFIX) {
            continue;
        }
        let name = format!("{prefix}{name}");
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // It was removed meanwhile, or is a link that leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_file() {
            files.push(FolderFile { name, path, metadata });
        } else if metadata.is_dir() && !leads_back(&entry, folder)? {
            add(&path, &format!("{name}/"), files)?;
        }
    }
    Ok(())
}

/// Removes a folder of ours, if it exists.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    or_absent(fs::remove_dir_all(folder))
}

/// Removes a file of ours, if it exists.
pub(crate) fn remove_file(file: &Path) -> io::Result<()> {
    or_absent(fs::remove_file(file))
}

fn or_absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether an entry is a link to a folder that contains it.
fn leads_back(entry: &fs::DirEntry, folder: &Path) -> io::Result<bool> {
    if !entry.file_type()?.is_symlink() {
        return Ok(false);
    }
    Ok(fs::canonicalize(folder)?.starts_with(fs::canonicalize(entry.path())?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_are_found_wherever_links_lead() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("b/c")).unwrap();
        for name in ["a", "b/c/d", ".kokanee-x"] {
            fs::write(path(name), "1").unwrap();
        }
        symlink(path("b"), path("b/c/up")).unwrap();
        symlink(path("b/c"), path("e")).unwrap();
        symlink(path("gone"), path("f")).unwrap();
        symlink(path("a"), path("g")).unwrap();
        let names: Vec<String> =
            files_below(folder.path()).unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["a", "b/c/d", "e/d", "g"]);
        assert!(files_below(&path("none")).unwrap().is_empty());
    }
}
