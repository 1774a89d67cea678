//! Clients that are slow, disconnected, faulty or hostile: each is refused, and the server keeps serving the others.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use kokanee_endpoint::ServerSettings;
use kokanee_http::{Bounds, Patience};
use kokanee_testkit::http::{connect, read};

use crate::workplace::Running;

fn with(bounds: Bounds) -> Running {
    Running::with(ServerSettings { bounds, ..ServerSettings::default() }, Duration::ZERO, 128 << 20)
}

fn patient(patience: Patience) -> Running {
    with(Bounds { patience, ..Bounds::default() })
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let server = patient(Patience { head: Duration::from_millis(300), ..Patience::default() });
    let mut slow = connect(server.address);
    let started = Instant::now();
    slow.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n").unwrap();
    // Sending a byte now and then does not extend the time limit.
    while started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
        if slow.write_all(b"X").is_err() {
            break;
        }
    }
    assert!(started.elapsed() < Duration::from_secs(20), "the connection was kept");
    server.wait_for("kokanee_connections", |open| open == 0.0);
    server.lives_on();
}

#[test]
fn a_body_that_stops_or_drips_is_given_up() {
    let server = patient(Patience { body_idle: Duration::from_millis(300), ..Patience::default() });
    let head =
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n\r\n1,";
    let mut stopped = connect(server.address);
    stopped.write_all(head).unwrap();
    read(&mut stopped).unwrap().refused(408, &["no byte of the body arrived"]);
    server.lives_on();
    let server = patient(Patience { body: Duration::from_millis(500), ..Patience::default() });
    let mut dripping = connect(server.address);
    dripping.write_all(head).unwrap();
    let mut other = dripping.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(50));
            if other.write_all(b"a").is_err() {
                break;
            }
        }
    });
    read(&mut dripping).unwrap().refused(408, &["the body did not arrive within"]);
    drop(dripping);
    drip.join().unwrap();
    server.lives_on();
}

#[test]
fn heads_that_are_too_large_or_malformed() {
    let server = Running::new();
    let check = |head: &str, status: u16| {
        let mut stream = connect(server.address);
        // The server may refuse the request before all of it is sent.
        let _ = stream.write_all(head.as_bytes());
        if let Some(answer) = read(&mut stream) {
            assert_eq!(answer.status, status, "{answer:?}");
        }
        server.lives_on();
    };
    check(&format!("GET /ping HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(60 << 10)), 431);
    check(&format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(60 << 10)), 431);
    let many: String = (0..500).map(|index| format!("X-{index}: 1\r\n")).collect();
    check(&format!("GET /ping HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431);
    check("NONSENSE\r\n\r\n", 400);
    check("GET /ping HTTP/9.9\r\n\r\n", 400);
    check("POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: minus\r\n\r\n", 400);
    check("POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400);
    check("\0\u{1}\u{2}\r\n\r\n", 400);
}

#[test]
fn wrong_lengths() {
    let server = Running::new();
    let head = |length: usize| {
        format!(
            "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    // The body is shorter than announced.
    let mut stream = connect(server.address);
    stream.write_all(format!("{}1,2,3", head(100)).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(read(&mut stream).is_none_or(|answer| answer.status == 400));
    // The body is longer than announced: the rest is not a valid request.
    let mut stream = connect(server.address);
    stream.write_all(format!("{}1,2,3 rest that is no request\r\n\r\n", head(5)).as_bytes()).unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all);
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("HTTP/1.1 400 "), "{text}");
    // A malformed chunk.
    let mut stream = connect(server.address);
    let chunked = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\na1\r\n";
    stream.write_all(chunked.as_bytes()).unwrap();
    read(&mut stream).unwrap().refused(400, &["the body cannot be read to its end"]);
    server.lives_on();
}

#[test]
fn more_connections_than_there_are_places() {
    let server = with(Bounds { max_connections: 2, ..Bounds::default() });
    server.wait_for("kokanee_connections", |open| open == 0.0);
    let idle = [connect(server.address), connect(server.address)];
    server.wait_for("kokanee_connections", |open| open == 2.0);
    // Nothing is sent: a refusal before reading may reset the connection before the client sees the response.
    let answer = read(&mut connect(server.address)).unwrap().refused(503, &["all connections are in use"]);
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(idle);
    server.wait_for("kokanee_connections", |open| open == 0.0);
    server.lives_on();
}
