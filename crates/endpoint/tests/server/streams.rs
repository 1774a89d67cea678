//! Bodies of any length, with an unlimited payload.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kokanee_endpoint::ServerSettings;
use kokanee_formats::record::Record;
use kokanee_http::{Bounds, Patience};
use kokanee_testkit::Rng;
use kokanee_testkit::http::{Answer, connect, read};

use crate::forms::{CSV, JSON, LINES, RECORDIO, dense, frames};
use crate::workplace::{PANICS, Running, UNANSWERED};

const MIB: usize = 1 << 20;
/// The most memory of a request whose lines and records are short.
const MOST_BYTES: usize = 8 * MIB;

fn settings() -> ServerSettings {
    ServerSettings { max_payload_mb: Some(0), ..ServerSettings::default() }
}

fn unlimited() -> Running {
    Running::with(settings(), Duration::ZERO, 128 * MIB)
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

fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let size = format!("{:x}\r\n", bytes.len());
    stream.write_all(&[size.as_bytes(), bytes, b"\r\n"].concat())
}

/// Reads what has arrived.
#[track_caller]
fn read_on(stream: &mut TcpStream, seen: &mut String) {
    let mut piece = [0; 4096];
    let length = stream.read(&mut piece).unwrap();
    assert!(length > 0, "it ended early: {seen}");
    seen.push_str(&String::from_utf8_lossy(&piece[..length]));
}

/// Sends a body in chunks of at most `most` bytes while the response is read. Also returns the most memory seen in use.
fn send(server: &Running, content_type: &str, accept: &str, body: &[u8], most: usize) -> (Answer, usize) {
    let mut stream = open(server, content_type, accept);
    let mut writer = stream.try_clone().unwrap();
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut rng, mut left) = (Rng::new(11), body);
            while !left.is_empty() {
                let (piece, rest) = left.split_at(rng.range(1..most + 1).min(left.len()));
                // The server may refuse a request before all of it is sent.
                if chunk(&mut writer, piece).is_err() {
                    return;
                }
                left = rest;
            }
            let _ = writer.write_all(b"0\r\n\r\n");
        });
        let watch = scope.spawn(|| {
            let mut peak = 0;
            while !has_ended.load(Ordering::Relaxed) {
                peak = peak.max(server.budget.taken());
                std::thread::sleep(Duration::from_micros(100));
            }
            peak
        });
        let answer = read(&mut stream);
        has_ended.store(true, Ordering::Relaxed);
        (answer.expect("an answer"), watch.join().unwrap())
    })
}

/// Rows in each form that may have any length.
fn bodies(rows: usize) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut rng = Rng::new(9);
    let mut number = || rng.range(0..1 << 12) as f32 / 16.0;
    let values: Vec<[f32; 3]> = (0..rows).map(|_| [number(), number(), number()]).collect();
    let lines = values.iter().map(|[a, b, c]| format!("{a},{b},{c}\n").into_bytes()).collect();
    let objects =
        values.iter().map(|[a, b, c]| format!("{{\"features\": [{a}, {b}, {c}]}}\n").into_bytes()).collect();
    let records = values
        .iter()
        .zip(0..)
        .map(|(row, index)| frames(&[Record { uid: Some(format!("row {index}")), ..dense(row) }]))
        .collect();
    vec![(CSV, lines), (LINES, objects), (RECORDIO, records)]
}

#[test]
fn a_body_of_any_length_is_answered_as_its_parts_in_bounded_memory() {
    const ROWS: usize = 300_000;
    let (server, whole) = (unlimited(), Running::new());
    for (content_type, rows) in bodies(ROWS) {
        let mut body = rows.concat();
        if content_type != RECORDIO {
            // The last line needs no end.
            body.pop();
        }
        for (accept, most) in [(content_type, 100_001), (JSON, 7_777)] {
            let parts: Vec<Vec<u8>> = rows
                .chunks(ROWS / 3)
                .map(|part| whole.post(content_type, accept, part.concat()).ok().body)
                .collect();
            let expected = if accept == JSON {
                let inner = |part: &Vec<u8>| {
                    let text = std::str::from_utf8(part).unwrap();
                    text.strip_prefix("{\"scores\": [").unwrap().strip_suffix("]}").unwrap().to_owned()
                };
                let inner: Vec<String> = parts.iter().map(inner).collect();
                format!("{{\"scores\": [{}]}}", inner.join(", ")).into_bytes()
            } else {
                parts.concat()
            };
            let (answer, peak) = send(&server, content_type, accept, &body, most);
            assert!(answer.ok().body == expected, "{content_type} to {accept}");
            assert!((1..=MOST_BYTES).contains(&peak), "{content_type} to {accept}: {peak} bytes");
        }
    }
    server.lives_on();
}

