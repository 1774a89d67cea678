//! Tests of models on the console: endpoints with their form, files and logs, and batch transforms.

use kokanee_testkit::browser::Browser;
use serde_json::{Value, json};

use super::Scene;

/// Tests endpoints that are invoked by hand.
pub(super) fn endpoints(scene: &Scene<'_>, browser: &mut Browser) {
    let server = &scene.server;
    scene.host("letters", "seq2seq", "s3://my-data/models/seq2seq.tar.gz", 1);
    let described = server.call("DescribeTrainingJob", &json!({"TrainingJobName": "clusters"}));
    let model = described["ModelArtifacts"]["S3ModelArtifacts"].as_str().expect("a model").to_owned();
    scene.host("rows", "kmeans", &model, 2);
    browser.open(&server.console("/endpoints"));
    scene.see(browser, "endpoints");

    browser.open(&server.console("/endpoints/letters"));
    let question = "{\"instances\": [{\"data\": \"a b c d\", \"configuration\": {\"attention_matrix\": \"true\", \"nbest\": 3}}]}";
    browser.fill("#body", question);
    browser.follow("#ask button");
    let text = browser.text();
    assert!(
        text.contains("A B C D") && text.contains("Hypotheses") && text.contains("Response: 200"),
        "{text}"
    );
    assert_eq!(
        browser.evaluate("document.querySelectorAll('#ask svg rect title').length >= 16"),
        Value::Bool(true)
    );
    scene.see(browser, "endpoint");
    // Each type that the algorithm reads, with the initial body of the page.
    for (name, type_name, body, want) in [
        ("letters", "application/jsonlines", "{\"source\": \"a b\"}", "A B"),
        ("letters", "application/x-recordio-protobuf", "4 5 6", "4 5 6"),
        ("letters", "text/plain", "a b c", "A B C"),
        ("rows", "text/csv", "1,2,3\n4,5,6", "closest_cluster"),
        ("rows", "application/json", "{\"instances\": [{\"features\": [1, 2, 3]}]}", "closest_cluster"),
        ("rows", "application/x-recordio-protobuf", "1.0,2.0,3.0", "closest_cluster"),
    ] {
        let address = format!("/endpoints/{name}?content_type={}", type_name.replace('/', "%2F"));
        browser.open(&server.console(&address));
        browser.fill("#body", body);
        browser.follow("#ask button");
        let text = browser.text();
        assert!(text.contains("Response: 200") && text.contains(want), "{name} {type_name}: {text}");
    }
    scene.see(browser, "endpoint-rows");
    browser.open(&server.console("/endpoints/rows?content_type=text%2Fcsv"));
    browser.fill("#body", "1,2");
    browser.follow("#ask button");
    let text = browser.text();
    assert!(text.contains("Response: 4") && text.contains("3"), "a row that is too short is refused: {text}");
    assert!(text.contains("Latency since the server started") || text.contains("Traffic"), "{text}");
    files(scene, browser);
    endpoint_logs(scene, browser);
}

