//! Channels in File mode: their objects as files in the job's folder.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::RunError;
use super::channels::{ChannelObject, Host, each_object, refuse};
use crate::objects::{Input, ObjectStore, Opened};
use crate::s3::ErrorCode;
use crate::training::ChannelRequest;

/// The bytes that are copied between two checks whether the job must stop.
const PIECE_BYTES: u64 = 64 << 20;
/// The buffer size for decompression.
const BUFFER_BYTES: usize = 256 << 10;
/// The suffix of compressed files' names; decompressed files lose it.
const GZIP_SUFFIX: &str = ".gz";

/// Writes the objects of a channel into `folder`, which must be empty or absent. False if `goes_on` returned false meanwhile.
///
/// Objects are copied, not linked: a program may write into its input.
///
/// # Errors
/// If an object cannot be read, is not compressed although the channel says so, or does not fit on the disk.
pub(super) fn download(
    channel: &ChannelRequest,
    host: Host,
    objects: &dyn ObjectStore,
    folder: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<bool, RunError> {
    make_folder(channel, folder)?;
    let mut is_whole = true;
    each_object(channel, host, objects, |object| {
        is_whole = is_whole && goes_on() && fetch(channel, &object, objects, folder, goes_on)?;
        Ok(())
    })?;
    Ok(is_whole)
}

fn fetch(
    channel: &ChannelRequest,
    object: &ChannelObject,
    objects: &dyn ObjectStore,
    folder: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<bool, RunError> {
    let ChannelObject { bucket, key, .. } = object;
    let Opened { input, .. } = match objects.open_object(bucket, key) {
        Ok(object) => object,
        // The object was deleted after it was listed.
        Err(error) if error.code == ErrorCode::NoSuchKey && !object.is_named => return Ok(true),
        Err(error) => return Err(refuse(channel, format!("s3://{bucket}/{key}: {error}"))),
    };
    let path = folder.join(name_in_folder(channel, &object.path));
    if let Some(parent) = path.parent() {
        make_folder(channel, parent)?;
    }
    let mut output = File::create_new(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::IsADirectory => refuse(
            channel,
            format!("s3://{bucket}/{key} and another object would be the same file of the job"),
        ),
        _ => no_room(channel, &path, error),
    })?;
    let copied = match input {
        input if channel.is_gzip => copy(&mut decompressed(input), &mut output, goes_on),
        Input::File(mut file) => copy(&mut file, &mut output, goes_on),
        Input::Remote(mut input) => copy(&mut input, &mut output, goes_on),
    };
    copied.map_err(|error| match error.kind() {
        _ if channel.is_gzip && is_damage(&error) => not_gzip(channel, bucket, key, &error),
        // The error names the object.
        ErrorKind::ConnectionAborted => refuse(channel, error),
        _ => no_room(channel, &path, error),
    })
}

/// Whether an error in reading compressed data is caused by the data.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

/// Decompresses an object.
pub(super) fn decompressed(input: Input) -> impl Read {
    let decoder = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, input));
    BufReader::with_capacity(BUFFER_BYTES, decoder)
}

/// The error for data that are not compressed, or damaged.
pub(super) fn not_gzip(channel: &ChannelRequest, bucket: &str, key: &str, error: &io::Error) -> RunError {
    refuse(
        channel,
        format!("its CompressionType is Gzip, but s3://{bucket}/{key} cannot be decompressed: {error}"),
    )
}

/// Copies everything; false if `goes_on` returned false meanwhile.
fn copy(input: &mut impl Read, output: &mut File, goes_on: &dyn Fn() -> bool) -> io::Result<bool> {
    while goes_on() {
        // From file to file, the system copies without passing the bytes through this process.
        if io::copy(&mut input.by_ref().take(PIECE_BYTES), output)? < PIECE_BYTES {
            return Ok(true);
        }
    }
    Ok(false)
}

