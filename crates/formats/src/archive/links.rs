//! Links inside an archive: they are resolved to files of the archive, never to files on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::ArchiveError;

/// The maximum length of a chain of links.
const MOST_HOPS: usize = 40;

/// The links of an archive, by their paths in it. They are created after all files were unpacked, so that nothing is ever written through a
/// link.
#[derive(Default)]
pub(super) struct Links(BTreeMap<PathBuf, Link>);

struct Link {
    leads_to: PathBuf,
    /// A symbolic link is relative to its own folder, a hard link to the archive's root.
    is_symbolic: bool,
}

impl Links {
    pub(super) fn add(&mut self, path: PathBuf, leads_to: PathBuf, is_symbolic: bool) {
        self.0.insert(path, Link { leads_to, is_symbolic });
    }

    /// Removes a link when a later entry has the same path.
    pub(super) fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Gives each link the content of the file that it refers to.
    ///
    /// # Errors
    /// When a link leads out of the archive, to a folder, or nowhere.
    pub(super) fn make(
        &self,
        archive: &Path,
        folder: &Path,
        files: &BTreeSet<PathBuf>,
    ) -> Result<(), ArchiveError> {
        for (path, link) in &self.0 {
            let Some(file) = self.follow(path, files) else {
                return Err(ArchiveError::UnsafeEntry {
                    path: archive.to_owned(),
                    entry: path.display().to_string(),
                    reason: format!(
                        "is a link to {}, which is not a file of the archive; pack the model with `tar --dereference`",
                        link.leads_to.display()
                    ),
                });
            };
            let (from, to) = (folder.join(file), folder.join(path));
            let io = |e| ArchiveError::io("write", &to, e);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(io)?;
            }
            if files.contains(path) {
                // Removes an earlier entry with the same path.
                fs::remove_file(&to).map_err(io)?;
            }
            if fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to).map_err(io)?;
            }
        }
        Ok(())
    }

    /// The file that a link finally refers to.
    fn follow(&self, path: &Path, files: &BTreeSet<PathBuf>) -> Option<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..MOST_HOPS {
            match self.0.get(&path) {
                Some(link) => path = self.target(&path, link, files)?,
                None => return files.get(&path).cloned(),
            }
        }
        None
    }

    fn target(&self, path: &Path, link: &Link, files: &BTreeSet<PathBuf>) -> Option<PathBuf> {
        if link.leads_to.is_absolute() {
            // When the archive was packed, its root had some absolute path: the target is the longest entry with which the link's path
            // ends.
            let entries = files.iter().chain(self.0.keys());
            let within = entries.filter(|entry| *entry != path && link.leads_to.ends_with(entry));
            return within.max_by_key(|entry| entry.components().count()).cloned();
        }
        let mut target = PathBuf::new();
        if link.is_symbolic {
            target.extend(path.parent());
        }
        for component in link.leads_to.components() {
            match component {
                Component::Normal(name) => target.push(name),
                Component::CurDir => {}
                Component::ParentDir if target.pop() => {}
                _ => return None,
            }
        }
        Some(target)
    }
}
