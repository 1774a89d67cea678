//! Uploads in parts.
//!
//! A part is one file, whose name contains all its metadata: `00001.<MD5>.<time>.<checksum>`. A part that is uploaded again gets another
//! name, and the latest counts.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use kokanee_formats::atomic_file::{make_folders, sync_folder};
use serde::{Deserialize, Serialize};

use super::checksums::{
    Algorithm, Checksum, ChecksumType, Digests, checksum_of_parts, etag_of_parts, hex, parse_md5,
};
use super::error::{ErrorCode, Result, S3Error};
use super::names::check_key;
use super::record::{Description, Record};
use super::staging::{Staged, temporary, write_small};
use super::store::{Store, WriteCondition};
use crate::times::now_ns;

/// The highest number of a part.
pub const MAX_PARTS: u32 = 10_000;
/// The minimum size of a part other than the last, in bytes.
const MIN_PART_BYTES: u64 = 5 << 20;
const ID_LENGTH: usize = 40;

/// An upload in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    #[serde(skip)]
    pub id: String,
    /// The key of the future object.
    pub key: String,
    /// Time of its beginning, in nanoseconds since 1970.
    pub created_ns: u64,
    /// The description of the future object.
    pub description: Description,
    /// The checksum algorithm of its parts.
    pub algorithm: Option<Algorithm>,
    /// The type of the object's checksum.
    pub kind: Option<ChecksumType>,
}

/// A part that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// Size in bytes.
    pub size: u64,
    /// Time, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// MD5.
    pub md5: [u8; 16],
    /// The checksum with the upload's algorithm, in base64.
    pub checksum: Option<String>,
    path: PathBuf,
}

/// A part as the client lists it when it completes an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedPart {
    /// Its number, from 1.
    pub number: u32,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Its checksum in base64, by algorithm.
    pub checksum: Option<(Algorithm, String)>,
}

/// A client's list of an object's parts, which completes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedParts {
    /// Its parts, by number.
    pub parts: Vec<ListedPart>,
    /// The object's size in bytes.
    pub size: Option<u64>,
    /// The object's checksum in base64.
    pub checksum: Option<(Algorithm, String)>,
}

impl ListedParts {
    fn check(&self, size: u64, checksum: Option<&Checksum>) -> Result<()> {
        if self.size.is_some_and(|listed| listed != size) {
            let message = "The provided 'x-amz-mp-object-size' header does not match the size of the object.";
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        let Some((algorithm, value)) = &self.checksum else { return Ok(()) };
        let is_same = |found: &Checksum| {
            // The number of parts is optional.
            let bare = found.value.split('-').next().unwrap_or_default();
            found.algorithm == *algorithm && (*value == found.value || value == bare)
        };
        if checksum.is_some_and(is_same) {
            return Ok(());
        }
        let message =
            format!("The {} you specified did not match the calculated checksum.", algorithm.name());
        Err(S3Error::new(ErrorCode::BadDigest, message))
    }
}

impl Part {
    /// Its ETag, without quotes.
    pub fn etag(&self) -> String {
        hex(&self.md5)
    }

