//! The output files of a run: those of one folder replace their predecessors together.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use kokanee_formats::atomic_file::folder_of;
use kokanee_formats::recordio::MAGIC;
use kokanee_formats::{FolderUpdate, StagedFile};

use super::options::Plan;
use super::report::WrittenFile;
use crate::error::DataError;

/// One update for each output folder; nearly always there is only one.
pub(super) struct Outputs {
    updates: Vec<(PathBuf, FolderUpdate)>,
    written: Vec<WrittenFile>,
}

impl Outputs {
    /// Begins an update of each folder; missing folders are created.
    pub(super) fn begin(plan: &Plan) -> Result<Self, DataError> {
        for (path, is_vocabulary) in plan.kinds() {
            refuse_foreign(path, is_vocabulary)?;
        }
        let mut updates: Vec<(PathBuf, FolderUpdate)> = Vec::new();
        for path in plan.outputs() {
            let folder = folder_of(path);
            if !updates.iter().any(|(begun, _)| is_same_folder(begun, folder)) {
                updates.push((folder.to_owned(), FolderUpdate::begin(folder)?));
            }
        }
        Ok(Self { updates, written: Vec::new() })
    }

    /// Writes one of the plan's outputs.
    pub(super) fn write<T>(
        &mut self,
        path: &Path,
        write: impl FnOnce(&mut StagedFile) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| DataError::Options {
            option: "--train-output, --val-output",
            problem: format!("{} does not end with a name in UTF-8; choose another name", path.display()),
        })?;
        let folder = folder_of(path);
        let update = self.updates.iter_mut().find(|(begun, _)| is_same_folder(begun, folder));
        let (_, update) = update.expect("every output of the plan has its folder");
        let (value, digest) = update.write(name, write)?;
        self.written.push(WrittenFile { path: path.to_owned(), bytes: digest.bytes });
        Ok(value)
    }

    /// Replaces the previous files. Nothing is replaced if it is clear beforehand that a file cannot be put in place.
    pub(super) fn commit(mut self, plan: &Plan) -> Result<Vec<WrittenFile>, DataError> {
        for (_, update) in &self.updates {
            update.check()?;
        }
        for (_, update) in self.updates {
            update.commit()?;
        }
        let order: Vec<&Path> = plan.outputs().collect();
        self.written.sort_by_key(|file| order.iter().position(|path| *path == file.path));
        Ok(self.written)
    }
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Refuses a file under an output's name that does not look like its replacement: it was hardly meant to be replaced.
fn refuse_foreign(path: &Path, is_vocabulary: bool) -> Result<(), DataError> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(());
    }
    let looks_alike = if is_vocabulary { has_pad_symbol(path) } else { begins_with_magic(path) };
    if looks_alike.map_err(DataError::io(path, "read the file"))? {
        return Ok(());
    }
    let kind = if is_vocabulary { "vocabulary" } else { "RecordIO file" };
    let problem = format!(
        "{} is there and is no {kind}, so it is not replaced by one; move it away, or choose another name or folder",
        path.display()
    );
    Err(DataError::Options { option: "--train-output, --val-output, --output-dir", problem })
}

fn begins_with_magic(path: &Path) -> io::Result<bool> {
    let mut start = [0; 4];
    match File::open(path)?.read_exact(&mut start) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        result => result.map(|()| u32::from_le_bytes(start) == MAGIC),
    }
}

fn has_pad_symbol(path: &Path) -> io::Result<bool> {
    let symbol = b"\"<pad>\"";
    Ok(fs::read(path)?.windows(symbol.len()).any(|window| window == symbol))
}
