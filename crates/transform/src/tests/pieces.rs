//! Tests of splitting and assembling.

use std::io::{self, BufReader, Cursor, Read, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use kokanee_formats::recordio::RecordWriter;
use proptest::prelude::*;

use super::*;
use crate::ordered;
use crate::records;
use crate::split::{MiniBatch, MiniBatches};

fn split(bytes: &[u8], settings: &Settings) -> Result<Vec<MiniBatch>, TransformError> {
    let input = Box::new(Cursor::new(bytes.to_vec()));
    let mut batches = MiniBatches::new(input, Path::new("f"), settings);
    let mut found = Vec::new();
    while let Some(batch) = batches.next()? {
        found.push(batch);
    }
    Ok(found)
}

/// Checks the bodies of the mini-batches, each with the numbers of its records.
#[track_caller]
fn check(bytes: &[u8], settings: Settings, expected: Result<&[(&str, &[u64])], &str>) {
    match (split(bytes, &settings), expected) {
        (Ok(batches), Ok(expected)) => {
            let got: Vec<(String, Vec<u64>)> = batches
                .iter()
                .map(|batch| {
                    let numbers = batch.records.iter().map(|record| record.number).collect();
                    (String::from_utf8_lossy(&batch.body).into_owned(), numbers)
                })
                .collect();
            let expected: Vec<(String, Vec<u64>)> =
                expected.iter().map(|(body, numbers)| ((*body).to_owned(), numbers.to_vec())).collect();
            assert_eq!(got, expected);
        }
        (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
        (got, expected) => panic!("{got:?}, expected {expected:?}"),
    }
}

fn limited(max_payload_bytes: u64) -> Settings {
    Settings { max_payload_bytes, ..text() }
}

#[test]
fn lines() {
    let single = || Settings { batch_strategy: BatchStrategy::SingleRecord, ..text() };
    check(b"", text(), Ok(&[]));
    check(b"a\n\nb\r\nc", text(), Ok(&[("a\n\nb\r\nc", &[1, 2, 3, 4])]));
    check(b"a\n\nb\r\nc", single(), Ok(&[("a\n", &[1]), ("\n", &[2]), ("b\r\n", &[3]), ("c", &[4])]));
    check(b"ab\ncd\ne\nfgh\n", limited(5), Ok(&[("ab\n", &[1]), ("cd\ne\n", &[2, 3]), ("fgh\n", &[4])]));
    check(b"ab\ncd\ne\n", limited(6), Ok(&[("ab\ncd\n", &[1, 2]), ("e\n", &[3])]));
    check(b"a\nb\nc\n", Settings { max_records: 2, ..text() }, Ok(&[("a\nb\n", &[1, 2]), ("c\n", &[3])]));
    check(
        b"ab\nabcde\n",
        limited(5),
        Err("f: line 2: the record is larger than a request may be, 5 bytes; raise"),
    );
    check(
        &[b'x'; 1 << 21],
        Settings { max_payload_bytes: MEGABYTE, ..text() },
        Err("1048576 bytes (--max-payload-mb 1); raise the limit (0 for none)"),
    );
    // Without a limit of records, mini-batches of several are still bounded.
    let long = vec![b'y'; 4 << 20];
    let two = [long.as_slice(), b"\n", &long, b"\n"].concat();
    assert_eq!(split(&two, &limited(0)).unwrap().len(), 2);
    assert_eq!(split(&[b'x'; 8 << 20], &limited(0)).unwrap().len(), 1);
    // An empty line is not JSON, but counts as a line.
    check(b"\n{}\n  \r\n[]", json_lines(), Ok(&[("{}\n[]", &[2, 4])]));
    // It is not a row of numbers either.
    let csv = Settings::new("text/csv", "text/csv");
    assert!(csv.answers_line_by_line());
    check(b"1,2\n\n3,4\n", csv, Ok(&[("1,2\n3,4\n", &[1, 3])]));
}

/// A disk that fails in the middle of a file.
struct Failing(bool);

impl std::io::Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Err(std::io::Error::other("the disk is broken"));
        }
        buffer[..2].copy_from_slice(b"a\n");
        Ok(2)
    }
}

