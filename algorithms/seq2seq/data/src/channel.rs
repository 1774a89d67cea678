//! The files of a channel: which of them are data, and the order in which they are read.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use kokanee_formats::data_files::{DEPTH_LIMIT, DataFiles, DataFilesError};
use kokanee_formats::recordio::MAGIC;
use kokanee_formats::{compression, data_files};

use crate::error::{ChannelFault, DataError};

/// File name extensions of data files, besides none and numbers (`part-00000`, `train.rec.1`).
const DATA_ENDINGS: &[&str] = &["rec", "recordio", "pb", "pbr", "protobuf", "data", "bin"];
/// Names without an extension that no data file has.
const OTHER_NAMES: &[&str] =
    &["readme", "license", "licence", "notice", "copying", "changelog", "manifest", "checksums", "makefile"];

/// The files of a channel, which is a file or a folder.
///
/// In a folder, subfolders included, every file counts whose name begins with neither `.` nor `_`, in the order of their paths. If
/// some files are RecordIO, those that do not begin like RecordIO are foreign, such as the index `train.idx` beside `train.rec`. A
/// file that has the name of a data file, or that is compressed, is not foreign but damaged or packed: reading it reports that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFiles {
    /// Data files in reading order; at least one.
    pub files: Vec<PathBuf>,
    /// Files that are skipped because they are not RecordIO.
    pub foreign: Vec<PathBuf>,
}

impl ChannelFiles {
    /// Lists a channel.
    ///
    /// # Errors
    /// When the channel does not exist, or has no data file.
    pub fn find(channel: &Path) -> Result<Self, DataError> {
        let fail = |fault| DataError::Channel { path: channel.to_owned(), fault };
        let metadata = match fs::metadata(channel) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(fail(ChannelFault::Absent)),
            Err(error) => return Err(DataError::io(channel, "look at the channel")(error)),
        };
        if !metadata.is_dir() {
            return Ok(Self { files: vec![channel.to_owned()], foreign: Vec::new() });
        }
        let (files, skipped) = files_below(channel)?;
        if files.is_empty() {
            return Err(fail(ChannelFault::NoFiles { skipped }));
        }
        let mut foreign = Vec::new();
        let mut data = Vec::new();
        for file in files {
            if is_foreign(&file)? { foreign.push(file) } else { data.push(file) }
        }
        if data.is_empty() {
            // No file is RecordIO: reading the first one reports what is wrong with it.
            data.append(&mut foreign);
        }
        Ok(Self { files: data, foreign })
    }
}

/// Whether a file is not data: neither its beginning nor its name is that of a data file.
fn is_foreign(path: &Path) -> Result<bool, DataError> {
    if has_data_name(path) {
        return Ok(false);
    }
    /// Number of bytes that are enough to recognise a tar archive.
    const LOOKED_AT: u64 = 512;
    let mut begin = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LOOKED_AT).read_to_end(&mut begin))
        .map_err(DataError::io(path, "read the file"))?;
    let could_be_data = begin.is_empty()
        || begin.starts_with(&MAGIC.to_le_bytes())
        || compression::of_or_tar(&begin).is_some();
    Ok(!could_be_data)
}

fn has_data_name(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return true };
    let name = name.to_ascii_lowercase();
    match name.rsplit_once('.') {
        Some((_, ending)) => {
            DATA_ENDINGS.contains(&ending) || ending.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => !OTHER_NAMES.contains(&name.as_str()) && !name.ends_with("sums"),
    }
}

/// The files below a channel's folder in the order of their paths, and the number of skipped ones.
fn files_below(folder: &Path) -> Result<(Vec<PathBuf>, usize), DataError> {
    let DataFiles { mut files, passed_over } = data_files::list(folder).map_err(|error| match error {
        DataFilesError::Io(error) => error.into(),
        DataFilesError::TooDeep { path } => {
            DataError::Channel { path, fault: ChannelFault::TooDeep { limit: DEPTH_LIMIT } }
        }
    })?;
    // Sorted folder by folder, and not byte by byte: batches of a seed depend on the order.
    files.sort_unstable();
    Ok((files, passed_over))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &[u8] = b"\x0a\x23\xd7\xce\0\0\0\0";

    /// Checks which of these files are data and which are foreign.
    #[track_caller]
    fn check(files: &[(&str, &[u8])], data: &[&str], foreign: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("writes");
        }
        let found = ChannelFiles::find(folder.path()).expect("lists");
        let names = |paths: &[PathBuf]| -> Vec<String> {
            paths
                .iter()
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names(&found.files), data);
        assert_eq!(names(&found.foreign), foreign);
    }

    #[test]
    fn files_beside_the_records_are_foreign() {
        check(
            &[
                ("train.rec", RECORD),
                ("train.idx", b"0\t0\n"),
                ("train.lst", b"0\n"),
                ("train.rec.manifest", b"[]"),
                ("README", b"about"),
                ("README.md", b"about"),
                ("SHA256SUMS", b"0 train.rec"),
                ("vocab.src.json", b"{}"),
                ("picture.png", b"\x89PNG\r\n"),
            ],
            &["train.rec"],
            &[
                "README",
                "README.md",
                "SHA256SUMS",
                "picture.png",
                "train.idx",
                "train.lst",
                "train.rec.manifest",
                "vocab.src.json",
            ],
        );
    }

    #[test]
    fn what_has_the_name_of_data_or_is_compressed_is_not_passed_over_silently() {
        check(
            &[
                ("a.rec", b"junk"),
                ("part-00000", b"junk"),
                ("train.rec.1", b"junk"),
                ("b.gz", b"\x1f\x8b\x08"),
                ("c.shard", RECORD),
                ("d.shard", b""),
            ],
            &["a.rec", "b.gz", "c.shard", "d.shard", "part-00000", "train.rec.1"],
            &[],
        );
    }

    #[test]
    fn where_nothing_is_recordio_everything_is_read_and_refused() {
        check(&[("train.csv", b"1,2"), ("notes.txt", b"x")], &["notes.txt", "train.csv"], &[]);
    }
}