    fn file_name(number: u32, md5: &[u8; 16], modified_ns: u64, checksum: Option<&str>) -> String {
        // Replaces the two base64 characters that are unsuitable in file names.
        let checksum = checksum.map(|value| value.replace('/', "_").replace('+', "-"));
        format!("{number:05}.{}.{modified_ns}.{}", hex(md5), checksum.as_deref().unwrap_or("none"))
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let mut fields = name.split('.');
        let mut next = || fields.next();
        let (number, md5, modified_ns, checksum) = (next()?, next()?, next()?, next()?);
        let (number, modified_ns) = (number.parse().ok()?, modified_ns.parse().ok()?);
        let md5 = parse_md5(md5)?;
        let checksum = (checksum != "none").then(|| checksum.replace('_', "/").replace('-', "+"));
        let size = fs::metadata(&path).ok()?.len();
        Some(Self { number, size, modified_ns, md5, checksum, path })
    }
}

impl Store {
    fn uploads_folder(&self, bucket: &str) -> PathBuf {
        self.own_folder(bucket).join("uploads")
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// `NoSuchBucket`, `InvalidRequest` if the algorithm has no checksum of that kind.
    pub fn begin_upload(
        &self,
        bucket: &str,
        key: &str,
        description: Description,
        checksum: Option<(Algorithm, Option<ChecksumType>)>,
    ) -> Result<Upload> {
        check_key(key)?;
        self.bucket(bucket)?;
        let algorithm = checksum.map(|(algorithm, _)| algorithm);
        let kind = checksum.map(|(algorithm, kind)| {
            let usual = match algorithm {
                Algorithm::Crc64Nvme => ChecksumType::FullObject,
                _ => ChecksumType::Composite,
            };
            kind.unwrap_or(usual)
        });
        if let (Some(Algorithm::Crc64Nvme), Some(ChecksumType::Composite)) = (algorithm, kind) {
            let message = "The COMPOSITE checksum type cannot be used with the CRC64NVME checksum algorithm.";
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        if let (Some(algorithm), Some(ChecksumType::FullObject)) = (algorithm, kind) {
            checksum_of_parts(algorithm, ChecksumType::FullObject, &[])?;
        }
        let folder = self.uploads_folder(bucket);
        make_folders(&folder).map_err(S3Error::io(&folder, "create the folder"))?;
        let id = tempfile::Builder::new().prefix("").rand_bytes(ID_LENGTH).tempdir_in(&folder);
        let path = id.map_err(S3Error::io(&folder, "create a folder in the folder"))?.keep();
        let id = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let upload = Upload { id, key: key.to_owned(), created_ns: now_ns(), description, algorithm, kind };
        let bytes = serde_json::to_vec(&upload).expect("an upload is plain data");
        write_small(&self.unnamed(), &path.join("upload.json"), &bytes)?;
        sync_folder(&path);
        sync_folder(&folder);
        Ok(upload)
    }

    fn upload_at(path: &Path) -> Option<Upload> {
        let id = path.file_name()?.to_str()?.to_owned();
        let upload: Upload = serde_json::from_slice(&fs::read(path.join("upload.json")).ok()?).ok()?;
        Some(Upload { id, ..upload })
    }

    /// The upload with this id.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`.
    pub fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload> {
        self.bucket(bucket)?;
        let is_id = id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let upload = is_id.then(|| Self::upload_at(&self.uploads_folder(bucket).join(id))).flatten();
        upload.filter(|upload| upload.key == key).ok_or_else(|| no_such_upload(id))
    }

    /// The uploads of a bucket that are not completed, by key and time.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub fn uploads(&self, bucket: &str) -> Result<Vec<Upload>> {
        self.bucket(bucket)?;
        let entries = fs::read_dir(self.uploads_folder(bucket)).into_iter().flatten().flatten();
        let mut uploads: Vec<Upload> = entries.filter_map(|entry| Self::upload_at(&entry.path())).collect();
        uploads.sort_by(|a, b| (&a.key, a.created_ns).cmp(&(&b.key, b.created_ns)));
        Ok(uploads)
    }

    /// Turns a staged file into a part. When it returns, the part is on disk.
    ///
    /// # Errors
    /// `NoSuchUpload`.
    pub fn put_part(&self, bucket: &str, upload: &Upload, number: u32, staged: Staged) -> Result<Part> {
        let folder = self.uploads_folder(bucket).join(&upload.id);
        let checksum = upload.algorithm.and_then(|algorithm| staged.digests.of(algorithm));
        let checksum = checksum.map(|checksum| checksum.value.clone());
        let (md5, modified_ns, size) = (staged.digests.md5, staged.modified_ns, staged.size);
        let path = folder.join(Part::file_name(number, &md5, modified_ns, checksum.as_deref()));
        staged.rename(&path).map_err(|(_, error)| match error.kind() {
            io::ErrorKind::NotFound => no_such_upload(&upload.id),
            _ => S3Error::io(&path, "rename the finished file")(error),
        })?;
        sync_folder(&folder);
        // Earlier parts with this number are obsolete.
        let earlier = read_parts(&folder)?.into_iter().filter(|part| part.number == number);
        for part in earlier.filter(|part| part.modified_ns < modified_ns) {
            let _ = fs::remove_file(part.path);
        }
        Ok(Part { number, size, modified_ns, md5, checksum, path })
    }

    /// The parts of an upload, by number.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn parts(&self, bucket: &str, upload: &Upload) -> Result<Vec<Part>> {
        let mut parts = read_parts(&self.uploads_folder(bucket).join(&upload.id))?;
        parts.sort_by_key(|part| (part.number, std::cmp::Reverse(part.modified_ns)));
        parts.dedup_by_key(|part| part.number);
        Ok(parts)
    }

    /// Ends an upload without an object.
    ///
    /// # Errors
    /// `NoSuchUpload`.
    pub fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> Result<()> {
        let upload = self.upload(bucket, key, id)?;
        let folder = self.uploads_folder(bucket).join(upload.id);
        // Without this file the upload does not exist, even if the removal stops halfway.
        let _ = fs::remove_file(folder.join("upload.json"));
        fs::remove_dir_all(&folder).map_err(S3Error::io(&folder, "remove the folder"))
    }