fn name_in_folder(channel: &ChannelRequest, path: &Path) -> PathBuf {
    let name = path.to_str().and_then(|name| name.strip_suffix(GZIP_SUFFIX));
    match name.filter(|name| channel.is_gzip && !name.is_empty() && !name.ends_with('/')) {
        Some(name) => PathBuf::from(name),
        None => path.to_owned(),
    }
}

fn make_folder(channel: &ChannelRequest, folder: &Path) -> Result<(), RunError> {
    fs::create_dir_all(folder).map_err(|error| match error.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => refuse(
            channel,
            "an object is a file where another one needs a folder; a job cannot be given both",
        ),
        _ => no_room(channel, folder, error),
    })
}

fn no_room(channel: &ChannelRequest, path: &Path, error: io::Error) -> RunError {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; the input of a job is copied into its folder: make room, or keep the data folder on a larger disk"
        }
        _ => "",
    };
    RunError::Machine(format!("channel {}: {}: {error}{advice}", channel.name, path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::channels::ONLY_HOST;
    use crate::runner::test_channel::{channel, gzip, store};

    /// The files of a channel, or why it has none.
    fn files(
        objects: &[(&str, Vec<u8>)],
        change: impl FnOnce(&mut ChannelRequest),
    ) -> Result<Vec<String>, String> {
        let (folder, store) = store(objects);
        let mut channel = channel("s3://bucket/in");
        change(&mut channel);
        let target = folder.path().join("data");
        match download(&channel, ONLY_HOST, &store, &target, &|| true) {
            Ok(is_whole) => assert!(is_whole),
            Err(error) => return Err(error.to_string()),
        }
        let mut found = Vec::new();
        let mut open = vec![target.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let name = path.strip_prefix(&target).unwrap().display().to_string();
                found.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
            }
        }
        found.sort();
        Ok(found)
    }

    #[test]
    fn objects_become_files() {
        let objects = [("in/a", b"1".to_vec()), ("in/b/c.gz", b"2".to_vec()), ("in/d/", Vec::new())];
        assert_eq!(files(&objects, |_| {}).unwrap(), ["a=1", "b/c.gz=2"]);
        let clash = [("in/a", Vec::new()), ("in/a/b", Vec::new())];
        let said = files(&clash, |_| {}).unwrap_err();
        assert!(said.starts_with("ClientError: channel train: an object is a file where another"), "{said}");
    }

    #[test]
    fn compressed_objects_become_what_they_hold() {
        let gzip_only = |channel: &mut ChannelRequest| channel.is_gzip = true;
        let twice = [gzip(b"1"), gzip(b"2")].concat();
        let objects = [("in/a.csv.gz", twice), ("in/b", gzip(b"3")), ("in/.gz", gzip(b"4"))];
        assert_eq!(files(&objects, gzip_only).unwrap(), [".gz=4", "a.csv=12", "b=3"]);
        let clash = [("in/a", gzip(b"")), ("in/a.gz", gzip(b""))];
        assert!(files(&clash, gzip_only).unwrap_err().contains("the same file of the job"));
        let mut cut = gzip(b"some words");
        cut.truncate(15);
        for bad in [b"plain".to_vec(), cut] {
            let said = files(&[("in/a", bad)], gzip_only).unwrap_err();
            assert!(said.contains("but s3://bucket/in/a cannot be decompressed"), "{said}");
        }
    }

    #[test]
    fn a_download_ends_when_the_job_is_to_stop() {
        let (folder, store) = store(&[("in/a", "1"), ("in/b", "2")]);
        let looks = std::cell::Cell::new(0);
        let goes_on = || {
            looks.set(looks.get() + 1);
            looks.get() < 3
        };
        let target = folder.path().join("data");
        let is_whole = download(&channel("s3://bucket/in"), ONLY_HOST, &store, &target, &goes_on).unwrap();
        assert!(!is_whole && target.join("a").is_file() && !target.join("b").exists());
    }
}
