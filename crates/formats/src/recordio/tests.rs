use proptest::prelude::*;

use super::*;

fn write(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), "x.rec");
    for payload in payloads {
        writer.write(payload).expect("writes to memory");
    }
    writer.finish().expect("flushes memory")
}

fn read(bytes: &[u8]) -> Result<Vec<RawRecord>, RecordIoError> {
    RecordReader::new(bytes, "x.rec").collect()
}

/// A frame with this magic, flag and claimed length.
fn frame(magic: u32, flag: u32, length: usize, data: &[u8]) -> Vec<u8> {
    let word = flag << LENGTH_BITS | length as u32;
    [&magic.to_le_bytes(), &word.to_le_bytes(), data].concat()
}

fn part(flag: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = frame(MAGIC, flag, data.len(), data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &str) {
    let error = read(bytes).expect_err("must be refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn bytes_are_those_of_the_format() {
    let expected = [0x0a, 0x23, 0xd7, 0xce, 5, 0, 0, 0, b'a', b'b', b'c', b'd', b'e', 0, 0, 0];
    assert_eq!(write(&[b"abcde".to_vec()]), expected);
    let mut appended = Vec::new();
    append_frame(&mut appended, |out| out.extend_from_slice(b"abcde"));
    assert_eq!(appended, expected);
}

#[test]
fn divided_records_are_joined_with_the_magic_between() {
    let bytes = [part(0, b"one"), part(1, b"ab"), part(2, b""), part(3, b"cdefg"), part(0, b"")].concat();
    let records = read(&bytes).expect("reads");
    let magic = MAGIC.to_le_bytes();
    let joined = [&b"ab"[..], &magic, &magic, b"cdefg"].concat();
    let got: Vec<_> = records.iter().map(|r| (r.number, r.offset, r.payload.as_slice())).collect();
    assert_eq!(got, [(1, 0, &b"one"[..]), (2, 12, &joined), (3, 48, b"")]);
}

#[test]
fn a_record_that_holds_the_magic_is_written_whole() {
    let payload = [MAGIC.to_le_bytes(), MAGIC.to_le_bytes()].concat();
    let bytes = write(std::slice::from_ref(&payload));
    assert_eq!(bytes.len(), 16);
    assert_eq!(read(&bytes).expect("reads")[0].payload, payload);
}

#[test]
fn bad_frames_are_refused_with_their_place() {
    let good = part(0, b"abcd");
    let after_good = |bytes: &[u8]| [&good, bytes].concat();
    let cases: [(Vec<u8>, &str); 13] = [
        (
            b"{\"instances\": []}".to_vec(),
            "x.rec: record 1 at byte 0: expected the RecordIO magic 0xced7230a (bytes 0a 23 d7 ce) at byte 0, got \
             bytes 7b 22 69 6e; the file is not RecordIO, or what lies before this place is damaged",
        ),
        (
            after_good(&frame(0x0A23_D7CE, 0, 0, b"")),
            "x.rec: record 2 at byte 12: expected the RecordIO magic 0xced7230a (bytes 0a 23 d7 ce) at byte 12, got \
             bytes ce d7 23 0a; the file is not RecordIO, or what lies before this place is damaged",
        ),
        (
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0].to_vec(),
            "x.rec: record 1 at byte 0: the file is compressed with gzip, but RecordIO is read as it is: unpack it \
             first (gunzip)",
        ),
        (
            after_good(&good[..7]),
            "x.rec: record 2 at byte 12: the frame's header is cut short: expected 8 bytes, got 7; the file is \
             incomplete, copy or write it again",
        ),
        (
            after_good(&good[..1]),
            "x.rec: record 2 at byte 12: the frame's header is cut short: expected 8 bytes, got 1; the file is \
             incomplete, copy or write it again",
        ),
        (
            after_good(&good[..11]),
            "x.rec: record 2 at byte 12: the frame's data is cut short: expected 4 bytes, got 3; the file is \
             incomplete, copy or write it again",
        ),
        (
            part(0, b"abcde")[..14].to_vec(),
            "x.rec: record 1 at byte 0: the frame's padding is cut short: expected 3 bytes, got 1; the file is \
             incomplete, copy or write it again",
        ),
        (
            frame(MAGIC, 0, 60 << 20, b"few"),
            "x.rec: record 1 at byte 0: the frame's data is cut short: expected 62914560 bytes, got 3; the file is \
             incomplete, copy or write it again",
        ),
        (
            frame(MAGIC, 0, (64 << 20) + 1, b"few"),
            "x.rec: record 1 at byte 0: the frame claims 67108865 bytes of data, more than the 67108864 a record may \
             have; the length field is damaged",
        ),
        (
            frame(MAGIC, 2, 0, b""),
            "x.rec: record 1 at byte 0: expected a whole record or the first part of one (continuation flag 0 or 1), \
             got continuation flag 2; a part of a divided record is missing or damaged",
        ),
        (
            [part(1, b"ab"), good.clone()].concat(),
            "x.rec: record 1 at byte 0: expected a further part of the record (continuation flag 2 or 3), got \
             continuation flag 0; a part of a divided record is missing or damaged",
        ),
        (
            frame(MAGIC, 7, 0, b""),
            "x.rec: record 1 at byte 0: expected a whole record or the first part of one (continuation flag 0 or 1), \
             got continuation flag 7; a part of a divided record is missing or damaged",
        ),
        (
            after_good(&part(1, b"ab")),
            "x.rec: record 2 at byte 12: the file ends after part 1 of a divided record: expected a further part; \
             the file is incomplete, copy or write it again",
        ),
    ];
    for (bytes, expected) in cases {
        check_refused(&bytes, expected);
    }
}

#[test]
fn a_divided_record_has_the_same_limit() {
    let half = vec![0; MAX_RECORD_BYTES / 2];
    let bytes = [part(1, &half), part(3, &half)].concat();
    check_refused(
        &bytes,
        "x.rec: record 1 at byte 0: the frame claims 67108868 bytes of data, more than the 67108864 a record may \
         have; the length field is damaged",
    );
}

#[test]
fn too_large_a_record_is_not_written() {
    let mut writer = RecordWriter::new(Vec::new(), "x.rec");
    writer.write(b"abc").expect("writes");
    let error = writer.write(&vec![0; MAX_RECORD_BYTES + 1]).expect_err("must be refused");
    assert!(
        error.to_string().starts_with("x.rec: record 2 at byte 12: the frame claims 67108865"),
        "{error}"
    );
}

#[test]
fn the_iterator_ends_after_an_error() {
    let mut reader = RecordReader::new(&b"not RecordIO"[..], "x.rec");
    assert!(matches!(reader.next(), Some(Err(_))));
    assert!(reader.next().is_none());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = RecordReader::open(Path::new("no/such.rec")).expect_err("must be refused");
    assert!(error.to_string().starts_with("no/such.rec: cannot open the file: "), "{error}");
}

/// All records as read through a buffer of this size.
fn seen(bytes: &[u8], buffer: usize) -> Result<Vec<RawRecord>, String> {
    let mut reader = RecordReader::new(std::io::BufReader::with_capacity(buffer, bytes), "x.rec");
    let mut records = Vec::new();
    let own = |view: RecordView<'_>| RawRecord {
        number: view.number,
        offset: view.offset,
        payload: view.payload.to_vec(),
        parts: view.parts,
    };
    while let Some(record) = reader.see_record(own).map_err(|error| error.to_string())? {
        records.push(record);
    }
    Ok(records)
}

