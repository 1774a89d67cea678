//! Tests of SageMaker's promises, as its notebooks use them.

use kokanee_formats::record::Record;
use kokanee_formats::record::value::Value as Kind;
use kokanee_formats::record::{Int32Tensor, Value};
use kokanee_formats::recordio::{RecordReader, RecordWriter};
use kokanee_seq2seq_data::{SequencePair, TargetRule, Vocabulary};
use kokanee_testkit::http::send;
use prost::Message as _;
use serde_json::{Value as Json, json};

use crate::workplace::{Running, model, sentence};

const RECORDIO: &str = "application/x-recordio-protobuf";

fn source_vocabulary() -> Vocabulary {
    Vocabulary::read(&model().join("vocab.src.json")).unwrap()
}

fn target_vocabulary() -> Vocabulary {
    Vocabulary::read(&model().join("vocab.trg.json")).unwrap()
}

/// Records as the notebooks write them: `source` ids, and a `target` that is present but empty.
pub(crate) fn records(sentences: &[Vec<u32>]) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), "a request");
    for ids in sentences {
        let pair = SequencePair { source: ids.clone(), target: Vec::new() };
        writer.write(&pair.to_record().unwrap().encode_to_vec()).unwrap();
    }
    writer.finish().unwrap()
}

/// The target ids of each record of an answer.
fn targets(body: &[u8]) -> Vec<Vec<u32>> {
    let target = |record: Record| match &record.features["target"].value {
        Some(Kind::Int32Tensor(tensor)) => tensor.values.iter().map(|&id| id as u32).collect(),
        other => panic!("{other:?}"),
    };
    RecordReader::new(body, "an answer")
        .map(|raw| target(Record::decode(&*raw.unwrap().payload).unwrap()))
        .collect()
}

fn predictions(answer: &kokanee_testkit::http::Answer) -> Vec<Json> {
    answer.json()["predictions"].as_array().expect("predictions").clone()
}

/// "Generate inference": sentences in, targets out, in order and number; no Accept, as boto3 sends it.
#[test]
fn the_json_cell_of_the_notebooks() {
    let server = Running::new();
    let sentences = [sentence(4, 1), sentence(6, 2), "a1 not-a-word a2".to_owned()];
    let instances: Vec<Json> = sentences.iter().map(|text| json!({ "data": text })).collect();
    let answer = server.json(&json!({ "instances": instances })).ok();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let predictions = predictions(&answer);
    assert_eq!(predictions.len(), sentences.len());
    for prediction in predictions {
        let target = prediction["target"].as_str().unwrap();
        assert!(
            target.split(' ').all(|word| word == "<unk>" || target_vocabulary().get(word).is_some()),
            "{target}"
        );
        assert!(!target.contains("</s>") && prediction.as_object().unwrap().len() == 1, "{prediction}");
    }
}

/// "Plot the attention matrix": `assert target_word_num == len(matrix)`, and the labels of the plot are the source's words.
#[test]
fn the_attention_cell_of_the_notebooks() {
    let server = Running::new();
    let sentence = sentence(5, 3);
    for wish in [json!("true"), json!(true), json!("True")] {
        let configuration = json!({ "attention_matrix": wish });
        let body = json!({ "instances": [{ "data": sentence, "configuration": configuration }] });
        let prediction = &predictions(&server.json(&body).ok())[0];
        let target: Vec<&str> = prediction["target"].as_str().unwrap().split(' ').collect();
        let matrix = prediction["matrix"].as_array().unwrap();
        assert_eq!(matrix.len(), target.len());
        for row in matrix {
            let row: Vec<f64> =
                row.as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap()).collect();
            assert_eq!(row.len(), 5);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{row:?}");
        }
    }
    let body =
        json!({ "instances": [{ "data": sentence, "configuration": { "attention_matrix": "false" } }] });
    assert!(predictions(&server.json(&body).ok())[0].get("matrix").is_none());
}

