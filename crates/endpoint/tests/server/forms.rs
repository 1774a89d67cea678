//! Requests and responses in every form.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kokanee_endpoint::tabular::Tabular;
use kokanee_endpoint::{Backend, invoke_blocking};
use kokanee_formats::record::{Float32Tensor, Float64Tensor, Int32Tensor, Record, Value, value};
use kokanee_formats::recordio::{RecordReader, RecordWriter};
use prost::Message as _;

use crate::workplace::{Running, Sum, WIDTH};

pub(crate) const JSON: &str = "application/json";
pub(crate) const LINES: &str = "application/jsonlines";
pub(crate) const RECORDIO: &str = "application/x-recordio-protobuf";
pub(crate) const CSV: &str = "text/csv";

/// A record with this tensor as its only feature.
pub(crate) fn record(tensor: value::Value) -> Record {
    let mut record = Record::default();
    record.features.insert("values".to_owned(), Value { value: Some(tensor) });
    record
}

/// A record of a dense row.
pub(crate) fn dense(values: &[f32]) -> Record {
    record(value::Value::Float32Tensor(Float32Tensor { values: values.to_vec(), ..Default::default() }))
}

/// A body of these records.
pub(crate) fn frames(records: &[Record]) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), "a request");
    records.iter().for_each(|record| writer.write(&record.encode_to_vec()).unwrap());
    writer.finish().unwrap()
}

/// The records of a response body.
fn answered(body: &[u8]) -> Vec<Record> {
    RecordReader::new(body, "an answer").map(|raw| Record::decode(&*raw.unwrap().payload).unwrap()).collect()
}

/// The values of a label of an answer.
fn label<'a>(record: &'a Record, key: &str) -> &'a [f32] {
    match &record.label[key].value {
        Some(value::Value::Float32Tensor(tensor)) if tensor.keys.is_empty() && tensor.shape.is_empty() => {
            &tensor.values
        }
        other => panic!("{other:?}"),
    }
}

