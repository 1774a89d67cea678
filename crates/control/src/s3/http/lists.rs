//! Lists: of objects, versions, uploads and parts.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::service::{Call, quoted, set, xml};
use crate::s3::address::encode_key;
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::listing::{ListRequest, Listing, MAX_KEYS};
use crate::s3::record::Record;
use crate::s3::xml::Document;
use crate::times::iso;

/// The owner of everything.
pub(super) fn owner(document: &mut Document, element: &str, account: &str) {
    document.element(element, |document| {
        document.text("ID", account);
        document.text("DisplayName", account);
    });
}

/// The parameters that lists of objects share.
struct Asked {
    request: ListRequest,
    max_keys: usize,
    encodes: bool,
    encoding: Option<String>,
}

impl Asked {
    fn of(call: &Call, after: &str) -> Result<Self> {
        let text = |name: &str| call.query.get(name).unwrap_or_default().to_owned();
        let encoding = call.query.get("encoding-type").map(str::to_owned);
        if let Some(other) = encoding.as_deref().filter(|encoding| *encoding != "url") {
            return Err(S3Error::argument(
                "encoding-type",
                other,
                "Invalid Encoding Method specified in Request",
            ));
        }
        let max_keys = number(call, "max-keys")?;
        let request = ListRequest {
            prefix: text("prefix"),
            delimiter: text("delimiter"),
            after: after.to_owned(),
            limit: max_keys,
        };
        Ok(Self { request, max_keys, encodes: encoding.is_some(), encoding })
    }

    fn key(&self, key: &str) -> String {
        if self.encodes { encode_key(key) } else { key.to_owned() }
    }

    async fn page(&self, call: &Call) -> Result<Listing> {
        let (bucket, request) = (call.bucket(), self.request.clone());
        call.blocking(move |store| store.list(&bucket, &request)).await
    }

    fn head(&self, document: &mut Document, bucket: &str) {
        document.text("Name", bucket);
        document.text("Prefix", &self.key(&self.request.prefix));
        if !self.request.delimiter.is_empty() {
            document.text("Delimiter", &self.key(&self.request.delimiter));
        }
        document.text("MaxKeys", &self.max_keys.to_string());
        document.optional("EncodingType", self.encoding.as_deref());
    }

    fn prefixes(&self, document: &mut Document, page: &Listing) {
        for prefix in &page.prefixes {
            document.element("CommonPrefixes", |document| document.text("Prefix", &self.key(prefix)));
        }
    }

    fn contents(&self, document: &mut Document, page: &Listing, account: Option<&str>) {
        for (key, record) in &page.objects {
            document.element("Contents", |document| {
                document.text("Key", &self.key(key));
                self.facts(document, record);
                if let Some(account) = account {
                    owner(document, "Owner", account);
                }
            });
        }
        self.prefixes(document, page);
    }

    fn facts(&self, document: &mut Document, record: &Record) {
        document.text("LastModified", &iso(record.modified_ns));
        document.text("ETag", &quoted(&record.etag));
        if let Some(checksum) = &record.checksum {
            document.text("ChecksumAlgorithm", checksum.algorithm.name());
            document.text("ChecksumType", checksum.kind().name());
        }
        document.text("Size", &record.size.to_string());
        let class = record.description.headers.get("x-amz-storage-class");
        document.text("StorageClass", class.map_or("STANDARD", String::as_str));
    }
}

/// A parameter that limits the size of a page.
fn number(call: &Call, name: &str) -> Result<usize> {
    let Some(text) = call.query.get(name).filter(|text| !text.is_empty()) else { return Ok(MAX_KEYS) };
    let number: Option<u32> = text.parse().ok().filter(|&number: &u32| number <= i32::MAX as u32);
    let number = number.ok_or_else(|| {
        S3Error::argument(name, text, "Provided argument must be an integer between 0 and 2147483647")
    })?;
    Ok((number as usize).min(MAX_KEYS))
}

