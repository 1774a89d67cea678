//! Tests of loading, readiness, draining and ending.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use kokanee_endpoint::ServerSettings;
use kokanee_http::{Bounds, Ended, Patience};
use kokanee_seq2seq_serve::ServiceSettings;
use kokanee_testkit::http::{bytes, connect, read, send};
use serde_json::json;

use crate::workplace::{Running, model, sentence};

/// A body that keeps the decoder busy for a while.
fn long(words: usize) -> String {
    json!({"instances": [{"data": sentence(words, 5), "configuration": {"beam_size": 8}}]}).to_string()
}

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

#[test]
fn it_listens_at_once_and_is_ready_when_loaded() {
    let server = Running::begin(
        ServerSettings::default(),
        ServiceSettings::default(),
        Duration::from_millis(500),
        model(),
    );
    let ping = server.get("/ping").refused(503, &["still loading"]);
    assert!(ping.header("retry-after").is_some());
    server.post("text/plain", "", "a1").refused(503, &["still loading"]);
    server.get("/execution-parameters").ok();
    assert!(server.get("/").ok().text().contains("still loading"));
    server.wait_until_ready();
    assert!(server.get("/ping").ok().body.is_empty());
    assert!(server.metric("kokanee_model_load_seconds") > 0.0);
    server.post("text/plain", "", "a1").ok();
}

#[test]
fn a_model_that_cannot_be_loaded_ends_it() {
    let nowhere = Path::new("/nowhere/at/all");
    let server =
        Running::begin(ServerSettings::default(), ServiceSettings::default(), Duration::ZERO, nowhere);
    let error = server.join().unwrap_err();
    assert!(error.to_string().contains("no model at /nowhere/at/all"), "{error}");
}

#[test]
fn it_can_be_stopped_while_it_loads() {
    let server = Running::begin(
        ServerSettings::default(),
        ServiceSettings::default(),
        Duration::from_secs(5),
        model(),
    );
    let started = Instant::now();
    server.stop.send_replace(1);
    assert_eq!(server.join().unwrap(), Ended::Drained);
    assert!(started.elapsed() < Duration::from_secs(5), "it waited for the model");
}

#[test]
fn ping_is_answered_while_the_queue_is_long() {
    let server = Running::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| send(server.address, "POST", "/invocations", &JSON, long(300).as_bytes()).ok());
        }
        server.wait_for("kokanee_sentences_decoding", |count| count >= 4.0);
        for _ in 0..5 {
            server.get("/ping").ok();
        }
    });
}

#[test]
fn what_was_begun_is_finished_and_nothing_new_is_begun() {
    let server = Running::new();
    let idle = connect(server.address);
    let mut client = connect(server.address);
    client.write_all(&bytes("POST", "/invocations", &JSON, long(300).as_bytes())).unwrap();
    server.wait_for("kokanee_sentences_decoding", |count| count > 0.0);
    // A request whose body is still arriving has begun, too.
    let mut half = connect(server.address);
    let whole = bytes("POST", "/invocations", &[("Content-Type", "text/plain")], b"a1 a2 a3");
    half.write_all(&whole[..whole.len() - 4]).unwrap();
    server.wait_for("kokanee_requests_in_flight", |count| count == 2.0);
    server.stop.send_replace(1);
    let started = Instant::now();
    while std::net::TcpStream::connect(server.address).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(10), "it still listens");
        std::thread::sleep(Duration::from_millis(5));
    }
    half.write_all(&whole[whole.len() - 4..]).unwrap();
    read(&mut half).unwrap().ok();
    read(&mut client).unwrap().ok();
    assert_eq!(server.join().unwrap(), Ended::Drained);
    drop(idle);
}

#[test]
fn draining_has_a_limit_and_a_second_signal_none() {
    let check = |drain: Duration, signals: u32, expected: Ended| {
        let patience = Patience { drain, ..Patience::default() };
        let server = Running::with(
            ServerSettings { bounds: Bounds { patience, ..Bounds::default() }, ..ServerSettings::default() },
            ServiceSettings::default(),
        );
        let mut client = connect(server.address);
        client.write_all(&bytes("POST", "/invocations", &JSON, long(4000).as_bytes())).unwrap();
        server.wait_for("kokanee_sentences_decoding", |count| count > 0.0);
        server.stop.send_replace(signals);
        let started = Instant::now();
        assert_eq!(server.join().unwrap(), expected);
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(read(&mut client).is_none());
    };
    check(Duration::from_millis(200), 1, Ended::Abandoned(1));
    check(Duration::from_secs(60), 2, Ended::Forced(1));
}
