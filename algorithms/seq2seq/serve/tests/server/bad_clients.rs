//! Tests with clients that leave, and with malicious bodies: the decoder and the server continue to work for the others. Clients
//! that do not speak HTTP are part of the tests of the serving shell.

use std::io::Write as _;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use kokanee_testkit::http::{bytes, connect, read};
use serde_json::json;

use crate::workplace::{Running, sentence};

fn lives_on(server: &Running) {
    server.post("text/plain", "", "a1 a2").ok();
}

#[test]
fn a_client_that_closes_its_half_has_left() {
    let server = Running::new();
    let before = server.metric("kokanee_requests_cancelled_total");
    let body = json!({"instances": [{"data": sentence(4000, 1), "configuration": {"forbid_unk": true}}]})
        .to_string();
    let mut client = connect(server.address);
    client
        .write_all(&bytes("POST", "/invocations", &[("Content-Type", "application/json")], body.as_bytes()))
        .unwrap();
    server.wait_for("kokanee_sentences_decoding", |count| count > 0.0);
    client.shutdown(Shutdown::Write).unwrap();
    server.wait_for("kokanee_requests_cancelled_total", |count| count == before + 1.0);
    server.wait_for("kokanee_sentences_decoding", |count| count == 0.0);
    assert!(read(&mut client).is_none_or(|answer| answer.body.is_empty()));
    lives_on(&server);
}

#[test]
fn bodies_made_to_hurt() {
    let server = Running::new();
    let check = |body: &str, part: &str| {
        let started = Instant::now();
        server.post("application/json", "", body).refused(400, &[part]);
        assert!(started.elapsed() < Duration::from_secs(10));
    };
    let deep = "[".repeat(3 << 20);
    check(&deep, "expected an object");
    check(&format!("{{\"instances\":{deep}"), "instances[0]: invalid type: sequence");
    check(&format!("{{\"instances\":[{{\"data\":{deep}"), "instances[0].data: invalid type: sequence");
    check(
        &format!("{{\"instances\":[{{\"configuration\":{{\"scores\":{deep}"),
        "configuration.scores: invalid type: sequence",
    );
    check(&format!("{{\"instances\":[{}]}}", r#"{"data":""},"#.repeat(1 << 17)), "one too many");
    check(&format!("{{\"{}\":1}}", "k".repeat(1 << 20)), "there is no such key");
    let flood = json!({"instances": [{"data": "a ".repeat(1 << 20)}]}).to_string();
    check(&flood, "1048576 tokens");
    let long = [vec![b'x'; 2 << 20], b"\n".to_vec()].concat();
    server.post("text/plain", "", &long).refused(400, &["line 1: longer than 1048576 bytes"]);
    lives_on(&server);
}
