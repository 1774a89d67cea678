use axum::http::Request;
use axum::http::request::Parts;
use bytes::Bytes;
use proptest::prelude::*;

use super::{Claim, Head, Keys, Proof, Refusal, Rules, Why};
use crate::s3::{AwsChunked, ErrorCode};
use crate::times::parse_iso;

/// The keys and the time of AWS's examples.
const ACCESS: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const DATE: &str = "20130524T000000Z";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const BUCKET: &str = "examplebucket.s3.amazonaws.com";

fn keys() -> Keys {
    Keys::new(ACCESS, SECRET).unwrap()
}

fn now() -> u64 {
    parse_iso(DATE).unwrap()
}

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn prove(head: &Parts, now: u64) -> Result<Proof, Refusal> {
    Claim::of(&keys(), head.into(), Rules::S3, now)?.prove(None)
}

/// A head with a signature in its header.
fn signed(method: &str, uri: &str, headers: &[(&str, &str)], signature: &str) -> Parts {
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS}/20130524/us-east-1/s3/aws4_request,SignedHeaders={},Signature={signature}",
        names.join(";")
    );
    head(method, uri, &[headers, &[("authorization", &value)]].concat())
}

#[track_caller]
fn check(method: &str, uri: &str, headers: &[(&str, &str)], signature: &str) -> Proof {
    let proof = prove(&signed(method, uri, headers, signature), now()).unwrap();
    let other = format!("{}{}", if signature.starts_with('0') { '1' } else { '0' }, &signature[1..]);
    for wrong in [&*other, &signature[1..], &signature[2..], "", "é"] {
        let refusal = prove(&signed(method, uri, headers, wrong), now()).unwrap_err();
        assert!(matches!(refusal.why, Why::Mismatch | Why::Header), "{refusal:?}");
    }
    let changed = uri.replacen("/", "/x", 1);
    assert_eq!(prove(&signed(method, &changed, headers, signature), now()).unwrap_err().why, Why::Mismatch);
    proof
}

const HOST: (&str, &str) = ("host", BUCKET);
const AT: (&str, &str) = ("x-amz-date", DATE);
const NO_BODY: (&str, &str) = ("x-amz-content-sha256", EMPTY);

