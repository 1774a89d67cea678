//! The folder of a job's checkpoints, and its copy in S3.
//!
//! The folder is filled from S3 before the program starts. While the program runs, the files that it has written are copied, each whole or
//! not at all, and once more after its end. Files that it removes stay in S3.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use kokanee_formats::OWN_PREFIX;

use super::RunError;
use super::artefacts::cannot_put;
use crate::folder_files::{FolderFile, files_below};
use crate::objects::ObjectStore;
use crate::s3;
use crate::s3_uri::S3Uri;

/// The time between two looks at the folder.
const LOOK: Duration = Duration::from_secs(2);

/// A folder of checkpoints and its copy in S3.
pub(super) struct Checkpoints {
    objects: Arc<dyn ObjectStore>,
    uri: S3Uri,
    folder: PathBuf,
    /// The size and modification time of each file when it was copied.
    copied: HashMap<String, (u64, SystemTime)>,
}

/// Copies a folder in the background until it is finished or dropped.
pub(super) struct CheckpointCopier {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<Checkpoints>>,
}

#[derive(Default)]
struct Stop {
    is_set: AtomicBool,
    lock: Mutex<()>,
    told: Condvar,
}

impl Checkpoints {
    pub(super) fn new(objects: &Arc<dyn ObjectStore>, uri: &S3Uri, folder: PathBuf) -> Self {
        Self { objects: Arc::clone(objects), uri: uri.below(""), folder, copied: HashMap::new() }
    }

    /// Fills the folder from S3. False if the folder exists: then it is from an earlier run of the job, and newer.
    pub(super) fn restore(&self) -> Result<bool, RunError> {
        if self.folder.exists() {
            return Ok(false);
        }
        let refused =
            |path: &Path, error: io::Error| RunError::Machine(format!("{}: {error}", path.display()));
        // If the server is killed meanwhile, it must leave no incomplete folder.
        let parent = self.folder.parent().unwrap_or(&self.folder);
        let filled = parent.join(format!("{OWN_PREFIX}checkpoints"));
        match fs::remove_dir_all(&filled) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(&filled, error)),
            _ => {}
        }
        fs::create_dir_all(&filled).map_err(|error| refused(&filled, error))?;
        let S3Uri { bucket, key } = &self.uri;
        self.objects
            .download_prefix(bucket, key, &filled)
            .map_err(|error| RunError::Client(format!("the checkpoints in {}: {error}", self.uri)))?;
        fs::rename(&filled, &self.folder).map_err(|error| refused(&self.folder, error))?;
        Ok(true)
    }

    /// Marks all files as already copied to S3.
    fn skip_restored(mut self) -> Self {
        for file in files_below(&self.folder).unwrap_or_default() {
            if let Some(seen) = seen(&file.metadata) {
                self.copied.insert(file.name, seen);
            }
        }
        self
    }

    /// Copies files that have changed.
    fn copy(&mut self) -> Result<(), RunError> {
        let files = files_below(&self.folder)
            .map_err(|error| RunError::Machine(format!("{}: {error}", self.folder.display())))?;
        for file in files {
            let seen = seen(&file.metadata);
            if seen.is_some() && self.copied.get(&file.name) == seen.as_ref() {
                continue;
            }
            if self.put(&file)?
                && let Some(seen) = seen
            {
                self.copied.insert(file.name, seen);
            }
        }
        Ok(())
    }

    /// Copies a file. False if it was changed or removed while it was read; then no object is written.
    fn put(&self, file: &FolderFile) -> Result<bool, RunError> {
        let S3Uri { bucket, key } = self.uri.below(&file.name);
        let refused = |error: s3::S3Error| cannot_put(&file.path, &bucket, &key, &error);
        match fs::metadata(&file.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(RunError::Machine(format!("{}: {error}", file.path.display()))),
            Ok(_) => {}
        }
        let is_current = || fs::metadata(&file.path).ok().as_ref().and_then(seen) == seen(&file.metadata);
        self.objects.upload_file(&bucket, &key, &file.path, &is_current).map_err(refused)
    }
}

/// The properties that distinguish a file from a version written later.
fn seen(metadata: &Metadata) -> Option<(u64, SystemTime)> {
    Some((metadata.len(), metadata.modified().ok()?))
}

