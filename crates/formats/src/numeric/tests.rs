use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::record::{Float32Tensor, Float64Tensor, Int32Tensor, Value, value};
use crate::recordio::{MAX_RECORD_BYTES, append_frame};
use crate::rows::{Limits, Row};

fn float32(values: &[f32]) -> Value {
    let tensor = Float32Tensor { values: values.to_vec(), ..Float32Tensor::default() };
    Value { value: Some(value::Value::Float32Tensor(tensor)) }
}

fn float64(values: &[f64]) -> Value {
    let tensor = Float64Tensor { values: values.to_vec(), ..Float64Tensor::default() };
    Value { value: Some(value::Value::Float64Tensor(tensor)) }
}

fn int32(values: &[i32]) -> Value {
    let tensor = Int32Tensor { values: values.to_vec(), ..Int32Tensor::default() };
    Value { value: Some(value::Value::Int32Tensor(tensor)) }
}

fn sparse(values: &[f32], keys: &[u64], shape: &[u64]) -> Value {
    let tensor = Float32Tensor { values: values.to_vec(), keys: keys.to_vec(), shape: shape.to_vec() };
    Value { value: Some(value::Value::Float32Tensor(tensor)) }
}

fn record(features: Value, label: Option<Value>) -> Record {
    let mut record = Record::default();
    record.features.insert("values".to_owned(), features);
    record.label.extend(label.map(|label| ("values".to_owned(), label)));
    record
}

fn frames(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        append_frame(&mut bytes, |out| record.encode(out).unwrap());
    }
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// All rows of a file as dense ones, and all labels; read two at a time.
fn read(
    bytes: &[u8],
    format: NumericFormat,
    width: Option<usize>,
) -> Result<(Vec<Vec<f32>>, Vec<f32>), String> {
    let mut reader = NumericReader::new(bytes, Path::new("train/a"), format, width);
    let (mut batch, mut rows, mut labels) = (Batch::default(), Vec::new(), Vec::new());
    loop {
        batch.clear();
        match reader.read(&mut batch, 2) {
            Ok(0) => return Ok((rows, labels)),
            Ok(added) => assert_eq!(added, batch.rows.len()),
            Err(error) => {
                batch.clear();
                assert_eq!(
                    reader.read(&mut batch, 2).map_err(|error| error.to_string()),
                    Ok(0),
                    "after an error"
                );
                return Err(error.to_string());
            }
        }
        assert_eq!(reader.width(), Some(batch.rows.width()));
        assert_eq!(batch.labels.len(), reader.label_size().unwrap() * batch.rows.len());
        labels.extend(&batch.labels);
        for index in 0..batch.rows.len() {
            let mut row = vec![0.0; batch.rows.width()];
            batch.rows.row(index).for_each(|column, value| row[column] = value);
            rows.push(row);
        }
    }
}

#[track_caller]
fn check_records(records: &[Record], width: Option<usize>, rows: &[&[f32]], labels: &[f32]) {
    let expected = (rows.iter().map(|row| row.to_vec()).collect(), labels.to_vec());
    let bytes = frames(records);
    assert_eq!(read(&bytes, NumericFormat::RecordIo, width).as_ref(), Ok(&expected));
    assert_eq!(read(&gzip(&bytes), NumericFormat::RecordIo, width), Ok(expected), "compressed");
}

#[test]
fn tensors_of_each_type_give_the_same_rows() {
    check_records(
        &[
            record(float64(&[1.0, 2.0]), Some(int32(&[7]))),
            record(float32(&[1.0, 2.0]), Some(float32(&[7.0]))),
            record(int32(&[1, 2]), Some(float64(&[7.0]))),
            record(sparse(&[2.0, 1.0], &[1, 0], &[2]), Some(int32(&[-7]))),
            record(sparse(&[1.0, 2.0], &[], &[1, 2]), Some(float32(&[7.0]))),
        ],
        None,
        &[[1.0, 2.0].as_slice(); 5],
        &[7.0, 7.0, 7.0, -7.0, 7.0],
    );
}

