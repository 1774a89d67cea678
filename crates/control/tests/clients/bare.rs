//! Requests byte by byte.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use kokanee_testkit::http::{Answer, connect, read, send};

use crate::server::Running;

struct Place {
    server: Running,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Running::new(&folder.path().join("s3"));
        let place = Self { server, _folder: folder };
        assert_eq!(place.put("/bucket", b"").status, 200);
        place
    }

    fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.ask("PUT", path, &[], body)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if method == "PUT" && !headers.iter().any(|(name, _)| *name == "Transfer-Encoding") {
            headers.push(("Content-Length", &length));
        }
        send(self.server.address, method, path, &headers, body)
    }

    #[track_caller]
    fn check_files(&self, want: &[&str]) {
        let files = self.server.files();
        let found: Vec<&String> =
            files.iter().filter(|name| !name.starts_with(".kokanee-s3/bucket/")).collect();
        assert_eq!(found, want);
    }
}

pub(crate) fn a_cut_upload_leaves_nothing() {
    let place = Place::new();
    assert_eq!(place.put("/bucket/a", b"old").status, 200);
    let mut stream = connect(place.server.address);
    stream
        .write_all(b"PUT /bucket/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
        .and_then(|()| stream.write_all(&vec![b'x'; 2_000_000]))
        .expect("takes bytes");
    let until = Instant::now() + Duration::from_secs(20);
    let is_there = || place.server.files().iter().any(|name| name.starts_with(".kokanee-s3/unnamed/"));
    while !is_there() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(is_there());
    drop(stream);
    while is_there() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    place.check_files(&["bucket/a"]);
    assert_eq!(place.ask("GET", "/bucket/a", &[], b"").text(), "old");
    while place.server.memory.taken() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(place.server.memory.taken(), 0);
}

pub(crate) fn chunks_within_chunks_and_trailers() {
    let place = Place::new();
    let inner =
        b"5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    // HTTP's own chunks are cut elsewhere.
    let outer: Vec<u8> = inner
        .chunks(7)
        .flat_map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat())
        .chain(*b"0\r\n\r\n")
        .collect();
    let check = |trailer: &str, length: &str, body: &[u8], status: u16, part: &str| {
        let headers = [
            ("Transfer-Encoding", "chunked"),
            ("Content-Encoding", "gzip,aws-chunked"),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", length),
            ("x-amz-trailer", trailer),
        ];
        let answer = place.ask("PUT", "/bucket/a", &headers, body);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(part) || answer.head.contains(part), "{answer:?}");
    };
    check("x-amz-checksum-crc32", "5", &outer, 200, "x-amz-checksum-crc32: NhCmhg==");
    let stored = place.ask("GET", "/bucket/a", &[("x-amz-checksum-mode", "ENABLED")], b"");
    assert_eq!((stored.text().as_str(), stored.header("content-encoding")), ("hello", Some("gzip")));
    assert_eq!(stored.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
    let wrong = String::from_utf8(outer.clone()).expect("text").replace("hello", "hallo");
    check("x-amz-checksum-crc32", "5", wrong.as_bytes(), 400, "<Code>BadDigest</Code>");
    check("x-amz-checksum-sha1", "5", &outer, 400, "<Code>InvalidRequest</Code>");
    check("x-amz-checksum-crc32", "6", &outer, 400, "<Code>IncompleteBody</Code>");
    check("x-amz-checksum-crc32", "4", &outer, 400, "<Code>IncompleteBody</Code>");
    assert_eq!(place.ask("GET", "/bucket/a", &[], b"").text(), "hello");
}

