//! The keys of a bucket in order, read from its folder, in bounded memory.

use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::error::{Result, S3Error};
use super::keys::{decode, folders_of_prefix};

/// Maximum entries of one folder that are held in memory. A larger folder is read again for the next batch.
const BATCH: usize = 4096;

/// Walks over the keys of a bucket in the order of their bytes.
///
/// A folder's entries are sorted by the keys they represent: a folder `a` is sorted as `a/`, after `a-b`.
pub(crate) struct Walk {
    prefix: String,
    /// Only keys after this one.
    after: String,
    /// Keys with this beginning are skipped.
    skipped: Option<String>,
    levels: Vec<Level>,
}

struct Level {
    path: PathBuf,
    /// The common beginning of the folder's keys.
    text: String,
    batch: std::vec::IntoIter<Entry>,
    /// The last entry of the batch, if the folder has more.
    more_after: Option<Entry>,
}

/// Sorted in the order of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// The key of a file, or the common beginning of the keys below a folder.
    text: String,
    is_folder: bool,
    name: std::ffi::OsString,
}

impl Walk {
    /// Begins at the first key with this prefix after `after`.
    pub(crate) fn new(root: PathBuf, prefix: &str, after: &str) -> Result<Self> {
        let (folders, text) = folders_of_prefix(prefix);
        let path = folders.iter().fold(root.clone(), |path, folder| path.join(folder));
        let mut walk =
            Self { prefix: prefix.to_owned(), after: after.to_owned(), skipped: None, levels: Vec::new() };
        let mut folder = root;
        for name in &folders {
            folder.push(name);
            if fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_symlink()) {
                return Ok(walk);
            }
        }
        walk.enter(path, text.to_owned())?;
        Ok(walk)
    }

    /// Skips all keys with this beginning.
    pub(crate) fn skip(&mut self, beginning: &str) {
        self.skipped = Some(beginning.to_owned());
        while self.levels.last().is_some_and(|level| level.text.starts_with(beginning)) {
            self.levels.pop();
        }
    }

    /// The next key.
    pub(crate) fn next(&mut self) -> Result<Option<String>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(entry) = level.batch.next() else {
                match level.more_after.take() {
                    Some(last) => {
                        let (path, text) = (level.path.clone(), level.text.clone());
                        self.levels.pop();
                        self.load(path, text, Some(last))?;
                    }
                    None => {
                        self.levels.pop();
                    }
                }
                continue;
            };
            if self.skipped.as_ref().is_some_and(|skipped| entry.text.starts_with(skipped.as_str())) {
                continue;
            }
            if entry.is_folder {
                let path = level.path.join(&entry.name);
                self.enter(path, entry.text)?;
            } else {
                return Ok(Some(entry.text));
            }
        }
        Ok(None)
    }

    fn enter(&mut self, path: PathBuf, text: String) -> Result<()> {
        self.load(path, text, None)
    }

    /// Reads the first relevant entries of a folder after `last`.
    fn load(&mut self, path: PathBuf, text: String, last: Option<Entry>) -> Result<()> {
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            // No key begins like this, or the folder was removed meanwhile.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(S3Error::io(&path, "read the folder")(error)),
        };
        let mut first = BinaryHeap::new();
        let mut has_more = false;
        let mut has_all = false;
        let mut key = text.clone();
        for entry in entries {
            let entry = entry.map_err(S3Error::io(&path, "read the folder"))?;
            let Ok(kind) = entry.file_type() else { continue };
            if !kind.is_dir() && !kind.is_file() {
                continue;
            }
            let name = entry.file_name();
            let Some(named) = decode(&name, kind.is_dir()) else { continue };
            // One buffer is reused: most entries of a large folder are on other pages.
            key.truncate(text.len());
            key.push_str(&named.text);
            if kind.is_dir() && !named.continues {
                key.push('/');
            }
            let is_late = has_all && first.peek().is_some_and(|top: &Entry| key > top.text);
            let is_early = last.as_ref().is_some_and(|last| key < last.text);
            if is_late || is_early || !self.matters(&key, kind.is_dir()) {
                has_more |= is_late && self.matters(&key, kind.is_dir());
                continue;
            }
            let entry = Entry { text: key.clone(), is_folder: kind.is_dir(), name };
            if last.as_ref().is_some_and(|last| entry <= *last) {
                continue;
            }
            if first.len() < BATCH {
                first.push(entry);
                has_all = first.len() == BATCH;
            } else {
                has_more = true;
                // The top of the heap is its last entry.
                if first.peek().is_some_and(|top| entry < *top) {
                    first.pop();
                    first.push(entry);
                }
            }
        }
        let batch = first.into_sorted_vec();
        let more_after = if has_more { batch.last().cloned() } else { None };
        self.levels.push(Level { path, text, batch: batch.into_iter(), more_after });
        Ok(())
    }

    fn matters(&self, text: &str, is_folder: bool) -> bool {
        let has_prefix = text.starts_with(&self.prefix) || (is_folder && self.prefix.starts_with(text));
        let is_after = text > self.after.as_str() || (is_folder && self.after.starts_with(text));
        let is_skipped = self.skipped.as_ref().is_some_and(|skipped| text.starts_with(skipped.as_str()));
        has_prefix && is_after && !is_skipped
    }
}
