use axum::http::Request;
use axum::http::request::Parts;
use serde_json::{Value, json};

use super::*;
use crate::operations::Service;

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[track_caller]
fn check_place(method: &str, uri: &str, headers: &[(&str, &str)], want: Place) {
    assert_eq!(place(&head(method, uri, headers)), want);
}

#[test]
fn requests_find_their_place() {
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let scoped = |service: &str| {
        format!("AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/{service}/aws4_request, X=1")
    };
    check_place("POST", "/", &[("x-amz-target", "SageMaker.ListTrainingJobs")], Place::Json);
    check_place("POST", "/", &[form], Place::Query);
    check_place(
        "POST",
        "/endpoints/e/invocations",
        &[("authorization", &scoped("sagemaker"))],
        Place::Runtime,
    );
    check_place("POST", "/endpoints/e/invocations?uploads", &[("authorization", &scoped("s3"))], Place::S3);
    check_place("PUT", "/endpoints/e/invocations", &[], Place::S3);
    check_place("GET", "/", &[], Place::S3);
    check_place("GET", "/?Version=2011-06-15&Action=GetCallerIdentity", &[], Place::Query);
    check_place("GET", "/bucket?Action=GetCallerIdentity", &[], Place::S3);
    check_place("POST", "/bucket?delete", &[form], Place::S3);
    check_place("GET", "/_kokanee/health", &[], Place::Own);
    for path in ["/console", "/console/", "/console/jobs?q=a"] {
        check_place("GET", path, &[("host", "localhost:7243")], Place::Console);
    }
    check_place("POST", "/console/buckets/b/upload", &[], Place::Console);
    // A bucket may have this name.
    check_place("GET", "/consoles", &[], Place::S3);
    check_place("GET", "/console/key", &[("authorization", &scoped("s3"))], Place::S3);
    check_place("GET", "/console/key?X-Amz-Signature=0", &[], Place::S3);
    check_place("GET", "/console", &[("host", "bucket.s3.amazonaws.com")], Place::S3);
    let cbor = [("smithy-protocol", "rpc-v2-cbor")];
    check_place("POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", &cbor, Place::Cbor);
}

#[test]
fn the_scope_of_a_signature_is_read() {
    let want = Scope { region: Some("us-west-2".into()), service: Some("sts".into()) };
    let text = "AWS4-HMAC-SHA256 Credential=K/E/Y/20260101/us-west-2/sts/aws4_request, SignedHeaders=host";
    assert_eq!(Scope::of(&head("POST", "/", &[("authorization", text)])), want);
    let presigned = "/?X-Amz-Credential=K%2F20260101%2Fus-west-2%2Fsts%2Faws4_request&X-Amz-Date=1";
    assert_eq!(Scope::of(&head("GET", presigned, &[])), want);
    for text in ["", "AWS K:sig", "AWS4-HMAC-SHA256 Credential=", "Credential=a/b/../../x"] {
        assert_eq!(Scope::of(&head("GET", "/", &[("authorization", text)])).region, None, "{text}");
    }
}

#[track_caller]
fn check_guard(headers: &[(&str, &str)], want: bool) {
    let guard = Guard::new("127.0.0.1:7243".parse().unwrap(), vec!["sagemaker.test".into()]);
    assert_eq!(guard.check(&head("POST", "/", headers)).is_ok(), want, "{headers:?}");
}

#[test]
fn web_pages_are_kept_out() {
    for host in [
        "127.0.0.1:7243",
        "localhost:7243",
        "LOCALHOST",
        "[::1]:7243",
        "bucket.localhost:7243",
        "sts.us-east-1.amazonaws.com",
        "b.s3.cn-north-1.amazonaws.com.cn",
        "sagemaker.test:7243",
    ] {
        check_guard(&[("host", host)], true);
    }
    for host in [
        "evil.example:7243",
        "localhost.evil.example",
        "evillocalhost",
        "10.0.0.1:7243",
        "",
        "amazonaws.com.evil",
    ] {
        check_guard(&[("host", host)], false);
    }
    let host = ("host", "127.0.0.1:7243");
    check_guard(&[host, ("origin", "http://127.0.0.1:7243")], true);
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1:8888",
        "https://evil.s3.amazonaws.com:7243",
        "http://127.0.0.1",
    ] {
        check_guard(&[host, ("origin", origin)], false);
    }
    check_guard(&[host, ("sec-fetch-site", "cross-site")], false);
    check_guard(&[host, ("sec-fetch-site", "same-origin")], true);
}

#[test]
fn a_guard_follows_links_of_people() {
    let guard = Guard::new("127.0.0.1:7243".parse().unwrap(), Vec::new());
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    assert!(guard.check(&head("GET", "/bucket/key", &link)).is_ok());
    assert!(guard.check(&head("POST", "/bucket/key", &link)).is_err());
}

