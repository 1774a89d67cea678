//! Between the store and folders of this machine: inputs of jobs, and what jobs leave.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use kokanee_formats::AtomicFile;

use super::checksums::Algorithm;
use super::error::{ErrorCode, Result, S3Error};
use super::listing::{ListRequest, MAX_KEYS};
use super::record::{Description, Record};
use super::store::{Object, Store, WriteCondition};

/// What went from or to a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Puts a file of this machine as an object.
    ///
    /// # Errors
    /// `NoSuchBucket`; when the system refuses.
    pub fn put_file(&self, bucket: &str, key: &str, path: &Path, description: Description) -> Result<Record> {
        let mut file = File::open(path).map_err(S3Error::io(path, "open the file"))?;
        let mut staging = self.stage(&[Algorithm::Crc32])?;
        staging.copy(&mut file, u64::MAX, path)?;
        let staged = staging.finish()?;
        let checksum = staged.digests.of(Algorithm::Crc32).cloned();
        let record = Record { etag: staged.digests.etag(), description, checksum, ..Record::default() };
        self.put(bucket, key, staged, record, &WriteCondition::default())
    }

    /// Puts all files below a folder as objects: `prefix` with the path below the folder.
    ///
    /// # Errors
    /// `NoSuchBucket`; when the system refuses, or a name is not UTF-8.
    pub fn upload_folder(&self, bucket: &str, prefix: &str, folder: &Path) -> Result<Moved> {
        let mut moved = Moved::default();
        let mut open = vec![(folder.to_owned(), prefix.to_owned())];
        while let Some((folder, prefix)) = open.pop() {
            let entries = fs::read_dir(&folder).map_err(S3Error::io(&folder, "read the folder"))?;
            for entry in entries {
                let entry = entry.map_err(S3Error::io(&folder, "read the folder"))?;
                let path = entry.path();
                let name = entry.file_name().into_string().map_err(|_| {
                    let problem =
                        io::Error::new(io::ErrorKind::InvalidData, "its name is not UTF-8, and keys are");
                    S3Error::io(&path, "put the file as an object")(problem)
                })?;
                // Links are followed, as a container's output is copied.
                let metadata = fs::metadata(&path).map_err(S3Error::io(&path, "read the file"))?;
                if metadata.is_dir() && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push((path, format!("{prefix}{name}/")));
                } else if metadata.is_file() {
                    let record =
                        self.put_file(bucket, &format!("{prefix}{name}"), &path, Description::default())?;
                    moved.objects += 1;
                    moved.bytes += record.size;
                }
            }
        }
        Ok(moved)
    }

    /// Every object whose key begins with `prefix`, in the order of keys.
    ///
    /// # Errors
    /// `NoSuchBucket`; those of `visit`.
    pub fn for_each(
        &self,
        bucket: &str,
        prefix: &str,
        mut visit: impl FnMut(&str, &Record) -> Result<()>,
    ) -> Result<()> {
        let mut request =
            ListRequest { prefix: prefix.to_owned(), limit: MAX_KEYS, ..ListRequest::default() };
        loop {
            let page = self.list(bucket, &request)?;
            for (key, record) in &page.objects {
                visit(key, record)?;
            }
            match page.next {
                Some(next) => request.after = next,
                None => return Ok(()),
            }
        }
    }

    /// Writes every object whose key begins with `prefix` into a folder, see `path_below`. Keys that end with a slash stand for
    /// folders and are passed over.
    ///
    /// # Errors
    /// `NoSuchBucket`; `InvalidArgument` for a key that is no path below the folder, or that is a folder for others.
    pub fn download_prefix(&self, bucket: &str, prefix: &str, folder: &Path) -> Result<Moved> {
        let mut moved = Moved::default();
        self.for_each(bucket, prefix, |key, _| {
            if key.ends_with('/') {
                return Ok(());
            }
            let path = folder.join(plain_path(path_below(prefix, key)).ok_or_else(|| {
                let message =
                    "The key is no path of a file, so that it cannot be given to a job; rename the object";
                S3Error::argument("key", key, message)
            })?);
            match self.download(bucket, key, &path) {
                Ok(bytes) => {
                    moved.objects += 1;
                    moved.bytes += bytes;
                    Ok(())
                }
                // It went since it was listed.
                Err(error) if error.code == ErrorCode::NoSuchKey => Ok(()),
                Err(error) => Err(error),
            }
        })?;
        Ok(moved)
    }

    /// Writes an object into a file, whole or not at all; its folders are made. Returns its bytes.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`; when the system refuses.
    pub fn download(&self, bucket: &str, key: &str, path: &Path) -> Result<u64> {
        let Object { mut file, path: source, .. } = self.get(bucket, key)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| match error.kind() {
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    let message =
                        "Another object is a file where this one needs a folder; a job cannot be given both";
                    S3Error::argument("key", key, message)
                }
                _ => S3Error::io(folder, "create the folder")(error),
            })?;
        }
        let mut output = AtomicFile::create(path)?;
        io::copy(&mut file, &mut output).map_err(S3Error::io(&source, "copy the file"))?;
        Ok(output.commit()?)
    }
}

/// Where the object of a key that begins with `prefix` lies below a folder for the prefix. What ends with a slash, or is followed by
/// one in the key, is a folder; a key is its own last name; a prefix that ends inside a name leaves the name whole, so that `a/tr`
/// gives `train.rec`.
pub(crate) fn path_below<'a>(prefix: &str, key: &'a str) -> &'a str {
    let rest = key.strip_prefix(prefix).unwrap_or(key);
    if prefix.is_empty() || prefix.ends_with('/') {
        return rest;
    }
    let start = prefix.rfind('/').map_or(0, |slash| slash + 1);
    rest.strip_prefix('/').unwrap_or_else(|| &key[start.min(key.len())..])
}

/// A text as a path that stays below wherever it is put.
pub(crate) fn plain_path(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let is_plain = !text.is_empty()
        && !text.ends_with('/')
        && !text.contains("//")
        && !text.contains('\0')
        && path.components().all(|part| matches!(part, Component::Normal(_)))
        && !text.split('/').any(|part| part == ".");
    is_plain.then(|| path.to_owned())
}
