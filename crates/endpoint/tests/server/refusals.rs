//! Responses to requests that cannot be answered.

use kokanee_testkit::http::send;

use crate::forms::{CSV, JSON, LINES, RECORDIO, dense, frames};
use crate::workplace::{PANICS, Running, UNANSWERED};

const REFUSED: &str = "unable to evaluate payload provided: ";

#[test]
fn a_fault_is_told_in_the_real_words_with_its_place() {
    let server = Running::new();
    let check = |content_type: &str, body: &[u8], parts: &[&str]| {
        let answer = server.post(content_type, "", body).refused(400, parts);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(REFUSED), "{message}");
    };
    check(
        CSV,
        b"1,2,3\n1,2",
        &["line 2: the row has 2 columns; expected 0 label column(s) and 3 others", "\"line\":2"],
    );
    check("text/csv;label_size=1", b"1,2,3\n", &["line 1: the row has 3 columns; expected 1 label"]);
    check(CSV, b"1,2,3\n\n1,x,3\n", &["line 3: column 2 is \\\"x\\\"; expected a number"]);
    check(CSV, b"1,nan,3", &["infinite and undefined numbers are refused"]);
    check(CSV, b"1,\xff,3", &["line 1: byte 3 is not UTF-8"]);
    check(
        CSV,
        format!("1,2,3\n1,2,{UNANSWERED}").as_bytes(),
        &["instances[1]: it has no answer", "\"instance\":1"],
    );
    check(
        CSV,
        b"3e38,3e38,3e38",
        &["instances[0]: its sum is inf, which is not a finite number; scale the features"],
    );
    let ok = dense(&[1.0, 2.0, 3.0]);
    let body = frames(&[ok.clone(), dense(&[1.0, 2.0])]);
    check(
        RECORDIO,
        &body,
        &[
            "record 2 at byte 36 of the body: cannot copy sequence with size 2 to array axis with dimension 3",
            "\"byte\":36",
        ],
    );
    check(RECORDIO, &frames(&[ok.clone(), dense(&[f32::NAN; 3])]), &["record 2", "value 1 is NaN"]);
    check(
        RECORDIO,
        &frames(&[ok.clone(), Default::default()]),
        &["record 2", "is missing; the record has no features"],
    );
    // A body that ends inside a record, an impossible length, and bytes that are not a record.
    let whole = frames(&[ok.clone(), ok]);
    check(
        RECORDIO,
        &whole[..whole.len() - 5],
        &["record 2 at byte 36 of the body: its data is cut short", "\"record\":2"],
    );
    check(
        RECORDIO,
        &whole[..whole.len() - 30],
        &["record 2 at byte 36 of the body: its header is cut short"],
    );
    let mut long = whole.clone();
    long[40..44].copy_from_slice(&[0xff; 4]);
    check(RECORDIO, &long, &["record 2 at byte 36 of the body", "continuation flag"]);
    long[40..44].copy_from_slice(&[0xff, 0xff, 0xff, 0x1f]);
    check(RECORDIO, &long, &["record 2 at byte 36 of the body", "536870911 bytes of data"]);
    check(RECORDIO, b"1,2,3\n4,5,6", &["record 1 at byte 0 of the body: expected the RecordIO magic"]);
    let mut damaged = whole;
    damaged[8] = 0xff;
    check(
        RECORDIO,
        &damaged,
        &["record 1 at byte 0 of the body: its 28 bytes are not an aialgs.data.Record"],
    );
    server.lives_on();
}

