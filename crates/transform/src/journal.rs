//! The list of an output folder's finished files, and of what they were made from.
//!
//! It has a line of JSON for each finished file, appended and synced to disk BEFORE the file gets its name. A line without its file means
//! that the file must be made again, so an unfinished file never counts as finished, however the program ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use kokanee_formats::atomic_file::{make_folders, sync_folder};
use kokanee_formats::{AtomicFile, FolderLock};
use serde::{Deserialize, Serialize};

use crate::error::TransformError;

/// Name of the list in the output folder.
pub const JOURNAL_FILE: &str = ".kokanee-transform.jsonl";

/// Version of the lines' format.
const FORMAT: u32 = 1;

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    format: u32,
    /// Path below the output folder.
    pub(crate) output: String,
    pub(crate) output_bytes: u64,
    pub(crate) records: u64,
    pub(crate) input: InputState,
    /// Settings and model by name.
    pub(crate) job: BTreeMap<String, String>,
}

/// The state of an input file, which shows whether it has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputState {
    /// Absolute path.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// Time of the last change since 1970, in nanoseconds; 0 if the system does not provide it.
    pub(crate) modified_ns: u64,
}

impl Finished {
    pub(crate) fn new(
        output: String,
        output_bytes: u64,
        records: u64,
        input: InputState,
        job: BTreeMap<String, String>,
    ) -> Self {
        Self { format: FORMAT, output, output_bytes, records, input, job }
    }
}

/// The list of an output folder, locked for this process.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    /// Held while the list is open.
    lock: FolderLock,
    /// The last line of each output.
    entries: BTreeMap<String, Finished>,
}

impl Journal {
    /// Opens the list of a folder, or creates it.
    ///
    /// # Errors
    /// When another process has it open, or it is damaged other than by an incomplete last line.
    pub(crate) fn open(folder: &Path) -> Result<Self, TransformError> {
        let lock = FolderLock::acquire(folder)?;
        let path = folder.join(JOURNAL_FILE);
        let io = |action| TransformError::io(&path, action);
        let file = File::options().read(true).append(true).create(true).open(&path);
        let mut file = file.map_err(io("open the list of finished files"))?;
        // The list must be as durable as the outputs.
        sync_folder(folder);
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io("read the list of finished files"))?;
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            // The program was killed while it wrote that line.
            file.set_len(whole as u64).map_err(io("mend the list of finished files"))?;
        }
        let mut entries = BTreeMap::new();
        for (line, number) in text[..whole].split(|&byte| byte == b'\n').zip(1..) {
            if line.is_empty() {
                continue;
            }
            let damaged =
                |problem: String| TransformError::Journal { path: path.clone(), line: number, problem };
            let entry: Finished = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
            if entry.format != FORMAT {
                let later = if entry.format > FORMAT { "; a later version wrote it" } else { "" };
                return Err(damaged(format!("expected format {FORMAT}, got {}{later}", entry.format)));
            }
            entries.insert(entry.output.clone(), entry);
        }
        Ok(Self { file, path, lock, entries })
    }

    /// A warning for the user about the folder.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.lock.warning()
    }

    /// Begins an output below the folder. If the process is killed, the next job removes the incomplete file.
    pub(crate) fn begin(&mut self, path: &Path) -> Result<AtomicFile, TransformError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        make_folders(folder).map_err(TransformError::io(folder, "make the folder"))?;
        Ok(self.lock.begin_file(path)?)
    }

    /// The entry of an output, whether or not the file still exists.
    pub(crate) fn get(&self, output: &str) -> Option<&Finished> {
        self.entries.get(output)
    }

    /// Appends a line and syncs it to disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn add(&mut self, entry: Finished) -> Result<(), TransformError> {
        let mut line = serde_json::to_vec(&entry).map_err(|error| {
            TransformError::io(&self.path, "write the list of finished files")(error.into())
        })?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(TransformError::io(&self.path, "write the list of finished files"))?;
        self.entries.insert(entry.output.clone(), entry);
        Ok(())
    }
}
