//! Codecs take bodies in pieces of any size, choose types as HTTP says, and survive any bytes.

use super::*;
use crate::translator::Sentence;

const ALL: [MediaType; 4] = [MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Text];

/// Everything a body gives when it comes in pieces of this size.
fn in_pieces(media: MediaType, body: &[u8], size: usize) -> Result<Vec<Placed>, ServeError> {
    let (mut reader, mut all) = (Reader::new(media), Vec::new());
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
        matrix: vec![vec![0.75, 0.25], vec![0.25, 0.75], vec![0.5, 0.5]],
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
    let mut writer = Writer::new(MediaType::RecordIo);
    let mut body = Vec::new();
    for _ in 0..3 {
        writer.write(&answered(), &mut body);
    }
    // Answers name their ids `target`; a request names them `source`, in as many letters.
    let place = |body: &[u8]| body.windows(6).position(|six| six == b"target");
    while let Some(at) = place(&body) {
        body[at..at + 6].copy_from_slice(b"source");
    }
    body
}

fn bodies() -> Vec<(MediaType, Vec<u8>, usize)> {
    let json = r#"{"instances":[{"data":"a b"},{"data":"ä","configuration":{"nbest":"2"}},{"data":""}]}"#;
    let lines =
        "{\"source\": \"a\"}\r\n{\"data\": \"b\", \"configuration\": {\"scores\": true}}\n{\"source\":\"\"}";
    vec![
        (MediaType::Json, json.into(), 3),
        (MediaType::JsonLines, lines.into(), 3),
        (MediaType::JsonLines, format!("\u{feff}{lines}\n").into(), 3),
        (MediaType::RecordIo, records(), 3),
        (MediaType::Text, "a b\n\r\n \nlast".into(), 4),
        (MediaType::Text, "\n".into(), 1),
        (MediaType::Text, "".into(), 0),
    ]
}

#[test]
fn a_body_gives_the_same_in_pieces_of_any_size() {
    for (media, body, count) in bodies() {
        let whole = Reader::read_all(media, &body).unwrap();
        assert_eq!(whole.len(), count, "{media}");
        for size in 1..=body.len() {
            assert_eq!(in_pieces(media, &body, size).unwrap(), whole, "{media} in pieces of {size}");
        }
    }
}