pub(crate) fn keys_that_are_no_paths_stay_in_the_folder() {
    let place = Place::new();
    let keys = [
        "../x",
        "..%2F..%2Fx",
        "%00",
        "/etc",
        "a//b",
        "a/",
        "%2e%2e/y",
        "a",
        ".kokanee-s3/x",
        "%E2%82%AC",
        "a+b%20c",
    ];
    for key in keys {
        let path = format!("/bucket/{key}");
        assert_eq!(place.put(&path, key.as_bytes()).status, 200, "{key}");
    }
    for key in keys {
        assert_eq!(place.ask("GET", &format!("/bucket/{key}"), &[], b"").text(), key);
    }
    place.check_files(&[
        "bucket/%00",
        "bucket/%2E%2E/%2E%2E/x",
        "bucket/%2E%2E/x",
        "bucket/%2E%2E/y",
        "bucket/%2Ekokanee-s3/x",
        "bucket/%_/etc",
        "bucket/a%=",
        "bucket/a+b c",
        "bucket/a/%_%=",
        "bucket/a/%_/b",
        "bucket/€",
    ]);
    let long = format!("/bucket/{}", "x".repeat(1025));
    for (path, status, code) in [
        (&*long, 400, "KeyTooLongError"),
        ("/bucket/%FF", 400, "InvalidURI"),
        ("/../x", 404, "NoSuchBucket"),
        ("/.kokanee-s3/bucket/bucket.json", 404, "NoSuchBucket"),
        ("/bucket/a?torrent", 501, "NotImplemented"),
        ("/bucket/a?versionId=3", 404, "NoSuchVersion"),
    ] {
        let answer = place.ask("GET", path, &[], b"");
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{path}: {}", answer.text());
        assert_eq!(answer.status, status, "{path}");
    }
}

pub(crate) fn buckets_in_hosts() {
    let place = Place::new();
    assert_eq!(place.put("/bucket/a/b", b"1").status, 200);
    for host in ["bucket.localhost:1", "bucket.s3.us-west-2.amazonaws.com"] {
        let mut stream = connect(place.server.address);
        write!(stream, "GET /a/b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
            .expect("takes the request");
        assert_eq!(read(&mut stream).expect("an answer").text(), "1");
    }
}

pub(crate) fn an_upload_is_asked_for_before_it_is_sent() {
    let place = Place::new();
    let ask = |path: &str| {
        let mut stream = connect(place.server.address);
        write!(stream, "PUT {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 5\r\n\r\n")
            .expect("takes the head");
        let mut first = [0; 25];
        stream.read_exact(&mut first).expect("an answer");
        (stream, String::from_utf8_lossy(&first).into_owned())
    };
    let (mut stream, first) = ask("/bucket/a");
    assert_eq!(first, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").expect("takes the body");
    assert_eq!(read(&mut stream).expect("an answer").status, 200);
    // What will be refused is not asked for. Whether the body comes is not known then, so the connection ends, although the client
    // has not asked for that.
    let mut stream = connect(place.server.address);
    write!(stream, "PUT /nothing/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n")
        .expect("takes the head");
    let answer = read(&mut stream).expect("an answer");
    assert_eq!(answer.status, 404);
    assert!(answer.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{}", answer.head);
}

pub(crate) fn two_writers_at_once() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for writer in 0..4_u8 {
            let place = &place;
            scope.spawn(move || {
                for _ in 0..10 {
                    assert_eq!(place.put("/bucket/a", &vec![b'a' + writer; 1_500_000]).status, 200);
                    let answer = place.ask("GET", "/bucket/a", &[], b"").ok();
                    assert!(answer.body.iter().all(|byte| *byte == answer.body[0]));
                    assert_eq!(answer.body.len(), 1_500_000);
                }
            });
        }
    });
    place.check_files(&["bucket/a"]);
}

pub(crate) fn forms_of_browsers() {
    let place = Place::new();
    let field = |name: &str, value: &str| {
        format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\f.txt\"\r\n\r\nhello\r\n--xx--\r\n";
    let body = [
        &field("key", "up/${filename}"),
        &field("Content-Type", "text/plain"),
        &field("success_action_status", "201"),
        file,
    ]
    .concat();
    let headers = [("Content-Type", "multipart/form-data; boundary=xx")];
    let answer = place.ask("POST", "/bucket", &headers, body.as_bytes());
    assert!(answer.status == 201 && answer.text().contains("<Key>up/f.txt</Key>"), "{}", answer.text());
    let stored = place.ask("GET", "/bucket/up/f.txt", &[], b"");
    assert_eq!((stored.text().as_str(), stored.header("content-type")), ("hello", Some("text/plain")));
    let cut = &body[..body.len() - 8];
    assert_eq!(place.ask("POST", "/bucket", &headers, cut.as_bytes()).status, 400);
}
