//! Tests of overload.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kokanee_endpoint::ServerSettings;
use kokanee_seq2seq_serve::ServiceSettings;
use kokanee_testkit::http::{bytes, connect};
use serde_json::json;

use crate::workplace::{Running, sentence};

fn long(words: usize) -> String {
    json!({"instances": [{"data": sentence(words, 5), "configuration": {"beam_size": 8}}]}).to_string()
}

#[test]
fn a_full_queue_refuses_at_once_and_recovers() {
    // The decoder takes some beyond the queue: this many requests fill both.
    let service = ServiceSettings { queue: 4, ..ServiceSettings::default() };
    let server = Running::with(ServerSettings::default(), service);
    let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..160 {
            scope.spawn(|| {
                let answer = server.post("application/json", "", long(60));
                if answer.status == 200 {
                    answered.fetch_add(1, Ordering::Relaxed);
                } else {
                    let answer = answer.refused(429, &["the queue of 4 sentences is full", "--queue"]);
                    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
                    assert!((1..=30).contains(&seconds));
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (answered, refused) = (answered.into_inner(), refused.into_inner());
    assert!(answered >= 4 && refused > 0, "{answered} answered, {refused} refused");
    server.post("text/plain", "", "a1 a2").ok();
    server.wait_for("kokanee_queue_depth", |depth| depth == 0.0);
    assert!(server.get("/metrics").ok().text().contains(&format!(r#"status="429"}} {refused}"#)));
}

#[test]
fn a_request_with_more_sentences_than_the_queue_is_answered() {
    let service = ServiceSettings { queue: 3, ..ServiceSettings::default() };
    let server = Running::with(ServerSettings::default(), service);
    let lines: Vec<String> = (0..500).map(|seed| sentence(3, seed)).collect();
    let answer = server.post("text/plain", "", lines.join("\n")).ok();
    assert_eq!(answer.text().lines().count(), 500);
    assert_eq!(server.metric("kokanee_instances_total"), 500.0);
}

#[test]
fn the_deadline_is_kept_and_the_work_dropped() {
    let settings = ServerSettings { deadline: Duration::from_millis(100), ..ServerSettings::default() };
    let server = Running::with(settings, ServiceSettings::default());
    server.post("application/json", "", long(4000)).refused(504, &["1 instances", "batch transform"]);
    server.wait_for("kokanee_sentences_decoding", |count| count == 0.0);
    assert_eq!(server.metric("kokanee_instances_total"), 0.0);
    server.post("text/plain", "", "a1").ok();
}

#[test]
fn a_client_that_leaves_costs_no_more_work() {
    let server = Running::new();
    let mut clients: Vec<_> = (0..8).map(|_| connect(server.address)).collect();
    for client in &mut clients {
        let body = long(4000);
        client
            .write_all(&bytes(
                "POST",
                "/invocations",
                &[("Content-Type", "application/json")],
                body.as_bytes(),
            ))
            .unwrap();
    }
    server.wait_for("kokanee_sentences_decoding", |count| count == 8.0);
    drop(clients);
    server.wait_for("kokanee_sentences_decoding", |count| count == 0.0);
    assert_eq!(server.metric("kokanee_requests_cancelled_total"), 8.0);
    let steps = server.metric("kokanee_decoding_steps_total");
    assert!(steps < 7000.0, "each would have taken some 8000 steps, {steps} were made");
    assert_eq!(server.metric("kokanee_instances_total"), 0.0);
}
