//! The folder of an instance: `ml/` has the layout of a container, `log` is the output of the program.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kokanee_contract::Layout;
use kokanee_formats::{FileError, OWN_PREFIX, archive, write_atomically};
use serde_json::{Value, json};

use crate::engine::{LOG_FILE, log_file};
use crate::folder_files::remove_folder;
use crate::hosting::{ModelData, ModelForm};
use crate::objects::ObjectStore;

/// The end of a log that is searched for the reason why the program ended: the time before its last line, and the number of lines.
const LAST_WORDS_MS: i64 = 200;
const LAST_WORDS_LINES: usize = 100;
/// The file in which the program writes the address that it listens on.
const READY_FILE: &str = "ready.json";
/// The name of a single-file model whose key gives no name.
const UNNAMED: &str = "model";

/// The folder of an instance.
#[derive(Clone, Debug)]
pub(super) struct InstanceFolder(PathBuf);

impl InstanceFolder {
    /// The folder that contains the folders of all instances of an endpoint.
    pub(super) fn of_endpoint(data: &Path, region: &str, endpoint: &str) -> PathBuf {
        data.join("endpoints").join(region).join(endpoint)
    }

    /// The folder of an instance that belongs to no endpoint.
    pub(super) const fn alone(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn new(of_endpoint: &Path, generation: i64, variant: &str, number: u32) -> Self {
        Self(of_endpoint.join(generation.to_string()).join(format!("{variant}-{number}")))
    }

    /// The folders that exist.
    pub(super) fn all(of_endpoint: &Path) -> Vec<Self> {
        let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let generations = entries(of_endpoint).map(|entry| entry.path());
        generations
            .flat_map(|generation| entries(&generation).map(|entry| Self(entry.path())))
            .filter(|folder| folder.0.is_dir())
            .collect()
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn layout(&self) -> Layout {
        Layout::under(self.0.join("ml"))
    }

    /// The folder that the program gets as `--prefix`.
    pub(super) fn prefix(&self) -> PathBuf {
        self.layout().prefix().to_owned()
    }

    pub(super) fn ready_file(&self) -> PathBuf {
        self.0.join(READY_FILE)
    }

    /// Fetches the model, unless it is already there.
    pub(super) fn prepare(&self, model: Option<&ModelData>, objects: &dyn ObjectStore) -> Result<(), String> {
        let target = self.layout().model();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| format!("{}: {error}", path.display())
        };
        if target.is_dir() {
            return Ok(());
        }
        // The model appears complete or not at all.
        let parent = self.prefix();
        let unfinished = parent.join(format!("{OWN_PREFIX}model"));
        remove_folder(&unfinished).map_err(io(&unfinished))?;
        fs::create_dir_all(&unfinished).map_err(io(&unfinished))?;
        if let Some(ModelData { bucket, key, form }) = model {
            match form {
                ModelForm::Archive => {
                    let packed = parent.join(format!("{OWN_PREFIX}model.tar.gz"));
                    objects.download(bucket, key, &packed).map_err(|error| error.to_string())?;
                    archive::unpack(&packed, &unfinished).map_err(|error| error.to_string())?;
                    fs::remove_file(&packed).map_err(io(&packed))?;
                }
                ModelForm::Folder => {
                    objects.download_prefix(bucket, key, &unfinished).map_err(|error| error.to_string())?;
                }
                ModelForm::File => {
                    let name = key.rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."));
                    let path = unfinished.join(name.unwrap_or(UNNAMED));
                    objects.download(bucket, key, &path).map_err(|error| error.to_string())?;
                }
            }
        }
        fs::rename(&unfinished, &target).map_err(io(&target))
    }

    /// The address that the program listens on, once the program has written it.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let text = fs::read_to_string(self.ready_file()).ok()?;
        let content: Value = serde_json::from_str(&text).ok()?;
        content["address"].as_str()?.parse().ok()
    }

    /// Records the address of a program that does not write it itself.
    pub(super) fn write_address(&self, address: SocketAddr) -> Result<(), FileError> {
        let content = json!({"address": address.to_string()}).to_string();
        write_atomically(&self.ready_file(), content.as_bytes()).map(drop)
    }

    /// Deletes the address of a program that has ended.
    pub(super) fn forget_address(&self) {
        let _ = fs::remove_file(self.ready_file());
    }

    /// The last line of the log that is not blank.
    pub(super) fn last_words(&self) -> Option<String> {
        let path = self.0.join(LOG_FILE);
        let from =
            log_file::find(&path, log_file::last_ms(&path).ok()??.saturating_sub(LAST_WORDS_MS)).ok()?;
        let lines = log_file::read_from(&path, from, LAST_WORDS_LINES, u64::MAX).ok()?;
        lines.into_iter().rev().map(|line| line.text).find(|text| !text.trim().is_empty())
    }

    /// The path of the log in the data folder.
    pub(super) fn log_in(&self, data: &Path) -> Option<String> {
        Some(self.0.strip_prefix(data).ok()?.join(LOG_FILE).to_str()?.to_owned())
    }

    /// Removes the folder and its parents, as far as they are empty.
    pub(super) fn remove_empty(&self) {
        for folder in self.0.ancestors().take(3) {
            let _ = fs::remove_dir(folder);
        }
    }

    /// Removes everything except the log.
    pub(super) fn clear(&self) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            if entry.file_name() == LOG_FILE {
                continue;
            }
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), %error, "what an instance left cannot be removed");
            }
        }
    }
}