#[test]
fn damaged_bodies_are_refused_alike_in_pieces_of_any_size() {
    let mut rng = kokanee_testkit::Rng::new(1);
    for (media, body, _) in bodies().into_iter().filter(|(_, body, _)| !body.is_empty()) {
        for _ in 0..2000 {
            let mut damaged = body.clone();
            match rng.range(0..3) {
                0 => damaged.truncate(rng.range(0..body.len())),
                1 => damaged[rng.range(0..body.len())] = rng.next_u64() as u8,
                _ => damaged.insert(rng.range(0..body.len()), rng.next_u64() as u8),
            }
            // Whatever it is, it is the same in pieces, and no panic.
            let whole = Reader::read_all(media, &damaged);
            let pieces = in_pieces(media, &damaged, 1 + rng.range(0..9));
            match (&whole, &pieces) {
                (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
                (Err(whole), Err(pieces)) => {
                    assert_eq!(whole.details.get("line"), pieces.details.get("line"))
                }
                _ => panic!("{media}: {damaged:?} gives {whole:?}, in pieces {pieces:?}"),
            }
        }
    }
}

#[test]
fn any_bytes_at_all() {
    let mut rng = kokanee_testkit::Rng::new(2);
    for _ in 0..3000 {
        let mut bytes: Vec<u8> = (0..rng.range(0..80)).map(|_| rng.next_u64() as u8).collect();
        if rng.range(0..2) == 0 {
            let magic = kokanee_data::recordio::MAGIC.to_le_bytes();
            bytes.splice(0..0, magic.into_iter().chain([rng.range(0..60) as u8, 0, 0, 0]));
        }
        for media in ALL {
            // An error or instances: both are answers.
            let _ = Reader::read_all(media, &bytes);
        }
    }
}

#[test]
fn configurations_are_taken_as_types_and_as_strings() {
    let read = |text: &str| {
        let body = format!(r#"{{"source":"a","configuration":{text}}}"#);
        Reader::read_all(MediaType::JsonLines, body.as_bytes())
            .map(|mut all| all.remove(0).instance.configuration)
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
        // No key takes null, an empty string (but a prefix) or an object.
        read(&format!(r#"{{"{name}":null}}"#)).unwrap_err();
        read(&format!(r#"{{"{name}":{{}}}}"#)).unwrap_err();
        assert_eq!(read(&format!(r#"{{"{name}":""}}"#)).is_ok(), name == "prefix", "{name}");
    }
    read(r#"{"beam_size":65}"#).unwrap_err();
    read(r#"{"beam_size":2.5}"#).unwrap_err();
    read(&format!(r#"{{"prefix":"{}"}}"#, "b ".repeat(MAX_PREFIX_BYTES / 2 + 1))).unwrap_err();
}

#[test]
fn answers_in_each_type() {
    let check = |media, configuration: Configuration, expected: &str| {
        let answered = Answered { configuration, ..answered() };
        let (mut writer, mut out) = (Writer::new(media), Vec::new());
        writer.write(&answered, &mut out);
        writer.write(&answered, &mut out);
        writer.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    };
    let plain = Configuration::default();
    check(MediaType::Text, plain.clone(), "b0 <unk> b1\nb0 <unk> b1\n");
    let object = r#"{"target":"b0 <unk> b1"}"#;
    check(MediaType::JsonLines, plain.clone(), &format!("{object}\n{object}\n"));
    check(MediaType::Json, plain, &format!(r#"{{"predictions":[{object},{object}]}}"#));
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
    check(MediaType::JsonLines, all, &format!("{object}\n{object}\n"));
}

#[test]
fn the_type_of_a_body() {
    let check = |header: &str, expected: Option<MediaType>| {
        assert_eq!(MediaType::of_body(Some(header)).ok(), expected, "{header}");
    };
    assert_eq!(MediaType::of_body(None), Ok(MediaType::Json));
    check("", Some(MediaType::Json));
    check("application/json", Some(MediaType::Json));
    check("APPLICATION/Json ; charset=\"UTF-8\"", Some(MediaType::Json));
    check("application/jsonlines;x=y", Some(MediaType::JsonLines));
    check("application/x-recordio-protobuf", Some(MediaType::RecordIo));
    check("applications/x-recordio-protobuf", Some(MediaType::RecordIo));
    check("text/plain;charset=us-ascii", Some(MediaType::Text));
    check("text/plain;charset=iso-8859-1", None);
    check("text/csv", None);
    check("json", None);
    check("*/*", None);
}

#[test]
fn the_type_of_an_answer() {
    use MediaType::{Json, JsonLines, RecordIo, Text};
    let check = |accept: &str, body, expected: Option<MediaType>| {
        assert_eq!(MediaType::of_answer(Some(accept), body).ok(), expected, "{accept}");
    };
    assert_eq!(MediaType::of_answer(None, RecordIo), Ok(RecordIo));
    check("", Text, Some(Text));
    check("*/*", JsonLines, Some(JsonLines));
    check("*", JsonLines, Some(JsonLines));
    check("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", RecordIo, Some(RecordIo));
    check("application/*", Text, Some(Json));
    check("application/*", JsonLines, Some(JsonLines));
    check("APPLICATION/JSON", Text, Some(Json));
    check("applications/x-recordio-protobuf", Json, Some(RecordIo));
    check("text/plain;q=0.5, application/jsonlines;q=0.8", Json, Some(JsonLines));
    check("text/plain;q=0.5, */*;q=0.1", Json, Some(Text));
    // What is named outright counts before what a star covers.
    check("*/*, application/json;q=0", Json, Some(JsonLines));
    check("application/json;q=0", Json, None);
    check("application/json;charset=utf-8", Text, Some(Json));
    check("image/png", Json, None);
    check("nonsense", Json, None);
}