/// `ListObjectsV2`.
pub(super) async fn objects_paged(call: &Call) -> Result<Response> {
    let token = call.query.get("continuation-token");
    let from = match token {
        Some(token) => {
            let text = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            text.ok_or_else(|| {
                S3Error::argument("continuation-token", token, "The continuation token provided is incorrect")
            })?
        }
        None => call.query.get("start-after").unwrap_or_default().to_owned(),
    };
    let asked = Asked::of(call, &from)?;
    let page = asked.page(call).await?;
    let account = call.service.settings.account.as_str();
    let account = Some(account).filter(|_| call.query.get("fetch-owner") == Some("true"));
    let mut response = xml(Document::write("ListBucketResult", |document| {
        asked.head(document, &call.bucket());
        document.text("KeyCount", &(page.objects.len() + page.prefixes.len()).to_string());
        document.text("IsTruncated", if page.next.is_some() { "true" } else { "false" });
        document.optional("ContinuationToken", token);
        document
            .optional("NextContinuationToken", page.next.as_ref().map(|next| BASE64.encode(next)).as_deref());
        let start_after = call.query.get("start-after").map(|after| asked.key(after));
        document.optional("StartAfter", start_after.as_deref());
        asked.contents(document, &page, account);
    }));
    region_of(call, &mut response).await;
    Ok(response)
}

/// `ListObjects`, the first version.
pub(super) async fn objects_marked(call: &Call) -> Result<Response> {
    let marker = call.query.get("marker").unwrap_or_default();
    let asked = Asked::of(call, marker)?;
    let page = asked.page(call).await?;
    let account = call.service.settings.account.as_str();
    let mut response = xml(Document::write("ListBucketResult", |document| {
        asked.head(document, &call.bucket());
        document.text("Marker", &asked.key(marker));
        document.text("IsTruncated", if page.next.is_some() { "true" } else { "false" });
        // Without a delimiter S3 omits it, and clients use the last key.
        let next = page.next.as_ref().filter(|_| !asked.request.delimiter.is_empty());
        document.optional("NextMarker", next.map(|next| asked.key(next)).as_deref());
        asked.contents(document, &page, Some(account));
    }));
    region_of(call, &mut response).await;
    Ok(response)
}

async fn region_of(call: &Call, response: &mut Response) {
    let name = call.bucket();
    if let Ok(bucket) = call.blocking(move |store| store.bucket(&name)).await {
        set(response, "x-amz-bucket-region", &bucket.region);
    }
}

/// `ListObjectVersions`: every object has one version.
pub(super) async fn versions(call: &Call) -> Result<Response> {
    let marker = call.query.get("key-marker").unwrap_or_default();
    let asked = Asked::of(call, marker)?;
    let page = asked.page(call).await?;
    Ok(xml(Document::write("ListVersionsResult", |document| {
        asked.head(document, &call.bucket());
        document.text("KeyMarker", &asked.key(marker));
        document.text("VersionIdMarker", "");
        document.text("IsTruncated", if page.next.is_some() { "true" } else { "false" });
        if let Some(next) = &page.next {
            document.text("NextKeyMarker", &asked.key(next));
            document.text("NextVersionIdMarker", "null");
        }
        for (key, record) in &page.objects {
            document.element("Version", |document| {
                document.text("Key", &asked.key(key));
                document.text("VersionId", "null");
                document.text("IsLatest", "true");
                asked.facts(document, record);
                owner(document, "Owner", &call.service.settings.account);
            });
        }
        asked.prefixes(document, &page);
    })))
}

