//! Signature Version 4: what a client signs, and whether it did. Nothing asks yet: the server listens on the loopback, and takes whatever
//! keys clients come with.
//!
//! Source: AWS's "Signature Version 4 signing process", whose published examples are the tests.

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::checksums::hex;

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same in a path.
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A request as it is signed.
#[derive(Clone, Debug)]
pub struct SignedRequest<'a> {
    /// `GET`, `PUT`, ...
    pub method: &'a str,
    /// The path, decoded.
    pub path: &'a str,
    /// The parameters, decoded; a signature among them is left out.
    pub query: Vec<(&'a str, &'a str)>,
    /// The headers that are signed, with lowercase names, in the order of `SignedHeaders`.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The value of `x-amz-content-sha256`; `UNSIGNED-PAYLOAD` for presigned URLs.
    pub payload: &'a str,
    /// `x-amz-date`: `20130524T000000Z`.
    pub date: &'a str,
    /// Region of the credential.
    pub region: &'a str,
    /// Service of the credential: `s3`.
    pub service: &'a str,
}

impl SignedRequest<'_> {
    /// What the signature is of, before it is hashed.
    pub fn canonical(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let mut query: Vec<(String, String)> = self
            .query
            .iter()
            .filter(|(name, _)| *name != "X-Amz-Signature")
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        query.sort_unstable();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let squeezed = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}:{}\n", squeezed(value))).collect();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let path = utf8_percent_encode(self.path, ENCODED_IN_PATH);
        let Self { method, payload, .. } = self;
        format!("{method}\n{path}\n{}\n{headers}\n{}\n{payload}", query.join("&"), names.join(";"))
    }

    /// The signature that a client with this secret makes, in hexadecimal digits.
    pub fn signature(&self, secret: &str) -> String {
        let day = self.date.get(..8).unwrap_or_default();
        let Self { date, region, service, .. } = self;
        let canonical = hex(&Sha256::digest(self.canonical()));
        let text = format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/aws4_request\n{canonical}");
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [day, region, service, "aws4_request"] {
            key = mac(&key, part.as_bytes()).finalize().into_bytes().to_vec();
        }
        hex(&mac(&key, text.as_bytes()).finalize().into_bytes())
    }

    /// Whether a signature is that of this secret. It takes the same time whatever is wrong.
    pub fn is_signed_with(&self, secret: &str, signature: &str) -> bool {
        let want = self.signature(secret);
        let difference = want.bytes().zip(signature.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        difference == 0 && want.len() == signature.len()
    }
}

fn mac(key: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("a key may have any length");
    mac.update(text);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
    const DATE: &str = "20130524T000000Z";

    #[track_caller]
    fn check(
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        payload: &str,
        want: &str,
    ) {
        let request = SignedRequest {
            method,
            path,
            query: query.to_vec(),
            headers: [&[HOST], headers].concat(),
            payload,
            date: DATE,
            region: "us-east-1",
            service: "s3",
        };
        assert_eq!(request.signature(SECRET), want, "{}", request.canonical());
        assert!(request.is_signed_with(SECRET, want) && !request.is_signed_with(SECRET, &want[1..]));
        assert!(!request.is_signed_with("another", want));
    }

    #[test]
    fn signatures_are_those_of_aws_s_examples() {
        let (date, empty) = (("x-amz-date", DATE), ("x-amz-content-sha256", EMPTY));
        // "Example: GET Object", with a range.
        check(
            "GET",
            "/test.txt",
            &[],
            &[("range", "bytes=0-9"), empty, date],
            EMPTY,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        );
        // "Example: GET Bucket Lifecycle", a parameter without a value.
        check(
            "GET",
            "/",
            &[("lifecycle", "")],
            &[empty, date],
            EMPTY,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        );
        // "Example: Get Bucket (List Objects)".
        check(
            "GET",
            "/",
            &[("prefix", "J"), ("max-keys", "2")],
            &[empty, date],
            EMPTY,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        );
        // The example of a presigned URL.
        check(
            "GET",
            "/test.txt",
            &[
                ("X-Amz-Algorithm", ALGORITHM),
                ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"),
                ("X-Amz-Date", DATE),
                ("X-Amz-Expires", "86400"),
                ("X-Amz-SignedHeaders", "host"),
                ("X-Amz-Signature", "left out"),
            ],
            &[],
            "UNSIGNED-PAYLOAD",
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        );
    }
}