    /// Joins the listed parts into the object. For an upload that was completed before, it returns that object.
    ///
    /// # Errors
    /// `NoSuchUpload`, `InvalidPart`, `InvalidPartOrder`, `EntityTooSmall`, `BadDigest`, `PreconditionFailed`; the upload then remains.
    pub fn complete_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        listed: &ListedParts,
        condition: &WriteCondition,
    ) -> Result<Record> {
        let upload = match self.upload(bucket, key, id) {
            Ok(upload) => upload,
            // The client retries because it did not get the response.
            Err(error) => {
                let record = self.stat(bucket, key).ok();
                return record.filter(|record| record.upload.as_deref() == Some(id)).ok_or(error);
            }
        };
        let parts = chosen(&upload, self.parts(bucket, &upload)?, &listed.parts)?;
        let mut joined = temporary(&self.unnamed())
            .map_err(S3Error::io(&self.unnamed(), "create a file in the folder"))?;
        let mut size = 0;
        for part in &parts {
            let mut copy = || io::copy(&mut File::open(&part.path)?, joined.as_file_mut());
            size += copy().map_err(S3Error::io(&part.path, "copy the file"))?;
        }
        let md5s: Vec<[u8; 16]> = parts.iter().map(|part| part.md5).collect();
        let checksum = match (upload.algorithm, upload.kind) {
            (Some(algorithm), Some(kind)) => {
                let values: Option<Vec<(u64, String)>> =
                    parts.iter().map(|part| Some((part.size, part.checksum.clone()?))).collect();
                values.map(|values| checksum_of_parts(algorithm, kind, &values)).transpose()?
            }
            _ => None,
        };
        listed.check(size, checksum.as_ref())?;
        let record = Record {
            etag: etag_of_parts(&md5s),
            description: upload.description,
            checksum,
            parts: parts.iter().map(|part| part.size).collect(),
            upload: Some(upload.id),
            ..Record::default()
        };
        let staged = Staged::of(joined, size, Digests { md5: [0; 16], others: Vec::new() })?;
        let record = self.put(bucket, key, staged, record, condition)?;
        // If this fails, the upload remains and can be aborted.
        if let Err(error) = self.abort_upload(bucket, key, id) {
            tracing::warn!(%error, "the parts of a completed upload stay behind");
        }
        Ok(record)
    }
}

fn no_such_upload(id: &str) -> S3Error {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    S3Error::new(ErrorCode::NoSuchUpload, message).with("UploadId", id)
}

fn read_parts(folder: &Path) -> Result<Vec<Part>> {
    let entries = fs::read_dir(folder).map_err(S3Error::io(folder, "read the folder"))?;
    Ok(entries.flatten().filter_map(|entry| Part::parse(entry.path())).collect())
}

/// The parts that the client lists.
fn chosen(upload: &Upload, parts: Vec<Part>, listed: &[ListedPart]) -> Result<Vec<Part>> {
    if listed.is_empty() {
        return Err(S3Error::new(ErrorCode::MalformedXML, "You must specify at least one part"));
    }
    if !listed.is_sorted_by(|a, b| a.number < b.number) {
        let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(S3Error::new(ErrorCode::InvalidPartOrder, message));
    }
    let mut parts = parts.into_iter().peekable();
    let mut chosen: Vec<Part> = Vec::new();
    for ListedPart { number, etag, checksum } in listed {
        while parts.next_if(|part| part.number < *number).is_some() {}
        let part = parts.next_if(|part| part.number == *number && part.etag() == *etag);
        let part = part.filter(|part| match checksum {
            Some((algorithm, value)) if upload.algorithm == Some(*algorithm) => {
                part.checksum.as_ref() == Some(value)
            }
            // Parts of an upload without an algorithm have no checksums to compare.
            Some(_) => upload.algorithm.is_none(),
            None => true,
        });
        let Some(part) = part else {
            let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the \
                           specified entity tag may not match the part's entity tag.";
            let error = S3Error::new(ErrorCode::InvalidPart, message).with("UploadId", upload.id.as_str());
            return Err(error.with("PartNumber", number.to_string()).with("ETag", etag.as_str()));
        };
        if let Some(before) = chosen.last().filter(|before| before.size < MIN_PART_BYTES) {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            let error = S3Error::new(ErrorCode::EntityTooSmall, message);
            return Err(error
                .with("ProposedSize", before.size.to_string())
                .with("MinSizeAllowed", MIN_PART_BYTES.to_string())
                .with("PartNumber", before.number.to_string()));
        }
        chosen.push(part);
    }
    Ok(chosen)
}
