//! Buckets in a folder, and operations on their objects.
//!
//! ```text
//! FOLDER/<bucket>/train/part-0.csv                              the bytes of s3://<bucket>/train/part-0.csv
//! FOLDER/.kokanee-s3/<bucket>/bucket.json                       region and time
//! FOLDER/.kokanee-s3/<bucket>/objects/train/part-0.csv%meta     its record
//! FOLDER/.kokanee-s3/<bucket>/uploads/<id>/                     an upload in parts
//! FOLDER/.kokanee-s3/unnamed/                                   what is being written; emptied at the start
//! ```
//!
//! There is no index: a bucket contains exactly the files in its folder, including those that someone copied there. An object is written
//! under a temporary name, synced to disk, and renamed; then the folder is synced too, before the write is acknowledged. A store holds the
//! lock of its folder, so that no two processes write there.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, Metadata};
use std::hash::BuildHasher as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kokanee_formats::atomic_file::{folder_of, make_folders, sync_folder};
use kokanee_formats::{FileError, FolderLock, LockError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::checksums::Algorithm;
use super::error::{ErrorCode, Result, S3Error};
use super::keys::{KeyPath, moved_beside};
use super::names::{check_bucket, check_key};
use super::record::{Record, RecordFile};
use super::staging::{Staged, Staging, stage_small, write_small};
use crate::times::{now_ns, ns_of};

/// The folder of all data other than bytes of objects. No bucket can have this name.
const OWN: &str = ".kokanee-s3";
/// The number of locks; with so many, writers of different keys rarely share one.
const KEY_LOCKS: usize = 1024;
/// How often opening an object that is being replaced is retried.
const MOST_TRIES: usize = 8;

/// Objects in a folder.
pub struct Store {
    folder: PathBuf,
    /// Held while the object of a key is replaced, from reading its record to renaming the new one.
    keys: Vec<Mutex<()>>,
    hash: RandomState,
    /// Held briefly while names are added or removed.
    names: Mutex<()>,
    _lock: FolderLock,
}

/// The reason why a store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has opened the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Keys that differ only in case would share a file.
    #[error(
        "{}: the file system takes A and a for the same name, but S3 does not; choose a folder on one that tells them apart",
        .0.display()
    )]
    CaseInsensitive(PathBuf),
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The region in which it was created.
    pub region: String,
    /// Time of creation, in nanoseconds since 1970.
    pub created_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct BucketFile {
    region: String,
    created_ns: u64,
}

/// An open object: its bytes do not change, even if the key is replaced meanwhile.
#[derive(Debug)]
pub struct Object {
    /// Its bytes.
    pub file: File,
    /// The path of the file.
    pub path: PathBuf,
    /// Its record.
    pub record: Record,
}

/// The conditions for writing an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteCondition {
    /// The key must not exist.
    pub is_new: bool,
    /// The present object must have this ETag.
    pub etag: Option<String>,
}

impl Store {
    /// Opens the store in a folder, which is created if missing.
    ///
    /// # Errors
    /// When another process has opened it, or the system refuses.
    pub fn open(folder: &Path) -> std::result::Result<Self, OpenError> {
        let lock = FolderLock::acquire(folder)?;
        let keys = (0..KEY_LOCKS).map(|_| Mutex::new(())).collect();
        let folder = folder.to_owned();
        let store = Self { folder, keys, hash: RandomState::new(), names: Mutex::new(()), _lock: lock };
        let unnamed = store.unnamed();
        make_folders(&unnamed).map_err(FileError::io(&unnamed, "create the folder"))?;
        // No other process writes here, so these files were left behind.
        let left = fs::read_dir(&unnamed).map_err(FileError::io(&unnamed, "read the folder"))?;
        for entry in left.flatten() {
            let _ = fs::remove_file(entry.path());
        }
        let folded = store.folder.join(OWN.to_uppercase());
        if folded.exists() {
            return Err(OpenError::CaseInsensitive(store.folder));
        }
        Ok(store)
    }

    /// The folder of the store.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with a bucket's files.
    pub(crate) fn bucket_folder(&self, bucket: &str) -> PathBuf {
        self.folder.join(bucket)
    }

    pub(crate) fn own_folder(&self, bucket: &str) -> PathBuf {
        self.folder.join(OWN).join(bucket)
    }

