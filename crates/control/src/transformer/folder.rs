//! The folder of a transform job.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::TransformFault;
use crate::engine::LOG_FILE;
use crate::folder_files::{FolderFile, files_below, remove_folder};
use crate::transform::TransformJob;

/// The input folder, which exists only while a job is running.
pub(super) const INPUT: &str = "input";
const UNFINISHED_INPUT: &str = "input.part";
const REFUSED_INPUT: &str = "refused";
const OUTPUT: &str = "output";
const INSTANCE: &str = "instance";
/// The file of the log about records.
const DATA_LOG: &str = "data-log";

/// The folder of a job: its input, the instance of its model, and its answers.
#[derive(Clone, Debug)]
pub(super) struct TransformFolder {
    path: PathBuf,
    in_data: String,
}

impl TransformFolder {
    pub(super) fn new(data: &Path, job: &TransformJob) -> Self {
        Self { path: data.join(job.folder()), in_data: job.folder() }
    }

    /// The files with records.
    pub(super) fn input(&self) -> PathBuf {
        self.path.join(INPUT)
    }

    /// The files with records that got no answer.
    pub(super) fn refused(&self) -> PathBuf {
        self.path.join(REFUSED_INPUT)
    }

    /// The files with answers.
    pub(super) fn output(&self) -> PathBuf {
        self.path.join(OUTPUT)
    }

    /// The folder of the model's instance.
    pub(super) fn instance(&self) -> PathBuf {
        self.path.join(INSTANCE)
    }

    pub(super) fn data_log(&self) -> PathBuf {
        self.path.join(DATA_LOG)
    }

    /// The paths of the logs in the data folder: that of the instance, and that about records.
    pub(super) fn logs(&self) -> [String; 2] {
        [format!("{}/{INSTANCE}/{LOG_FILE}", self.in_data), format!("{}/{DATA_LOG}", self.in_data)]
    }

    /// Fills the input with `fetch`, unless it is already there. It appears complete or not at all. False if `fetch` was told to stop.
    pub(super) fn fill(
        &self,
        fetch: impl FnOnce(&Path) -> Result<bool, TransformFault>,
    ) -> Result<bool, TransformFault> {
        let (input, unfinished) = (self.input(), self.path.join(UNFINISHED_INPUT));
        if input.is_dir() {
            return Ok(true);
        }
        remove_folder(&unfinished).map_err(machine(&unfinished))?;
        fs::create_dir_all(&self.path).map_err(machine(&self.path))?;
        if !fetch(&unfinished)? {
            return Ok(false);
        }
        fs::rename(&unfinished, &input).map_err(machine(&input))?;
        Ok(true)
    }

    /// Removes a file from the input.
    pub(super) fn refuse(&self, file: &Path) -> Result<(), TransformFault> {
        let below = file.strip_prefix(self.input()).unwrap_or(file);
        let to = self.refused().join(below);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(machine(parent))?;
        }
        fs::rename(file, &to).map_err(machine(file))
    }

    /// The answers that must be uploaded to S3.
    pub(super) fn answers(&self) -> Result<Vec<FolderFile>, TransformFault> {
        let output = self.output();
        files_below(&output).map_err(machine(&output))
    }

    /// Removes everything except the logs.
    pub(super) fn clear(&self) -> io::Result<()> {
        for name in [UNFINISHED_INPUT, REFUSED_INPUT, OUTPUT] {
            remove_folder(&self.path.join(name))?;
        }
        let instance = self.instance();
        for entry in fs::read_dir(&instance).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_name() {
                name if name == LOG_FILE => {}
                _ if path.is_dir() => fs::remove_dir_all(&path)?,
                _ => fs::remove_file(&path)?,
            }
        }
        // This comes last, because the input folder marks a job whose folder has not been cleared.
        remove_folder(&self.input())
    }
}

pub(super) fn machine(path: &Path) -> impl FnOnce(io::Error) -> TransformFault {
    let path = path.to_owned();
    move |error| TransformFault::Machine(format!("{}: {error}", path.display()))
}
