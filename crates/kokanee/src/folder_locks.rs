//! The output folders of a command, each locked against other commands.

use std::path::Path;

use anyhow::Result;
use kokanee_formats::FolderLock;

use crate::exit::say;

/// Locks that are held until the command ends.
pub(crate) struct FolderLocks(Vec<FolderLock>);

impl FolderLocks {
    /// Locks folders, which are created if they are missing; a folder that is named twice is locked once.
    ///
    /// # Errors
    /// At once when another process writes into one of them, or this one may not.
    pub(crate) fn acquire<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let mut locks = Self(Vec::new());
        for folder in folders {
            let real = folder.canonicalize().ok();
            let is_locked = |lock: &FolderLock| real.is_some() && lock.folder().canonicalize().ok() == real;
            if locks.0.iter().any(is_locked) {
                continue;
            }
            let lock = FolderLock::acquire(folder)?;
            if let Some(warning) = lock.warning() {
                say(&format!("warning: {warning}"));
            }
            locks.0.push(lock);
        }
        Ok(locks)
    }
}

impl Drop for FolderLocks {
    fn drop(&mut self) {
        // In reverse order: a folder that was created for one lock is empty only when those below it are gone.
        while self.0.pop().is_some() {}
    }
}
