//! Buckets and their content.

use kokanee_pages::human;
use kokanee_pages::parts::{Column, card, facts, note, pager, table};
use maud::{Markup, html};

use super::preview;
use super::visit::{Problem, Shown, Visit, time};
use crate::s3::ListRequest;

/// The number of rows per page.
const ROWS: usize = 100;

/// All buckets.
pub(super) fn all(visit: &Visit) -> Shown {
    let buckets = visit.objects()?.buckets()?;
    let rows: Vec<Vec<Markup>> = buckets
        .iter()
        .map(|bucket| {
            vec![
                html! { a.name href=(visit.link(&["buckets", &bucket.name], &[])) { (bucket.name) } },
                html! { (bucket.region) },
                time(ms(bucket.created_ns)),
            ]
        })
        .collect();
    let columns = [Column::words("Name"), Column::words("Region"), Column::words("Created (UTC)")];
    let body = html! {
        h1 { "Buckets" }
        (card("", &html! {
            @if rows.is_empty() {
                (note("No buckets yet. Create one with aws s3 mb s3://my-bucket."))
            } @else {
                (table("Buckets", &columns, &rows))
            }
        }))
        p.note { "Objects are plain files in " span.mono { (visit.objects()?.folder().display()) } "." }
    };
    Ok(visit.page("buckets", "Buckets", &[], body))
}

/// A folder of a bucket.
pub(super) fn folder(visit: &Visit) -> Shown {
    let bucket = visit.name(0);
    let prefix = visit.query.get("prefix").unwrap_or_default();
    let after = visit.query.get("after").unwrap_or_default();
    let request = ListRequest {
        prefix: prefix.to_owned(),
        delimiter: "/".to_owned(),
        after: after.to_owned(),
        limit: ROWS,
    };
    let page = visit.objects()?.list(bucket, &request)?;
    let link =
        |prefix: &str, after: &str| visit.link(&["buckets", bucket], &[("prefix", prefix), ("after", after)]);
    let shown = |key: &str| key.strip_prefix(prefix).unwrap_or(key).to_owned();
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for folder in &page.prefixes {
        rows.push(vec![
            html! { a.key href=(link(folder, "")) { (shown(folder)) } },
            html! {},
            html! {},
            html! {},
        ]);
    }
    for (key, record) in &page.objects {
        let object = visit.link(&["buckets", bucket, "object"], &[("key", key)]);
        let download = visit.link(&["buckets", bucket, "download"], &[("key", key)]);
        let name = shown(key);
        rows.push(vec![
            html! { a.key href=(object) { @if name.is_empty() { "(folder mark)" } @else { (name) } } },
            html! { (human::bytes(record.size)) },
            time(ms(record.modified_ns)),
            html! { a href=(download) aria-label={ "Download " (key) } { "Download" } },
        ]);
    }
    let columns = [
        Column::words("Name"),
        Column::numbers("Size"),
        Column::words("Last modified (UTC)"),
        Column::words(""),
    ];
    let first = (!after.is_empty()).then(|| link(prefix, ""));
    let next = page.next.as_deref().map(|last| link(prefix, last));
    let upload = visit.link(&["buckets", bucket, "upload"], &[]);
    let body = html! {
        h1 { (bucket) }
        (path(visit, bucket, prefix))
        (card("", &html! {
            @if rows.is_empty() { (note("This folder is empty.")) } @else { (table("Objects", &columns, &rows)) }
            (pager(first.as_deref(), next.as_deref()))
        }))
        (card("Upload", &html! {
            form.tools method="post" enctype="multipart/form-data" action=(upload) {
                input type="hidden" name="key" value={ (prefix) "${filename}" };
                input type="hidden" name="success_action_redirect" value=(link(prefix, ""));
                label { "File to upload into this folder" input type="file" name="file" required; }
                button { "Upload" }
            }
        }))
    };
    Ok(visit.page("buckets", bucket, &[("Buckets", visit.link(&["buckets"], &[]))], body))
}

/// Links to the folders above an address.
fn path(visit: &Visit, bucket: &str, prefix: &str) -> Markup {
    let ends: Vec<usize> = prefix.match_indices('/').map(|(at, _)| at + 1).collect();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    html! {
        nav.crumbs aria-label="Folders above" {
            a href=(visit.link(&["buckets", bucket], &[])) { "s3://" (bucket) }
            @for (start, end) in starts.zip(&ends) {
                span aria-hidden="true" { "/" }
                a href=(visit.link(&["buckets", bucket], &[("prefix", &prefix[..*end])])) { (prefix[start..*end - 1]) }
            }
        }
    }
}

/// An object with a preview of its content.
pub(super) fn object(visit: &Visit) -> Shown {
    let bucket = visit.name(0);
    let Some(key) = visit.query.get("key").filter(|key| !key.is_empty()) else {
        return Err(Problem::bad("The address names no key of an object."));
    };
    let object = visit.objects()?.get(bucket, key)?;
    let record = &object.record;
    let content_type = record.description.headers.get("content-type").map_or("-", String::as_str);
    let rows = [
        ("S3 URI", html! { span.mono { "s3://" (bucket) "/" (key) } }),
        ("Size", html! { (human::bytes(record.size)) }),
        ("Last modified (UTC)", time(ms(record.modified_ns))),
        ("Content type", html! { (content_type) }),
        ("ETag", html! { span.mono { (record.etag) } }),
        ("File", html! { span.mono { (object.path.display()) } }),
    ];
    let folder = key.rfind('/').map_or("", |at| &key[..=at]);
    let name = &key[folder.len()..];
    let download = visit.link(&["buckets", bucket, "download"], &[("key", key)]);
    let body = html! {
        div.title { h1 { (name) } a.button href=(download) { "Download" } }
        (path(visit, bucket, folder))
        (card("", &facts(&rows)))
        (card("Preview", &preview::show(visit, bucket, key, object.file)?))
    };
    Ok(visit.page("buckets", name, &[("Buckets", visit.link(&["buckets"], &[]))], body))
}

fn ms(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX)
}
