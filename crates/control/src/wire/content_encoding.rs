//! Compressed request bodies: `PutMetricData` from 10 KiB on.

use std::io::Read as _;

use axum::http::header;
use axum::http::request::Parts;
use flate2::read::MultiGzDecoder;

use super::error::ApiError;

/// The decompressed body, up to `most` bytes.
pub(crate) fn decoded(head: &Parts, body: Vec<u8>, most: usize) -> Result<Vec<u8>, ApiError> {
    let encoding = head.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    match encoding.map(str::trim) {
        None | Some("" | "identity") => Ok(body),
        Some("gzip") => {
            let mut decoded = Vec::new();
            let limit = most as u64 + 1;
            MultiGzDecoder::new(body.as_slice()).take(limit).read_to_end(&mut decoded).map_err(|error| {
                ApiError::new("SerializationException", format!("the body is not gzip: {error}"))
            })?;
            if decoded.len() > most {
                let message = format!("the request has more than {most} bytes when it is unpacked");
                return Err(ApiError::new("RequestEntityTooLargeException", message).status(413));
            }
            Ok(decoded)
        }
        Some(_) => Err(ApiError::new("SerializationException", "bodies are taken plain or with gzip only")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use axum::http::Request;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[track_caller]
    fn check(encoding: &str, body: &[u8], want: Result<&[u8], u16>) {
        let (head, ()) =
            Request::post("/").header("content-encoding", encoding).body(()).unwrap().into_parts();
        let found = decoded(&head, body.to_vec(), 10);
        assert_eq!(found.as_deref().map_err(|error| error.status), want);
    }

    #[test]
    fn bodies_are_unpacked_up_to_a_limit() {
        let packed = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        check("identity", b"text", Ok(b"text"));
        check("gzip", &packed(b"0123456789"), Ok(b"0123456789"));
        check("gzip", &packed(&[b' '; 11]), Err(413));
        check("gzip", b"text", Err(400));
        check("br", b"text", Err(400));
    }
}