#[track_caller]
fn check_form(form: &str, want: Value) {
    let call = Call::from_form(None, form.as_bytes()).unwrap();
    assert_eq!(Value::Object(call.input), want);
}

#[test]
fn forms_become_structures() {
    check_form(
        "Action=SimulatePrincipalPolicy&Version=2010-05-08&PolicySourceArn=arn%3Aa&ActionNames.member.1=s3%3AGet&ActionNames.member.2=b+c\
         &MaxItems=7",
        json!({"PolicySourceArn": "arn:a", "ActionNames": ["s3:Get", "b c"], "MaxItems": 7}),
    );
    check_form(
        "Action=GetMetricStatistics&Version=2010-08-01&Dimensions.member.1.Name=Host&Dimensions.member.1.Value=a&StartTime=\
         2018-06-08T20%3A15%3A33Z&Period=60",
        json!({"Dimensions": [{"Name": "Host", "Value": "a"}], "StartTime": 1_528_488_933.0, "Period": 60}),
    );
    let call = Call::from_form(Some("sts"), b"Action=GetCallerIdentity").unwrap();
    assert_eq!(call.service, Some(Service::Sts));
    for bad in
        ["", "Version=2010-05-08", "Action=%ff", "Action=GetMetricStatistics&Version=2010-08-01&Period=x"]
    {
        let (protocol, _) = Call::from_form(None, bad.as_bytes()).unwrap_err();
        assert_eq!(protocol, Protocol::Query, "{bad}");
    }
}

#[test]
fn times_with_offsets_are_read() {
    for text in ["2018-06-08T20:15:33Z", "2018-06-08T22:15:33.000+02:00", "2018-06-08 20:15:33", "1528488933"]
    {
        assert_eq!(time::seconds(text), Some(1_528_488_933.0), "{text}");
    }
    for text in ["", "T", "2018-13-08T20:15:33Z", "2018-06-08T25:15:33Z", "nan", "2018-06-08T20:15:33+1é"] {
        assert_eq!(time::seconds(text), None, "{text}");
    }
    assert_eq!(time::iso(1_528_488_933.7), "2018-06-08T20:15:33Z");
}