#[test]
fn answers_come_while_the_body_is_still_being_sent() {
    let server = unlimited();
    for (content_type, rows) in bodies(5) {
        let mut stream = open(&server, content_type, "application/json");
        let mut seen = String::new();
        for (count, row) in (1..).zip(rows) {
            // In pieces that break inside a row.
            for piece in row.chunks(7) {
                chunk(&mut stream, piece).unwrap();
            }
            while seen.matches("\"sum\"").count() < count {
                read_on(&mut stream, &mut seen);
            }
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        while !seen.ends_with("0\r\n\r\n") {
            read_on(&mut stream, &mut seen);
        }
    }
    server.lives_on();
}

#[test]
fn bodies_without_rows_are_answered_as_whole_ones() {
    let (server, whole) = (unlimited(), Running::new());
    for (content_type, body) in [(CSV, ""), (CSV, "\n \n\n"), (LINES, "\n"), (LINES, ""), (RECORDIO, "")] {
        for accept in [CSV, LINES, JSON, RECORDIO] {
            let (answer, _) = send(&server, content_type, accept, body.as_bytes(), 1);
            assert_eq!(answer.ok().body, whole.post(content_type, accept, body).ok().body);
        }
    }
    server.lives_on();
}

#[test]
fn an_early_fault_has_its_status_and_a_late_one_breaks_the_answer_off() {
    let server = unlimited();
    let whole = Running::new();
    for (content_type, rows) in bodies(50_000) {
        let rows = rows.concat();
        // The errors are the same as for a whole body. A long item needs more memory.
        let check = |fault: Vec<u8>, status: u16, part: &str| {
            let (early, _) = send(&server, content_type, CSV, &fault, 3 * MIB);
            let early = early.refused(status, &[part]);
            if fault.len() < MIB && status == 400 {
                assert_eq!(early.text(), whole.post(content_type, CSV, &fault).text());
            }
            let (late, _) = send(&server, content_type, CSV, &[&rows[..], &fault].concat(), 10_000);
            assert!(late.status == 200 && !late.is_whole, "{part}: {late:?}");
            // Complete rows were answered before the fault.
            assert!(late.text().lines().count() > 10_000 && late.text().ends_with('\n'));
        };
        let (wrong, unanswered, panics, long): (_, Vec<u8>, Vec<u8>, Vec<u8>) = match content_type {
            CSV => (
                vec![
                    ("1,2,3\n1,x,3\n1,2,3\n", "line 2: column 2 is"),
                    ("1,2,3\n\n1,2\n", "line 3: the row has"),
                ],
                format!("1,{UNANSWERED},3").into(),
                format!("1,{PANICS},3").into(),
                format!("1,2,{}\n", "3".repeat(2 * MIB)).into(),
            ),
            LINES => (
                vec![("[1,2,3]\n[1,x]\n", "line 2: "), ("[1,2,3]\n\n[1,2,3\n", "line 3: ")],
                format!("[1,{UNANSWERED},3]").into(),
                format!("[1,{PANICS},3]").into(),
                format!("[1,2,{}]\n", "3".repeat(2 * MIB)).into(),
            ),
            _ => (
                vec![
                    ("no frame", "record 1 at byte 0 of the body: expected the RecordIO magic"),
                    ("\n#", "record 1 at byte 0 of the body: its header is cut short"),
                ],
                frames(&[dense(&[1.0, UNANSWERED, 3.0])]),
                frames(&[dense(&[1.0, PANICS, 3.0])]),
                frames(&[dense(&[1.0; 1 << 19])]),
            ),
        };
        for (body, part) in wrong {
            check(body.into(), 400, part);
        }
        check(unanswered, 400, "instances[0]: it has no answer");
        check(panics, 500, "a bug in Kokanee");
        let part =
            if content_type == RECORDIO { "expected at most 1048672" } else { "longer than 1048672 bytes" };
        check(long, 400, part);
    }
    // Rows of one block are answered together or not at all.
    let (early, _) = send(&server, CSV, CSV, b"1,2,3\n1,2,x\n", MIB);
    early.refused(400, &["line 2: column 3 is"]);
    let (packed, _) =
        send(&server, CSV, CSV, &[&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..], &[b'x'; 5000]].concat(), 9);
    packed.refused(400, &["the body is compressed with gzip"]);
    let (options, _) = send(&server, CSV, "text/csv;verbose=maybe", b"1,2,3\n", 100);
    options.refused(400, &["verbose is"]);
    server.lives_on();
}