#[test]
fn signatures_are_those_of_aws_s_examples() {
    // "Example: GET Object", with a range.
    let proof = check(
        "GET",
        "/test.txt",
        &[HOST, ("range", "bytes=0-9"), NO_BODY, AT],
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
    assert_eq!(proof.sha256.as_deref(), Some(EMPTY));
    // "Example: PUT Object", whose key has a `$`.
    check(
        "PUT",
        "/test$file.text",
        &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            HOST,
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            AT,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
    // "Example: GET Bucket Lifecycle", a parameter without a value.
    check(
        "GET",
        "/?lifecycle",
        &[HOST, NO_BODY, AT],
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    );
    // "Example: Get Bucket (List Objects)".
    check(
        "GET",
        "/?prefix=J&max-keys=2",
        &[HOST, NO_BODY, AT],
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
}

/// The example of a presigned address.
const PRESIGNED: &str = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
     aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
     aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

#[test]
fn presigned_addresses_hold_for_their_time_and_their_request() {
    let presigned = head("GET", PRESIGNED, &[HOST]);
    for later in [0, 86_400] {
        assert_eq!(prove(&presigned, now() + later).unwrap().sha256, None);
    }
    assert_eq!(prove(&presigned, now() + 86_401).unwrap_err().message, "Request has expired");
    assert_eq!(prove(&presigned, now() - 901).unwrap_err().message, "Request is not yet valid");
    // A copy of another object, made from an address for an upload.
    let header = head("GET", PRESIGNED, &[HOST, ("x-amz-copy-source", "/b/secret")]);
    assert_eq!(
        prove(&header, now()).unwrap_err().details,
        [("HeadersNotSigned", "x-amz-copy-source".to_owned())]
    );
    for (from, to, why) in [
        ("86400", "86401", Why::Mismatch),
        ("86400", "604801", Why::Parameters),
        ("86400", "-1", Why::Parameters),
        ("X-Amz-Expires=86400&", "", Why::Parameters),
        ("Date=2", "Date=2&X-Amz-Date=2", Why::Parameters),
        ("Headers=host", "Headers=range", Why::Parameters),
        ("Headers=host", "Headers=host%3Bhost", Why::Parameters),
        ("s3%2F", "logs%2F", Why::Parameters),
        ("20130524%2F", "20130525%2F", Why::Parameters),
        ("aeeed9", "aeeeda", Why::Mismatch),
        (ACCESS, "AKIDANOTHER", Why::UnknownKey),
        ("test.txt?", "test.txt?versionId=1&", Why::Mismatch),
        ("test.txt?", "test.txt?Signature=1&", Why::Unusable),
        ("test.txt", "test.txt/", Why::Mismatch),
    ] {
        let changed = head("GET", &PRESIGNED.replacen(from, to, 1), &[HOST]);
        assert_eq!(prove(&changed, now()).unwrap_err().why, why, "{to}");
    }
    assert_eq!(prove(&head("PUT", PRESIGNED, &[HOST]), now()).unwrap_err().why, Why::Mismatch);
}

#[test]
fn what_is_not_signed_or_not_readable_is_refused() {
    let whole = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS}/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=00"
    );
    for (from, to, why) in [
        ("", "", Why::Mismatch),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", Why::Header),
        ("AWS4-HMAC-SHA256 ", "Bearer ", Why::Header),
        ("Signature=00", "", Why::Header),
        ("Signature=00", "Signature=00, Signature=00", Why::Header),
        ("Signature=00", "Signature=00, Other=1", Why::Header),
        ("host;", "", Why::Header),
        ("host;x", "host;host;x", Why::Header),
        ("x-amz-content-sha256;x-amz-date", "x-amz-content-sha256", Why::Unusable),
        ("aws4_request", "aws4", Why::Header),
        ("/s3/", "/sts/", Why::Header),
        ("20130524", "20130523", Why::Header),
        (ACCESS, "AKIDANOTHER", Why::UnknownKey),
    ] {
        let parts = head("GET", "/", &[HOST, NO_BODY, AT, ("authorization", &whole.replacen(from, to, 1))]);
        assert_eq!(prove(&parts, now()).unwrap_err().why, why, "{from} to {to}");
    }
    let right = head("GET", "/", &[HOST, NO_BODY, AT, ("authorization", &whole)]);
    for (now, why) in [
        (now() + 900, Why::Mismatch),
        (now() + 901, Why::Skewed),
        (now() - 900, Why::Mismatch),
        (now() - 901, Why::Skewed),
    ] {
        assert_eq!(prove(&right, now).unwrap_err().why, why);
    }
    assert_eq!(prove(&head("GET", "/", &[HOST]), now()).unwrap_err().why, Why::Missing);
    let twice = head("GET", "/?X-Amz-Signature=1", &[HOST, NO_BODY, AT, ("authorization", &whole)]);
    assert_eq!(prove(&twice, now()).unwrap_err().why, Why::Unusable);
    // Version 2 is S3's only.
    let second =
        head("GET", "/", &[HOST, ("date", "Fri, 24 May 2013 00:00:00 GMT"), ("authorization", "AWS k:s")]);
    assert_eq!(Claim::of(&keys(), Head::from(&second), Rules::Other, now()).unwrap_err().why, Why::Header);
}

#[test]
fn the_second_version_is_that_of_aws_s_examples() {
    // "Query string request authentication alternative".
    let query = "/johnsmith/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620";
    let presigned = head("GET", query, &[("host", "s3.us-west-1.amazonaws.com")]);
    let claim = |parts: &Parts, now| {
        Claim::of(&keys(), parts.into(), Rules::S3, now).and_then(|claim| claim.prove(None))
    };
    let at = 1_175_139_620;
    assert!(claim(&presigned, at).is_ok());
    assert_eq!(claim(&presigned, 1_175_139_621).unwrap_err().message, "Request has expired");
    for (from, to, why) in [
        ("Expires=1175139620", "Expires=1175139621", Why::Mismatch),
        ("Expires=1175139620", "", Why::Expired),
        ("puppy", "puppi", Why::Mismatch),
        ("?", "?acl&", Why::Mismatch),
        ("?", "?x-amz-acl=a%0A&", Why::Unusable),
        ("AKIA", "AKIB", Why::UnknownKey),
    ] {
        let changed = head("GET", &query.replacen(from, to, 1), &[]);
        assert_eq!(claim(&changed, at).unwrap_err().why, why, "{to}");
    }
    let amended = head("GET", query, &[("x-amz-acl", "public-read")]);
    assert_eq!(claim(&amended, at).unwrap_err().why, Why::Mismatch);
}

/// The body of the examples: 65 KiB of the letter a, in chunks of 64 KiB.
fn chunks(signatures: [&str; 3], trailers: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let mut body = format!("10000;chunk-signature={first}\r\n").into_bytes();
    body.extend([b'a'; 65_536]);
    body.extend(format!("\r\n400;chunk-signature={second}\r\n").bytes());
    body.extend([b'a'; 1024]);
    body.extend(format!("\r\n0;chunk-signature={last}\r\n{trailers}\r\n").bytes());
    body
}

fn read(proof: &Proof, body: &[u8], step: usize) -> Result<usize, ErrorCode> {
    let mut chunked = AwsChunked::signed(proof.chunks.clone().unwrap());
    let mut count = 0;
    for piece in body.chunks(step) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(data) = chunked.next_data(&mut piece).map_err(|error| error.code)? {
            count += data.len();
        }
    }
    chunked.finish().map(|_| count).map_err(|error| error.code)
}