#[test]
fn sparse_rows_and_rows_of_zeros_are_read() {
    check_records(
        &[
            record(sparse(&[1.0, 4.0], &[1, 3], &[4]), None),
            record(sparse(&[], &[], &[4]), None),
            record(sparse(&[5.0], &[2], &[]), None),
            record(sparse(&[1.0, 2.0, 3.0, 4.0], &[], &[2, 2]), None),
        ],
        None,
        &[&[0.0, 1.0, 0.0, 4.0], &[0.0; 4], &[0.0, 0.0, 5.0, 0.0], &[1.0, 2.0, 3.0, 4.0]],
        &[],
    );
    check_records(&[record(sparse(&[5.0], &[2], &[]), None)], Some(3), &[&[0.0, 0.0, 5.0]], &[]);
    check_records(&[], None, &[], &[]);
}

#[test]
fn a_dense_record_has_the_bytes_of_the_format() {
    let bytes = [
        0x0a, 0x23, 0xd7, 0xce, 0x18, 0, 0, 0, 0x0a, 0x16, 0x0a, 0x06, b'v', b'a', b'l', b'u', b'e', b's',
        0x12, 0x0c, 0x12, 0x0a, 0x0a, 0x08, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40,
    ];
    assert_eq!(frames(&[record(float32(&[1.0, 2.0]), None)]), bytes);
    check_records(&[record(float32(&[1.0, 2.0]), None)], Some(2), &[&[1.0, 2.0]], &[]);
}

#[track_caller]
fn check_refused(bytes: &[u8], format: NumericFormat, width: Option<usize>, expected: &str) {
    assert_eq!(read(bytes, format, width), Err(expected.to_owned()));
}

#[test]
fn records_without_a_row_are_refused_with_their_place() {
    let good = record(float32(&[1.0, 2.0]), Some(float32(&[0.5])));
    // If the first record has set the width, the second takes the fast path, and must give the same fault there.
    let check = |bad: Record, expected: &str| {
        let expected = format!("train/a: record 2 at byte 52: {expected}");
        check_refused(&frames(&[good.clone(), bad]), NumericFormat::RecordIo, None, &expected);
    };
    check(
        record(float32(&[1.0, 2.0, 3.0]), Some(float32(&[0.5]))),
        "cannot copy sequence with size 3 to array axis with dimension 2: the record has 3 features; expected 2",
    );
    check(
        record(float32(&[1.0, f32::INFINITY]), Some(float32(&[0.5]))),
        "features[\"values\"]: value 2 is inf; expected a finite number that fits 32-bit floats",
    );
    check(
        record(float64(&[1e39, 1.0]), Some(float32(&[0.5]))),
        "features[\"values\"]: value 1 is 1000000000000000000000000000000000000000; expected a finite number that fits 32-bit floats",
    );
    check(
        record(float32(&[1.0, 2.0]), Some(float32(&[f32::NAN]))),
        "label[\"values\"]: value 1 is NaN; expected a finite number that fits 32-bit floats",
    );
    check(
        record(float32(&[1.0, 2.0]), None),
        "label[\"values\"] has 0 values; expected 1, as the records before it have",
    );
    check(
        record(sparse(&[1.0], &[2], &[2]), Some(float32(&[0.5]))),
        "features[\"values\"]: key 2 is beyond the 2 columns of the row",
    );
}

#[test]
fn damaged_records_are_refused_with_their_place() {
    let bytes = frames(&[record(float32(&[1.0, 2.0]), None)]);
    check_refused(
        &bytes[..30],
        NumericFormat::RecordIo,
        None,
        "train/a: record 1 at byte 0: the frame's data is cut short: expected 24 bytes, got 22; the file is incomplete, copy or \
         write it again",
    );
    let mut long = bytes.clone();
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(read(&long, NumericFormat::RecordIo, None).is_err());
    long[4..8].copy_from_slice(&(MAX_RECORD_BYTES as u32 + 1).to_le_bytes());
    assert!(read(&long, NumericFormat::RecordIo, None).unwrap_err().contains("the length field is damaged"));
    let mut junk = Vec::new();
    append_frame(&mut junk, |out| out.extend([0xff; 3]));
    let error = read(&junk, NumericFormat::RecordIo, None).unwrap_err();
    assert!(
        error.starts_with("train/a: record 1 at byte 0: its 3 bytes are not an aialgs.data.Record"),
        "{error}"
    );
    check_refused(
        b"PK\x03\x04",
        NumericFormat::RecordIo,
        None,
        "train/a: the file is a zip archive; files are read plain or compressed with gzip: unpack it first (unzip)",
    );
}

