//! Links that lead nowhere.

use std::fs;
use std::path::{Path, PathBuf};

/// The target of a link whose target does not exist; `None` for anything else, including a missing path.
pub fn dangling(path: &Path) -> Option<PathBuf> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_symlink());
    if !is_link || path.exists() {
        return None;
    }
    fs::read_link(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn only_links_without_a_target_dangle() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        std::os::unix::fs::symlink("file", path("good")).unwrap();
        std::os::unix::fs::symlink("gone", path("bad")).unwrap();
        assert_eq!(["file", "good", "nothing"].map(|name| dangling(&path(name))), [None, None, None]);
        assert_eq!(dangling(&path("bad")), Some(PathBuf::from("gone")));
    }
}