#[test]
fn a_file_that_cannot_be_read_on_is_called_compressed_only_where_it_is() {
    let check = |compression_type, expected: &str| {
        let settings = Settings { compression_type, ..text() };
        let input = Box::new(std::io::BufReader::new(Failing(false)));
        let error = MiniBatches::new(input, Path::new("f"), &settings).next().unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(CompressionType::None, "f: line 2: cannot read on: the disk is broken");
    check(
        CompressionType::Gzip,
        "f: line 2: cannot read on: the disk is broken; a .gz file that ends early or is damaged must be copied again",
    );
}

#[test]
fn every_spelling_of_a_type_is_treated_alike() {
    let check = |name: &str, split_type, assemble_with| {
        let settings = Settings::new(name, name);
        assert_eq!((settings.split_type, settings.assemble_with), (split_type, assemble_with), "{name}");
    };
    for name in
        ["application/jsonlines", "application/x-jsonlines", "application/jsonl", "Application/x-NDJSON; x=y"]
    {
        check(name, SplitType::Line, AssembleWith::Line);
        let data_processing = DataProcessing { join_source: JoinSource::Input, ..DataProcessing::default() };
        let settings = Settings { data_processing, ..Settings::new(name, "application/x-ndjson") };
        settings.check().unwrap();
        assert!(settings.skips_blank_lines() && settings.answers_line_by_line(), "{name}");
    }
    for name in ["application/x-recordio-protobuf", "applications/x-recordio-protobuf"] {
        check(name, SplitType::RecordIO, AssembleWith::None);
    }
    check("text/plain;charset=utf-8", SplitType::Line, AssembleWith::Line);
    check("text/csv; label_size=0", SplitType::Line, AssembleWith::Line);
    check("application/json", SplitType::None, AssembleWith::None);
}

#[test]
fn whole_files() {
    let whole = |max_payload_bytes| Settings { split_type: SplitType::None, ..limited(max_payload_bytes) };
    check(b"a\nb", whole(3), Ok(&[("a\nb", &[1])]));
    check(b"", whole(3), Ok(&[]));
    check(b"a\nbc", whole(3), Err("f: the record is larger than a request may be, 3 bytes; divide the file"));
    check(b"a\nbc", whole(0), Ok(&[("a\nbc", &[1])]));
}

fn frames(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), "frames");
    payloads.iter().for_each(|payload| writer.write(payload).unwrap());
    writer.finish().unwrap()
}

#[test]
fn record_io_frames_go_on_as_they_were() {
    let record_io = |max_payload_bytes| Settings {
        max_payload_bytes,
        ..Settings::new("application/x-recordio-protobuf", "application/x-recordio-protobuf")
    };
    let bytes = frames(&[b"one".to_vec(), vec![], b"three".to_vec()]);
    let bodies = |limit| -> Vec<Vec<u8>> {
        split(&bytes, &record_io(limit)).unwrap().into_iter().map(|batch| batch.body).collect()
    };
    assert_eq!(bodies(0), [bytes.as_slice()]);
    assert_eq!(bodies(16), [&bytes[..12], &bytes[12..20], &bytes[20..]]);
    assert_eq!(bodies(20), [&bytes[..20], &bytes[20..]]);
    // A record that was divided stays divided, whatever its padding is.
    let mut divided = bytes.clone();
    divided[7] = 1 << 5;
    divided[11] = 0xee;
    divided[19] = 3 << 5;
    assert_eq!(split(&divided, &record_io(0)).unwrap()[0].body, divided);
    let numbers: Vec<u64> =
        split(&divided, &record_io(0)).unwrap()[0].records.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [1, 2]);

    check(&bytes, record_io(15), Err("f: record 3: the record is larger than a request may be"));
    check(
        &bytes[..bytes.len() - 5],
        record_io(0),
        Err("f: record 3 at byte 20: the frame's data is cut short"),
    );
    check(b"no frames", record_io(0), Err("f: record 1 at byte 0: expected the RecordIO magic"));
}

