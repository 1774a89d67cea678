//! Objects in another S3: MinIO, AWS S3, or a second local SageMaker.
//!
//! Requests are signed with version 4 and name buckets in the path. Temporary failures (no connection, no response, 5xx, 429) are retried;
//! refusals are reported with the address of the object.

mod body;
mod client;
mod uploads;

use std::path::Path;

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use self::body::Body;
pub use self::client::RemoteSettings;
use self::client::{Answer, Client, Question};
use super::{Input, ObjectStore, Opened};
use crate::s3::{Element, ErrorCode, ListRequest, Listing, Record, Result, S3Error};

/// Another S3.
pub struct Remote {
    client: Client,
}

impl Remote {
    /// Another S3, accessed by tasks of the current runtime.
    ///
    /// # Errors
    /// If the address is not valid for an S3, as human-readable text.
    pub fn new(settings: RemoteSettings) -> std::result::Result<Self, String> {
        Ok(Self { client: Client::new(settings)? })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.client.url()
    }

    /// Sends a request that must succeed.
    fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        let answer = self.client.ask(question)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.refused(question, answer))
    }

    /// Turns another S3's refusal into an error.
    fn refused(&self, question: &Question<'_>, answer: Answer) -> S3Error {
        let status = answer.status;
        let region = answer.header("x-amz-bucket-region").map(str::to_owned);
        let body = answer.text().unwrap_or_default();
        let document = Element::parse(&body).unwrap_or_default();
        let said = |name: &str| document.child(name).unwrap_or_default().to_owned();
        let (name, message) = (said("Code"), said("Message"));
        let code = match (status, &*name) {
            (_, "NoSuchBucket") => ErrorCode::NoSuchBucket,
            (_, "NoSuchKey") => ErrorCode::NoSuchKey,
            // A response to HEAD has no body.
            (StatusCode::NOT_FOUND, "") if !question.key.is_empty() => ErrorCode::NoSuchKey,
            (StatusCode::NOT_FOUND, "") => ErrorCode::NoSuchBucket,
            (StatusCode::NOT_FOUND, "NoSuchUpload") => ErrorCode::NoSuchUpload,
            (StatusCode::FORBIDDEN, _) => ErrorCode::AccessDenied,
            (StatusCode::PRECONDITION_FAILED, _) => ErrorCode::PreconditionFailed,
            (status, _) if status.is_client_error() || status.is_redirection() => ErrorCode::InvalidRequest,
            _ => ErrorCode::InternalError,
        };
        let advice = match (status, region) {
            (status, Some(region)) if status.is_redirection() => {
                format!("; the bucket is in the region {region}: start with --region {region}")
            }
            (StatusCode::FORBIDDEN, _) => {
                "; the server signs with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment it was started in".to_owned()
            }
            _ => String::new(),
        };
        let said = match (name.is_empty(), message.is_empty()) {
            (true, _) => format!("status {}", status.as_u16()),
            (false, true) => name,
            (false, false) => format!("{message} ({name})"),
        };
        S3Error::new(
            code,
            format!("{} {}: {said}{advice}", question.method, self.client.address_of(question)),
        )
    }
}

impl ObjectStore for Remote {
    fn page(&self, bucket: &str, request: &ListRequest) -> Result<Listing> {
        let limit = request.limit.to_string();
        let mut question = Question::new(Method::GET, bucket, "");
        question.query = vec![("list-type", "2"), ("encoding-type", "url"), ("max-keys", &limit)];
        for (name, value) in
            [("prefix", &request.prefix), ("delimiter", &request.delimiter), ("start-after", &request.after)]
        {
            if !value.is_empty() {
                question.query.push((name, value));
            }
        }
        let body = self.ask(&question)?.text()?;
        listing(&body).map_err(|reason| {
            let address = self.client.address_of(&question);
            S3Error::new(
                ErrorCode::InternalError,
                format!("GET {address}: the list cannot be read: {reason}"),
            )
        })
    }

    fn find(&self, bucket: &str, key: &str) -> Result<()> {
        self.ask(&Question::new(Method::HEAD, bucket, key)).map(Answer::finish)
    }

    fn open_object(&self, bucket: &str, key: &str) -> Result<Opened> {
        let answer = self.ask(&Question::new(Method::GET, bucket, key))?;
        let body = Body::new(&self.client, bucket, key, answer)?;
        Ok(Opened { size: body.size(), input: Input::Remote(Box::new(body)) })
    }

    fn upload_file(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
        is_current: &dyn Fn() -> bool,
    ) -> Result<bool> {
        uploads::upload(self, bucket, key, path, is_current)
    }
}

/// Reads a page of a list.
fn listing(body: &Bytes) -> std::result::Result<Listing, String> {
    let document = Element::parse(body).map_err(|error| error.to_string())?;
    let document = document.expect("ListBucketResult").map_err(|error| error.to_string())?;
    let is_encoded = document.child("EncodingType") == Some("url");
    let text = |text: &str| {
        if !is_encoded {
            return Ok(text.to_owned());
        }
        let decoded = percent_decode_str(&text.replace('+', " ")).decode_utf8().map(|text| text.into_owned());
        decoded.map_err(|_| format!("the key {text} is not UTF-8"))
    };
    let required = |element: &Element, name: &str| {
        element.required(name).map(str::to_owned).map_err(|error| error.to_string())
    };
    let mut page = Listing::default();
    for element in document.all("Contents") {
        let size = required(element, "Size")?;
        let size = size.parse().map_err(|_| format!("{size} is no size"))?;
        let etag = element.child("ETag").unwrap_or_default().to_owned();
        page.objects.push((text(&required(element, "Key")?)?, Record { size, etag, ..Record::default() }));
    }
    for element in document.all("CommonPrefixes") {
        page.prefixes.push(text(&required(element, "Prefix")?)?);
    }
    if document.child("IsTruncated") == Some("true") {
        let last_key = page.objects.last().map(|(key, _)| key);
        let last = last_key.max(page.prefixes.last());
        page.next = Some(last.ok_or("it goes on, but this page is empty")?.clone());
    }
    Ok(page)
}

#[cfg(test)]
mod tests;