/// "Using Protobuf format": ids in, ids out, which decode to the words that JSON gives.
#[test]
fn the_protobuf_cell_of_the_notebooks() {
    let server = Running::new();
    let sentences: Vec<String> = (0..9).map(|seed| sentence(1 + seed as usize, seed)).collect();
    let ids: Vec<Vec<u32>> = sentences.iter().map(|text| source_vocabulary().encode(text)).collect();
    let body = records(&ids);
    let instances: Vec<Json> = sentences.iter().map(|text| json!({ "data": text })).collect();
    let expected: Vec<Json> = predictions(&server.json(&json!({ "instances": instances })).ok());
    for spelling in [RECORDIO, "applications/x-recordio-protobuf"] {
        for accept in ["", spelling] {
            let answer = server.post(spelling, accept, &body).ok();
            assert_eq!(answer.header("content-type"), Some(RECORDIO));
            let targets = targets(&answer.body);
            assert_eq!(targets.len(), sentences.len());
            for (ids, expected) in targets.iter().zip(&expected) {
                assert!(!ids.contains(&3), "</s> is stripped: {ids:?}");
                assert_eq!(target_vocabulary().decode(ids), expected["target"].as_str().unwrap());
            }
        }
    }
}

#[test]
fn json_lines_keep_order_and_number() {
    let server = Running::new();
    let sentences: Vec<String> = (0..200).map(|seed| sentence(1 + seed as usize % 9, seed)).collect();
    let lines = |key: &str| -> String {
        sentences.iter().map(|text| json!({ key: text }).to_string()).collect::<Vec<_>>().join("\n")
    };
    let expected: Vec<String> = {
        let instances: Vec<Json> = sentences.iter().map(|text| json!({ "data": text })).collect();
        let predictions = predictions(&server.json(&json!({ "instances": instances })).ok());
        predictions.iter().map(|p| json!({ "target": p["target"] }).to_string() + "\n").collect()
    };
    let with_blank_lines = format!("\n{}\n \n", lines("source").replace('\n', "\n\n"));
    for body in
        [lines("source"), lines("source") + "\n", lines("data").replace('\n', "\r\n"), with_blank_lines]
    {
        let answer = server.post("application/jsonlines", "application/jsonlines", body).ok();
        assert_eq!(answer.text(), expected.concat());
    }
    assert_eq!(server.post("application/jsonlines", "", "\n").ok().text(), "");
    assert_eq!(server.json(&json!({ "instances": [] })).ok().text(), r#"{"predictions":[]}"#);
}

#[test]
fn types_of_body_and_answer_may_differ() {
    let server = Running::new();
    let text = sentence(4, 7);
    let ids = source_vocabulary().encode(&text);
    let target = server.post("text/plain", "", &text).ok().text();
    let words = target.trim_end();
    let bodies = [
        ("text/plain", text.clone().into_bytes()),
        ("application/json; charset=UTF-8", json!({"instances": [{"data": text}]}).to_string().into_bytes()),
        ("Application/JSONLines", json!({"source": text}).to_string().into_bytes()),
        (RECORDIO, records(std::slice::from_ref(&ids))),
    ];
    for (from, body) in &bodies {
        assert_eq!(server.post(from, "text/*;q=0.5", body).ok().text(), target);
        let json = server.post(from, "text/html, application/json;q=0.9, */*;q=0.1", body).ok();
        assert_eq!(json.json(), json!({"predictions": [{"target": words}]}));
        let lines = server.post(from, "application/jsonlines", body).ok();
        assert_eq!(lines.text(), json!({"target": words}).to_string() + "\n");
        let recordio = server.post(from, RECORDIO, body).ok();
        assert_eq!(target_vocabulary().decode(&targets(&recordio.body)[0]), words);
    }
    // A body without a type is taken for JSON.
    let (_, body) = &bodies[1];
    kokanee_testkit::http::send(server.address, "POST", "/invocations", &[("X-Amzn-Unknown", "1")], body)
        .ok();
}

#[test]
fn what_a_configuration_asks_for() {
    let server = Running::new();
    let text = sentence(5, 11);
    let ask = |configuration: Json| {
        let body = json!({ "instances": [{ "data": text, "configuration": configuration }] });
        predictions(&server.json(&body).ok()).remove(0)
    };
    let plain = ask(json!({}));

    let nbest = ask(json!({"nbest": "3", "scores": true}));
    let all = nbest["nbest"].as_array().unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!((&all[0]["target"], &all[0]["score"]), (&plain["target"], &nbest["score"]));
    assert!(all.is_sorted_by_key(|h| h["score"].as_f64().unwrap()), "{all:?}");

    let short = ask(json!({"max_length": 2, "beam_size": 1}));
    assert!(short["target"].as_str().unwrap().split(' ').count() <= 2, "{short}");

    let prefix = ask(json!({"prefix": "b3 b4"}));
    assert!(prefix["target"].as_str().unwrap().starts_with("b3 b4"), "{prefix}");

    let aligned = ask(json!({"alignments": true, "attention_matrix": true}));
    let matrix = aligned["matrix"].as_array().unwrap();
    for (place, row) in aligned["alignments"].as_array().unwrap().iter().zip(matrix) {
        let row: Vec<f64> = row.as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap()).collect();
        let greatest = row.iter().copied().fold(0.0, f64::max);
        assert_eq!(row[place.as_u64().unwrap() as usize], greatest);
    }
    let wide = ask(json!({"beam_size": 9, "nbest": 9, "forbid_unk": true}));
    let targets: Vec<&str> =
        wide["nbest"].as_array().unwrap().iter().map(|h| h["target"].as_str().unwrap()).collect();
    assert!(targets.len() == 9 && targets.iter().all(|target| !target.contains("<unk>")), "{targets:?}");
}