proptest! {
    #[test]
    fn records_are_seen_as_they_are_read(
        parts in prop::collection::vec((0u32..8, prop::collection::vec(any::<u8>(), 0..20)), 0..6),
        cut in any::<prop::sample::Index>(),
        buffer in 1usize..80,
    ) {
        let mut bytes: Vec<u8> = parts.iter().flat_map(|(flag, data)| part(*flag, data)).collect();
        bytes.truncate(cut.index(bytes.len() + 1));
        let read = read(&bytes).map_err(|error| error.to_string());
        prop_assert_eq!(seen(&bytes, buffer), read);
    }

    #[test]
    fn what_is_written_is_read(payloads: Vec<Vec<u8>>) {
        let bytes = write(&payloads);
        let records = read(&bytes).expect("reads");
        prop_assert_eq!(records.len(), payloads.len());
        let mut offset = 0;
        for (record, (payload, number)) in records.iter().zip(payloads.iter().zip(1..)) {
            prop_assert_eq!((record.number, record.offset, &record.payload), (number, offset, payload));
            offset += 8 + payload.len().next_multiple_of(4) as u64;
        }
    }

    #[test]
    fn every_truncation_is_seen(payloads in prop::collection::vec(any::<Vec<u8>>(), 1..5), cut: prop::sample::Index) {
        let bytes = write(&payloads);
        let ends: Vec<_> = payloads.iter().scan(0, |end, payload| {
            *end += 8 + payload.len().next_multiple_of(4);
            Some(*end)
        }).collect();
        let cut = cut.index(bytes.len());
        let whole = cut == 0 || ends.contains(&cut);
        prop_assert_eq!(read(&bytes[..cut]).is_ok(), whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, begin_well: bool) {
        let magic = if begin_well { &MAGIC.to_le_bytes()[..] } else { &[] };
        let _ = read(&[magic, &bytes].concat());
    }
}
