//! Removal of states that are certainly Kokanee's.

use std::fs;
use std::path::Path;

use kokanee_formats::folder_update::MANIFEST_FILE;

use super::{BEST, PARAMETERS, STATE_FILE, is_state_name};

/// Removes the states in a folder except `keep`, including those that an earlier version left half-written. If something cannot be
/// removed now, the next state tries again.
///
/// A state is a folder with a state's name and a `state.json` of ours. Only the files that Kokanee writes are removed from it, and
/// the folder itself if nothing else is in it.
pub(super) fn all_states_but(folder: &Path, keep: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| *name != keep) else { continue };
        // Versions up to 0.1.0 wrote into `.NAME.part`.
        let own = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part")).unwrap_or(name);
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && is_state_name(own) && is_ours(&entry.path()) {
            remove(&entry.path());
        }
    }
}

fn is_ours(state: &Path) -> bool {
    let Ok(text) = fs::read(state.join(STATE_FILE)) else { return false };
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    ["format_version", "kokanee_version", "identity", "run"].iter().all(|field| value.get(field).is_some())
}

/// `state.json` is removed last: after an interruption the folder is recognised as ours the next time.
fn remove(state: &Path) {
    let Ok(entries) = fs::read_dir(state) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(is_file_of_a_state) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_file(state.join(STATE_FILE));
    let _ = fs::remove_dir(state);
}

/// The names of a state's files, except `state.json`.
fn is_file_of_a_state(name: &str) -> bool {
    let middle = |prefix: &str| name.strip_prefix(prefix)?.strip_suffix(".safetensors");
    [PARAMETERS, BEST, MANIFEST_FILE].contains(&name)
        || middle("optimizer.").is_some_and(|kind| kind.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        || middle("checkpoint.").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}