#[test]
fn csv_is_read_plain_or_compressed() {
    let expected = Ok((vec![vec![2.0, 3.0], vec![5.0, 6.0], vec![8.0, 9.0]], vec![1.0, 4.0, 7.0]));
    let text = b"\xef\xbb\xbf1,2,3\n4,5,6\r\n\n7,8,9";
    let format = NumericFormat::Csv { label_size: 1 };
    assert_eq!(read(text, format, Some(2)), expected);
    assert_eq!(read(text, format, None), expected);
    assert_eq!(read(&gzip(text), format, None), expected);
    check_refused(
        b"1,2\n3,x\n",
        NumericFormat::Csv { label_size: 0 },
        None,
        "Unable to parse csv: row 2, file train/a: column 2 is \"x\"; expected a number",
    );
    check_refused(
        b"1,2\n",
        format,
        Some(2),
        "Unable to parse csv: row 1, file train/a: the row has 2 columns; expected 1 label column(s) and 2 others. The first \
         column is a label unless the content type says label_size=0",
    );
    let cut = gzip(&b"1,2,3\n".repeat(1000));
    let error = read(&cut[..cut.len() - 9], format, None).unwrap_err();
    assert!(error.starts_with("Unable") || error.contains("cannot read"), "{error}");
}

#[test]
fn a_batch_that_has_rows_decides_the_width() {
    let mut batch = Batch { rows: Rows::dense(2, &[1.0, 2.0]), labels: vec![] };
    for (bytes, format) in [
        (b"1,2,3\n".to_vec(), NumericFormat::Csv { label_size: 0 }),
        (frames(&[record(float32(&[1.0; 3]), None)]), NumericFormat::RecordIo),
    ] {
        let mut reader = NumericReader::new(&bytes[..], Path::new("b"), format, None);
        let error = reader.read(&mut batch, 1).unwrap_err().to_string();
        assert!(error.contains("expected"), "{error}");
        assert_eq!(batch.rows.len(), 1);
    }
}

#[test]
fn requests_keep_what_their_answers_repeat() {
    let mut named = record(float64(&[3.0, 4.0]), Some(float32(&[1.0])));
    named.uid = Some("abc123".to_owned());
    named.metadata = Some("{}".to_owned());
    let body = frames(&[record(float32(&[1.0, 2.0]), None), named, record(sparse(&[5.0], &[1], &[]), None)]);
    let read = read_records(&body, 2, Limits::default()).unwrap();
    assert_eq!(read.uids, [None, Some("abc123".to_owned()), None]);
    assert_eq!(read.metadata, [None, Some("{}".to_owned()), None]);
    assert_eq!(read.rows.row(1), Row::Dense(&[3.0, 4.0]));
    assert_eq!(read.rows.row(2), Row::Sparse(&[1], &[5.0]));
    assert_eq!(read_records(b"", 2, Limits::default()).unwrap().rows.len(), 0);
}

#[test]
fn bad_requests_are_refused_with_their_place() {
    let body = frames(&[record(float32(&[1.0, 2.0]), None), record(float32(&[1.0]), None)]);
    let check = |body: &[u8], limits: Limits, expected: &str| {
        assert_eq!(read_records(body, 2, limits).map_err(|error| error.to_string()).unwrap_err(), expected);
    };
    check(
        &body,
        Limits::default(),
        "record 2 at byte 32: cannot copy sequence with size 1 to array axis with dimension 2: the record has 1 features; expected 2",
    );
    check(
        &body[..31],
        Limits::default(),
        "record 1 at byte 0: its data is cut short: expected 24 bytes, got 23; the body is incomplete",
    );
    check(
        b"{\"instances\": []}",
        Limits::default(),
        "record 1 at byte 0: expected the RecordIO magic 0xced7230a (bytes 0a 23 d7 ce), got bytes 7b 22 69 6e; the body is not \
         RecordIO, or what lies before this place is damaged",
    );
    for limits in [Limits { rows: 0, values: 9 }, Limits { rows: 9, values: 1 }] {
        check(
            &body,
            limits,
            &format!("record 1 at byte 0: the request is larger than {limits} at once; divide it"),
        );
    }
}

