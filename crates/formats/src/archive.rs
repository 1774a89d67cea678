//! `model.tar.gz`, SageMaker's form of models: packs files of a folder, and unpacks archives of any origin.

mod error;
mod links;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek as _, Write};
use std::path::{Component, Path, PathBuf};

pub use error::ArchiveError;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use links::Links;

use crate::AtomicFile;
use crate::compression::{self, GZIP};

/// The maximum ratio of unpacked to packed size; a larger one is refused. Parameters hardly shrink, and an archive bomb must not fill the
/// disk.
const MOST_SHRUNK: u64 = 100;
/// An unpacked size that is allowed for any archive, whatever its ratio.
const ALWAYS_UNPACKED_BYTES: u64 = 256 << 20;
/// The maximum number of entries; a model has a dozen files.
const MOST_ENTRIES: usize = 10_000;
/// The owner's permission to execute, the only permission that is kept.
const EXECUTABLE: u32 = 0o100;
/// Bytes at the beginning of a file that are needed to recognise its format.
const LOOKED_AT: u64 = 512;

/// Packs files of `folder` into `archive`, completely or not at all. The same files give the same bytes: times and owners are omitted.
///
/// # Errors
/// When a file is missing or the system refuses.
pub fn pack(folder: &Path, files: &[&str], archive: &Path) -> Result<(), ArchiveError> {
    let refused = |e| ArchiveError::io("write", archive, e);
    // Parameters hardly shrink; the fastest level saves most of what is possible.
    let mut tar = tar::Builder::new(GzEncoder::new(AtomicFile::create(archive)?, Compression::fast()));
    for name in files {
        let path = folder.join(name);
        let mut file = File::open(&path).map_err(|e| ArchiveError::io("pack", &path, e))?;
        let metadata = file.metadata().map_err(|e| ArchiveError::io("pack", &path, e))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(metadata.len());
        header.set_mode(if is_executable(&metadata) { 0o755 } else { 0o644 });
        header.set_cksum();
        tar.append_data(&mut header, name, &mut file).map_err(refused)?;
    }
    let file = tar.into_inner().and_then(GzEncoder::finish).map_err(refused)?;
    Ok(file.commit().map(drop)?)
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & EXECUTABLE != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn make_executable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// The path of an archive's first entry; `None` if there is none, or the archive cannot be read. [`pack`] keeps the order of its files, so
/// that a program can recognise its own archives by the first entry.
pub fn first_entry(archive: &Path) -> Option<PathBuf> {
    let file = File::open(archive).ok()?;
    let mut tar = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    let first = tar.entries().ok()?.next()?.ok()?;
    Some(first.path().ok()?.into_owned())
}

/// Unpacks an archive, a `.tar.gz` or a `.tar`, into `folder`. Plain files, folders, and links to files of the archive are accepted.
///
/// # Errors
/// When an entry is anything else, or has an absolute path or `..`; when the archive is damaged, has another compression, or is too large
/// when unpacked.
pub fn unpack(archive: &Path, folder: &Path) -> Result<(), ArchiveError> {
    let damaged = |e: std::io::Error| {
        ArchiveError::damaged(archive, format!("not a whole gzip-compressed tar archive: {e}"))
    };
    let (input, size) = open(archive)?;
    let mut tar = tar::Archive::new(input);
    let most = (MOST_SHRUNK * size).max(ALWAYS_UNPACKED_BYTES);
    let (mut left, mut count) = (most, 0);
    let (mut files, mut links) = (BTreeSet::new(), Links::default());
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            // Skips comments that `git archive` and others put before all entries.
            continue;
        }
        let name = entry.path().map_err(damaged)?.into_owned();
        let refuse = |reason: String| {
            Err(ArchiveError::UnsafeEntry {
                path: archive.to_owned(),
                entry: name.display().to_string(),
                reason,
            })
        };
        if name.components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
            return refuse(
                "leads out of the archive; only relative paths without `..` are accepted".to_owned(),
            );
        }
        let path: PathBuf = name.components().filter(|c| matches!(c, Component::Normal(_))).collect();
        count += 1;
        if count > MOST_ENTRIES {
            return refuse("is one too many: a model has a few files".to_owned());
        }
        let target = folder.join(&path);
        if kind.is_dir() {
            fs::create_dir_all(&target).map_err(|e| ArchiveError::io("create", &target, e))?;
            continue;
        }
        if kind.is_symlink() || kind.is_hard_link() {
            let leads_to = entry.link_name().map_err(damaged)?.unwrap_or_default().into_owned();
            links.add(path, leads_to, kind.is_symlink());
            continue;
        }
        if !kind.is_file() {
            return refuse("is not a plain file, folder or link: a model has nothing else".to_owned());
        }
        if entry.size() > left {
            return refuse(format!(
                "makes the archive of {size} bytes unpack to more than {most}, which is absurdly large: models hardly shrink"
            ));
        }
        left -= entry.size();
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|e| ArchiveError::io("create", parent, e))?;
        }
        let mut out = File::create(&target).map_err(|e| ArchiveError::io("write", &target, e))?;
        copy(&mut entry, &mut out).map_err(|e| match e {
            CopyError::Read(e) => damaged(e),
            CopyError::Write(e) => ArchiveError::io("write", &target, e),
        })?;
        if entry.header().mode().is_ok_and(|mode| mode & EXECUTABLE != 0) {
            make_executable(&out).map_err(|e| ArchiveError::io("write", &target, e))?;
        }
        links.forget(&path);
        files.insert(path);
    }
    if count == 0 {
        return Err(ArchiveError::damaged(archive, "the archive is empty"));
    }
    links.make(archive, folder, &files)
}

