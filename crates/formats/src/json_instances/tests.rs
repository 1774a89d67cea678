use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rows::Row;

const LIMITS: Limits = Limits { rows: 1000, values: 10_000 };

fn dense(instances: &Instances) -> Vec<Vec<f32>> {
    let row = |index| {
        let mut row = vec![0.0; instances.rows.width()];
        instances.rows.row(index).for_each(|column, value| row[column] = value);
        row
    };
    (0..instances.rows.len()).map(row).collect()
}

/// Checks an instance as an element of a body, as a line among others, and alone.
#[track_caller]
fn check_instance(instance: &str, expected: &[f32]) {
    let width = expected.len();
    let body = format!("{{\"instances\": [{instance}, {instance}]}}");
    let lines = format!("\n{instance}\r\n{instance}");
    for instances in
        [read_json(body.as_bytes(), width, LIMITS), read_json_lines(lines.as_bytes(), width, LIMITS)]
    {
        assert_eq!(dense(&instances.unwrap_or_else(|error| panic!("{error}"))), [expected, expected]);
    }
    assert_eq!(dense(&read_json_line(instance.as_bytes(), width, LIMITS).unwrap()), [expected]);
}

#[test]
fn every_form_of_an_instance_gives_the_same_row() {
    for instance in [
        r#"{"features": [1.5, 16.0, 0, -23]}"#,
        r#"{"data": {"features": {"values": [1.5, 16.0, 0.0, -23e0]}}}"#,
        r#"{"data": {"features": [1.5, 16.0, 0, -23]}}"#,
        r#"{"features": {"values": [1.5, -23, 16], "keys": [0, 3, 1], "shape": [4]}}"#,
        r#"{"data": {"features": {"keys": [0, 1, 3], "values": [1.5, 16, -23]}}, "configuration": {}}"#,
        r#"{"features": {"values": [1.5, 16, 0, -23], "shape": [2, 2], "keys": []}}"#,
        "[1.5, 16.0, 0, -23]",
        r#"{"uid": [[{}]], "features": [1.5, 16.0, 0, -23], "more": {"features": "x"}}"#,
    ] {
        check_instance(instance, &[1.5, 16.0, 0.0, -23.0]);
    }
    check_instance(r#"{"features": {"shape": [4]}}"#, &[0.0; 4]);
    check_instance(r#"{"features": {"shape": [4], "keys": [], "values": []}}"#, &[0.0; 4]);
}

#[test]
fn sparse_instances_stay_sparse_and_configurations_are_kept() {
    let body = json!({
        "configuration": {"k": 3},
        "instances": [
            {"features": [1, 2]},
            {"features": {"keys": [1], "values": [5]}, "configuration": {"verbose": true}},
            {"features": [3, 4], "configuration": null},
        ],
    });
    let instances = read_json(body.to_string().as_bytes(), 2, LIMITS).unwrap();
    assert_eq!(instances.rows.row(1), Row::Sparse(&[1], &[5.0]));
    assert_eq!(instances.configuration, Some(json!({"k": 3})));
    assert_eq!(instances.configurations, [(1, json!({"verbose": true}))]);
    let none = read_json(b"\xef\xbb\xbf {\"instances\": [], \"other\": 1} \n", 2, LIMITS).unwrap();
    assert_eq!((none.rows.len(), none.configuration), (0, None));
    assert_eq!(read_json_lines(b"\n \n", 2, LIMITS).unwrap().rows.len(), 0);
}

/// Checks the faults of an instance beside a valid one.
#[track_caller]
fn check_refused(instance: &str, expected: &str) {
    let good = r#"{"features": [1, 2]}"#;
    let check = |read: Result<Instances, JsonError>, place: &str| {
        let error = read.map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, format!("{place}{expected}"), "{instance}");
    };
    check(
        read_json(format!("{{\"instances\": [{good}, {instance}]}}").as_bytes(), 2, LIMITS),
        "instances[1].",
    );
    check(read_json_lines(format!("{good}\n\n{instance}\n").as_bytes(), 2, LIMITS), "line 3: ");
    check(read_json_line(instance.as_bytes(), 2, LIMITS), "");
}

#[test]
fn bad_instances_are_refused_with_their_place() {
    check_refused(r#"{"features": ["1", 2]}"#, "features[0] is \"1\"; expected a number");
    check_refused(r#"{"features": [1, null]}"#, "features[1] is null; expected a number");
    check_refused(r#"{"features": [1, [2]]}"#, "features[1] is a list; expected a number");
    check_refused(r#"{"features": [1, {}]}"#, "features[1] is an object; expected a number");
    check_refused(r#"[true]"#, "features[0] is true; expected a number");
    check_refused(r#"{"features": [1, 2, 3]}"#, "features has 3 values, the model takes 2");
    check_refused(r#"{"features": []}"#, "features has 0 values, the model takes 2");
    check_refused(r#"{"features": {}}"#, "features has 0 values, the model takes 2");
    check_refused(r#"{"features": [1, 1e39]}"#, "features[1] is 1e39, which does not fit 32-bit floats");
    check_refused(r#"{"features": {"values": [1, "x"]}}"#, "features.values[1] is \"x\"; expected a number");
    check_refused(
        r#"{"features": {"values": [1], "keys": [-1]}}"#,
        "features.keys[0] is -1; expected a whole number from 0",
    );
    check_refused(
        r#"{"features": {"values": [1], "keys": [1.5]}}"#,
        "features.keys[0] is 1.5; expected a whole number from 0",
    );
    check_refused(
        r#"{"features": {"values": [1], "keys": [2]}}"#,
        "features: key 2 is beyond the 2 columns of the row",
    );
    check_refused(r#"{"features": {"values": [1, 1], "keys": [1, 1]}}"#, "features: key 1 comes twice");
    check_refused(
        r#"{"features": {"values": [1], "keys": [0, 1]}}"#,
        "features: 2 keys for 1 values; a sparse tensor has one for each",
    );
    check_refused(
        r#"{"features": {"values": [1], "keys": [2], "shape": [2000]}}"#,
        "features has 2000 values, the model takes 2",
    );
    check_refused(
        r#"{"features": "1,2"}"#,
        "features is \"1,2\"; expected a list of numbers, or an object with \"values\"",
    );
    check_refused(r#"{"data": [1, 2]}"#, "data is a list; expected an object with \"features\"");
    check_refused("5", "the instance is 5; expected an object with \"features\", or a list of numbers");
    check_refused(r#"{"features": [1, 2], "features": [1, 2]}"#, "features comes twice");
    check_refused(r#"{"features": [1, 2], "data": {"features": [1, 2]}}"#, "features comes twice");
    check_refused(
        r#"{"data": {"values": [1, 2]}}"#,
        "features is missing; expected {\"features\": [1.5, …]} or {\"data\": {\"features\": …}}",
    );
}

#[test]
fn bad_bodies_are_refused() {
    let check = |body: &str, expected: &str| {
        let error = read_json(body.as_bytes(), 2, LIMITS).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error} is not {expected}");
    };
    check("{}", "the member \"instances\" is missing");
    check("[[1, 2]]", "the body is a list; expected an object with \"instances\"");
    check(r#"{"instances": {}}"#, "instances is an object; expected a list");
    check("", "not valid JSON at line 1, column 0: EOF while parsing a value");
    check(
        "{\"instances\":\n [{\"features\": [NaN, 2]}]}",
        "not valid JSON at line 2, column 17: expected value",
    );
    check(r#"{"instances": [[1e400, 2]]}"#, "not valid JSON at line 1, column 21: number out of range");
    check(r#"{"instances": [[1, 2]]} x"#, "not valid JSON at line 1, column 25: trailing characters");
    check(
        &format!(r#"{{"instances": [[1, 2]], "configuration": [{}0]}}"#, "0,".repeat(40_000)),
        "configuration has 80003 bytes, with those before it; expected at most 65536",
    );
    let error = read_json_lines(b"[1, 2]\n[1, }\n", 2, LIMITS).map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("line 2: not valid JSON at line 1, column 5: expected value"), "{error}");
}

#[test]
fn more_than_the_limits_allow_is_refused() {
    let check = |body: &[u8], limits: Limits| {
        let error = read_json(body, 2, limits).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, format!("the request is larger than {limits} at once; divide it"));
    };
    check(br#"{"instances": [[1, 2], [3, 4]]}"#, Limits { rows: 1, values: 9 });
    check(br#"{"instances": [[1, 2], [3, 4]]}"#, Limits { rows: 9, values: 3 });
    check(br#"{"instances": [{"features": {"keys": [1, 1, 1, 1]}}]}"#, Limits { rows: 9, values: 3 });
}

#[test]
fn numbers_without_end_and_depths_without_end_are_refused_quickly() {
    let start = Instant::now();
    let digits = "1".repeat(10_000_001);
    let nested = "[".repeat(1_000_000);
    for bad in [
        digits.clone(),
        format!("0.{digits}e-1000000000000000000000"),
        format!("-{digits}.5"),
        nested.clone(),
    ] {
        for body in [
            format!("{{\"instances\": [[{bad}, 1]]}}"),
            format!("{{\"other\": {nested}, \"instances\": []}}"),
        ] {
            // A fraction that is too small for a float becomes 0, as everywhere.
            let _ = read_json(body.as_bytes(), 2, LIMITS).map_err(|error| error.to_string());
        }
    }
    assert!(read_json(format!("{{\"instances\": [[{digits}, 1]]}}").as_bytes(), 2, LIMITS).is_err());
    assert!(read_json(format!("{{\"instances\": [[{nested}").as_bytes(), 2, LIMITS).is_err());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "[\\[\\]{}\",:0-9.e ]{0,60}|.{0,40}", begin: bool) {
        let begin = if begin { "{\"instances\": [" } else { "" };
        let body = format!("{begin}{text}");
        let _ = read_json(body.as_bytes(), 2, LIMITS);
        let _ = read_json_lines(body.as_bytes(), 2, LIMITS);
        let _ = read_json_line(body.as_bytes(), 2, LIMITS);
    }

    #[test]
    fn numbers_are_read_as_they_are_written(rows in prop::collection::vec(prop::array::uniform3(any::<f32>()), 0..9)) {
        let rows: Vec<Vec<f32>> = rows
            .into_iter()
            .map(|row| row.map(|value| if value.is_finite() { value } else { 0.0 }).to_vec())
            .collect();
        let body = json!({"instances": rows}).to_string();
        prop_assert_eq!(dense(&read_json(body.as_bytes(), 3, LIMITS).unwrap()), rows);
    }
}
