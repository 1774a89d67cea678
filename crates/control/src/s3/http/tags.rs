//! Tags of objects.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;

use super::body::{Announced, receive_small};
use super::described::add_tag;
use super::service::{Call, empty, xml};
use crate::s3::error::Result;
use crate::s3::xml::{Document, Element, malformed};

const MAX_TAGGING_BYTES: u64 = 64 << 10;

/// `GetObjectTagging`.
pub(super) async fn get(call: &Call) -> Result<Response> {
    let (bucket, key) = (call.bucket(), call.key());
    let record = call.blocking(move |store| store.stat(&bucket, &key)).await?;
    Ok(xml(Document::write("Tagging", |document| {
        document.element("TagSet", |document| {
            for (name, value) in &record.description.tags {
                document.element("Tag", |document| {
                    document.text("Key", name);
                    document.text("Value", value);
                });
            }
        });
    })))
}

/// `PutObjectTagging`.
pub(super) async fn put(call: &Call) -> Result<Response> {
    let announced = Announced::of(&call.headers)?.proven(&call.proof);
    let body = call.take_body();
    let (bytes, _share) = receive_small(&call.service, body, &announced, MAX_TAGGING_BYTES).await?;
    let request = Element::parse(&bytes)?.expect("Tagging")?;
    let set = request.all("TagSet").next().ok_or_else(|| malformed("it has no <TagSet>"))?;
    let mut tags = BTreeMap::new();
    for tag in set.all("Tag") {
        add_tag(&mut tags, tag.required("Key")?, tag.required("Value")?)?;
    }
    replace(call, tags).await?;
    Ok(empty(StatusCode::OK))
}

/// `DeleteObjectTagging`.
pub(super) async fn delete(call: &Call) -> Result<Response> {
    replace(call, BTreeMap::new()).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn replace(call: &Call, tags: BTreeMap<String, String>) -> Result<()> {
    let (bucket, key) = (call.bucket(), call.key());
    call.blocking(move |store| store.describe(&bucket, &key, |record| record.description.tags = tags)).await
}
