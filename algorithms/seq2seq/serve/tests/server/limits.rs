//! Tests of the memory and time that requests may take, whatever they hold.

use std::io::Write as _;
use std::time::{Duration, Instant};

use kokanee_endpoint::ServerSettings;
use kokanee_seq2seq_serve::ServiceSettings;
use kokanee_testkit::http::{connect, read};
use serde_json::json;

use crate::workplace::{Running, sentence};

const MIB: usize = 1 << 20;

fn with_memory(memory_bytes: usize) -> Running {
    Running::with(ServerSettings::default(), ServiceSettings { memory_bytes, ..ServiceSettings::default() })
}

/// Clients that send most of a body, or of a line, at once and then nothing.
#[track_caller]
fn check_slow_senders(max_payload_mb: u64) {
    let server = Running::with(
        ServerSettings { max_payload_mb: Some(max_payload_mb), ..ServerSettings::default() },
        ServiceSettings { memory_bytes: 16 * MIB, ..ServiceSettings::default() },
    );
    let mut slow: Vec<_> = (0..14).map(|_| connect(server.address)).collect();
    for stream in &mut slow {
        let head = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2000000\r\n\r\n";
        stream.write_all(&[head.as_bytes(), &vec![b'a'; MIB - 1000]].concat()).unwrap();
    }
    server.wait_for("kokanee_requests_in_flight", |count| count == 14.0);
    // Small requests find room beside them; large ones only after somebody has given way.
    let line = json!({"source": "a1 a2", "padding": "x".repeat(500_000)}).to_string() + "\n";
    let started = Instant::now();
    while !server.metrics.render().contains("status=\"408\"") {
        server.post("text/plain", "", "a1 a2").ok();
        let answer = server.post("application/jsonlines", "", line.repeat(4));
        assert!(answer.status == 200 || answer.status == 429, "{}", answer.text());
        assert!(started.elapsed() < Duration::from_secs(60), "nobody gives way");
    }
    server.post("application/jsonlines", "", line.repeat(4)).ok();
    let told = slow.iter_mut().filter_map(|stream| {
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        read(stream).filter(|answer| answer.status == 408)
    });
    let told: Vec<_> = told.collect();
    assert!(!told.is_empty());
    for answer in told {
        answer.refused(408, &["at less than 16384 bytes/s", "send it again"]);
    }
}

#[test]
fn slow_senders_give_way_to_others() {
    check_slow_senders(6);
}

#[test]
fn slow_senders_of_endless_lines_give_way_too() {
    check_slow_senders(0);
}

#[test]
fn what_can_never_fit_is_told_so_and_what_does_not_fit_now_may_come_again() {
    let server = with_memory(4 * MIB);
    server
        .post("text/plain", "", "\n".repeat(30_000))
        .refused(413, &["need more than 2097152 bytes of memory"]);
    server.post("text/plain", "", "a1\n".repeat(1000)).ok();
    let long =
        json!({"instances": [{"data": sentence(300, 1), "configuration": {"attention_matrix": true}}]});
    let answer = server.json(&long).refused(413, &["send fewer instances at a time"]);
    assert_eq!(answer.header("retry-after"), None);
}

#[test]
fn a_deadline_is_kept_where_nothing_has_to_be_waited_for() {
    let settings = ServerSettings { deadline: Duration::from_millis(3), ..ServerSettings::default() };
    let server = Running::with(settings, ServiceSettings::default());
    // Blank lines are answered without the decoder.
    server.post("text/plain", "", "\n".repeat(1 << 16)).refused(504, &["within 0 s"]);
}

#[test]
fn bodies_of_any_type_have_the_same_most_instances() {
    let server = Running::new();
    let part = "one too many: a request may have 65536 instances";
    server.post("text/plain", "", "\n".repeat(6 * MIB)).refused(400, &["line 65537", part]);
    server
        .post("application/jsonlines", "", "{\"data\":\"\"}\n".repeat(70_000))
        .refused(400, &["line 65537", part]);
    let body = format!("{{\"instances\":[{}]}}", &r#",{"data":""}"#.repeat(70_000)[1..]);
    server.post("application/json", "", body).refused(400, &["instances[65536]", part]);
    let answer = server.post("text/plain", "", "\n".repeat(1 << 16)).ok();
    assert_eq!(answer.body.len(), 1 << 16);
}

#[test]
fn attention_above_a_size_is_refused_before_anything_is_decoded() {
    let server = Running::new();
    let ask = |content_type: &str, configuration: serde_json::Value| {
        let data = sentence(4000, 2);
        let body = match content_type {
            "application/json" => json!({"instances": [{"data": data, "configuration": configuration}]}),
            _ => json!({"data": data, "configuration": configuration}),
        };
        server.post(content_type, "application/json", body.to_string())
    };
    for content_type in ["application/json", "application/jsonlines"] {
        ask(content_type, json!({"attention_matrix": true})).refused(
            400,
            &["configuration.attention_matrix: 4000 source tokens", "max_length to at most 524"],
        );
        ask(content_type, json!({"alignments": true}))
            .refused(400, &["configuration.alignments", "a smaller max_length or beam_size"]);
        ask(content_type, json!({"replace_unk": "true"})).refused(400, &["configuration.replace_unk"]);
    }
    assert_eq!(server.metric("kokanee_instances_total"), 0.0);
    // The remedy in the message works.
    let answer = ask("application/json", json!({"attention_matrix": true, "max_length": 524})).ok().json();
    let matrix = answer["predictions"][0]["matrix"].as_array().unwrap().clone();
    assert!(!matrix.is_empty() && matrix.iter().all(|row| row.as_array().unwrap().len() == 4000));
}
