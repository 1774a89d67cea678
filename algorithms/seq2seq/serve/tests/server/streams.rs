//! Tests of bodies of any length, without a limit to the payload.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use kokanee_endpoint::ServerSettings;
use kokanee_seq2seq_serve::ServiceSettings;
use kokanee_testkit::http::{connect, read};
use serde_json::json;

use crate::contract::records;
use crate::workplace::{Running, sentence};

fn unlimited() -> Running {
    Running::with(
        ServerSettings { max_payload_mb: Some(0), ..ServerSettings::default() },
        ServiceSettings::default(),
    )
}

fn open(server: &Running, content_type: &str, accept: &str) -> TcpStream {
    let mut stream = connect(server.address);
    let head = format!(
        "POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nAccept: {accept}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn chunk(stream: &mut TcpStream, bytes: &[u8]) {
    let size = format!("{:x}\r\n", bytes.len());
    stream.write_all(&[size.as_bytes(), bytes, b"\r\n"].concat()).unwrap();
}

/// Reads what has arrived.
#[track_caller]
fn read_on(stream: &mut TcpStream, seen: &mut String) {
    let mut piece = [0; 4096];
    let length = stream.read(&mut piece).unwrap();
    assert!(length > 0, "it ended early: {seen}");
    seen.push_str(&String::from_utf8_lossy(&piece[..length]));
}

#[test]
fn answers_come_while_the_body_is_still_being_sent() {
    let server = unlimited();
    let mut stream = open(&server, "application/jsonlines", "application/jsonlines");
    let line = |seed| json!({"source": sentence(3, seed)}).to_string() + "\n";
    let mut seen = String::new();
    for seed in 0..5 {
        let line = line(seed);
        // In two pieces that meet within a line.
        let (first, second) = line.split_at(7);
        chunk(&mut stream, first.as_bytes());
        chunk(&mut stream, second.as_bytes());
        while seen.matches("\"target\"").count() < seed as usize + 1 {
            read_on(&mut stream, &mut seen);
        }
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    stream.read_to_string(&mut seen).unwrap();
    assert!(seen.starts_with("HTTP/1.1 200") && seen.ends_with("0\r\n\r\n"), "{seen}");
}

#[test]
fn a_stream_says_what_a_whole_body_says() {
    let (whole, streamed) = (Running::new(), unlimited());
    let sentences: Vec<String> = (0..300).map(|seed| sentence(1 + seed as usize % 7, seed)).collect();
    let ids: Vec<Vec<u32>> = (0..300u32).map(|index| vec![4 + index % 20, 5]).collect();
    let lines: Vec<String> = sentences.iter().map(|text| json!({ "source": text }).to_string()).collect();
    let recordio = "application/x-recordio-protobuf";
    for (from, body) in [
        ("application/jsonlines", lines.join("\n").into_bytes()),
        ("text/plain", sentences.join("\n").into_bytes()),
        (recordio, records(&ids)),
    ] {
        for to in ["application/jsonlines", "application/json", recordio, "text/plain"] {
            let expected = whole.post(from, to, &body).ok().body;
            let mut stream = open(&streamed, from, to);
            for piece in body.chunks(1000) {
                chunk(&mut stream, piece);
            }
            stream.write_all(b"0\r\n\r\n").unwrap();
            let answer = read(&mut stream).unwrap().ok();
            assert!(answer.body == expected, "{from} to {to}");
            assert_eq!(answer.header("content-type"), whole.post(from, to, &body).header("content-type"));
        }
    }
}

#[test]
fn a_stream_may_have_more_instances_than_a_body() {
    let server = unlimited();
    let mut stream = open(&server, "text/plain", "text/plain");
    let reader = std::thread::spawn({
        let mut stream = stream.try_clone().unwrap();
        move || read(&mut stream).unwrap()
    });
    for _ in 0..70 {
        chunk(&mut stream, &b"\n".repeat(1000));
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(reader.join().unwrap().ok().body, b"\n".repeat(70_000));
}

#[test]
fn a_bad_beginning_has_a_status_and_a_bad_line_later_breaks_the_answer_off() {
    let server = unlimited();
    let mut stream = open(&server, "application/jsonlines", "*/*");
    chunk(&mut stream, b"nonsense\n");
    read(&mut stream).unwrap().refused(400, &["line 1"]);

    let mut stream = open(&server, "application/jsonlines", "*/*");
    chunk(&mut stream, b"{\"source\": \"a1\"}\n");
    let mut seen = String::new();
    while !seen.contains("\"target\"") {
        read_on(&mut stream, &mut seen);
    }
    chunk(&mut stream, b"nonsense\n");
    // The connection may be reset, or closed without the last chunk.
    let _ = stream.read_to_string(&mut seen);
    assert!(seen.starts_with("HTTP/1.1 200") && !seen.ends_with("0\r\n\r\n"), "{seen}");
    server.wait_for("kokanee_requests_in_flight", |count| count == 0.0);
    assert!(server.metrics.render().contains(r#"status="400"} 2"#), "the metrics know that it failed");
}

#[test]
fn a_body_of_json_has_a_limit_all_the_same() {
    let server = unlimited();
    server.json(&json!({"instances": [{"data": "a1"}]})).ok();
    let head = format!(
        "POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        101 << 20
    );
    let mut stream = connect(server.address);
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(read(&mut stream).is_none_or(|answer| answer.status == 413));
}