/// `ListMultipartUploads`.
pub(super) async fn uploads(call: &Call) -> Result<Response> {
    let name = call.bucket();
    let max = number(call, "max-uploads")?;
    let text = |name: &str| call.query.get(name).unwrap_or_default();
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let (marker, id_marker) = (text("key-marker"), text("upload-id-marker"));
    let encodes = call.query.get("encoding-type") == Some("url");
    let key = |key: &str| if encodes { encode_key(key) } else { key.to_owned() };
    let mut uploads = call.blocking(move |store| store.uploads(&name)).await?;
    // For the marker's key, only uploads after the marker's upload are listed.
    if let Some(at) = uploads.iter().position(|upload| upload.key == marker && upload.id == id_marker) {
        uploads.drain(..=at);
    } else {
        uploads.retain(|upload| upload.key.as_str() > marker);
    }
    uploads.retain(|upload| upload.key.starts_with(prefix));
    let mut prefixes: Vec<String> = Vec::new();
    if !delimiter.is_empty() {
        uploads.retain(|upload| match upload.key[prefix.len()..].find(delimiter) {
            Some(at) => {
                prefixes.push(upload.key[..prefix.len() + at + delimiter.len()].to_owned());
                false
            }
            None => true,
        });
        prefixes.dedup();
    }
    let is_truncated = uploads.len() > max;
    uploads.truncate(max);
    Ok(xml(Document::write("ListMultipartUploadsResult", |document| {
        document.text("Bucket", &call.bucket());
        document.text("KeyMarker", &key(marker));
        document.text("UploadIdMarker", id_marker);
        if let Some(last) = uploads.last().filter(|_| is_truncated) {
            document.text("NextKeyMarker", &key(&last.key));
            document.text("NextUploadIdMarker", &last.id);
        }
        document.text("Prefix", &key(prefix));
        document.optional("Delimiter", Some(delimiter).filter(|delimiter| !delimiter.is_empty()));
        document.optional("EncodingType", encodes.then_some("url"));
        document.text("MaxUploads", &max.to_string());
        document.text("IsTruncated", if is_truncated { "true" } else { "false" });
        for upload in &uploads {
            document.element("Upload", |document| {
                document.text("Key", &key(&upload.key));
                document.text("UploadId", &upload.id);
                owner(document, "Initiator", &call.service.settings.account);
                owner(document, "Owner", &call.service.settings.account);
                document.text("StorageClass", "STANDARD");
                document.text("Initiated", &iso(upload.created_ns));
                document.optional("ChecksumAlgorithm", upload.algorithm.map(|algorithm| algorithm.name()));
                document.optional("ChecksumType", upload.kind.map(|kind| kind.name()));
            });
        }
        for prefix in &prefixes {
            document.element("CommonPrefixes", |document| document.text("Prefix", &key(prefix)));
        }
    })))
}

/// `ListParts`.
pub(super) async fn parts(call: &Call) -> Result<Response> {
    let (bucket, key) = (call.bucket(), call.key());
    let id = call.query.get("uploadId").unwrap_or_default().to_owned();
    let max = number(call, "max-parts")?;
    let marker = call.query.get("part-number-marker").unwrap_or("0");
    let after: u32 = marker
        .parse()
        .map_err(|_| S3Error::argument("part-number-marker", marker, "A part number is an integer."))?;
    let (upload, mut parts) = call
        .blocking(move |store| {
            let upload = store.upload(&bucket, &key, &id)?;
            let parts = store.parts(&bucket, &upload).map_err(|error| match error.code {
                // The upload was completed or aborted at this moment.
                ErrorCode::InternalError => {
                    S3Error::new(ErrorCode::NoSuchUpload, "The specified upload does not exist.")
                }
                _ => error,
            })?;
            Ok((upload, parts))
        })
        .await?;
    parts.retain(|part| part.number > after);
    let is_truncated = parts.len() > max;
    parts.truncate(max);
    Ok(xml(Document::write("ListPartsResult", |document| {
        document.text("Bucket", &call.bucket());
        document.text("Key", &upload.key);
        document.text("UploadId", &upload.id);
        owner(document, "Initiator", &call.service.settings.account);
        owner(document, "Owner", &call.service.settings.account);
        document.text("StorageClass", "STANDARD");
        document.text("PartNumberMarker", marker);
        if let Some(last) = parts.last() {
            document.text("NextPartNumberMarker", &last.number.to_string());
        }
        document.text("MaxParts", &max.to_string());
        document.text("IsTruncated", if is_truncated { "true" } else { "false" });
        document.optional("ChecksumAlgorithm", upload.algorithm.map(|algorithm| algorithm.name()));
        document.optional("ChecksumType", upload.kind.map(|kind| kind.name()));
        for part in &parts {
            document.element("Part", |document| {
                document.text("PartNumber", &part.number.to_string());
                document.text("LastModified", &iso(part.modified_ns));
                document.text("ETag", &quoted(&part.etag()));
                document.text("Size", &part.size.to_string());
                if let Some(checksum) = upload.algorithm {
                    document.optional(checksum.element(), part.checksum.as_deref());
                }
            });
        }
    })))
}