#[track_caller]
fn check_chunks(proof: &Proof, signatures: [&str; 3], trailers: &str) {
    let body = chunks(signatures, trailers);
    for step in [1, 1000, body.len()] {
        assert_eq!(read(proof, &body, step), Ok(66_560));
    }
    let mut changed = body.clone();
    changed[70_000 - 4000] = b'b';
    let text =
        |from: &str, to: &str| String::from_utf8(body.clone()).unwrap().replacen(from, to, 1).into_bytes();
    let [first, second, last] = signatures;
    for wrong in [
        changed,
        text(first, second),
        text(second, first),
        text(last, first),
        text(&format!(";chunk-signature={second}"), ""),
        text("\r\n0;", "\r\n00;x="),
        // A missing chunk, and a repeated one.
        [text("", "").split_at(65_536 + 87).1.to_vec()].concat(),
    ] {
        assert_eq!(read(proof, &wrong, 1000), Err(ErrorCode::SignatureDoesNotMatch));
    }
    // The body ends early.
    assert_eq!(read(proof, &body[..65_536 + 87 + 2], 1000), Err(ErrorCode::IncompleteBody));
}

#[test]
fn chunks_are_signed_as_in_aws_s_example() {
    let proof = check(
        "PUT",
        "/examplebucket/chunkObject.txt",
        &[
            ("content-encoding", "aws-chunked"),
            ("content-length", "66824"),
            ("host", "s3.amazonaws.com"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            AT,
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    );
    let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    check_chunks(&proof, signatures, "");
    // An unsigned trailer.
    let body = chunks(signatures, "x-amz-checksum-crc32c:sOO8/Q==\r\n");
    assert_eq!(read(&proof, &body, 1000), Err(ErrorCode::SignatureDoesNotMatch));
}

#[test]
fn trailers_are_signed_as_in_aws_s_example() {
    let proof = check(
        "PUT",
        "/examplebucket/chunkObject.txt",
        &[
            ("content-encoding", "aws-chunked"),
            ("host", "s3.amazonaws.com"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            AT,
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
        ],
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    );
    let signatures = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ];
    let checksum = "x-amz-checksum-crc32c:sOO8/Q==\r\n";
    let signature =
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";
    check_chunks(&proof, signatures, &format!("{checksum}{signature}"));
    for wrong in ["", checksum, signature, &format!("{}{signature}", checksum.replace("sOO", "sOP"))] {
        let body = chunks(signatures, wrong);
        assert_eq!(read(&proof, &body, 1000), Err(ErrorCode::SignatureDoesNotMatch), "{wrong}");
    }
}

#[test]
fn keys_have_a_form_and_keep_their_secret() {
    for (access, secret) in
        [("", "12345678"), ("a b", "12345678"), ("key", "short"), ("key", "with space in it")]
    {
        assert!(!Keys::new(access, secret).unwrap_err().contains(secret));
    }
    assert!(!format!("{:?}", keys()).contains("wJalr"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A client's signature is accepted, and no other.
    #[test]
    fn whatever_is_signed_is_proven(
        path in "/([a-zA-Z0-9.~_-]|/|%[0-9A-F]{2}|[$+:@!]){0,12}",
        query in "([a-z%&=+~.]|%2[0-9A-F]){0,12}",
        value in "[ -~]{0,12}",
        body in "[a-z]{0,5}",
    ) {
        for rules in [Rules::S3, Rules::Other] {
            let uri = format!("{path}?{query}");
            let hash = if rules == Rules::S3 { "UNSIGNED-PAYLOAD" } else { "" };
            let headers = [HOST, AT, ("x-amz-content-sha256", hash), ("x-amz-meta-a", &*value)];
            let unsigned = head("PUT", &uri, &headers);
            let keys = keys();
            let authorization = keys.authorization(&Head::from(&unsigned), rules, "us-east-1", "s3", body.as_bytes());
            let signed = head("PUT", &uri, &[&headers[..], &[("authorization", &authorization)]].concat());
            let claim = Claim::of(&keys, Head::from(&signed), rules, now()).unwrap();
            let proven = |claim: &Claim<'_>, body: &str| match rules {
                Rules::S3 => claim.prove(None).map(|_| ()),
                Rules::Other => claim.check(body.as_bytes()),
            };
            prop_assert!(proven(&claim, &body).is_ok());
            if rules == Rules::Other {
                let more = format!("{body}x");
                prop_assert!(proven(&claim, &more).is_err());
            }
            let other = head("PUT", &format!("{path}x?{query}"), &[&headers[..], &[("authorization", &authorization)]].concat());
            let other = Claim::of(&keys, Head::from(&other), rules, now()).unwrap();
            prop_assert!(proven(&other, &body).is_err());
        }
    }

    /// No arbitrary text is accepted as a signature, and none stops the server.
    #[test]
    fn nothing_else_is_taken_for_a_signature(
        fields in "(AWS4-HMAC-SHA256 |AWS |Credential=|AKIAIOSFODNN7EXAMPLE/|20130524/|us-east-1/|s3/|aws4_request|, ?|SignedHeaders=|host|;|x-amz-date|Signature=|[0-9a-f]{2}|[ -~]){0,14}",
        query in "((X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)|AWSAccessKeyId|Signature|Expires)=|AWS4-HMAC-SHA256|AKIAIOSFODNN7EXAMPLE|%2F20130524%2Fus-east-1%2Fs3%2Faws4_request|20130524T000000Z|host|[0-9]{1,20}|&|%[0-9A-F]{2}|é){0,14}",
        chunks in "([0-9a-f]{1,3}|;chunk-signature=|[0-9a-f]{64}|\r\n|[a-z]{1,9}|:){0,12}",
    ) {
        let header = head("GET", "/b/k", &[HOST, AT, NO_BODY, ("authorization", &fields)]);
        prop_assert!(prove(&header, now()).is_err());
        let presigned = Request::builder().uri(format!("/b/k?{query}")).body(());
        if let Ok(presigned) = presigned {
            prop_assert!(prove(&presigned.into_parts().0, now()).is_err());
        }
        let scope = super::scope::Scope { day: "20130524".into(), region: "r".into(), service: "s3".into() };
        let signatures = super::ChunkSignatures::new(vec![0; 32], DATE, &scope, "00", false);
        let proof = Proof { chunks: Some(signatures), sha256: None };
        prop_assert!(read(&proof, chunks.as_bytes(), 5).is_err());
    }
}
