//! Tests that codecs take bodies in pieces of any size and survive any bytes.

use kokanee_formats::record::Record;
use kokanee_formats::recordio::{MAGIC, RecordWriter};
use kokanee_http::Code;
use kokanee_seq2seq_nn::decode::AttentionRow;
use prost::Message as _;

use super::*;
use crate::attention::AttentionMatrix;
use crate::translator::Sentence;

const ALL: [Form; 4] = [Form::Json, Form::JsonLines, Form::RecordIo, Form::Text];

/// Returns everything that a body yields when it comes in pieces of this size.
fn in_pieces(form: Form, body: &[u8], size: usize) -> Result<Vec<Placed>, ServeError> {
    let (mut reader, mut all) = (Reader::new(form), Vec::new());
    for piece in body.chunks(size) {
        reader.push(piece);
        while let Some(placed) = reader.read()? {
            all.push(placed);
        }
    }
    reader.finish();
    while let Some(placed) = reader.read()? {
        all.push(placed);
    }
    Ok(all)
}

fn answered() -> Answered {
    let sentence = |text: &str, score| Sentence {
        tokens: text.split(' ').map(str::to_owned).collect(),
        ids: vec![4, 1, 5],
        score,
        matrix: AttentionMatrix::new(
            2,
            [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]
                .map(|weights| AttentionRow { first: 0, weights: weights.to_vec() }),
        ),
    };
    let hypotheses = vec![sentence("b0 <unk> b1", 0.5), sentence("b0 b1 b1", 0.75)];
    Answered {
        source: vec!["x".into(), "y".into()],
        columns: 2,
        hypotheses,
        configuration: Configuration::default(),
    }
}

fn records() -> Vec<u8> {
    let mut writer = Writer::new(Form::RecordIo);
    let mut body = Vec::new();
    for _ in 0..3 {
        writer.write(&answered(), &mut body);
    }
    // Answers name their ids `target`; a request names them `source`, with the same number of letters.
    let place = |body: &[u8]| body.windows(6).position(|six| six == b"target");
    while let Some(at) = place(&body) {
        body[at..at + 6].copy_from_slice(b"source");
    }
    body
}

fn bodies() -> Vec<(Form, Vec<u8>, usize)> {
    let json = r#"{"instances":[{"data":"a b"},{"data":"ä","configuration":{"nbest":"2"}},{"data":""}]}"#;
    let lines =
        "{\"source\": \"a\"}\r\n{\"data\": \"b\", \"configuration\": {\"scores\": true}}\n{\"source\":\"\"}";
    vec![
        (Form::Json, json.into(), 3),
        (Form::JsonLines, lines.into(), 3),
        (Form::JsonLines, format!("\u{feff}{lines}\n").into(), 3),
        (Form::RecordIo, records(), 3),
        (Form::Text, "a b\n\r\n \nlast".into(), 4),
        (Form::Text, "\n".into(), 1),
        (Form::JsonLines, format!("\n \r\n{lines}\n\n").into(), 3),
        (Form::JsonLines, "\n".into(), 0),
    ]
}

#[test]
fn a_body_gives_the_same_in_pieces_of_any_size() {
    for (form, body, count) in bodies() {
        let whole = Reader::read_all(form, &body).unwrap();
        assert_eq!(whole.len(), count, "{form}");
        for size in 1..=body.len() {
            assert_eq!(in_pieces(form, &body, size).unwrap(), whole, "{form} in pieces of {size}");
        }
    }
}