/// The model emits `<unk>` when it must: nothing forces it after a prefix, so the test looks for it among many answers.
#[test]
fn unknown_words_are_replaced_by_what_they_look_at() {
    let server = Running::new();
    let mut replaced = 0;
    for seed in 0..40 {
        let text = sentence(5, seed);
        let ask = |configuration: Json| {
            let body = json!({ "instances": [{ "data": text, "configuration": configuration }] });
            predictions(&server.json(&body).ok()).remove(0)
        };
        let plain = ask(json!({"alignments": true}));
        let with = ask(json!({"replace_unk": true}));
        let source: Vec<&str> = text.split(' ').collect();
        let places = plain["alignments"].as_array().unwrap();
        let expected: Vec<&str> = plain["target"]
            .as_str()
            .unwrap()
            .split(' ')
            .zip(places)
            .map(|(word, place)| {
                if word == "<unk>" {
                    replaced += 1;
                    source[place.as_u64().unwrap() as usize]
                } else {
                    word
                }
            })
            .collect();
        assert_eq!(with["target"].as_str().unwrap(), expected.join(" "));
    }
    assert!(replaced > 0, "no answer had an unknown word, so nothing was tested");
}

#[test]
fn a_record_carries_its_own_configuration() {
    let server = Running::new();
    let ids = source_vocabulary().encode(&sentence(4, 5));
    let values = ids.iter().map(|&id| id as i32).collect();
    let tensor = Int32Tensor { values, ..Int32Tensor::default() };
    let mut record = Record::default();
    record.features.insert("source".to_owned(), Value { value: Some(Kind::Int32Tensor(tensor)) });
    record.configuration =
        Some(r#"{"attention_matrix": "true", "scores": true, "alignments": true}"#.to_owned());
    let mut writer = RecordWriter::new(Vec::new(), "a request");
    writer.write(&record.encode_to_vec()).unwrap();
    let body = writer.finish().unwrap();

    let json = predictions(&server.post(RECORDIO, "application/json", &body).ok()).remove(0);
    let answer = server.post(RECORDIO, RECORDIO, &body).ok();
    let raw = RecordReader::new(&*answer.body, "an answer").next().unwrap().unwrap();
    let features = Record::decode(&*raw.payload).unwrap().features;
    let Some(Kind::Float32Tensor(matrix)) = &features["matrix"].value else { panic!("{features:?}") };
    let rows = json["matrix"].as_array().unwrap();
    assert_eq!(matrix.shape, [rows.len() as u64, 4]);
    let expected: Vec<f32> =
        rows.iter().flat_map(|row| row.as_array().unwrap()).map(|x| x.as_f64().unwrap() as f32).collect();
    assert_eq!(matrix.values, expected);
    let Some(Kind::Float64Tensor(score)) = &features["score"].value else { panic!("{features:?}") };
    assert_eq!(score.values, [json["score"].as_f64().unwrap()]);
    assert!(features.contains_key("alignments"));
    assert!(SequencePair::decode(&raw.payload, TargetRule::Optional).is_err(), "an answer has no source");
}

#[test]
fn execution_parameters_are_those_in_force() {
    let server = Running::new();
    let parameters = server.get("/execution-parameters").ok();
    assert_eq!(
        parameters.json(),
        json!({"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6})
    );
    let settings = kokanee_endpoint::ServerSettings::from_environment(|name| {
        let value = match name {
            "SAGEMAKER_MAX_PAYLOAD_IN_MB" => "20",
            "SAGEMAKER_BATCH_STRATEGY" => "SINGLE_RECORD",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS" => "7",
            _ => return None,
        };
        Some(value.to_owned())
    });
    let server = Running::with(settings.unwrap(), kokanee_seq2seq_serve::ServiceSettings::default());
    assert_eq!(
        server.get("/execution-parameters").ok().json(),
        json!({"MaxConcurrentTransforms": 7, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 20})
    );
}

#[test]
fn the_page_answers_long_sentences_without_drawing_their_attention() {
    let server = Running::new();
    let text = sentence(1500, 4);
    let form = format!("nbest=1&text={}", text.replace(' ', "+"));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let page = send(server.address, "POST", "/", &headers, form.as_bytes()).ok();
    assert!(page.text().contains("too long to draw") && page.text().len() < 1 << 18);
    let predictions = predictions(&server.json(&json!({"instances": [{"data": text}]})).ok());
    let target = predictions[0]["target"].as_str().unwrap();
    assert!(page.text().contains(&target.replace('<', "&lt;").replace('>', "&gt;")));
}

#[test]
fn the_page_answers_without_scripts_and_escapes() {
    let server = Running::new();
    let page = server.get("/").ok();
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = b"text=a1+%3Cscript%3Ealert%281%29%3C%2Fscript%3E+a2&nbest=2";
    let page = kokanee_testkit::http::send(server.address, "POST", "/", &form, body).ok();
    let text = page.text();
    assert!(!text.contains("<script") && text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{text}");
    let corner = "<tr><td></td>";
    assert_eq!(text.replace(corner, "").matches("<tr><td>").count(), 2, "two answers: {text}");
    // The heat map has a cell for each word of the best answer and each word of the sentence.
    let fields = |source: &str| text.matches(&format!(" ← {source}: ")).count();
    let rows = fields("a1");
    let others = (fields("&lt;script&gt;alert(1)&lt;/script&gt;"), fields("a2"));
    assert!(rows > 0 && others == (rows, rows), "a row for each word, three columns: {text}");
    let page = kokanee_testkit::http::send(server.address, "POST", "/", &form, b"text=a1&nbest=99");
    assert!(page.status == 400 && page.text().contains("from 1 to 64"), "{page:?}");
}

#[test]
fn paths_may_stand_below_a_prefix() {
    let settings = kokanee_endpoint::ServerSettings { url_prefix: "/mt/v1".to_owned(), ..Default::default() };
    let server = Running::begin(settings, Default::default(), Default::default(), model());
    while server.get("/mt/v1/ping").status != 200 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    server.get("/ping").refused(404, &["/invocations"]);
    for path in ["/mt/v1", "/mt/v1/"] {
        assert!(server.get(path).ok().text().contains("action=\"/mt/v1\""));
    }
    assert!(server.get("/mt/v1/metrics").ok().text().contains(r#"route="/ping",type="none",status="200""#));
}

#[test]
fn a_connection_serves_request_after_request() {
    let server = Running::new();
    let mut stream = kokanee_testkit::http::connect(server.address);
    let keep =
        "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\na1";
    let last = "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, [keep, keep, last].concat().as_bytes()).unwrap();
    let mut all = String::new();
    std::io::Read::read_to_string(&mut stream, &mut all).unwrap();
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 3, "{all}");
}
