//! Limits of the memory and time of requests.

use std::io::Write as _;
use std::time::{Duration, Instant};

use kokanee_endpoint::ServerSettings;
use kokanee_testkit::http::{bytes, connect, read};

use crate::forms::{CSV, JSON, RECORDIO, dense, frames};
use crate::workplace::Running;

const MIB: usize = 1 << 20;

#[test]
fn pings_are_answered_while_many_rows_are() {
    // A block takes a while, and 100,000 rows take many blocks.
    let server = Running::with(ServerSettings::default(), Duration::from_millis(20), 128 * MIB);
    let body = "1,2,3\n".repeat(100_000);
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| server.post(CSV, CSV, &body).ok())).collect();
        server.wait_for("kokanee_requests_in_flight", |count| count >= 4.0);
        let mut pings = 0;
        while !asked.iter().all(|asked| asked.is_finished()) {
            let started = Instant::now();
            server.get("/ping").ok();
            assert!(started.elapsed() < Duration::from_secs(1), "a ping took {:?}", started.elapsed());
            pings += 1;
        }
        assert!(pings > 5, "{pings} pings");
        for asked in asked {
            assert_eq!(asked.join().unwrap().text(), "6.0\n".repeat(100_000));
        }
    });
    server.lives_on();
}

#[test]
fn bodies_above_the_limit_are_refused_before_they_are_read() {
    let check = |max_payload_mb: Option<u64>, content_type: &str, limit: usize| {
        let settings = ServerSettings { max_payload_mb, ..ServerSettings::default() };
        let memory_bytes = settings.memory_bytes(kokanee_endpoint::tabular::DEFAULT_TABULAR_BODY_BYTES);
        let server = Running::with(settings, Duration::ZERO, memory_bytes);
        let mut stream = connect(server.address);
        let head = format!(
            "POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            limit + 1
        );
        stream.write_all(head.as_bytes()).unwrap();
        read(&mut stream).unwrap().refused(413, &[&format!("more than {limit} bytes"), "MaxPayloadInMB"]);
        server.lives_on();
    };
    check(None, CSV, 64 * MIB);
    check(Some(1), CSV, MIB);
    // Other types may have any length.
    check(Some(0), JSON, 100 * MIB);
}

#[test]
fn the_largest_body_has_room_and_its_answer_too() {
    let settings = ServerSettings { max_payload_mb: Some(8), ..ServerSettings::default() };
    let memory_bytes = settings.memory_bytes(kokanee_endpoint::tabular::DEFAULT_TABULAR_BODY_BYTES);
    let server = Running::with(settings, Duration::ZERO, memory_bytes);
    let row = "1.2345678901234567,2.345678901234567,3.4567890123456789\n";
    let count = 8 * MIB / row.len();
    let answer = server.post(CSV, CSV, row.repeat(count)).ok();
    assert_eq!(answer.text().lines().count(), count);
    let body = frames(&vec![dense(&[1.0, 2.0, 3.0]); 100_000]);
    assert_eq!(server.post(RECORDIO, CSV, body).ok().text().lines().count(), 100_000);
    let body = format!(r#"{{"instances": [{}[1.25, 2.25, 3.25]]}}"#, "[1.25, 2.25, 3.25], ".repeat(99_999));
    assert_eq!(server.post(JSON, CSV, body).ok().text().lines().count(), 100_000);
    server.lives_on();
}

#[test]
fn an_answer_that_has_no_room_is_refused() {
    let server = Running::with(ServerSettings::default(), Duration::ZERO, 4 * MIB);
    // A small request may have a large response.
    let refused = server.post(CSV, "application/json;verbose=true", "1,2,3\n".repeat(100_000));
    refused.refused(413, &["the request and its answer need more than 2097152 bytes of memory"]);
    server.post(CSV, "", "1,2,3\n".repeat(100)).ok();
    server.lives_on();
}

#[test]
fn a_deadline_is_kept_and_clients_that_leave_give_their_memory_back() {
    let settings = ServerSettings { deadline: Duration::from_millis(100), ..ServerSettings::default() };
    let server = Running::with(settings, Duration::from_millis(30), 128 * MIB);
    let body = "1,2,3\n".repeat(100_000);
    server.post(CSV, "", &body).refused(504, &["not all instances were answered within 0 s"]);
    server.lives_on();
    let server = Running::with(ServerSettings::default(), Duration::from_millis(30), 128 * MIB);
    let mut clients: Vec<_> = (0..4).map(|_| connect(server.address)).collect();
    for client in &mut clients {
        client.write_all(&bytes("POST", "/invocations", &[("Content-Type", CSV)], body.as_bytes())).unwrap();
    }
    server.wait_for("kokanee_requests_in_flight", |count| count == 4.0);
    drop(clients);
    server.wait_for("kokanee_requests_cancelled_total", |count| count == 4.0);
    server.lives_on();
}