/// A field with this number and content.
fn delimited(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

/// Records as programs may write them, also hostile ones: unknown fields, arrays in pieces, repeated keys.
fn wire_record() -> impl Strategy<Value = Vec<u8>> {
    let unknown = prop_oneof![
        8 => Just(Vec::new()),
        1 => Just(vec![0x50, 0x01]),
        1 => Just(delimited(11, b"?")),
        1 => Just(delimited(3, b"uid")),
        1 => Just(vec![0xff]),
    ];
    let element = prop_oneof![9 => (-100i16..100).prop_map(f64::from), 1 => any::<f64>()];
    let piece = prop::collection::vec(element, 0..4);
    let tensor =
        (prop::sample::select(vec![2u8, 2, 3, 7]), prop::collection::vec(piece, 1..3), unknown.clone())
            .prop_map(|(kind, pieces, unknown)| {
                let mut tensor = Vec::new();
                for piece in pieces {
                    let mut array = Vec::new();
                    for value in piece {
                        match kind {
                            2 => array.extend((value as f32).to_le_bytes()),
                            3 => array.extend(value.to_le_bytes()),
                            _ => prost::encoding::encode_varint(value as i32 as i64 as u64, &mut array),
                        }
                    }
                    tensor.extend(delimited(1, &array));
                }
                tensor.extend(unknown);
                delimited(kind, &tensor)
            });
    let value =
        prop_oneof![9 => tensor.clone(), 1 => (tensor.clone(), tensor).prop_map(|(a, b)| [a, b].concat())];
    let name = prop::sample::select(vec!["values", "values", "values", "v", ""]);
    let entry = (1u8..3, name, value, any::<bool>(), unknown.clone()).prop_map(
        |(map, name, value, in_order, unknown)| {
            let (name, value) = (delimited(1, name.as_bytes()), delimited(2, &value));
            let parts = if in_order { [name, value, unknown] } else { [value, name, unknown] };
            delimited(map, &parts.concat())
        },
    );
    (prop::collection::vec(entry, 1..4), unknown, any::<prop::sample::Index>(), prop::bool::weighted(0.1))
        .prop_map(|(entries, unknown, cut, is_cut)| {
            let mut bytes = entries.concat();
            bytes.extend(unknown);
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_quick_way_says_what_the_message_says(payload in wire_record()) {
        let mut quick = Batch::default();
        let width = wire::dense(&payload).map_or(0, |dense| dense.values.count());
        let label_size = wire::dense(&payload).and_then(|dense| dense.labels).map_or(0, |labels| labels.count());
        quick.rows = Rows::new(width);
        let known = Known { width: Some(width), label_size: Some(label_size) };
        if width > 0 && known.add_dense(&payload, &mut quick).is_some() {
            let message = NumericRecord::decode(&payload, Some(width)).expect("a record");
            let mut slow = Rows::new(width);
            message.push_to(&mut slow);
            prop_assert_eq!(&quick.rows, &slow);
            prop_assert_eq!(&quick.labels, &message.labels);
        } else {
            prop_assert_eq!((quick.rows.len(), quick.labels.len()), (0, 0));
        }
    }

    #[test]
    fn plain_records_take_the_quick_way(
        values in prop::collection::vec(-1e6f32..1e6, 1..300),
        labels in prop::option::of(prop::collection::vec(0..100i32, 1..3)),
        as_doubles: bool,
    ) {
        let doubles: Vec<f64> = values.iter().copied().map(f64::from).collect();
        let features = if as_doubles { float64(&doubles) } else { float32(&values) };
        let payload = record(features, labels.as_ref().map(|labels| int32(labels))).encode_to_vec();
        let mut batch = Batch { rows: Rows::new(values.len()), labels: Vec::new() };
        let known = Known { width: Some(values.len()), label_size: Some(labels.map_or(0, |labels| labels.len())) };
        prop_assert_eq!(known.add_dense(&payload, &mut batch), Some(()));
        prop_assert_eq!(batch.rows.row(0), Row::Dense(&values));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, begin_well: bool) {
        let mut input = Vec::new();
        if begin_well {
            append_frame(&mut input, |out| out.extend(&bytes));
        } else {
            input = bytes;
        }
        for format in [NumericFormat::RecordIo, NumericFormat::Csv { label_size: 1 }] {
            let _ = read(&input, format, None);
            let _ = read(&input, format, Some(3));
        }
        let _ = read_records(&input, 2, Limits::default());
    }
}