async fn text_of(response: axum::response::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn answers_of_the_query_protocol_are_xml() {
    let call = Call::from_form(None, b"Action=GetCallerIdentity&Version=2011-06-15").unwrap();
    let (status, text) =
        text_of(call.answer(&json!({"Account": "1&2", "Arn": "a", "UserId": "u"}), "id")).await;
    assert_eq!(status, 200);
    assert_eq!(
        text.replace('\n', ""),
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Account>1&amp;2</Account><Arn>a</Arn><UserId>u</UserId></GetCallerIdentityResult><ResponseMetadata><RequestId>id\
         </RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    );
    let error = ApiError::new("NoSuchEntityException", "no <role>");
    let (status, text) = text_of(Protocol::Query.refuse(Some(Service::Iam), &error, "id")).await;
    assert_eq!(status, 404);
    assert!(text.contains("<Code>NoSuchEntity</Code>\n<Message>no &lt;role&gt;</Message>"), "{text}");
}

#[tokio::test]
async fn errors_of_the_json_protocols_name_their_type() {
    let head = head(
        "POST",
        "/",
        &[
            ("x-amz-target", "GraniteServiceVersion20100801.ListMetrics"),
            ("content-type", "application/x-amz-json-1.0"),
        ],
    );
    let call = Call::from_json(&head, b"").unwrap();
    assert_eq!((call.service, call.protocol), (Some(Service::CloudWatch), Protocol::Json10));
    let error = ApiError::new("InvalidParameterValueException", "no");
    let response = call.protocol.refuse(call.service, &error, "id");
    assert_eq!(response.headers()["x-amzn-query-error"], "InvalidParameterValue;Sender");
    assert_eq!(response.headers()["x-amzn-errortype"], "InvalidParameterValueException");
    let (status, text) = text_of(response).await;
    assert_eq!(
        (status, text.as_str()),
        (400, r#"{"__type":"InvalidParameterValueException","message":"no"}"#)
    );
    for body in ["[]", "{", "\u{1}"] {
        assert_eq!(Call::from_json(&head, body.as_bytes()).unwrap_err().1.code, "SerializationException");
    }
}

fn cbor_head(operation: &str) -> Parts {
    head(
        "POST",
        &format!("/service/GraniteServiceVersion20100801/operation/{operation}"),
        &[("smithy-protocol", "rpc-v2-cbor")],
    )
}

#[tokio::test]
async fn calls_in_cbor_are_read_and_answered() {
    use ciborium::Value as Cbor;
    let text = |text: &str| Cbor::Text(text.to_owned());
    let map = |pairs: Vec<(&str, Cbor)>| {
        Cbor::Map(pairs.into_iter().map(|(key, value)| (text(key), value)).collect())
    };
    let bytes = |value: &Cbor| {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    };
    let dimension = map(vec![("Name", text("Host")), ("Value", text("a"))]);
    let body = map(vec![
        ("Period", Cbor::Integer(60.into())),
        ("StartTime", Cbor::Tag(1, Box::new(Cbor::Integer(1_528_488_933.into())))),
        ("EndTime", Cbor::Tag(1, Box::new(Cbor::Float(1_528_488_934.5)))),
        ("Dimensions", Cbor::Array(vec![dimension])),
    ]);
    let head = cbor_head("GetMetricStatistics");
    assert_eq!(place(&head), Place::Cbor);
    let call = Call::from_cbor(&head, &bytes(&body)).unwrap();
    assert_eq!((call.service, call.operation.as_str()), (Some(Service::CloudWatch), "GetMetricStatistics"));
    assert_eq!(
        Value::Object(call.input.clone()),
        json!({
            "Period": 60, "StartTime": 1_528_488_933, "EndTime": 1_528_488_934.5, "Dimensions": [{"Name": "Host", "Value": "a"}],
        })
    );
    let output = json!({"Label": "m", "Datapoints": [{"Timestamp": 60.0, "Sum": 2, "Unit": "Count"}]});
    let response = call.answer(&output, "id");
    assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let datapoint = map(vec![
        ("Sum", Cbor::Float(2.0)),
        ("Timestamp", Cbor::Tag(1, Box::new(Cbor::Float(60.0)))),
        ("Unit", text("Count")),
    ]);
    let want = map(vec![("Datapoints", Cbor::Array(vec![datapoint])), ("Label", text("m"))]);
    assert_eq!(ciborium::from_reader::<Cbor, _>(&*body).unwrap(), want);

    let error = ApiError::new("InvalidParameterValueException", "no");
    let response = call.protocol.refuse(call.service, &error, "id");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-amzn-query-error"]),
        (400, &"InvalidParameterValue;Sender".parse().unwrap())
    );
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let want = map(vec![("__type", text("InvalidParameterValueException")), ("message", text("no"))]);
    assert_eq!(ciborium::from_reader::<Cbor, _>(&*body).unwrap(), want);
    for bad in [&b"\xff"[..], b"\x80", b"\xa1\x01\x01"] {
        assert_eq!(Call::from_cbor(&head, bad).unwrap_err().1.code, "SerializationException");
    }
}

#[test]
fn request_ids_differ() {
    let (first, second) = (request_id(), request_id());
    assert!(first != second && first.len() == 36, "{first} {second}");
}

/// Processes an input as `fuzz/fuzz_targets/calls.rs` does.
fn check_anything(target: &[u8], credential: &[u8], body: &[u8]) {
    let request =
        Request::post("/").header("x-amz-target", target).header("authorization", credential).body(());
    let Ok(request) = request else { return };
    let (head, ()) = request.into_parts();
    let _ = place(&head);
    let scope = Scope::of(&head);
    let in_cbor = cbor_head("PutMetricData");
    let calls = [
        Call::from_json(&head, body),
        Call::from_form(scope.service.as_deref(), body),
        Call::from_cbor(&in_cbor, body),
    ];
    for call in calls {
        match call {
            Ok(call) => drop(call.check()),
            Err((protocol, error)) => drop(protocol.refuse(None, &error, "id")),
        }
    }
}

#[test]
fn deep_and_long_input_is_refused() {
    let target = b"SageMaker.CreateTrainingJob";
    let deep = "[".repeat(100_000);
    check_anything(target, b"", deep.as_bytes());
    let nested = format!("{{\"HyperParameters\":{}1{}}}", "{\"a\":".repeat(100), "}".repeat(100));
    check_anything(target, b"", nested.as_bytes());
    let form = format!(
        "Action=GetMetricStatistics&Version=2010-08-01&{}",
        "Dimensions.member.1.Name=a&".repeat(20_000)
    );
    check_anything(target, b"Credential=a/b/c/sts/d", form.as_bytes());
    // Deeply nested lists; a map with more pairs, and a text with more bytes, than the body has.
    check_anything(target, b"", &[0x81; 100_000]);
    check_anything(target, b"", &[0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x61, b'a']);
    check_anything(target, b"", &[0xa1, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, b'a']);
    let form = (0..20_000).map(|number| format!("a{number}=1&")).collect::<String>();
    assert_eq!(Call::from_form(None, form.as_bytes()).unwrap_err().1.code, "MalformedQueryString");
}

proptest::proptest! {
    #[test]
    fn anything_is_read_or_refused(
        operation in "(CreateTrainingJob|ListTrainingJobs|[a-zA-Z]{0,8})",
        body in "(\\{\"(TrainingJobName|MaxResults|Tags)\":[\\[\\]{}\"a1:,.-]{0,20}\\}|(Action|Version|MaxItems)=[a-z%0-9&=.]{0,40}|.{0,60})",
        credential in ".{0,60}",
    ) {
        check_anything(format!("SageMaker.{operation}").as_bytes(), credential.as_bytes(), body.as_bytes());
    }
}
