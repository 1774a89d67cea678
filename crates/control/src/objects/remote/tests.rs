//! The other S3 is a server of this crate, or a server of canned responses for behaviour that the former never shows.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use kokanee_http::{Bounds, MemoryBudget, Metrics, Patience, Server, Shell};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::*;
use crate::api::Objects as _;
use crate::s3::{S3Site, Settings, Store, router};
use crate::signature::Keys;

const SECRET: &str = "a/secret+with=odd~characters";

struct Other {
    folder: TempDir,
    store: Arc<Store>,
    url: String,
    runtime: Runtime,
}

/// A server with keys and the bucket `bucket`.
fn other() -> Other {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("s3")).unwrap());
    store.create_bucket("bucket", "us-east-1").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(Server::bind(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
    let url = format!("http://{}", server.address());
    let settings = Settings {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        patience: Patience::default(),
        keys: Some(Arc::new(Keys::new("team", SECRET).unwrap())),
    };
    let shell = Shell {
        router: router(Arc::clone(&store), settings, MemoryBudget::new(64 << 20)),
        site: Arc::new(S3Site),
        metrics: Arc::new(Metrics::new("a request")),
        bounds: Bounds::default(),
        tls: None,
    };
    let (_, stop) = watch::channel(0);
    let work = std::future::pending::<std::result::Result<(), std::convert::Infallible>>();
    runtime.spawn(server.run(shell, work, stop));
    Other { folder, store, url, runtime }
}

impl Other {
    fn remote(&self, url: &str, secret: &str) -> Remote {
        let _inside = self.runtime.enter();
        let settings = RemoteSettings {
            url: url.to_owned(),
            region: "us-east-1".to_owned(),
            keys: Keys::new("team", secret).unwrap(),
            session_token: None,
        };
        Remote::new(settings).unwrap()
    }

    fn file(&self, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn whole(remote: &Remote, key: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    remote.open_object("bucket", key).map_err(std::io::Error::other)?.input.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn objects_go_there_and_come_back() {
    let other = other();
    let remote = other.remote(&other.url, SECRET);
    let keys = ["a b/ü+c%", "a&<b>", "a//..", "a?x=1", "b"];
    for key in keys {
        assert!(remote.upload_file("bucket", key, &other.file(key.as_bytes()), &|| true).unwrap());
        assert_eq!(whole(&remote, key).unwrap(), key.as_bytes(), "{key}");
    }
    // Page by page.
    let mut request = ListRequest { prefix: "a".to_owned(), limit: 2, ..ListRequest::default() };
    let mut listed = Vec::new();
    loop {
        let page = remote.page("bucket", &request).unwrap();
        assert!(page.objects.len() <= 2);
        listed.extend(page.objects.into_iter().map(|(key, record)| (key, record.size)));
        match page.next {
            Some(next) => request.after = next,
            None => break,
        }
    }
    let mut want: Vec<_> = keys[..4].iter().map(|key| ((*key).to_owned(), key.len() as u64)).collect();
    want.sort();
    assert_eq!(listed, want);
    assert_eq!(remote.has("bucket", "b"), Ok(true));
    assert_eq!(remote.has("bucket", "c"), Ok(false));
    assert_eq!(remote.has_any("bucket", "a//"), Ok(true));
    assert_eq!(remote.has_any("bucket", "c"), Ok(false));
    // As files of a folder.
    let target = other.folder.path().join("target");
    let moved = remote.download_prefix("bucket", "a b/", &target).unwrap();
    assert_eq!(
        (moved.objects, std::fs::read(target.join("ü+c%")).unwrap()),
        (1, b"a b/\xc3\xbc+c%".to_vec())
    );
}

#[test]
fn large_files_go_in_parts_and_half_ones_not_at_all() {
    let other = other();
    let remote = other.remote(&other.url, SECRET);
    let bytes: Vec<u8> = (0..(20_u32 << 20) / 4).flat_map(|number| (number * 7).to_le_bytes()).collect();
    let path = other.file(&bytes);
    assert!(remote.upload_file("bucket", "big", &path, &|| true).unwrap());
    assert!(whole(&remote, "big").unwrap() == bytes);
    assert!(other.store.stat("bucket", "big").unwrap().etag.ends_with("-3"), "it came in three parts");
    let empty = other.file(b"");
    assert!(remote.upload_file("bucket", "empty", &empty, &|| true).unwrap());
    assert_eq!(whole(&remote, "empty").unwrap(), b"");
    // A file that changed while it was read does not become an object, and its parts are removed.
    for content in [&bytes[..], b"small"] {
        let path = other.file(content);
        assert!(!remote.upload_file("bucket", "changed", &path, &|| false).unwrap());
    }
    assert_eq!(remote.has("bucket", "changed"), Ok(false));
    assert!(other.store.uploads("bucket").unwrap().is_empty());
}

#[test]
fn refusals_name_the_object_and_what_to_do() {
    let other = other();
    let path = other.file(b"1");
    let check = |error: S3Error, code: ErrorCode, parts: &[&str]| {
        assert_eq!(error.code, code, "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{error}");
        }
    };
    let remote = other.remote(&other.url, SECRET);
    let object = format!("{}/bucket/none: ", other.url);
    check(
        remote.open_object("bucket", "none").unwrap_err(),
        ErrorCode::NoSuchKey,
        &["GET ", &object, "(NoSuchKey)"],
    );
    let gone = remote.upload_file("gone-bucket", "x", &path, &|| true).unwrap_err();
    check(gone, ErrorCode::NoSuchBucket, &["/gone-bucket/x"]);
    check(remote.page("gone-bucket", &ListRequest::default()).unwrap_err(), ErrorCode::NoSuchBucket, &[]);
    assert!(remote.has_any("gone-bucket", "").unwrap_err().contains("NoSuchBucket"));
    let wrong = other.remote(&other.url, "another-secret");
    let advice = "AWS_SECRET_ACCESS_KEY of the environment";
    check(
        wrong.open_object("bucket", "x").unwrap_err(),
        ErrorCode::AccessDenied,
        &["SignatureDoesNotMatch", advice],
    );
    assert!(wrong.has("bucket", "x").unwrap_err().contains("status 403"));
    // Nothing listens at a port that was just released.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dead = other.remote(&format!("http://127.0.0.1:{port}"), SECRET);
    check(
        dead.open_object("bucket", "x").unwrap_err(),
        ErrorCode::InternalError,
        &["/bucket/x: no answer: "],
    );
}

#[test]
fn addresses_are_of_servers() {
    let other = other();
    let _inside = other.runtime.enter();
    let settings = |url: &str| RemoteSettings {
        url: url.to_owned(),
        region: "us-east-1".to_owned(),
        keys: Keys::anybody(),
        session_token: None,
    };
    for url in ["minio:9000", "ftp://minio", "http://minio/path", "http://me@minio", "http://", "x y"] {
        assert!(Remote::new(settings(url)).is_err(), "{url}");
    }
    assert_eq!(Remote::new(settings("http://[::1]:9000/")).unwrap().url(), "http://[::1]:9000");
}

/// A server that sends one response per connection and closes it; the requests are returned at the end.
fn canned(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            asked.push(String::from_utf8(head).unwrap().to_ascii_lowercase());
        }
        asked
    });
    (url, thread)
}