/// A reader of the archive's entries, and the size of the archive.
fn open(archive: &Path) -> Result<(Box<dyn Read>, u64), ArchiveError> {
    let io = |e| ArchiveError::io("open", archive, e);
    let mut file = File::open(archive).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let start = start_of(&file).map_err(io)?;
    file.rewind().map_err(io)?;
    let found = compression::of(&start);
    if found == Some(GZIP) {
        // Damage is reported when the entries are read.
        let inside = start_of(MultiGzDecoder::new(&file)).unwrap_or_default();
        file.rewind().map_err(io)?;
        if compression::of(&inside) == Some(GZIP) {
            let reason = "it is compressed with gzip twice: decompress it once (gunzip)";
            return Err(ArchiveError::damaged(archive, reason));
        }
        if let Some(inside) = compression::of(&inside) {
            return Err(ArchiveError::damaged(archive, format!("gzip of {}", otherwise(inside))));
        }
        if inside.len() as u64 == LOOKED_AT
            && !compression::is_tar(&inside)
            && inside.iter().any(|byte| *byte != 0)
        {
            let reason = "it is compressed with gzip, but what is in it is not a tar archive; a model is a folder, or its .tar.gz";
            return Err(ArchiveError::damaged(archive, reason));
        }
        return Ok((Box::new(MultiGzDecoder::new(BufReader::new(file))), size));
    }
    if compression::is_tar(&start) {
        return Ok((Box::new(BufReader::new(file)), size));
    }
    Err(ArchiveError::damaged(
        archive,
        match found {
            Some(found) => format!("it is {}", otherwise(found)),
            None if size == 0 => "not a whole gzip-compressed tar archive: the file is empty".to_owned(),
            None => "not a whole gzip-compressed tar archive: it begins as neither gzip nor tar does; a model is a folder, or its \
                     .tar.gz"
                .to_owned(),
        },
    ))
}

fn otherwise(found: compression::Compression) -> String {
    format!(
        "packed with {}, which is not read: unpack it (`{}`) and give the folder, or pack that anew (`tar czf model.tar.gz -C FOLDER .`)",
        found.name, found.unpack
    )
}

fn start_of(input: impl Read) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    input.take(LOOKED_AT).read_to_end(&mut start)?;
    Ok(start)
}

enum CopyError {
    Read(std::io::Error),
    Write(std::io::Error),
}

/// Copies, and distinguishes a damaged source from a full disk.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(), CopyError> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer).map_err(CopyError::Read)? {
            0 => return Ok(()),
            n => to.write_all(&buffer[..n]).map_err(CopyError::Write)?,
        }
    }
}
