//! `model.tar.gz`, as SageMaker keeps models: files at the archive's root, no links.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Component, Path};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::{ArtifactError, write_whole};

/// An archive that unpacks to more than this is refused: no model of this kind comes near, and a bomb must not fill the disk.
pub(super) const LARGEST_UNPACKED_BYTES: u64 = 64 << 30;
/// A model has a dozen files.
const MOST_ENTRIES: usize = 10_000;

/// Packs files of `folder` into `archive`, whole or not at all. The same files give the same bytes: times and owners are left
/// out.
///
/// # Errors
/// When a file is missing or the system refuses.
pub fn pack(folder: &Path, files: &[&str], archive: &Path) -> Result<(), ArtifactError> {
    let mut failed = None;
    let result = write_whole(archive, |out| {
        // Parameters hardly shrink; the fastest level saves most of what can be saved.
        let mut tar = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
        for name in files {
            let path = folder.join(name);
            let add = || -> std::io::Result<()> {
                let mut file = File::open(&path)?;
                let mut header = tar::Header::new_gnu();
                header.set_size(file.metadata()?.len());
                header.set_mode(0o644);
                header.set_cksum();
                tar.append_data(&mut header, name, &mut file)
            };
            let mut add = add;
            if let Err(e) = add() {
                let copy = std::io::Error::new(e.kind(), e.to_string());
                failed = Some(ArtifactError::io("pack", &path, e));
                return Err(copy);
            }
        }
        tar.into_inner()?.finish()?.flush()
    });
    match failed {
        Some(error) => Err(error),
        None => result,
    }
}

/// Unpacks an archive into `folder`. Only plain files and folders inside it are accepted.
///
/// # Errors
/// When an entry is a link or anything else special, has an absolute path or `..`, or when the archive is damaged or unpacks
/// to an absurd size.
pub fn unpack(archive: &Path, folder: &Path) -> Result<(), ArtifactError> {
    let file = File::open(archive).map_err(|e| ArtifactError::io("open", archive, e))?;
    let damaged = |e: std::io::Error| {
        ArtifactError::damaged(archive, format!("not a whole gzip-compressed tar archive: {e}"))
    };
    let mut tar = tar::Archive::new(GzDecoder::new(std::io::BufReader::new(file)));
    let mut left = LARGEST_UNPACKED_BYTES;
    let mut count = 0;
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let refuse = |reason: &str| {
            Err(ArtifactError::UnsafeArchive {
                path: archive.to_owned(),
                entry: path.display().to_string(),
                reason: reason.to_owned(),
            })
        };
        if path.components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
            return refuse("leads out of the archive; only relative paths without `..` are accepted");
        }
        count += 1;
        if count > MOST_ENTRIES {
            return refuse("is one too many: a model has a few files");
        }
        let kind = entry.header().entry_type();
        let target = folder.join(&path);
        if kind.is_dir() {
            std::fs::create_dir_all(&target).map_err(|e| ArtifactError::io("create", &target, e))?;
            continue;
        }
        if !kind.is_file() {
            return refuse("is not a plain file or folder; links are not accepted");
        }
        if entry.size() > left {
            return refuse("makes the archive absurdly large");
        }
        left -= entry.size();
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|e| ArtifactError::io("create", parent, e))?;
        }
        let mut out = File::create(&target).map_err(|e| ArtifactError::io("write", &target, e))?;
        copy(&mut entry, &mut out).map_err(|e| match e {
            CopyError::Read(e) => damaged(e),
            CopyError::Write(e) => ArtifactError::io("write", &target, e),
        })?;
    }
    if count == 0 {
        return Err(ArtifactError::damaged(archive, "the archive is empty"));
    }
    Ok(())
}

enum CopyError {
    Read(std::io::Error),
    Write(std::io::Error),
}

/// Copies, telling a damaged source from a full disk.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(), CopyError> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer).map_err(CopyError::Read)? {
            0 => return Ok(()),
            n => to.write_all(&buffer[..n]).map_err(CopyError::Write)?,
        }
    }
}
