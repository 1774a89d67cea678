//! SageMaker's messages about the records of a transform job: the stream `…/data-log`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use kokanee_transform::{BatchStrategy, MEGABYTE, Settings};

use crate::engine::log_file::LogWriter;
use crate::s3_uri::S3Uri;
use crate::training::ChannelRequest;

/// The log about records.
pub(super) struct DataLog {
    log: Mutex<LogWriter>,
    input: PathBuf,
    /// The source of the files: the bucket and the prefix of keys. The key of a manifest does not name them, so there is no prefix then.
    bucket: String,
    prefix: Option<String>,
}

impl DataLog {
    pub(super) fn open(path: &Path, input: PathBuf, channel: &ChannelRequest) -> io::Result<Self> {
        let S3Uri { bucket, key } = channel.source.clone();
        let prefix = (!channel.is_manifest).then_some(key);
        Ok(Self { log: Mutex::new(LogWriter::open(path)?), input, bucket, prefix })
    }

    pub(super) fn begin(&self, settings: &Settings) {
        let strategy = match settings.batch_strategy {
            BatchStrategy::MultiRecord => "MULTI_RECORD",
            BatchStrategy::SingleRecord => "SINGLE_RECORD",
        };
        self.say(&format!(
            "MaxConcurrentTransforms={}, MaxPayloadInMB={}, BatchStrategy={strategy}",
            settings.max_concurrent,
            settings.max_payload_bytes / MEGABYTE
        ));
    }

    /// Logs that a file got no answer.
    pub(super) fn refuse(&self, file: &Path, kind: &str, message: &str) {
        let name = file.strip_prefix(&self.input).unwrap_or(file).to_string_lossy();
        let name = format!("{}/{}", self.bucket, key_of(self.prefix.as_deref(), &name));
        self.say(&format!("{name}: {kind}"));
        self.say(&format!("{name}: "));
        self.say(&format!("{name}: Message:"));
        for line in message.lines() {
            self.say(&format!("{name}: {line}"));
        }
    }

    fn say(&self, line: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk does not end the job.
        let _ = log.write(format!("[sagemaker logs]: {line}\n").as_bytes());
    }
}

/// The key of a file that was fetched by a prefix. Its name here is the part after the prefix, unless the prefix ends within a name.
fn key_of(prefix: Option<&str>, name: &str) -> String {
    let Some(prefix) = prefix else { return name.to_owned() };
    let (folder, rest) = prefix.rsplit_once('/').map_or(("", prefix), |(folder, rest)| (folder, rest));
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    if name.starts_with(rest) { format!("{folder}{name}") } else { format!("{prefix}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_by_their_keys() {
        let check = |prefix, name, want: &str| assert_eq!(key_of(prefix, name), want);
        check(Some("in"), "a/b.csv", "in/a/b.csv");
        check(Some("in/"), "a/b.csv", "in/a/b.csv");
        check(Some("in/a/b.csv"), "b.csv", "in/a/b.csv");
        check(Some("in/a/b"), "b.csv", "in/a/b.csv");
        check(Some(""), "b.csv", "b.csv");
        check(None, "b.csv", "b.csv");
    }
}