/// Tests that files are sent to endpoints unchanged, and that answers that are not text can be saved.
fn files(scene: &Scene<'_>, browser: &mut Browser) {
    let server = &scene.server;
    let page = server.console("/endpoints/rows?content_type=application%2Fx-recordio-protobuf");
    let rows = [[1.0, 2.0, 3.0], [6.0, 5.0, 40.0]].map(|row| record(&row)).concat();
    browser.open(&page);
    browser.choose("#file", "my rows.rec", &rows);
    browser.evaluate("document.querySelector('[name=accept]').value = 'application/x-recordio-protobuf'");
    browser.follow("#ask button");
    let text = browser.text();
    for part in
        ["Response: 200", "closest_cluster", "Sent the file my rows.rec (72 B).", "Download the response"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let rows_of_answer = "document.querySelectorAll('#ask table tbody tr').length";
    assert_eq!(browser.evaluate(rows_of_answer), json!(2));
    let kept = browser.evaluate(
        "[...atob(document.querySelector('#ask a[download]').href.split('base64,')[1])].slice(0, 4).map((letter) => letter.charCodeAt(0))",
    );
    assert_eq!(kept, json!([0x0a, 0x23, 0xd7, 0xce]), "the records of the answer");
    let calls = browser.evaluate("document.querySelector('#ask details:last-of-type').textContent");
    let calls = calls.as_str().unwrap_or_default();
    assert!(calls.contains("--data-binary '@my rows.rec'"), "{calls}");
    assert!(calls.contains("Body=open(\"my rows.rec\", \"rb\")"), "{calls}");
    scene.see(browser, "endpoint-file");

    // A file of the wrong type is refused by the model, with its message.
    browser.open(&page);
    browser.choose("#file", "rows.csv", b"1,2,3\n");
    browser.follow("#ask button");
    let text = browser.text();
    assert!(text.contains("Response: 4") && text.contains("RecordIO"), "{text}");
    // The browser records error responses.
    browser.problems();
    for (name, bytes, part) in [
        ("empty.csv", Vec::new(), "The file empty.csv is empty"),
        ("large.csv", vec![b'1'; 6_291_457], "The file large.csv has more than 6291456 bytes"),
    ] {
        browser.open(&page);
        browser.choose("#file", name, &bytes);
        browser.follow("#ask button");
        assert!(browser.text().contains(part), "{name}: {}", browser.text());
        assert!(!browser.problems().is_empty(), "the browser notes the status of {name}");
    }
    // As sent by a browser without scripts, and by a page of another site.
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"rows.csv\"\r\nContent-Type: text/csv\r\n\r\n1,2,3\n";
    let form =
        format!("{}{}{file}\r\n--b--\r\n", part("content_type", "text/csv"), part("body", "not a row"));
    let form_type = ("Content-Type", "multipart/form-data; boundary=b");
    let answer = server.ask("POST", "/console/endpoints/rows", &[form_type], &form).ok().text();
    assert!(answer.contains("Response: 200") && answer.contains("@rows.csv"), "{answer}");
    let foreign = [form_type, ("Origin", "http://evil.example")];
    assert_eq!(server.ask("POST", "/console/endpoints/rows", &foreign, &form).status, 403);
    let urlencoded = [("Content-Type", "application/x-www-form-urlencoded")];
    let refused = server.ask("POST", "/console/endpoints/rows", &urlencoded, "body=1");
    assert!(refused.status == 400 && refused.text().contains("multipart/form-data"), "{}", refused.text());
}

/// Tests that the logs of an endpoint's instances appear on its page by themselves, and can be searched there.
fn endpoint_logs(scene: &Scene<'_>, browser: &mut Browser) {
    let server = &scene.server;
    browser.open(&server.console("/endpoints/rows"));
    let lines = "document.querySelectorAll('#log .log time').length";
    let seen = browser.evaluate(lines).as_u64().expect("a count");
    assert!(seen > 0, "{}", browser.text());
    let named = "new Set([...document.querySelectorAll('#log .log b')].map((name) => name.textContent)).size";
    assert_eq!(browser.evaluate(named), json!(2), "both instances have said something");
    for _ in 0..4 {
        server.ask("POST", "/endpoints/rows/invocations", &[("Content-Type", "text/csv")], "1,2,3").ok();
    }
    browser.wait_until(&format!("{lines} >= {}", seen + 4));
    // One of them alone.
    let stream = browser.evaluate(
        "(() => { const choice = document.querySelector('#log select'); choice.value = choice.options[1].value; return choice.value; })()",
    );
    let stream = stream.as_str().expect("a stream").to_owned();
    assert!(stream.starts_with("AllTraffic/i-0"), "{stream}");
    browser.follow("#log form button");
    assert_eq!(browser.evaluate("document.querySelector('#log select').value"), json!(stream));
    assert!(browser.evaluate(lines).as_u64().is_some_and(|count| count > 0), "{}", browser.text());
    assert_eq!(browser.evaluate(named), json!(0));
    // All of them, filtered by the content of their lines.
    browser.open(&server.console("/endpoints/rows?find=invocations"));
    let found = browser.evaluate("document.querySelector('#log .log').textContent");
    let found = found.as_str().unwrap_or_default().to_owned();
    assert!(found.lines().count() >= 4 && found.lines().all(|line| line.contains("invocations")), "{found}");
    scene.see(browser, "endpoint-log");
    browser.open(&server.console("/endpoints/rows?find=nothing-says-this"));
    assert!(browser.text().contains("No lines match."), "{}", browser.text());
}

/// Tests that a batch transform's page has the log of its instance and, beside it, the messages about records.
pub(super) fn transform(scene: &Scene<'_>, browser: &mut Browser) {
    let server = &scene.server;
    let source = json!({"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://my-data/clusters/train/"}});
    let request = json!({
        "TransformJobName": "transform-rows",
        "ModelName": "rows",
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": "s3://my-data/answers"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    });
    server.call("CreateTransformJob", &request);
    browser.open(&server.console("/jobs/transform/transform-rows"));
    browser.wait_until("document.body.innerText.includes('Completed')");
    browser.wait_until("document.querySelectorAll('#log select option').length === 3");
    let options = browser
        .evaluate("[...document.querySelectorAll('#log option')].map((option) => option.textContent).join()");
    let options = options.as_str().unwrap_or_default().to_owned();
    assert!(options.contains("instance") && options.contains("data-log"), "{options}");
    let names = "[...document.querySelectorAll('#log .log b')].map((name) => name.textContent)";
    browser.wait_until(&format!("{names}.includes('instance') && {names}.includes('data-log')"));
    scene.see(browser, "transform");
}

/// A record of RecordIO-protobuf with one row of numbers, by hand.
fn record(row: &[f32]) -> Vec<u8> {
    let message = |field: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("a short message");
        [&[field << 3 | 2, length], content].concat()
    };
    let values: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
    let value = message(2, &message(1, &values));
    let feature = [message(1, b"values"), message(2, &value)].concat();
    let mut payload = message(1, &feature);
    let mut framed = [0x0a, 0x23, 0xd7, 0xce].to_vec();
    framed.extend(u32::try_from(payload.len()).expect("short").to_le_bytes());
    payload.resize(payload.len().next_multiple_of(4), 0);
    [framed, payload].concat()
}
