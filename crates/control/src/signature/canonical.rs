//! The canonical form of a request that client and server sign, however it was sent.

use axum::http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::head::{Head, Rules, decoded};

/// All characters except the unreserved ones of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same in a path.
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// The text of a request that is hashed and signed.
pub(super) fn request(head: &Head<'_>, rules: Rules, signed_headers: &[&str], payload: &str) -> Vec<u8> {
    let path = match rules {
        Rules::S3 => percent_encode(&decoded(head.uri.path()), ENCODED_IN_PATH).to_string(),
        Rules::Other => percent_encode(plain(head.uri.path()).as_bytes(), ENCODED_IN_PATH).to_string(),
    };
    let query = query(head.uri.query().unwrap_or_default());
    let mut text = format!("{}\n{path}\n{query}\n", head.method).into_bytes();
    for name in signed_headers {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        let value = header(head.headers, name);
        let host = head.uri.authority().map(|authority| authority.as_str().as_bytes().to_vec());
        text.extend(value.or_else(|| host.filter(|_| *name == "host")).unwrap_or_default());
        text.push(b'\n');
    }
    text.extend_from_slice(format!("\n{}\n{payload}", signed_headers.join(";")).as_bytes());
    text
}

/// The sorted parameters, without the signature itself.
fn query(query: &str) -> String {
    let encoded = |text: &str| percent_encode(&decoded(&text.replace('+', " ")), ENCODED).to_string();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The values of a header, with single spaces, separated by commas.
pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    for (number, value) in values.enumerate() {
        if number > 0 {
            text.push(b',');
        }
        let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        for (number, word) in words.enumerate() {
            if number > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(word);
        }
    }
    Some(text)
}

/// A path without `.`, `..` and empty parts, as for all services except S3.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    let end = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("/{}{end}", parts.join("/"))
}