/// The rows (1.5, 16, 14) and (0, 4, 0), in every form.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let instances = [
        [r#"{"features": [1.5, 16.0, 14.0]}"#, r#"{"features": [0, 4, 0]}"#],
        [
            r#"{"data": {"features": {"values": [1.5, 16.0, 14.0]}}}"#,
            r#"{"data": {"features": {"values": [0.0, 4.0, 0.0]}}}"#,
        ],
        [r#"{"data": {"features": [1.5, 16.0, 14.0]}}"#, r#"{"id": "x", "data": {"features": [0, 4e0, 0]}}"#],
        [
            r#"{"features": {"values": [14, 1.5, 16], "keys": [2, 0, 1], "shape": [3]}}"#,
            r#"{"features": {"values": [4], "keys": [1], "shape": [3]}}"#,
        ],
        [
            r#"{"data": {"features": {"keys": [0, 1, 2], "shape": [3], "values": [1.5, 16, 14]}}, "configuration": {}}"#,
            r#"{"data": {"features": {"keys": [1], "shape": [3], "values": [4]}}, "configuration": {}}"#,
        ],
        ["[1.5, 16.0, 14.0]", "[0.0, 4.0, 0.0]"],
    ];
    let mut bodies = Vec::new();
    for [first, second] in instances {
        bodies.push((JSON, format!(r#"{{"instances": [{first}, {second}]}}"#).into()));
        bodies.push((LINES, format!("{first}\n\n{second}").into()));
    }
    for (content_type, text) in [
        (CSV, "1.5,16.0,14.0\n0.0,4.0,0.0"),
        ("text/csv; label_size=0", "1.5,16,14\r\n0,4,0\r\n"),
        ("text/csv;label-size=1", "7,1.5,16,14\n8,0,4,0\n"),
    ] {
        bodies.push((content_type, text.into()));
    }
    let float64 = Float64Tensor { values: vec![1.5, 16.0, 14.0], ..Default::default() };
    let int32 = Int32Tensor { values: vec![0, 4, 0], ..Default::default() };
    let sparse = Float32Tensor { values: vec![4.0], keys: vec![1], shape: vec![3] };
    for records in [
        [dense(&[1.5, 16.0, 14.0]), dense(&[0.0, 4.0, 0.0])],
        [record(value::Value::Float64Tensor(float64)), record(value::Value::Int32Tensor(int32))],
        [dense(&[1.5, 16.0, 14.0]), record(value::Value::Float32Tensor(sparse))],
    ] {
        bodies.push((RECORDIO, frames(&records)));
    }
    bodies
}

#[test]
fn every_form_of_a_request_is_answered_in_every_form() {
    let server = Running::new();
    let answers = BTreeMap::from([
        (JSON, r#"{"scores": [{"sum": 31.5}, {"sum": 4.0}]}"#),
        (LINES, "{\"sum\": 31.5}\n{\"sum\": 4.0}\n"),
        (CSV, "31.5\n4.0\n"),
    ]);
    for (content_type, body) in bodies() {
        for (&accept, &expected) in &answers {
            let answer = server.post(content_type, accept, &body).ok();
            assert_eq!(answer.text(), expected, "{content_type} to {accept}");
            assert!(answer.header("content-type").unwrap().starts_with(accept));
        }
        let answer = server.post(content_type, RECORDIO, &body).ok();
        let records = answered(&answer.body);
        let sums: Vec<&[f32]> = records.iter().map(|record| label(record, "sum")).collect();
        assert_eq!(sums, [[31.5], [4.0]], "{content_type}");
        // Without Accept the response has the request's type, except for CSV; without Content-Type the body's type is guessed.
        let own = if content_type.starts_with(CSV) { JSON } else { content_type };
        for accept in ["", "*/*"] {
            assert_eq!(server.post(content_type, accept, &body).header("content-type"), Some(own));
        }
        if !content_type.contains("size=1") {
            assert_eq!(server.post("", CSV, &body).ok().text(), answers[CSV], "{content_type}");
        }
        // Batch transform gets the same bytes.
        let backend: Arc<dyn Backend> = Arc::new(Tabular::new(Sum { block: Duration::ZERO }, 128 << 20));
        let offline = invoke_blocking(&backend, Some(content_type), Some(JSON), &body).unwrap();
        assert_eq!(offline, answers[JSON].as_bytes());
    }
    server.lives_on();
}

#[test]
fn an_answer_may_have_several_columns() {
    let server = Running::new();
    let body = "1,2,3\n4,5,6\n";
    let check = |accept: &str, expected: &str| {
        assert_eq!(server.post(CSV, accept, body).ok().text(), expected);
    };
    check(
        "application/json; verbose=true",
        r#"{"scores": [{"sum": 6.0, "features": [1.0, 2.0, 3.0]}, {"sum": 15.0, "features": [4.0, 5.0, 6.0]}]}"#,
    );
    check("application/json;verbose=false", r#"{"scores": [{"sum": 6.0}, {"sum": 15.0}]}"#);
    check("text/csv;verbose=true", "6.0,1.0,2.0,3.0\n15.0,4.0,5.0,6.0\n");
    let answer = server.post(CSV, "application/x-recordio-protobuf;verbose=true", body).ok();
    assert_eq!(label(&answered(&answer.body)[1], "features"), [4.0, 5.0, 6.0]);
    server
        .post(CSV, "application/json;verbose=maybe", body)
        .refused(400, &["unable to evaluate payload provided: verbose is"]);
}

#[test]
fn records_are_answered_under_their_uid() {
    let server = Running::new();
    let named = |uid: Option<&str>, metadata: Option<&str>| Record {
        uid: uid.map(str::to_owned),
        metadata: metadata.map(str::to_owned),
        ..dense(&[1.0, 2.0, 3.0])
    };
    let body = frames(&[named(Some("abc123"), None), named(None, None), named(Some(""), Some("{\"a\":1}"))]);
    let records = answered(&server.post(RECORDIO, "", body).ok().body);
    let echoes: Vec<_> =
        records.iter().map(|record| (record.uid.as_deref(), record.metadata.as_deref())).collect();
    assert_eq!(echoes, [(Some("abc123"), None), (None, None), (Some(""), Some("{\"a\":1}"))]);
    assert!(records.iter().all(|record| record.features.is_empty() && label(record, "sum") == [6.0]));
}

#[test]
fn no_instances_have_no_predictions() {
    let server = Running::new();
    let check = |content_type: &str, accept: &str, body: &str, expected: &str| {
        assert_eq!(server.post(content_type, accept, body).ok().text(), expected);
    };
    check(JSON, "", r#"{"instances": []}"#, r#"{"scores": []}"#);
    check(CSV, "", "", r#"{"scores": []}"#);
    check(CSV, "", "\n \n", r#"{"scores": []}"#);
    check(LINES, "", "\n\n", "");
    check(RECORDIO, JSON, "", r#"{"scores": []}"#);
    check(RECORDIO, "", "", "");
}

#[test]
fn rows_sent_together_are_answered_as_rows_sent_apart() {
    let server = Running::new();
    let mut rng = kokanee_testkit::Rng::new(7);
    // More rows than a block has.
    let lines: Vec<String> = (0..10_000)
        .map(|_| {
            let values: Vec<String> =
                (0..WIDTH).map(|_| format!("{:?}", rng.range(0..1 << 20) as f32 / 1024.0 - 500.0)).collect();
            values.join(",")
        })
        .collect();
    for accept in [CSV, LINES] {
        let together = server.post(CSV, accept, lines.join("\n")).ok().text();
        let together: Vec<&str> = together.lines().collect();
        assert_eq!(together.len(), lines.len());
        for index in [0, 1, 4095, 4096, 8191, 8192, 9999] {
            let apart = server.post(CSV, accept, &lines[index]).ok().text();
            assert_eq!(apart.trim_end(), together[index], "row {index}");
        }
        let half = server.post(CSV, accept, lines[5000..].join("\n")).ok().text();
        assert_eq!(half.lines().collect::<Vec<_>>(), together[5000..]);
    }
}
