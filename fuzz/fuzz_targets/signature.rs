//! Signatures from anybody, in headers, addresses, forms and chunks: no panic, and none is taken for a right one.
#![no_main]

use std::collections::BTreeMap;

use axum::http::Request;
use bytes::Bytes;
use kokanee_control::s3::AwsChunked;
use kokanee_control::signature::{Claim, Head, Keys, Rules};
use libfuzzer_sys::fuzz_target;

/// `20130524T000000Z`.
const NOW: u64 = 1_369_353_600;
const DATE: &str = "20130524T000000Z";

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let (Some(path), Some(header), Some(field)) = (parts.next(), parts.next(), parts.next()) else { return };
    let body = parts.next().unwrap_or_default();
    let keys = Keys::new("AKIAIOSFODNN7EXAMPLE", "a secret that nobody knows".replace(' ', "-").as_str()).expect("keys");
    let request = Request::put(path).header("host", "localhost").header("x-amz-date", DATE);
    let request = request.header("x-amz-content-sha256", field);
    if let Ok(request) = request.header("authorization", header).body(()) {
        let (head, ()) = request.into_parts();
        refused(&keys, Head::from(&head));
    }
    if let Ok(request) = Request::put(path).header("host", "localhost").header("x-amz-meta-a", field).body(()) {
        let (head, ()) = request.into_parts();
        refused(&keys, Head::from(&head));
    }
    let text = String::from_utf8_lossy(header).into_owned();
    let fields: BTreeMap<String, String> = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(keys.check_policy(&fields).is_err());
    chunks(&keys, body);
});

fn refused(keys: &Keys, head: Head<'_>) {
    for rules in [Rules::S3, Rules::Other] {
        if let Ok(claim) = Claim::of(keys, head, rules, NOW) {
            assert!(claim.check(b"body").is_err());
            assert!(claim.prove(Some("bucket")).is_err());
        }
    }
}

/// The body of a request that is signed, chunk by chunk, by somebody else.
fn chunks(keys: &Keys, body: &[u8]) {
    let payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
    let mut request = Request::put("/bucket/key").header("host", "localhost").header("x-amz-date", DATE);
    request = request.header("x-amz-content-sha256", payload);
    let mut request = request.body(()).expect("a request");
    let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
    let signed = keys.authorization(&head, Rules::S3, "us-east-1", "s3", b"");
    request.headers_mut().insert("authorization", signed.parse().expect("a header"));
    let (head, ()) = request.into_parts();
    let proof = Claim::of(keys, Head::from(&head), Rules::S3, NOW).and_then(|claim| claim.prove(None));
    let mut chunked = AwsChunked::signed(proof.expect("signed").chunks.expect("in chunks"));
    let mut input = Bytes::copy_from_slice(body);
    loop {
        match chunked.next_data(&mut input) {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => return,
        }
    }
    assert!(chunked.finish().is_err());
}