#[test]
fn a_record_in_parts_is_one_record() {
    let server = unlimited();
    let record = frames(&[dense(&[1.0, 2.0, 3.0])]);
    // Data that contain the magic number are divided there, and the number is left out.
    let magic = [0x0a, 0x23, 0xd7, 0xce];
    let value = f32::from_le_bytes(magic);
    let whole = frames(&[dense(&[1.0, value, 1.0])]);
    let length = u32::from_le_bytes(whole[4..8].try_into().unwrap()) as usize;
    let data = &whole[8..8 + length];
    let at = data.windows(4).position(|four| four == magic).expect("the value");
    let mut divided = Vec::new();
    for (flag, part) in [(1, &data[..at]), (3, &data[at + 4..])] {
        divided.extend_from_slice(&magic);
        divided.extend_from_slice(&(part.len() as u32 | flag << 29).to_le_bytes());
        divided.extend_from_slice(part);
        divided.resize(divided.len().next_multiple_of(4), 0);
    }
    let body = [&record[..], &divided, &record].concat();
    let (answer, _) = send(&server, RECORDIO, CSV, &body, 3);
    let sum = f64::from(1.0 + value + 1.0);
    assert_eq!(answer.ok().text(), format!("6.0\n{sum:?}\n6.0\n"));
    server.lives_on();
}

#[test]
fn nothing_is_read_while_the_answer_is_not_taken() {
    let server = unlimited();
    let mut stream = open(&server, CSV, "application/json;verbose=true");
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let (rows, mut sent) = ("1,2,3\n".repeat(10_000), 0);
    let stopped = loop {
        match chunk(&mut stream, rows.as_bytes()) {
            Ok(()) => sent += rows.len(),
            Err(error) => break error,
        }
        assert!(sent < 256 * MIB, "it reads on and on");
        assert!(server.budget.taken() <= MOST_BYTES, "{} bytes", server.budget.taken());
    };
    assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{stopped}");
    assert!(server.budget.taken() <= MOST_BYTES, "{} bytes", server.budget.taken());
    drop(stream);
    server.wait_for("kokanee_requests_cancelled_total", |count| count == 1.0);
    server.lives_on();
}

#[test]
fn clients_that_leave_or_stop_give_their_memory_back() {
    let server = Running::with(settings(), Duration::from_millis(30), 128 * MIB);
    let mut clients: Vec<_> = (0..4).map(|_| open(&server, CSV, CSV)).collect();
    for client in &mut clients {
        chunk(client, "1,2,3\n".repeat(10_000).as_bytes()).unwrap();
        chunk(client, b"4,5").unwrap();
        read_on(client, &mut String::new());
    }
    server.wait_for("kokanee_requests_in_flight", |count| count == 4.0);
    drop(clients);
    server.wait_for("kokanee_requests_in_flight", |count| count == 0.0);
    server.lives_on();
    let patience = Patience { body_idle: Duration::from_millis(300), ..Patience::default() };
    let bounds = Bounds { patience, ..Bounds::default() };
    let server = Running::with(ServerSettings { bounds, ..settings() }, Duration::ZERO, 128 * MIB);
    let mut silent = open(&server, CSV, CSV);
    chunk(&mut silent, b"1,2").unwrap();
    read(&mut silent).unwrap().refused(408, &["no byte of the body arrived"]);
    let mut silent = open(&server, CSV, CSV);
    chunk(&mut silent, b"1,2,3\n4,5").unwrap();
    let answer = read(&mut silent).unwrap();
    assert_eq!((answer.status, answer.text().as_str(), answer.is_whole), (200, "6.0\n", false));
    server.lives_on();
}

#[test]
fn a_deadline_is_that_of_a_block() {
    let body = "1,2,3\n".repeat(100_000);
    let deadline = Duration::from_millis(400);
    let server =
        Running::with(ServerSettings { deadline, ..settings() }, Duration::from_millis(25), 128 * MIB);
    let (answer, _) = send(&server, CSV, CSV, body.as_bytes(), 100_000);
    assert_eq!(answer.ok().text(), "6.0\n".repeat(100_000));
    server.lives_on();
    let deadline = Duration::from_millis(50);
    let server =
        Running::with(ServerSettings { deadline, ..settings() }, Duration::from_millis(300), 128 * MIB);
    let (answer, _) = send(&server, CSV, CSV, body.as_bytes(), 100_000);
    answer.refused(504, &["rows were not answered within 0 s"]);
}

#[test]
fn json_is_held_as_a_whole() {
    let server = unlimited();
    let body = br#"{"instances": [[1, 2, 3], [4, 5, 6]]}"#;
    let (answer, _) = send(&server, JSON, CSV, body, 5);
    assert_eq!(answer.ok().text(), "6.0\n15.0\n");
    let (fault, _) = send(&server, JSON, CSV, br#"{"instances": [[1, 2, 3], [4, 5]]}"#, 5);
    fault.refused(400, &["instances[1]"]);
    server.lives_on();
}