#[test]
fn what_fails_for_a_while_is_tried_again() {
    let other = other();
    let busy = "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n";
    let first = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 10\r\n\r\n0123";
    let middle = "HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\n\r\n45";
    let last = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\n6789";
    let answers = [busy, "", first, middle, busy, last].map(str::to_owned).to_vec();
    let (url, server) = canned(answers);
    let remote = other.remote(&url, SECRET);
    assert_eq!(whole(&remote, "x").unwrap(), b"0123456789");
    let asked = server.join().unwrap();
    assert!(
        asked[2].starts_with("get /bucket/x http/1.1\r\n") && !asked[2].contains("range"),
        "{}",
        asked[2]
    );
    assert!(
        asked[3].contains("range: bytes=4-\r\n") && asked[3].contains("if-match: \"e\"\r\n"),
        "{}",
        asked[3]
    );
    assert!(asked[5].contains("range: bytes=6-\r\n"), "{}", asked[5]);
}

#[test]
fn what_goes_on_failing_is_told() {
    let other = other();
    let busy = "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (url, server) = canned(vec![busy; 5]);
    let error = other.remote(&url, SECRET).open_object("bucket", "x").unwrap_err().to_string();
    assert!(error.contains("/bucket/x: status 503"), "{error}");
    server.join().unwrap();
    // Another object with the same name must not continue the first.
    let first = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 10\r\n\r\n0123".to_owned();
    let replaced = "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (url, server) = canned(vec![first, replaced]);
    let error = whole(&other.remote(&url, SECRET), "x").unwrap_err();
    assert!(error.to_string().contains("/bucket/x: it was replaced while it was read"), "{error}");
    server.join().unwrap();
    let (url, server) = canned(vec!["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<oops".to_owned()]);
    let error = other.remote(&url, SECRET).page("bucket", &ListRequest::default()).unwrap_err().to_string();
    assert!(error.contains("the list cannot be read"), "{error}");
    server.join().unwrap();
}
