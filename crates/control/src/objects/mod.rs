//! The input and output objects of jobs, in the server's own S3 or in another one.
//!
//! | item | location of objects |
//! |---|---|
//! | [`s3::Store`](crate::s3::Store) | in the data folder |
//! | [`Remote`] | in another S3, over the network: `kokanee local --s3 URL` |
//!
//! All operations block; call them on a thread where that is allowed, and never from a task of a runtime.

mod local;
mod remote;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use kokanee_formats::AtomicFile;

pub use self::remote::{Remote, RemoteSettings};
use crate::api::Objects;
use crate::s3::{ErrorCode, ListRequest, Listing, MAX_KEYS, Moved, Result, S3Error, path_below, plain_path};

/// An object opened for reading from its beginning.
#[derive(Debug)]
pub struct Opened {
    /// Its bytes. An error that does not come from the system has a human-readable text.
    pub input: Input,
    /// Its size in bytes.
    pub size: u64,
}

/// The source of an object's bytes.
pub enum Input {
    /// A file of this machine, which the system can copy directly.
    File(File),
    /// Another S3.
    Remote(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Remote(_) => "Remote",
        })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Remote(input) => input.read(buffer),
        }
    }
}

impl<T: ObjectStore> Objects for T {
    fn has_any(&self, bucket: &str, prefix: &str) -> std::result::Result<bool, String> {
        let request = ListRequest { prefix: prefix.to_owned(), limit: 1, ..ListRequest::default() };
        let page = self.page(bucket, &request).map_err(|error| error.to_string())?;
        Ok(!page.objects.is_empty())
    }

    fn has(&self, bucket: &str, key: &str) -> std::result::Result<bool, String> {
        match self.find(bucket, key) {
            Ok(()) => Ok(true),
            Err(error) if error.code == ErrorCode::NoSuchKey => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Buckets with objects.
pub trait ObjectStore: Objects {
    /// A page of the objects in a bucket.
    ///
    /// # Errors
    /// `NoSuchBucket`; when the system or the other S3 refuses.
    fn page(&self, bucket: &str, request: &ListRequest) -> Result<Listing>;

    /// Finds an object.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`; when the system or the other S3 refuses.
    fn find(&self, bucket: &str, key: &str) -> Result<()>;

    /// Opens an object.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`; when the system or the other S3 refuses.
    fn open_object(&self, bucket: &str, key: &str) -> Result<Opened>;

    /// Uploads a file of this machine as an object. Returns false, and creates no object, if `is_current` reports after reading that the
    /// file was changed meanwhile.
    ///
    /// # Errors
    /// `NoSuchBucket`; when the system or the other S3 refuses.
    fn upload_file(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
        is_current: &dyn Fn() -> bool,
    ) -> Result<bool>;

    /// Writes every object whose key begins with `prefix` into a folder, see `path_below`. Keys that end with a slash are folders and are
    /// skipped.
    ///
    /// # Errors
    /// `NoSuchBucket`; `InvalidArgument` for a key that is not a path below the folder, or that is also a folder of other keys.
    fn download_prefix(&self, bucket: &str, prefix: &str, folder: &Path) -> Result<Moved> {
        let mut moved = Moved::default();
        let mut request =
            ListRequest { prefix: prefix.to_owned(), limit: MAX_KEYS, ..ListRequest::default() };
        loop {
            let page = self.page(bucket, &request)?;
            for (key, _) in page.objects.iter().filter(|(key, _)| !key.ends_with('/')) {
                let path = folder.join(plain_path(path_below(prefix, key)).ok_or_else(|| {
                    let message =
                        "The key is not a path of a file, so that it cannot be given to a job; rename the object";
                    S3Error::argument("key", key, message)
                })?);
                match self.download(bucket, key, &path) {
                    Ok(bytes) => {
                        moved.objects += 1;
                        moved.bytes += bytes;
                    }
                    // It was deleted after it was listed.
                    Err(error) if error.code == ErrorCode::NoSuchKey => {}
                    Err(error) => return Err(error),
                }
            }
            match page.next {
                Some(next) => request.after = next,
                None => return Ok(moved),
            }
        }
    }

    /// Writes an object into a file, completely or not at all, and creates its folders. Returns its size in bytes.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`; when the system or the other S3 refuses.
    fn download(&self, bucket: &str, key: &str, path: &Path) -> Result<u64> {
        let Opened { input, .. } = self.open_object(bucket, key)?;
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
        let copied = match input {
            Input::File(mut file) => io::copy(&mut file, &mut output),
            Input::Remote(mut input) => io::copy(&mut input, &mut output),
        };
        copied.map_err(S3Error::io(path, "copy the object"))?;
        Ok(output.commit()?)
    }
}
