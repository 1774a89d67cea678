//! The files of a channel: which of them are data, and in which order they are read.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::folder_update::finish_before_listing;
use crate::recordio::MAGIC;
use crate::{FileError, compression, is_passed_over};

/// Endings of names that a data file may have, besides none and numbers (`part-00000`, `train.rec.1`).
const DATA_ENDINGS: &[&str] = &["rec", "recordio", "pb", "pbr", "protobuf", "data", "bin"];
/// Names without an ending that belong to no data file.
const OTHER_NAMES: &[&str] =
    &["readme", "license", "licence", "notice", "copying", "changelog", "manifest", "checksums", "makefile"];

/// The files of a RecordIO channel, which is a file or a folder.
///
/// Files that do not begin as RecordIO does are foreign, such as the index `train.idx` beside `train.rec`, where others are RecordIO.
/// A file that has the name of a data file, or that is compressed, is not foreign but damaged or packed: reading it tells that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFiles {
    /// Data files in reading order; at least one.
    pub files: Vec<PathBuf>,
    /// Files that are passed over because they are not RecordIO.
    pub foreign: Vec<PathBuf>,
}

/// A channel without files to read.
#[derive(Debug, Error)]
pub enum ChannelFilesError {
    /// There is nothing at the path, or no data in it.
    #[error("{}: {fault}", path.display())]
    Channel {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        fault: ChannelFilesFault,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] FileError),
}

/// What is wrong with a channel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChannelFilesFault {
    /// There is no such file or folder.
    #[error("there is no such file or folder; looked for a file or a folder of them")]
    Absent,
    /// A folder without data files.
    #[error(
        "the folder holds no data files; looked for files, in subfolders too, whose names begin with neither \
         '.' nor '_'{}", passed_over(.skipped)
    )]
    NoFiles {
        /// Files that were left out because of their names.
        skipped: usize,
    },
    /// Folders too deep, most likely a link that leads back.
    #[error("folders are nested more than {limit} deep; does a link lead back to a folder above it?")]
    TooDeep {
        /// How deep they may be.
        limit: usize,
    },
}

fn passed_over(count: &usize) -> String {
    if *count == 0 { String::new() } else { format!("; {count} file(s) were passed over by that rule") }
}

/// Every file of a channel, which is a file or a folder, in the order of their paths. In a folder every file counts, in subfolders
/// too, whose name begins with neither `.` nor `_`.
///
/// # Errors
/// When there is none, or the system refuses.
pub fn list(channel: &Path) -> Result<Vec<PathBuf>, ChannelFilesError> {
    let fail = |fault| ChannelFilesError::Channel { path: channel.to_owned(), fault };
    let metadata = match fs::metadata(channel) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(fail(ChannelFilesFault::Absent)),
        Err(error) => return Err(FileError::io(channel, "look at the channel")(error).into()),
    };
    if !metadata.is_dir() {
        return Ok(vec![channel.to_owned()]);
    }
    let (mut files, mut skipped) = (Vec::new(), 0);
    list_folder(channel, 0, &mut files, &mut skipped)?;
    if files.is_empty() {
        return Err(fail(ChannelFilesFault::NoFiles { skipped }));
    }
    files.sort_unstable();
    Ok(files)
}

impl ChannelFiles {
    /// Lists a RecordIO channel.
    ///
    /// # Errors
    /// As [`list`].
    pub fn find(channel: &Path) -> Result<Self, ChannelFilesError> {
        let files = list(channel)?;
        if !channel.is_dir() {
            return Ok(Self { files, foreign: Vec::new() });
        }
        let mut foreign = Vec::new();
        let mut data = Vec::new();
        for file in files {
            if is_foreign(&file)? { foreign.push(file) } else { data.push(file) }
        }
        if data.is_empty() {
            // Nothing is RecordIO: reading the first file says what is wrong with it.
            data.append(&mut foreign);
        }
        Ok(Self { files: data, foreign })
    }
}

/// Whether a file belongs to no data: neither its beginning nor its name is that of a data file.
fn is_foreign(path: &Path) -> Result<bool, FileError> {
    if has_data_name(path) {
        return Ok(false);
    }
    /// Enough to know a tar archive.
    const LOOKED_AT: u64 = 512;
    let mut begin = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LOOKED_AT).read_to_end(&mut begin))
        .map_err(FileError::io(path, "read the file"))?;
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

fn list_folder(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    skipped: &mut usize,
) -> Result<(), ChannelFilesError> {
    /// SageMaker keeps the folders of the S3 keys; nobody nests them this deep.
    const DEPTH_LIMIT: usize = 32;
    if depth > DEPTH_LIMIT {
        let fault = ChannelFilesFault::TooDeep { limit: DEPTH_LIMIT };
        return Err(ChannelFilesError::Channel { path: folder.to_owned(), fault });
    }
    finish_before_listing(folder)?;
    for entry in fs::read_dir(folder).map_err(FileError::io(folder, "list the folder"))? {
        let entry = entry.map_err(FileError::io(folder, "list the folder"))?;
        let path = entry.path();
        if is_passed_over(&entry.file_name()) {
            *skipped += 1;
            continue;
        }
        // Links are followed: data is often mounted that way.
        let metadata = fs::metadata(&path).map_err(FileError::io(&path, "look at the file"))?;
        if metadata.is_dir() {
            list_folder(&path, depth + 1, files, skipped)?;
        } else if metadata.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &[u8] = b"\x0a\x23\xd7\xce\0\0\0\0";

    /// Data files and foreign ones among these.
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