impl CheckpointCopier {
    /// Starts to copy. `is_restored` says that the folder has just been filled from S3.
    pub(super) fn start(checkpoints: Checkpoints, is_restored: bool) -> Result<Self, RunError> {
        let mut checkpoints = if is_restored { checkpoints.skip_restored() } else { checkpoints };
        let stop = Arc::new(Stop::default());
        let told = Arc::clone(&stop);
        let run = move || {
            while told.wait() {
                if let Err(error) = checkpoints.copy() {
                    // The job gets the error of the last copy.
                    tracing::warn!(%error, "checkpoints cannot be copied");
                }
            }
            checkpoints
        };
        let thread = std::thread::Builder::new().name("checkpoints".to_owned()).spawn(run);
        let thread = thread
            .map_err(|error| RunError::Machine(format!("the system refused to start a thread: {error}")))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Copies the remaining changes after the program has ended.
    pub(super) fn finish(mut self) -> Result<(), RunError> {
        self.stop.set();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(mut checkpoints)) => checkpoints.copy(),
            _ => Err(RunError::Machine(
                "the copies of checkpoints ended by a bug; please report it".to_owned(),
            )),
        }
    }
}

impl Drop for CheckpointCopier {
    fn drop(&mut self) {
        self.stop.set();
    }
}

impl Stop {
    fn set(&self) {
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_set.store(true, Ordering::SeqCst);
        self.told.notify_all();
    }

    /// Waits for a while; false if copying must stop.
    fn wait(&self) -> bool {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |_: &mut ()| !self.is_set.load(Ordering::SeqCst);
        let _lock = self.told.wait_timeout_while(lock, LOOK, goes_on).unwrap_or_else(PoisonError::into_inner);
        !self.is_set.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::runner::test_channel::store;

    #[test]
    fn checkpoints_come_from_s3_and_go_there() {
        let (folder, objects) = store(&[("c/step-1/state", "1"), ("c2/other", "2")]);
        let objects = Arc::new(objects);
        let local = folder.path().join("ml/checkpoints");
        let new =
            || Checkpoints::new(&(Arc::clone(&objects) as _), &S3Uri::new("bucket", "c"), local.clone());
        assert!(new().restore().unwrap());
        assert_eq!(fs::read(local.join("step-1/state")).unwrap(), b"1");
        assert!(!local.join("other").exists());
        // The folder of an earlier run is newer than S3.
        fs::write(local.join("step-1/state"), "10").unwrap();
        assert!(!new().restore().unwrap());
        assert_eq!(fs::read(local.join("step-1/state")).unwrap(), b"10");

        let copier = CheckpointCopier::start(new(), false).unwrap();
        fs::write(local.join("step-2"), "2").unwrap();
        let started = Instant::now();
        while objects.stat("bucket", "c/step-2").is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "files are copied while the program runs");
            std::thread::sleep(Duration::from_millis(10));
        }
        fs::remove_file(local.join("step-2")).unwrap();
        fs::write(local.join("step-3"), "3").unwrap();
        copier.finish().unwrap();
        let sizes =
            ["c/step-1/state", "c/step-2", "c/step-3"].map(|key| objects.stat("bucket", key).unwrap().size);
        assert_eq!(sizes, [2, 1, 1]);
    }

    #[test]
    fn what_came_from_s3_does_not_go_there_again() {
        let (folder, objects) = store(&[("c/a", "1")]);
        let objects = Arc::new(objects);
        let local = folder.path().join("ml/checkpoints");
        let checkpoints =
            Checkpoints::new(&(Arc::clone(&objects) as _), &S3Uri::new("bucket", "c/"), local.clone());
        checkpoints.restore().unwrap();
        let before = objects.stat("bucket", "c/a").unwrap().modified_ns;
        CheckpointCopier::start(checkpoints, true).unwrap().finish().unwrap();
        assert_eq!(objects.stat("bucket", "c/a").unwrap().modified_ns, before);
    }

    #[test]
    fn a_bucket_that_is_gone_is_told_at_the_end() {
        let (folder, objects) = store::<&str>(&[]);
        let objects = Arc::new(objects);
        let checkpoints = Checkpoints::new(
            &(Arc::clone(&objects) as _),
            &S3Uri::new("gone-bucket", "c"),
            folder.path().join("c"),
        );
        assert!(
            checkpoints
                .restore()
                .unwrap_err()
                .to_string()
                .starts_with("ClientError: the checkpoints in s3://gone")
        );
        fs::create_dir(folder.path().join("c")).unwrap();
        fs::write(folder.path().join("c/a"), "1").unwrap();
        let said = CheckpointCopier::start(checkpoints, false).unwrap().finish().unwrap_err().to_string();
        assert!(said.starts_with("ClientError: a cannot be put into s3://gone-bucket/c/a: "), "{said}");
    }
}
