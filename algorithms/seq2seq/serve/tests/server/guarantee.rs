//! Tests that an answer does not depend on its neighbours: the same request alone, in a batch of 64, and under load of mixed
//! requests gives the same bytes, in each precision.

use kokanee_kernels::packed::Format;
use serde_json::{Value, json};

use crate::workplace::{Running, sentence};

fn configuration(seed: u64) -> Value {
    match seed % 5 {
        0 => json!({}),
        1 => json!({"attention_matrix": true, "scores": true}),
        2 => json!({"nbest": 7, "beam_size": 8, "scores": true}),
        3 => json!({"prefix": "b1 b2", "forbid_unk": true, "scores": true, "attention_matrix": "true"}),
        _ => json!({"max_length": 6, "alignments": true, "beam_size": 1}),
    }
}

fn instance(seed: u64) -> Value {
    json!({ "data": sentence(1 + (seed as usize * 7) % 23, seed), "configuration": configuration(seed) })
}

#[track_caller]
fn check(format: Format) {
    let server = Running::in_format(format);
    let alone: Vec<Vec<u8>> =
        (0..64).map(|seed| server.json(&json!({ "instances": [instance(seed)] })).ok().body).collect();
    let together = server.json(&json!({ "instances": (0..64).map(instance).collect::<Vec<_>>() })).ok();
    let inner = |body: &[u8]| {
        let text = String::from_utf8(body.to_vec()).unwrap();
        text.strip_prefix(r#"{"predictions":["#).and_then(|text| text.strip_suffix("]}")).unwrap().to_owned()
    };
    let expected: Vec<String> = alone.iter().map(|body| inner(body)).collect();
    assert!(inner(&together.body) == expected.join(","), "{format:?}: a batch of 64 says something else");

    let distinct: std::collections::HashSet<&Vec<u8>> = alone.iter().collect();
    assert!(
        distinct.len() > 40,
        "{format:?}: {} different answers are too few to tell anything",
        distinct.len()
    );

    // Sixty-four clients at a time, each in a different order, with long sentences in between.
    std::thread::scope(|scope| {
        for client in 0..64u64 {
            let (server, alone) = (&server, &alone);
            scope.spawn(move || {
                let mut rng = kokanee_testkit::Rng::new(client);
                for _ in 0..4 {
                    let seed = rng.range(0..64);
                    if rng.range(0..4) == 0 {
                        server.post("text/plain", "", sentence(120, rng.next_u64())).ok();
                    }
                    let answer = server.json(&json!({ "instances": [instance(seed as u64)] })).ok();
                    assert!(
                        answer.body == alone[seed],
                        "{format:?}: request {seed} says something else under load"
                    );
                }
            });
        }
    });
}

#[test]
fn in_f32() {
    check(Format::F32);
}

#[test]
fn in_bf16() {
    check(Format::Bf16);
}

#[test]
fn in_int8() {
    check(Format::Int8);
}