#[test]
fn compressed_files_are_read_as_what_is_in_them() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"a\nb\n").unwrap();
    let packed = packed.finish().unwrap();
    let work = Workplace::new(&[]);
    work.write("a.gz", &packed);
    let gzip = || Settings { compression_type: CompressionType::Gzip, ..text() };
    let summary = run(&work.job(gzip()), &capitals, &Silent).unwrap();
    assert_eq!(work.outputs(), pairs(&[("a.gz.out", "A\nB\n")]));
    assert_eq!(summary.input_bytes, packed.len() as u64);

    let check = |settings: Settings, bytes: &[u8], part: &str| {
        let work = Workplace::new(&[]);
        work.write("a", bytes);
        let error = run(&work.job(settings), &capitals, &Silent).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(work.outputs().is_empty());
    };
    check(gzip(), &packed[..packed.len() - 9], "a: line 3: cannot read on: ");
    check(gzip(), b"plain", "Gzip was given, but the file does not begin as gzip does");
    check(text(), &packed, "give --compression-type Gzip");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mini_batches_hold_every_byte_once_and_in_order(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
        limit in 200_u64..400,
        max_records in 1_usize..20,
        single in any::<bool>(),
    ) {
        let batch_strategy = if single { BatchStrategy::SingleRecord } else { BatchStrategy::MultiRecord };
        let settings = Settings { max_records, batch_strategy, ..limited(limit) };
        let batches = split(&bytes, &settings).unwrap();
        let joined: Vec<u8> = batches.iter().flat_map(|batch| batch.body.clone()).collect();
        prop_assert_eq!(&joined, &bytes);
        let numbers = batches.iter().flat_map(|batch| batch.records.iter().map(|record| record.number));
        prop_assert!(numbers.eq(1..=bytes.split_inclusive(|&byte| byte == b'\n').count() as u64));
        for batch in &batches {
            prop_assert!(batch.body.len() as u64 <= limit && batch.records.len() <= max_records);
            prop_assert!(batch.texts().all(|(_, text)| text.iter().rposition(|&b| b == b'\n').is_none_or(|at| at + 1 == text.len())));
        }
    }

    #[test]
    fn frames_reassemble_too(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        limit in 48_u64..200,
    ) {
        let bytes = frames(&payloads);
        let settings = Settings { split_type: SplitType::RecordIO, ..limited(limit) };
        let batches = split(&bytes, &settings).unwrap();
        prop_assert!(batches.iter().all(|batch| batch.body.len() as u64 <= limit));
        let joined: Vec<u8> = batches.into_iter().flat_map(|batch| batch.body).collect();
        prop_assert_eq!(joined, bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), path in "[$.\\[\\]'\",:*a-c0-9 -]{0,12}") {
        for split_type in [SplitType::None, SplitType::Line, SplitType::RecordIO] {
            let _ = split(&bytes, &Settings { split_type, ..text() });
        }
        if let Ok(path) = JsonPath::parse(&path) {
            let _ = path.select(&String::from_utf8_lossy(&bytes));
            let _ = path.select(r#"{"a":[1,{"b":2}],"c":{}}"#);
        }
    }
}

/// A line of the generated file, its end included.
const LINE_BYTES: u64 = 97;

/// A file of lines that exists only while it is read.
struct Generated<'a> {
    left: u64,
    line: u64,
    on_the_way: &'a AtomicI64,
}

impl Read for Generated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = (buffer.len() as u64).min(self.left) as usize;
        for byte in &mut buffer[..length] {
            self.line += 1;
            *byte = if self.line.is_multiple_of(LINE_BYTES) { b'\n' } else { b'a' };
        }
        self.left -= length as u64;
        self.on_the_way.fetch_add(length as i64, Ordering::Relaxed);
        Ok(length)
    }
}

#[test]
fn a_file_of_300_mb_never_has_more_than_a_few_requests_in_memory() {
    const BYTES: u64 = 300 << 20;
    const BUFFER: usize = 1 << 17;
    let on_the_way = AtomicI64::new(0);
    let settings = Settings { max_payload_bytes: MEGABYTE, max_concurrent: 2, ..text() };
    let (mut most, mut written) = (0, 0);
    let result = ordered::run(
        settings.max_concurrent,
        |feed| {
            let input = Generated { left: BYTES, line: 0, on_the_way: &on_the_way };
            let input = Box::new(BufReader::with_capacity(BUFFER, input));
            let mut batches = MiniBatches::new(input, Path::new("generated"), &settings);
            while let Some(batch) = batches.next().unwrap() {
                if !feed.work(batch) {
                    return;
                }
            }
        },
        |batch| records::transform(&settings, Path::new("generated"), batch, &|_, _, body| Ok(body)).unwrap(),
        |answer| {
            most = most.max(on_the_way.fetch_sub(answer.len() as i64, Ordering::Relaxed));
            written += answer.len() as u64;
            Ok::<_, ()>(())
        },
    );
    assert_eq!((result.unwrap(), written), (Ok(()), BYTES + 1));
    // The mini-batches in progress, the one being read, the record that did not fit into it, and the buffer before it.
    let bound = (ordered::most_on_the_way(2) as u64 + 1) * MEGABYTE + LINE_BYTES + BUFFER as u64;
    assert!(most as u64 <= bound, "{most} of {bound} bytes");
    assert!(most as u64 > MEGABYTE, "{most}");
}