    pub(crate) fn records_folder(&self, bucket: &str) -> PathBuf {
        self.own_folder(bucket).join("objects")
    }

    pub(crate) fn unnamed(&self) -> PathBuf {
        self.folder.join(OWN).join("unnamed")
    }

    /// All buckets, by name.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn buckets(&self) -> Result<Vec<Bucket>> {
        let entries = fs::read_dir(&self.folder).map_err(S3Error::io(&self.folder, "read the folder"))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| check_bucket(name).is_ok()).collect();
        names.sort_unstable();
        Ok(names.iter().filter_map(|name| self.bucket(name).ok()).collect())
    }

    /// A bucket. A folder that someone made by hand is one too.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        let folder = self.bucket_folder(name);
        let metadata = match check_bucket(name).is_ok().then(|| fs::symlink_metadata(&folder)) {
            Some(Ok(metadata)) if metadata.is_dir() => metadata,
            _ => return Err(S3Error::no_such_bucket(name)),
        };
        let file = fs::read(self.own_folder(name).join("bucket.json")).ok();
        let file = file.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let BucketFile { region, created_ns } = file.unwrap_or_else(|| BucketFile {
            region: "us-east-1".to_owned(),
            created_ns: metadata.created().or_else(|_| metadata.modified()).map_or(0, ns_of),
        });
        Ok(Bucket { name: name.to_owned(), region, created_ns })
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// `InvalidBucketName`, `BucketAlreadyOwnedByYou`.
    pub fn create_bucket(&self, name: &str, region: &str) -> Result<()> {
        check_bucket(name)?;
        let _names = self.names();
        let folder = self.bucket_folder(name);
        if self.bucket(name).is_ok() {
            let message =
                "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(S3Error::new(ErrorCode::BucketAlreadyOwnedByYou, message).with("BucketName", name));
        }
        let own = self.own_folder(name);
        make_folders(&own).map_err(S3Error::io(&own, "create the folder"))?;
        let file = BucketFile { region: region.to_owned(), created_ns: now_ns() };
        let bytes = serde_json::to_vec(&file).expect("a bucket is plain data");
        write_small(&self.unnamed(), &own.join("bucket.json"), &bytes)?;
        sync_folder(&own);
        make_folders(&folder).map_err(S3Error::io(&folder, "create the folder"))
    }

    /// Removes a bucket that holds no object. Its uploads are aborted.
    ///
    /// # Errors
    /// `NoSuchBucket`, `BucketNotEmpty`.
    pub fn delete_bucket(&self, name: &str) -> Result<()> {
        self.bucket(name)?;
        let _names = self.names();
        let folder = self.bucket_folder(name);
        remove_empty_folders(&folder);
        if folder.exists() {
            let message = "The bucket you tried to delete is not empty. Files that are no objects count too";
            return Err(S3Error::new(ErrorCode::BucketNotEmpty, message).with("BucketName", name));
        }
        sync_folder(&self.folder);
        let own = self.own_folder(name);
        fs::remove_dir_all(&own).map_err(S3Error::io(&own, "remove the folder"))
    }

    /// Begins a file that [`put`](Self::put) will name, computing these checksums besides MD5.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stage(&self, algorithms: &[Algorithm]) -> Result<Staging> {
        Staging::create(&self.unnamed(), algorithms)
    }

    /// Turns a staged file into an object. When it returns, the object is on disk.
    ///
    /// # Errors
    /// `NoSuchBucket`, `PreconditionFailed`; when the system refuses. The earlier object is then unchanged.
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        staged: Staged,
        record: Record,
        condition: &WriteCondition,
    ) -> Result<Record> {
        check_key(key)?;
        self.bucket(bucket)?;
        let _key = self.lock(bucket, key);
        let present = self.stat(bucket, key);
        condition.check(&present, key)?;
        let record = Record { size: staged.size, modified_ns: staged.modified_ns, ..record };
        let file = RecordFile { records: present.ok().into_iter().chain([record.clone()]).collect() };
        self.name(bucket, key, Some(staged), &file)?;
        Ok(record)
    }

    /// Changes the record of an object, but not its bytes.
    ///
    /// # Errors
    /// `NoSuchKey`.
    pub fn describe(&self, bucket: &str, key: &str, change: impl FnOnce(&mut Record)) -> Result<()> {
        let _key = self.lock(bucket, key);
        let mut record = self.stat(bucket, key)?;
        change(&mut record);
        self.name(bucket, key, None, &RecordFile { records: vec![record] })
    }

    /// Renames a record, and optionally a file, to their final names, and syncs both to disk.
    fn name(&self, bucket: &str, key: &str, staged: Option<Staged>, file: &RecordFile) -> Result<()> {
        let bytes = serde_json::to_vec(file).expect("a record is plain data");
        let bytes = stage_small(&self.unnamed(), &bytes)?;
        let path = KeyPath::of(key);
        let (root, records) = (self.bucket_folder(bucket), self.records_folder(bucket));
        let record = path.record(&records);
        {
            let _names = self.names();
            // The bucket may have been deleted meanwhile.
            self.bucket(bucket)?;
            let folder = folder_of(&record);
            make_folders(folder).map_err(S3Error::io(folder, "create the folder"))?;
            self.make_room(&root, &path)?;
            // The record comes first: a file without its record would count as added by hand.
            bytes
                .persist(&record)
                .map_err(|error| S3Error::io(&record, "rename the finished file")(error.error))?;
            if let Some(staged) = staged {
                let beside = path.file_beside_folder(&root);
                let plain = path.file(&root);
                let target = if beside.is_file() || plain.is_dir() { beside } else { plain };
                staged
                    .rename(&target)
                    .map_err(|(_, error)| S3Error::io(&target, "rename the finished file")(error))?;
            }
        }
        sync_folder(folder_of(&record));
        sync_folder(&path.folder(&root));
        Ok(())
    }

    /// Creates the folders of a key. An object whose name one of them needs is moved aside.
    fn make_room(&self, root: &Path, path: &KeyPath) -> Result<()> {
        let mut folder = root.to_owned();
        for name in path.folders() {
            folder.push(name);
            match fs::symlink_metadata(&folder) {
                Ok(metadata) if metadata.is_dir() => continue,
                Ok(metadata) if metadata.is_file() => {
                    let beside = moved_beside(&folder).unwrap_or_else(|| folder.clone());
                    fs::rename(&folder, beside).map_err(S3Error::io(&folder, "move the file aside"))?;
                }
                Ok(_) => return Err(foreign(&folder)),
                Err(_) => {}
            }
            fs::create_dir(&folder).map_err(S3Error::io(&folder, "create the folder"))?;
            sync_folder(folder_of(&folder));
        }
        Ok(())
    }

    /// Opens an object.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`.
    pub fn get(&self, bucket: &str, key: &str) -> Result<Object> {
        self.find(bucket, key, |path| File::open(path).and_then(|file| Ok((file.metadata()?, file))))
            .map(|(path, record, file)| Object { file, path, record })
    }

    /// The record of an object.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`.
    pub fn stat(&self, bucket: &str, key: &str) -> Result<Record> {
        self.find(bucket, key, |path| Ok((fs::symlink_metadata(path)?, ()))).map(|(_, record, ())| record)
    }

    fn find<T>(
        &self,
        bucket: &str,
        key: &str,
        open: impl Fn(&Path) -> io::Result<(Metadata, T)>,
    ) -> Result<(PathBuf, Record, T)> {
        check_key(key)?;
        let root = self.bucket_folder(bucket);
        let missing = || match self.bucket(bucket) {
            Ok(_) => S3Error::no_such_key(key),
            Err(error) => error,
        };
        check_bucket(bucket).map_err(|_| missing())?;
        let path = KeyPath::of(key);
        check_no_link(&root, &path)?;
        let records = path.record(&self.records_folder(bucket));
        let mut without_record: Option<Record> = None;
        for _ in 0..MOST_TRIES {
            // An object only ever moves from the first path to the second.
            let candidates = [path.file(&root), path.file_beside_folder(&root)];
            let mut found = None;
            for path in candidates {
                match fs::symlink_metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {}
                    Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {
                        return Err(S3Error::io(&path, "open the file")(error));
                    }
                    _ => continue,
                }
                match open(&path) {
                    Ok(opened) => found = Some((path, opened)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(S3Error::io(&path, "open the file")(error)),
                }
                break;
            }
            let Some((path, (metadata, opened))) = found else { return Err(missing()) };
            let file = RecordFile::read(&records).map_err(S3Error::io(&records, "read the file"))?;
            if let Some(record) = file.of(&metadata) {
                return Ok((path, record, opened));
            }
            // The file was replaced twice since it was opened, or was added by hand.
            let record = Record::of_file(&metadata);
            if without_record.as_ref() == Some(&record) {
                return Ok((path, record, opened));
            }
            without_record = Some(record);
        }
        Err(S3Error::new(ErrorCode::SlowDown, "The object is being replaced all the time; try again"))
    }

    /// Removes objects; missing ones are no error. When it returns, they are gone from disk.
    ///
    /// # Errors
    /// `NoSuchBucket`. Each key has its own result.
    pub fn delete<'a>(
        &self,
        bucket: &str,
        keys: impl IntoIterator<Item = &'a str>,
        condition: &WriteCondition,
    ) -> Result<Vec<Result<()>>> {
        self.bucket(bucket)?;
        let mut folders = Vec::new();
        let results = keys.into_iter().map(|key| {
            check_key(key)?;
            let _key = self.lock(bucket, key);
            if condition != &WriteCondition::default() {
                condition.check(&self.stat(bucket, key), key)?;
            }
            folders.extend(self.remove(bucket, key)?);
            Ok(())
        });
        let results = results.collect();
        folders.sort_unstable();
        folders.dedup();
        folders.iter().for_each(|folder| sync_folder(folder));
        Ok(results)
    }

    /// Removes an object and the folders that contained nothing else; returns the folder whose content changed.
    fn remove(&self, bucket: &str, key: &str) -> Result<Option<PathBuf>> {
        let path = KeyPath::of(key);
        let (root, records) = (self.bucket_folder(bucket), self.records_folder(bucket));
        check_no_link(&root, &path)?;
        let _names = self.names();
        let mut changed = None;
        for file in [path.file(&root), path.file_beside_folder(&root)] {
            match fs::symlink_metadata(&file) {
                Ok(metadata) if metadata.is_file() => {}
                _ => continue,
            }
            fs::remove_file(&file).map_err(S3Error::io(&file, "remove the file"))?;
            changed = Some(remove_empty_above(folder_of(&file), &root));
        }
        let record = path.record(&records);
        if fs::remove_file(&record).is_ok() {
            remove_empty_above(folder_of(&record), &records);
        }
        Ok(changed)
    }

    /// Excludes other writers of a key.
    fn lock(&self, bucket: &str, key: &str) -> MutexGuard<'_, ()> {
        let at = self.hash.hash_one((bucket, key)) as usize % self.keys.len();
        self.keys[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteCondition {
    pub(crate) fn check(&self, present: &Result<Record>, key: &str) -> Result<()> {
        if self.is_new && present.is_ok() {
            return Err(S3Error::precondition("If-None-Match"));
        }
        match (&self.etag, present) {
            (Some(_), Err(_)) => Err(S3Error::no_such_key(key)),
            (Some(etag), Ok(record)) if etag != "*" && *etag != record.etag => {
                Err(S3Error::precondition("If-Match"))
            }
            _ => Ok(()),
        }
    }
}

fn foreign(path: &Path) -> S3Error {
    let problem = "it is neither a file nor a folder; move it away";
    S3Error::io(path, "use what is there")(io::Error::new(io::ErrorKind::AlreadyExists, problem))
}

/// Links that someone made lead out of the folder, so they are not followed.
fn check_no_link(root: &Path, path: &KeyPath) -> Result<()> {
    let mut folder = root.to_owned();
    for name in path.folders() {
        folder.push(name);
        if fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_symlink()) {
            return Err(foreign(&folder));
        }
    }
    Ok(())
}

/// Removes a folder and its parents below `root` while they are empty; returns the first that remains.
fn remove_empty_above(mut folder: &Path, root: &Path) -> PathBuf {
    while folder != root && fs::remove_dir(folder).is_ok() {
        folder = folder_of(folder);
    }
    folder.to_owned()
}

/// Removes a folder with all sub-folders that contain no file.
fn remove_empty_folders(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_empty_folders(&entry.path());
    }
    let _ = fs::remove_dir(folder);
}
