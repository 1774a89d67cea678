//! Tests of the server under attack: whatever clients send, it answers pings, serves honest clients, and stays within its memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::serve::Served;
use crate::workplace::{Workplace, model};

/// The time that SageMaker waits for the response to a ping.
const PING_LIMIT: Duration = Duration::from_secs(2);
/// The limit in docs/serving.md: the memory of all requests together.
const REQUEST_MEMORY_BYTES: usize = 128 << 20;
/// Additional memory: buffers of connections, threads that answer, the decoder's buffers, and what the allocator keeps.
const OTHER_BYTES: usize = 128 << 20;
/// The largest accepted body.
const BODY_BYTES: usize = 6 << 20;
/// How often each body must be answered.
const TIMES: usize = 3;
/// Number of honest requests that must be answered while slow clients hold as much as they can.
const HONEST_ROUNDS: usize = 200;

const JSON: &str = "application/json";
const JSON_LINES: &str = "application/jsonlines";
const RECORD_IO: &str = "application/x-recordio-protobuf";
const TEXT: &str = "text/plain";

/// A body of its type, and its allowed statuses.
struct Hostile {
    content_type: &'static str,
    body: Vec<u8>,
    statuses: &'static [u16],
}

fn hostile(content_type: &'static str, body: impl Into<Vec<u8>>, statuses: &'static [u16]) -> Hostile {
    Hostile { content_type, body: body.into(), statuses }
}

fn bodies() -> Vec<Hostile> {
    // Refusals for lack of room are correct too.
    let words = |count: usize| "a ".repeat(count);
    let instances = |count: usize, tokens: usize, key: &str| {
        let instance = json!({"data": words(tokens), "configuration": {key: "true"}});
        json!({"instances": vec![instance; count]}).to_string()
    };
    let lines = |count: usize, tokens: usize, key: &str| {
        (json!({"source": words(tokens), "configuration": {key: true}}).to_string() + "\n").repeat(count)
    };
    let many = |one: &str| one.repeat((BODY_BYTES - 100) / one.len());
    let magic = 0xced7_230a_u32.to_le_bytes();
    let part = |flag: u32| [magic, (flag << 29).to_le_bytes()].concat();
    vec![
        hostile(TEXT, many("\n"), &[400, 429]),
        hostile(TEXT, "\n".repeat(1 << 16), &[200, 429]),
        hostile(JSON_LINES, many("\n"), &[200, 429]),
        hostile(JSON, many("\n"), &[400, 429]),
        hostile(RECORD_IO, many("\n"), &[400, 429]),
        hostile(JSON, format!("{{\"instances\":[{}]}}", &many(r#",{"data":""}"#)[1..]), &[400, 429]),
        hostile(JSON_LINES, many("{\"source\":\"\"}\n"), &[400, 429]),
        hostile(RECORD_IO, [part(1), part(2).repeat(BODY_BYTES / 8 - 1)].concat(), &[400, 429]),
        hostile(RECORD_IO, part(0).repeat(BODY_BYTES / 8), &[400, 429]),
        // Attention that is refused, that costs little, and whose answer is too large.
        hostile(JSON, instances(64, 4096, "attention_matrix"), &[400, 429]),
        hostile(JSON_LINES, lines(16, 4096, "alignments"), &[200, 429]),
        hostile(JSON_LINES, lines(32, 900, "attention_matrix"), &[413, 429]),
    ]
}

/// Sends a body until it was accepted a few times.
fn attack(served: &Served, hostile: &Hostile, is_over: &AtomicBool) {
    let mut left = TIMES;
    while left > 0 && !is_over.load(Ordering::Relaxed) {
        let (status, answer) = served.ask_bytes("POST", "/invocations", hostile.content_type, &hostile.body);
        let shown: String = answer.chars().take(300).collect();
        assert!(hostile.statuses.contains(&status), "{} gives {status}: {shown}", hostile.content_type);
        match status {
            429 => thread::sleep(Duration::from_millis(100)),
            _ => left -= 1,
        }
    }
}

/// Sends most of a body at once, and then a byte from time to time.
fn drip(served: &Served, is_over: &AtomicBool) {
    let _ends = Ends(is_over);
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(&served.address).expect("connects");
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let head = format!(
            "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
        );
        let mut sent = stream.write_all(head.as_bytes());
        sent = sent.and_then(|()| stream.write_all(&vec![b'a'; BODY_BYTES - 100_000]));
        let mut answer = [0];
        while !is_over.load(Ordering::Relaxed) && sent.is_ok() {
            // A client whose request is abandoned gets a response.
            if stream.read(&mut answer).is_ok() {
                break;
            }
            sent = stream.write_all(b"a");
        }
    }
}

#[test]
fn clients_that_want_to_hurt_neither_stop_the_pings_nor_the_answers_of_others_nor_fill_the_memory() {
    let work = Workplace::new();
    let served = Served::ready(&work, &format!("--model {}", model()), &[]);
    assert_eq!(served.translate("a b c"), "A B C\n");
    let before = served.memory("VmRSS");
    let bodies = bodies();
    let is_over = AtomicBool::new(false);
    let (longest, pings) = thread::scope(|scope| {
        let attacks: Vec<_> =
            bodies.iter().map(|hostile| scope.spawn(|| attack(&served, hostile, &is_over))).collect();
        let pinging = scope.spawn(|| {
            let _ends = Ends(&is_over);
            let (mut longest, mut count) = (Duration::ZERO, 0);
            while !is_over.load(Ordering::Relaxed) {
                let started = Instant::now();
                let (status, body) = served.ask("GET", "/ping", "", "");
                longest = longest.max(started.elapsed());
                assert_eq!(status, 200, "{body}");
                count += 1;
                thread::sleep(Duration::from_millis(20));
            }
            (longest, count)
        });
        let began = Instant::now();
        let ends = Ends(&is_over);
        let honest = || {
            assert!(began.elapsed() < Duration::from_secs(120), "the attack does not end");
            let body = json!({"instances": [{"data": "a b"}, {"data": "f d c"}]}).to_string();
            let (status, answer) = served.ask("POST", "/invocations", JSON, &body);
            assert_eq!(status, 200, "{answer}");
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["predictions"], json!([{"target": "A B"}, {"target": "F D C"}]));
            thread::sleep(Duration::from_millis(10));
        };
        // First all bodies at once; then a dozen slow clients that hold as much as they can.
        while attacks.iter().any(|attack| !attack.is_finished()) {
            honest();
        }
        attacks.into_iter().for_each(|attack| attack.join().expect("each has one of its answers"));
        for _ in 0..12 {
            scope.spawn(|| drip(&served, &is_over));
        }
        (0..HONEST_ROUNDS).for_each(|_| honest());
        drop(ends);
        pinging.join().expect("pings are answered")
    });
    let grown = served.memory("VmHWM") - before;
    eprintln!("{pings} pings, the longest {longest:?}; memory grew by {} MiB", grown >> 20);
    assert!(longest < PING_LIMIT, "a ping took {longest:?}");
    assert!(pings > 20, "{pings} pings");
    assert!(grown < REQUEST_MEMORY_BYTES + OTHER_BYTES, "the memory grew by {} MiB", grown >> 20);
    // The server still works afterwards.
    assert_eq!(served.translate("f e d"), "F E D\n");
}

/// Stops the other threads when one ends, even by a panic: otherwise they would run forever.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
