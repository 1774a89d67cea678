//! Tests of the responses to requests that cannot be answered.

use kokanee_endpoint::ServerSettings;
use kokanee_seq2seq_serve::ServiceSettings;
use kokanee_testkit::http::send;
use serde_json::json;

use crate::contract::records;
use crate::workplace::{Running, sentence};

const RECORDIO: &str = "application/x-recordio-protobuf";

#[test]
fn a_fault_is_told_with_its_place() {
    let server = Running::new();
    let check = |content_type: &str, body: &[u8], parts: &[&str]| {
        server.post(content_type, "", body).refused(400, parts);
    };
    let json = "application/json";
    check(json, b"", &["the body is empty; expected an object"]);
    check(json, b"{", &["the body: EOF", "line 1"]);
    check(
        json,
        b"{\"instances\": 3}",
        &["instances: invalid type: integer `3`, expected an array of objects"],
    );
    check(json, b"[1]", &["expected an object, {\\\"instances\\\""]);
    check(json, b"{}", &["it has no \\\"instances\\\""]);
    check(json, br#"{"instance": []}"#, &["instance: there is no such key; expected instances alone"]);
    check(
        json,
        br#"{"instances": [{"data": "a"}, {"dta": "a"}]}"#,
        &["instances[1].dta", "is data meant?", r#""instance":1"#],
    );
    check(
        json,
        br#"{"instances": [{"data": ["a"]}]}"#,
        &["instances[0].data: invalid type: sequence, expected a string"],
    );
    check(json, br#"{"instances": [{"data": "a", "data": "b"}]}"#, &["given twice"]);
    check(
        json,
        b"{\"instances\": [{\"data\": \"\xff\"}]}",
        &["instances[0].data: invalid unicode", r#""column":"#],
    );
    check(json, br#"{"instances": []} x"#, &["trailing characters", "line 1, column 19"]);
    let key = |text: &str| format!(r#"{{"instances": [{{"data": "a", "configuration": {{{text}}}}}]}}"#);
    let configuration = |text: &str, parts: &[&str]| check(json, key(text).as_bytes(), parts);
    configuration(
        r#""beam": 3"#,
        &["instances[0].configuration.beam", "is beam_size meant?", r#""field":"configuration.beam""#],
    );
    configuration(r#""zzz": 3"#, &["known are attention_matrix, alignments"]);
    configuration(r#""beam_size": 0"#, &["expected a whole number from 1 to 64, got 0"]);
    configuration(r#""beam_size": "many""#, &["got \\\"many\\\""]);
    configuration(r#""nbest": 9"#, &["configuration.nbest: 9 hypotheses of a beam of 4; set beam_size to 9"]);
    configuration(r#""scores": [1]"#, &["configuration.scores: invalid type: sequence"]);
    configuration(
        r#""prefix": "b1 nonsense""#,
        &["configuration.prefix: \\\"nonsense\\\" is not in the target vocabulary"],
    );
    configuration(
        r#""prefix": "b1 b2", "max_length": 1"#,
        &["the prefix has 2 words, but answers have at most 1"],
    );

    let lines = "application/jsonlines";
    check(lines, b"{\"source\": \"a\"}\n{\"source\": 1}\n", &["line 2: source: invalid type", r#""line":2"#]);
    check(lines, b"{\"source\": \"a\"}\n\n{\"sauce\": \"a\"}\n", &["line 3: it has no"]);
    check(lines, b"{\"source\": \"a\"}\n{\"source\": \"a\"", &["line 2: EOF while parsing"]);
    check(lines, b"{\"source\": \"a\", \"data\": \"b\"}", &["the source is given twice"]);
    check("text/plain", b"good\nbad \xff\n", &["line 2: byte 4 of the line is not UTF-8", r#""byte":4"#]);
    check("text/plain", sentence(5000, 1).as_bytes(), &["line 1: 5000 tokens; expected at most 4096"]);

    let good = records(&[vec![5, 6]]);
    let mut cut = good.clone();
    cut.truncate(good.len() - 3);
    check(
        RECORDIO,
        &cut,
        &["record 1 at byte 0 of the body: its data is cut short", "the body is incomplete"],
    );
    let second = [&good[..], b"junk and more"].concat();
    check(
        RECORDIO,
        &second,
        &[&format!("record 2 at byte {} of the body: expected the RecordIO magic", good.len())],
    );
    let unknown = [&good[..], &records(&[vec![5, 9999]])].concat();
    check(RECORDIO, &unknown, &["record 2", "value 2 is 9999; expected ids less than 29", r#""record":2"#]);
    check(RECORDIO, &records(&[vec![5, 0]]), &["value 2 is 0, the id of <pad>"]);
    let mut long = good.clone();
    long[4..8].copy_from_slice(&(1u32 << 28).to_le_bytes());
    check(RECORDIO, &long, &["its frame claims 268435456 bytes"]);
}

#[test]
fn what_an_answer_has_no_room_for_is_refused() {
    let server = Running::new();
    let check = |accept: &str, configuration: serde_json::Value, key: &str| {
        let body = json!({"instances": [{"data": "a1", "configuration": configuration}]}).to_string();
        let parts = [format!("instances[0].configuration.{key}"), "has no room for it".to_owned()];
        server.post("application/json", accept, body).refused(400, &[&parts[0], &parts[1]]);
    };
    check("text/plain", json!({"nbest": 2}), "nbest");
    check("text/plain", json!({"attention_matrix": true}), "attention_matrix");
    check("text/plain", json!({"scores": true}), "scores");
    check("text/plain", json!({"alignments": true}), "alignments");
    check(RECORDIO, json!({"nbest": 2}), "nbest");
    check(RECORDIO, json!({"replace_unk": true}), "replace_unk");
}

#[test]
fn paths_methods_types_and_sizes() {
    let settings = ServerSettings { max_payload_mb: Some(1), ..ServerSettings::default() };
    let server = Running::with(settings, ServiceSettings::default());
    server.get("/nothing").refused(404, &["POST /invocations"]);
    let answer = server.get("/invocations").refused(405, &["POST"]);
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = send(server.address, "DELETE", "/ping", &[], b"").refused(405, &["GET, HEAD"]);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));

    let types = ["application/json", "application/jsonlines", RECORDIO, "text/plain"];
    server.post("text/csv", "", "a").refused(415, &types);
    server.post("text/plain; charset=latin1", "", "a").refused(415, &["only UTF-8"]);
    server.post("nonsense", "", "a").refused(415, &["not a media type"]);
    server.post("text/plain", "image/png, text/plain;q=0", "a").refused(406, &types);
    let gzip = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
    send(server.address, "POST", "/invocations", &gzip, b"a")
        .refused(415, &["gzip", "send the body as it is"]);

    let large = vec![b'a'; (1 << 20) + 1];
    server
        .post("text/plain", "", &large)
        .refused(413, &["1048576 bytes", "--max-payload-mb", r#""limit_bytes":1048576"#]);
    // The same without a length.
    let chunk = format!("{:x}\r\n", large.len());
    let body = [chunk.as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let head = "POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut stream = kokanee_testkit::http::connect(server.address);
    std::io::Write::write_all(&mut stream, &[head.as_bytes(), &body].concat()).unwrap();
    kokanee_testkit::http::read(&mut stream).unwrap().refused(413, &["1048576 bytes"]);
    // A client that asks before sending a body is told that it need not send it.
    let mut stream = kokanee_testkit::http::connect(server.address);
    let head = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n";
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    kokanee_testkit::http::read(&mut stream).unwrap().refused(413, &["1048576 bytes"]);
    // Bodies within the limits are answered.
    server.post("text/plain", "", vec![b'\n'; 1000]).ok();
}
