//! Hashes and message authentication codes.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

fn hmac_sha256(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(text.as_bytes());
    mac
}

pub(super) fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac_sha256(key, text).finalize().into_bytes().to_vec()
}

/// Whether a text has this signature, in hexadecimal digits. The comparison takes constant time.
pub(super) fn is_signed(key: &[u8], text: &str, signature: &str) -> bool {
    unhex(signature).is_some_and(|bytes| hmac_sha256(key, text).verify_slice(&bytes).is_ok())
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
