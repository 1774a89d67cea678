//! Detection of a model in a folder, and of its program.

use std::path::Path;

use kokanee_formats::{folder_update, link};

use super::CONFIG_FILE;

/// The beginning of the names of Sockeye's parameter files.
pub(super) const SOCKEYE_PARAMETERS_PREFIX: &str = "params.";
/// The configuration of Sockeye's models.
pub(super) const SOCKEYE_CONFIG_FILE: &str = "config";
/// Its possible names: Sockeye's, and the one that people use.
pub(super) const SOCKEYE_CONFIG_NAMES: [&str; 2] = [SOCKEYE_CONFIG_FILE, "config.yaml"];

/// Whether the folder holds a model of Kokanee.
pub(super) fn holds_model(folder: &Path) -> bool {
    let path = folder_update::path_of(folder, CONFIG_FILE);
    path.is_file() || link::dangling(&path).is_some()
}

/// Whether the folder holds a model of Sockeye: a configuration and parameters under one of their names, complete or not.
pub fn holds_sockeye_model(folder: &Path) -> bool {
    let is_there = |name: &str| std::fs::symlink_metadata(folder.join(name)).is_ok_and(|m| !m.is_dir());
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let has_parameters = || {
        entries.flatten().any(|entry| {
            entry.file_name().as_encoded_bytes().starts_with(SOCKEYE_PARAMETERS_PREFIX.as_bytes())
        })
    };
    SOCKEYE_CONFIG_NAMES.iter().any(|name| is_there(name)) && has_parameters()
}
