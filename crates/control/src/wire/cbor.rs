//! Errors in CBOR (`rpc-v2-cbor`), so that a client that speaks nothing else can show why it is not answered.

use axum::body::Body;
use axum::http::header;
use axum::response::Response;

use super::error::ApiError;

/// An error as a map of two texts.
pub(crate) fn refuse_in_cbor(error: &ApiError, request_id: &str) -> Response {
    /// A map of two pairs.
    const MAP_OF_TWO: u8 = 0xa2;
    let mut body = vec![MAP_OF_TWO];
    for part in ["__type", &error.code, "message", &error.message] {
        text(&mut body, part);
    }
    Response::builder()
        .status(error.status)
        .header(header::CONTENT_TYPE, "application/cbor")
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("x-amzn-requestid", request_id)
        .body(Body::from(body))
        .expect("the parts of the head are valid")
}

/// A text with its length in four bytes.
fn text(body: &mut Vec<u8>, text: &str) {
    /// Major type 3, and 26 for a length of four bytes.
    const TEXT: u8 = 3 << 5 | 26;
    let length = u32::try_from(text.len()).expect("messages are short");
    body.push(TEXT);
    body.extend(length.to_be_bytes());
    body.extend(text.as_bytes());
}