#[test]
fn damaged_bodies_are_refused_alike_in_pieces_of_any_size() {
    let mut rng = kokanee_testkit::Rng::new(1);
    for (form, body, _) in bodies().into_iter().filter(|(_, body, _)| !body.is_empty()) {
        for _ in 0..2000 {
            let mut damaged = body.clone();
            match rng.range(0..3) {
                0 => damaged.truncate(rng.range(0..body.len())),
                1 => damaged[rng.range(0..body.len())] = rng.next_u64() as u8,
                _ => damaged.insert(rng.range(0..body.len()), rng.next_u64() as u8),
            }
            // Whatever the result, it is the same in pieces, without a panic.
            let whole = Reader::read_all(form, &damaged);
            let pieces = in_pieces(form, &damaged, 1 + rng.range(0..9));
            match (&whole, &pieces) {
                (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
                (Err(whole), Err(pieces)) => {
                    assert_eq!(whole.details.get("line"), pieces.details.get("line"))
                }
                _ => panic!("{form}: {damaged:?} gives {whole:?}, in pieces {pieces:?}"),
            }
        }
    }
}

#[test]
fn large_bodies_are_read_from_their_pieces_as_if_they_lay_together() {
    let check = |form, body: &[u8]| {
        let mut rope = Rope::default();
        rope.push(body);
        assert!(rope.pieces().count() > 1, "one piece proves nothing");
        let (whole, pieces) = (Reader::read_all(form, body), Reader::read_rope(form, rope));
        assert!(whole == pieces, "{form}: {:?} and {:?}", whole.err(), pieces.err());
    };
    let mut rng = kokanee_testkit::Rng::new(4);
    let instance = r#",{"data":"a ä\u20ac b","configuration":{"nbest":"2","scores":null}}"#.repeat(4000);
    let mark = "\u{feff}";
    for (form, body) in [
        (Form::Json, format!("{mark}{{\"instances\":\n[{}]}}", &instance[1..])),
        (Form::JsonLines, instance.replace(",{\"data", "\n{\"data")),
        (Form::Text, "a ä\n\n".repeat(20_000)),
    ] {
        let body = body.into_bytes();
        check(form, &body);
        for _ in 0..100 {
            let mut damaged = body.clone();
            match rng.range(0..3) {
                0 => damaged.truncate(1 << 17 | rng.range(0..1000)),
                1 => damaged[rng.range(0..body.len())] = rng.next_u64() as u8,
                _ => damaged.insert(rng.range(0..body.len()), rng.next_u64() as u8),
            }
            check(form, &damaged);
        }
    }
    check(Form::RecordIo, &records().repeat(2000));
    check(Form::Json, &b" \n".repeat(1 << 16));
}

#[test]
fn any_bytes_at_all() {
    let mut rng = kokanee_testkit::Rng::new(2);
    for _ in 0..3000 {
        let mut bytes: Vec<u8> = (0..rng.range(0..80)).map(|_| rng.next_u64() as u8).collect();
        if rng.range(0..2) == 0 {
            let magic = MAGIC.to_le_bytes();
            bytes.splice(0..0, magic.into_iter().chain([rng.range(0..60) as u8, 0, 0, 0]));
        }
        for form in ALL {
            // An error and instances are both acceptable.
            let _ = Reader::read_all(form, &bytes);
        }
    }
}

#[test]
fn configurations_are_taken_as_types_and_as_strings() {
    let read = |text: &str| {
        let body = format!(r#"{{"source":"a","configuration":{text}}}"#);
        Reader::read_all(Form::JsonLines, body.as_bytes()).map(|mut all| all.remove(0).instance.configuration)
    };
    let typed = r#"{"attention_matrix":true,"alignments":false,"beam_size":7,"forbid_unk":true,"max_length":9,"nbest":3,"prefix":"b","replace_unk":true,"scores":true}"#;
    let strings = r#"{"attention_matrix":"true","alignments":"False","beam_size":"7","forbid_unk":"TRUE","max_length":"9","nbest":"3","prefix":"b","replace_unk":"true","scores":"true"}"#;
    let expected = Configuration {
        attention_matrix: true,
        alignments: false,
        beam_size: Some(7),
        forbid_unk: true,
        max_length: Some(9),
        nbest: Some(3),
        prefix: "b".to_owned(),
        replace_unk: true,
        scores: true,
    };
    assert_eq!(read(typed).unwrap(), expected);
    assert_eq!(read(strings).unwrap(), expected);
    for name in CONFIGURATION_KEYS {
        assert!(typed.contains(&format!("\"{name}\"")), "{name} is not tested");
        // Null counts as absent; no key accepts an empty string (except for a prefix) or an object.
        assert_eq!(read(&format!(r#"{{"{name}":null}}"#)).unwrap(), Configuration::default(), "{name}");
        read(&format!(r#"{{"{name}":{{}}}}"#)).unwrap_err();
        assert_eq!(read(&format!(r#"{{"{name}":""}}"#)).is_ok(), name == "prefix", "{name}");
    }
    read(r#"{"beam_size":65}"#).unwrap_err();
    read(r#"{"beam_size":2.5}"#).unwrap_err();
    read(&format!(r#"{{"prefix":"{}"}}"#, "b ".repeat(MAX_PREFIX_BYTES / 2 + 1))).unwrap_err();
}

#[test]
fn a_configuration_that_is_null_is_none() {
    let check = |form, body: &[u8]| {
        let all = Reader::read_all(form, body).unwrap();
        let configuration = &all[0].instance.configuration;
        assert_eq!(*configuration, Configuration { scores: true, ..Configuration::default() }, "{form}");
        assert_eq!(all[1].instance.configuration, Configuration::default(), "{form}");
        assert_eq!(all.len(), 2);
    };
    let some = r#"{"nbest":null,"scores":"true","prefix":null}"#;
    let json = format!(
        r#"{{"instances":[{{"data":"a","configuration":{some}}},{{"configuration":null,"data":"a"}}]}}"#
    );
    check(Form::Json, json.as_bytes());
    let lines =
        format!("{{\"source\":\"a\",\"configuration\":{some}}}\n{{\"source\":\"a\",\"configuration\":null}}");
    check(Form::JsonLines, lines.as_bytes());
    check(Form::RecordIo, &[record(&[4], Some(some)), record(&[4], Some(" null "))].concat());
    // An unknown name stays an error, and null is not text.
    let wrong = br#"{"instances":[{"data":"a","configuration":{"scors":null}}]}"#;
    assert!(Reader::read_all(Form::Json, wrong).unwrap_err().message.contains("is scores meant?"));
    Reader::read_all(Form::Json, br#"{"instances":[{"data":null}]}"#).unwrap_err();
}

/// A record with these ids.
fn record(ids: &[u32], configuration: Option<&str>) -> Vec<u8> {
    use kokanee_formats::record::value::Value as Kind;
    use kokanee_formats::record::{Int32Tensor, Value};
    let values = ids.iter().map(|&id| id as i32).collect();
    let tensor = Kind::Int32Tensor(Int32Tensor { values, ..Int32Tensor::default() });
    let mut record = Record { configuration: configuration.map(str::to_owned), ..Record::default() };
    record.features.insert("source".to_owned(), Value { value: Some(tensor) });
    let mut body = Vec::new();
    RecordWriter::new(&mut body, "a record").write(&record.encode_to_vec()).unwrap();
    body
}

#[test]
fn bodies_of_each_type_have_the_same_limits() {
    let check = |form, one: &[u8], part: &str| {
        let body = |count: usize| match form {
            Form::Json => [b"{\"instances\":[", &one.repeat(count)[1..], b"]}"].concat(),
            _ => one.repeat(count),
        };
        let most =
            if part.contains("instances") { MAX_INSTANCES } else { MAX_BODY_TOKENS / MAX_INSTANCE_TOKENS };
        assert_eq!(Reader::read_all(form, &body(most)).unwrap().len(), most, "{form}");
        for refused in [
            Reader::read_all(form, &body(most + 1)).unwrap_err(),
            in_pieces(form, &body(most + 1), 1 << 20).unwrap_err(),
        ] {
            assert!(refused.message.contains(part), "{form}: {}", refused.message);
            assert_eq!(refused.code, Code::BadRequest);
            assert!(refused.details.keys().any(|key| ["instance", "line", "record"].contains(&&**key)));
        }
        // A stream holds one instance at a time.
        let mut reader = Reader::of_stream(form);
        let mut count = 0;
        for piece in body(most + 1).chunks(1 << 16).filter(|_| form != Form::Json) {
            reader.push(piece);
            while reader.read().unwrap().is_some() {
                count += 1;
            }
        }
        assert!(form == Form::Json || count == most + 1);
    };
    let instances = "one too many: a request may have 65536 instances";
    check(Form::Json, br#",{"data":""}"#, instances);
    check(Form::JsonLines, b"{\"data\":\"\"}\n", instances);
    check(Form::RecordIo, &record(&[], None), instances);
    check(Form::Text, b"\n", instances);
    let tokens = "more than 4194304 tokens";
    let long = "a ".repeat(MAX_INSTANCE_TOKENS);
    check(Form::Json, format!(r#",{{"data":"{long}"}}"#).as_bytes(), tokens);
    check(Form::JsonLines, format!("{{\"data\":\"{long}\"}}\n").as_bytes(), tokens);
    check(Form::RecordIo, &record(&[5; MAX_INSTANCE_TOKENS], None), tokens);
    check(Form::Text, format!("{long}\n").as_bytes(), tokens);
}

#[test]
fn instances_take_no_more_memory_than_is_set_aside() {
    let check = |form, body: &[u8]| {
        let all = Reader::read_all(form, body).unwrap();
        let heap: usize = all.iter().map(Placed::heap_bytes).sum();
        let taken = heap + all.capacity() * size_of::<Placed>();
        assert!(taken <= Reader::most_bytes(form, body.chunks(1000)), "{form}: {taken}");
    };
    check(Form::Text, &b"\n".repeat(60_000));
    check(Form::Text, &b"a\n".repeat(60_000));
    check(Form::Text, "a ".repeat(1 << 19).as_bytes());
    check(Form::RecordIo, &record(&[5; 1 << 18], None));
    check(Form::RecordIo, &record(&[5], Some(r#"{"prefix":"a a"}"#)).repeat(9000));
    check(Form::JsonLines, &b"{\"data\":\"a\"}\n".repeat(40_000));
    check(Form::Json, &[b"{\"instances\":[", &br#",{"data":""}"#.repeat(50_000)[1..], b"]}"].concat());
}

#[test]
fn a_record_of_endless_empty_parts_is_refused_after_a_look_at_each() {
    let part = |flag: u32| [MAGIC.to_le_bytes(), (flag << 29).to_le_bytes()].concat();
    let mut reader = Reader::of_stream(Form::RecordIo);
    reader.push(&part(1));
    let mut pushed = 0;
    let refused = loop {
        if let Err(refused) = reader.read() {
            break refused;
        }
        reader.push(&part(2).repeat(1000));
        pushed += 1000;
        assert!(pushed < 400_000, "it goes on for ever");
    };
    // Each part counts for at least the magic between it and the next.
    assert!(refused.message.contains("expected at most 1048576"), "{}", refused.message);
    assert!(reader.buffered_bytes() < 8 << 20);
    // A record that ends in time is accepted, with all its magics.
    let payload = vec![MAGIC.to_le_bytes(); 1000].concat();
    let mut body = Vec::new();
    RecordWriter::new(&mut body, "a record").write(&payload).unwrap();
    let refused = Reader::read_all(Form::RecordIo, &body).unwrap_err();
    assert!(refused.message.contains("4000 bytes are not an aialgs.data.Record"), "{}", refused.message);
}

#[test]
fn bodies_that_are_something_else_say_what_they_are() {
    let gzip: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
    let bzip2 = b"BZh91AY&SY\xb5\xf1";
    let xz: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4];
    let zip = b"PK\x03\x04\x14\0\0\0";
    let zstd: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 4, 0];
    let wide =
        |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(order).collect() };
    let little = wide("\u{feff}{\"source\"", u16::to_le_bytes);
    let big = wide("\u{feff}{\"source\"", u16::to_be_bytes);
    let utf32: &[u8] = &[0xff, 0xfe, 0, 0, b'{', 0, 0, 0];
    for form in ALL {
        let check = |body: &[u8], part: &str| {
            for refused in [Reader::read_all(form, body), in_pieces(form, body, 1)] {
                let refused = refused.unwrap_err();
                assert!(refused.message.contains(part), "{form}: {} lacks {part}", refused.message);
            }
        };
        for (body, name) in [(gzip, "gzip"), (bzip2, "bzip2"), (xz, "xz"), (zstd, "zstd")] {
            check(body, &format!("the body is compressed with {name}; send it as it is"));
        }
        check(zip, "the body is a zip archive; send it as it is");
        check(&little, "the body is text in UTF-16; send it as UTF-8");
        check(&big, "UTF-16");
        check(utf32, "UTF-32");
        if form != Form::RecordIo {
            check(&wide("{\"instances\"", u16::to_le_bytes), "UTF-16");
            check(&wide("[1, 2]\n", u16::to_be_bytes), "UTF-16");
        }
        check(b"", "the body is empty; expected ");
    }
    // JSON of nothing but white space is empty, too; but texts may begin as archives do.
    assert!(Reader::read_all(Form::Json, b" \r\n").unwrap_err().message.contains("the body is empty"));
    for text in ["BZh9 a\n", "PK\n", "a\0b"] {
        assert_eq!(Reader::read_all(Form::Text, text.as_bytes()).unwrap().len(), 1);
    }
}

#[test]
fn answers_in_each_type() {
    let check = |form, configuration: Configuration, expected: &str| {
        let answered = Answered { configuration, ..answered() };
        let (mut writer, mut out) = (Writer::new(form), Vec::new());
        writer.write(&answered, &mut out);
        writer.write(&answered, &mut out);
        writer.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    };
    let plain = Configuration::default();
    check(Form::Text, plain.clone(), "b0 <unk> b1\nb0 <unk> b1\n");
    let object = r#"{"target":"b0 <unk> b1"}"#;
    check(Form::JsonLines, plain.clone(), &format!("{object}\n{object}\n"));
    check(Form::Json, plain, &format!(r#"{{"predictions":[{object},{object}]}}"#));
    let all = Configuration {
        attention_matrix: true,
        alignments: true,
        nbest: Some(2),
        replace_unk: true,
        scores: true,
        ..Configuration::default()
    };
    let object = concat!(
        r#"{"target":"b0 y b1","score":0.5,"matrix":[[0.75,0.25],[0.25,0.75],[0.5,0.5]],"alignments":[0,1,0],"#,
        r#""nbest":[{"target":"b0 y b1","score":0.5},{"target":"b0 y b1","score":0.75}]}"#
    );
    check(Form::JsonLines, all, &format!("{object}\n{object}\n"));
}
