use proptest::prelude::*;

use kokanee_formats::record::{Bytes, Float32Tensor, Float64Tensor};

use super::*;

fn pair(source: &[u32], target: &[u32]) -> SequencePair {
    SequencePair { source: source.to_vec(), target: target.to_vec() }
}

fn int32(values: &[i32]) -> value::Value {
    value::Value::Int32Tensor(Int32Tensor { values: values.to_vec(), ..Default::default() })
}

fn float32(values: &[f32]) -> value::Value {
    value::Value::Float32Tensor(Float32Tensor { values: values.to_vec(), ..Default::default() })
}

fn float64(values: &[f64]) -> value::Value {
    value::Value::Float64Tensor(Float64Tensor { values: values.to_vec(), ..Default::default() })
}

fn map(entries: impl IntoIterator<Item = (&'static str, value::Value)>) -> BTreeMap<String, Value> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), Value { value: Some(value) })).collect()
}

fn record<const F: usize, const L: usize>(
    features: [(&'static str, value::Value); F],
    label: [(&'static str, value::Value); L],
) -> Record {
    Record { features: map(features), label: map(label), ..Default::default() }
}

#[track_caller]
fn check(record: &Record, rule: TargetRule, expected: Result<SequencePair, &str>) {
    let got = SequencePair::decode(&record.encode_to_vec(), rule);
    match expected {
        Ok(pair) => assert_eq!(got.expect("must be read"), pair),
        Err(message) => assert_eq!(got.expect_err("must be refused").to_string(), message),
    }
}

#[test]
fn all_kinds_of_whole_numbers_are_read() {
    use TargetRule::{Optional, Required};
    let expected = || Ok(pair(&[5, 0, 7], &[6]));
    check(&record([("source", int32(&[5, 0, 7])), ("target", int32(&[6]))], []), Required, expected());
    check(
        &record([("source", float32(&[5.0, -0.0, 7.0])), ("target", float64(&[6.0]))], []),
        Required,
        expected(),
    );
    check(&record([("source", float64(&[5.0, 0.0, 7.0]))], [("target", int32(&[6]))]), Required, expected());
    let empty_feature = [("source", int32(&[5, 0, 7])), ("target", int32(&[]))];
    check(&record(empty_feature, [("target", float32(&[6.0]))]), Required, expected());
    let same_twice = [("source", int32(&[5, 0, 7])), ("target", int32(&[6]))];
    check(&record(same_twice, [("target", float32(&[6.0]))]), Required, expected());
    check(&record([("source", int32(&[5])), ("other", int32(&[-1]))], []), Optional, Ok(pair(&[5], &[])));
    check(&record([("source", int32(&[5])), ("target", int32(&[]))], []), Optional, Ok(pair(&[5], &[])));
    let largest = f64::from(MAX_WORD_ID);
    check(&record([("source", float64(&[largest]))], []), Optional, Ok(pair(&[MAX_WORD_ID], &[])));
}

#[test]
fn other_records_are_refused_with_the_field() {
    use TargetRule::{Optional, Required};
    let five = || ("source", int32(&[5]));
    let sparse = value::Value::Int32Tensor(Int32Tensor { values: vec![1], keys: vec![3], shape: vec![9] });
    let bytes = value::Value::Bytes(Bytes::default());
    let range = "expected a word id, a whole number from 0 to 2147483647";
    let cases: [(Record, TargetRule, String); 17] = [
        (record([], []), Required, "features[\"source\"] is missing; the record has neither features nor labels".into()),
        (
            record([("values", float32(&[1.0]))], [("values", float32(&[0.0]))]),
            Required,
            "features[\"source\"] is missing; the record has features[\"values\"], label[\"values\"]".into(),
        ),
        (
            record(["a", "b", "c", "d", "e", "f"].map(|name| (name, int32(&[]))), []),
            Required,
            "features[\"source\"] is missing; the record has features[\"a\"], features[\"b\"], features[\"c\"], \
             features[\"d\"] and 2 more"
                .into(),
        ),
        (record([five()], []), Required, "features[\"target\"] is missing; the record has features[\"source\"]".into()),
        (
            record([("source", int32(&[])), ("target", int32(&[5]))], []),
            Optional,
            "features[\"source\"] is empty; expected at least one word id".into(),
        ),
        (
            record([five(), ("target", int32(&[]))], []),
            Required,
            "features[\"target\"] is empty; expected at least one word id".into(),
        ),
        (
            record([five()], [("target", int32(&[]))]),
            Required,
            "label[\"target\"] is empty; expected at least one word id".into(),
        ),
        (record([("source", int32(&[5, -5]))], []), Optional, format!("features[\"source\"]: value 2 is -5; {range}")),
        (
            record([five()], [("target", int32(&[i32::MIN]))]),
            Optional,
            format!("label[\"target\"]: value 1 is -2147483648; {range}"),
        ),
        (record([("source", float32(&[1.5]))], []), Optional, format!("features[\"source\"]: value 1 is 1.5; {range}")),
        (
            record([("source", float32(&[1.0, f32::NAN]))], []),
            Optional,
            format!("features[\"source\"]: value 2 is NaN; {range}"),
        ),
        (
            record([("source", float64(&[f64::INFINITY]))], []),
            Optional,
            format!("features[\"source\"]: value 1 is inf; {range}"),
        ),
        (
            record([("source", float64(&[2_147_483_648.0]))], []),
            Optional,
            format!("features[\"source\"]: value 1 is 2147483648.0; {range}"),
        ),
        (
            record([("source", sparse)], []),
            Optional,
            "features[\"source\"] is a sparse tensor (1 keys); expected a dense one: a sequence has no gaps".into(),
        ),
        (
            record([("source", bytes)], []),
            Optional,
            "features[\"source\"] holds bytes; expected an int32_tensor (or a float tensor of whole numbers)".into(),
        ),
        (
            Record { features: [("source".to_owned(), Value::default())].into(), ..Default::default() },
            Optional,
            "features[\"source\"] is empty; expected at least one word id"
                .into(),
        ),
        (
            record([five(), ("target", int32(&[1]))], [("target", int32(&[2]))]),
            Required,
            "features[\"target\"] and label[\"target\"] both hold values, and not the same; give the target once".into(),
        ),
    ];
    for (record, rule, message) in &cases {
        check(record, *rule, Err(message));
    }
}

#[test]
fn garbage_is_refused() {
    let error = SequencePair::decode(b"\xff\xff\xff", TargetRule::Required).expect_err("must be refused");
    let expected = "its 3 bytes are not an aialgs.data.Record in protobuf encoding: ";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn integers_are_read_packed_or_not() {
    // features { key: "source", value { int32_tensor { values: 5, values: 300 } } } with one field per value.
    let tensor = [0x08, 5, 0x08, 0xac, 0x02];
    let value = [&[0x3a, 5][..], &tensor].concat();
    let entry = [&[0x0a, 6][..], b"source", &[0x12, 7], &value].concat();
    let record = [&[0x0a, entry.len() as u8][..], &entry].concat();
    assert_eq!(SequencePair::decode(&record, TargetRule::Optional).expect("reads"), pair(&[5, 300], &[]));
}

#[test]
fn an_empty_target_is_written_as_in_the_request_examples() {
    let mut bytes = Vec::new();
    encode_pair(&[4], &[], &mut bytes);
    assert!(bytes.ends_with(b"\x0a\x0c\x0a\x06target\x12\x02\x3a\x00"), "{bytes:x?}");
}

#[test]
fn an_id_beyond_int32_is_not_written() {
    let error = pair(&[4, MAX_WORD_ID + 1], &[]).to_record().expect_err("must be refused");
    assert_eq!(
        error.to_string(),
        "features[\"source\"]: value 2 is 2147483648; expected a word id, a whole number from 0 to 2147483647"
    );
}

#[test]
fn the_reader_names_the_place_and_ends_there() {
    let mut bytes = Vec::new();
    kokanee_formats::recordio::append_frame(&mut bytes, |out| encode_pair(&[4], &[5], out));
    let offset = bytes.len();
    kokanee_formats::recordio::append_frame(&mut bytes, |out| encode_pair(&[4], &[], out));
    let mut reader = SequenceReader::new(RecordReader::new(&bytes[..], "x.rec"), TargetRule::Required);
    assert_eq!(reader.next().expect("a record").expect("reads"), pair(&[4], &[5]));
    assert_eq!(
        reader.next().expect("a record").expect_err("must be refused").to_string(),
        format!(
            "x.rec: record 2 at byte {offset}: features[\"target\"] is empty; expected at least one word id"
        )
    );
    assert!(reader.next().is_none());
}

fn ids() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(prop_oneof![0..300_u32, 0..=MAX_WORD_ID], 0..200)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(source in ids(), target in ids()) {
        let expected = SequencePair { source, target };
        let bytes = expected.to_record().expect("in range").encode_to_vec();
        let mut fast = Vec::new();
        encode_pair(&expected.source, &expected.target, &mut fast);
        prop_assert_eq!(&fast, &bytes, "the direct encoder writes what the message type writes");
        match SequencePair::decode(&bytes, TargetRule::Optional) {
            Ok(got) => prop_assert_eq!(got, expected),
            Err(fault) => prop_assert!(expected.source.is_empty(), "{}", fault),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = SequencePair::decode(&bytes, TargetRule::Required);
    }

    #[test]
    fn damaged_records_never_panic(source in ids(), at: prop::sample::Index, byte: u8) {
        let mut bytes = Vec::new();
        encode_pair(&source, &[4, 5], &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = SequencePair::decode(&bytes, TargetRule::Required);
    }
}