#[test]
fn json_is_told_where_it_is_wrong() {
    let server = Running::new();
    let check = |body: &str, parts: &[&str]| {
        let answer = server.post(JSON, "", body).refused(400, parts);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(REFUSED), "{message}");
    };
    check(r#"{"instances": [{"features": ["1", 2, 3]}]}"#, &["instances[0].features[0]"]);
    check(r#"{"instances": [[1, 2, 3], [1, 2]]}"#, &["instances[1]", "2", "3"]);
    check(
        r#"{"instances": [{"features": [1, 2, 3]}, {"features": [1, null, 3]}]}"#,
        &["instances[1].features[1]"],
    );
    check(r#"{"instances": [{"features": [1, [2], 3]}]}"#, &["instances[0].features[1]"]);
    check(r#"{"instances": [{"features": [1, NaN, 3]}]}"#, &["not valid JSON at line 1, column 33"]);
    check(r#"{"instances": [{"features": [1, 1e400, 3]}]}"#, &["line 1, column 37: number out of range"]);
    check(
        r#"{"instances": [{"features": {"keys": [0, 0], "values": [1, 2], "shape": [3]}}]}"#,
        &["instances[0].features"],
    );
    check(
        r#"{"instances": [{"features": {"keys": [4], "values": [1], "shape": [3]}}]}"#,
        &["instances[0].features"],
    );
    check(r#"{"instances": [{"feature": [1, 2, 3]}]}"#, &["instances[0]", "features"]);
    check(r#"{"instance": [[1, 2, 3]]}"#, &["instances"]);
    check(
        r#"{"instances": [{"features": [1, 1e39, 3]}]}"#,
        &["instances[0].features[1] is", "does not fit 32-bit floats"],
    );
    check("", &["not valid JSON at line 1"]);
    check("nonsense", &["not valid JSON at line 1"]);
    check(
        r#"{"instances": [[1, 2, 3], {"features": [1, 2, 3], "configuration": {"k": 3}}]}"#,
        &["instances[1]: this model takes no configuration of an instance"],
    );
    let digits = format!(r#"{{"instances": [[1, 2, {}]]}}"#, "1".repeat(10_000_001));
    check(&digits, &["number out of range"]);
    check(&format!(r#"{{"instances": {}"#, "[".repeat(1 << 16)), &["instances[0]"]);
    let refused = server.post(LINES, "", "[1, 2, 3]\n{\"features\": [1, 2]}\n");
    refused.refused(400, &[REFUSED, "line 2", "\"line\":2"]);
    server.lives_on();
}

#[test]
fn types_and_encodings_that_are_not_read_or_written() {
    let server = Running::new();
    let names = "application/json, application/jsonlines, text/csv, application/x-recordio-protobuf";
    server.post("text/libsvm", "", "1 1:2").refused(415, &["supported are", names]);
    server.post("csv", "", "1,2,3").refused(415, &["not a media type"]);
    server.post("text/csv; charset=latin1", "", "1,2,3").refused(415, &["only UTF-8 is read here"]);
    server.post("text/csv; label_size=one", "", "1,2,3").refused(415, &["label_size=\\\"one\\\""]);
    server.post(CSV, "image/png", "1,2,3").refused(406, &["supported are application/json"]);
    let headers = [("Content-Type", CSV), ("Content-Encoding", "gzip")];
    send(server.address, "POST", "/invocations", &headers, b"1,2,3").refused(415, &["Content-Encoding"]);
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0];
    server.post(CSV, "", gzip).refused(400, &["the body is compressed with gzip"]);
    server.post("", "", gzip).refused(400, &["the body is compressed with gzip"]);
    server.get("/invocations").refused(405, &["this path is for POST"]);
    server.get("/nowhere").refused(404, &["there is nothing at this path"]);
    server.lives_on();
}

#[test]
fn a_bug_of_the_model_costs_its_own_request_only() {
    let server = Running::new();
    server
        .post(CSV, "", format!("1,2,{PANICS}"))
        .refused(500, &["a bug in Kokanee; please report it", "\"id\":"]);
    server.lives_on();
    server.get("/ping").ok();
}

#[test]
fn the_routes_of_the_contract() {
    let server = Running::new();
    assert!(server.get("/ping").ok().body.is_empty());
    let cores = std::thread::available_parallelism().unwrap();
    assert_eq!(
        server.get("/execution-parameters").ok().text(),
        format!(r#"{{"BatchStrategy":"MULTI_RECORD","MaxConcurrentTransforms":{cores},"MaxPayloadInMB":6}}"#)
    );
    server.post(CSV, "", "1,2,3\n4,5,6").ok();
    let text = server.get("/metrics").ok().text();
    for line in [
        "kokanee_instances_total 2",
        r#"kokanee_requests_total{route="/invocations",type="text/csv",status="200"} 1"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(server.get("/").ok().text().contains("Send requests to POST /invocations."));
}
