//! Whether a folder holds a model, and whose.

use std::path::Path;

use kokanee_formats::{folder_update, link};

use super::CONFIG_FILE;

/// Parameters of Sockeye's models have names that begin so.
pub(super) const SOCKEYE_PARAMETERS_PREFIX: &str = "params.";
/// The configuration of Sockeye's models.
pub(super) const SOCKEYE_CONFIG_FILE: &str = "config";
/// Names that it may have: Sockeye's, and what people call it.
pub(super) const SOCKEYE_CONFIG_NAMES: [&str; 2] = [SOCKEYE_CONFIG_FILE, "config.yaml"];

/// Whether a model of Kokanee lies here.
pub(super) fn holds_model(folder: &Path) -> bool {
    let path = folder_update::path_of(folder, CONFIG_FILE);
    path.is_file() || link::dangling(&path).is_some()
}

/// Whether a model of Sockeye lies here: a configuration and parameters under one of their names, whole or not.
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
