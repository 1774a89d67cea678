use std::net::SocketAddr;

use axum::http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tower_service::Service as _;

use super::*;
use crate::hosting::{Connections, Instance, Phase, Route, RouteVariant};
use crate::store::Store;

/// A model that answers every request with these bytes, and returns what it received.
async fn model(answer: &'static str) -> (SocketAddr, Arc<std::sync::Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let got = Arc::new(std::sync::Mutex::new(String::new()));
    let heard = Arc::clone(&got);
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                let (mut buffer, mut request) = (vec![0; 1 << 16], String::new());
                while let Ok(length @ 1..) = connection.read(&mut buffer).await {
                    request.push_str(&String::from_utf8_lossy(&buffer[..length]));
                    if !is_whole(&request) {
                        continue;
                    }
                    *heard.lock().unwrap() = std::mem::take(&mut request);
                    if answer.is_empty() || connection.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, got)
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

struct Place {
    router: Router,
    counts: Arc<Counts>,
    instances: Vec<Arc<Instance>>,
    _folder: tempfile::TempDir,
}

/// An endpoint `Ep` with a variant whose instances listen at these addresses.
fn place(addresses: &[SocketAddr]) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let routes = Arc::new(Routes::seeded(1));
    let instances: Vec<Arc<Instance>> = addresses
        .iter()
        .map(|address| {
            let instance = Instance::new(address.to_string(), Arc::new(Notify::new()));
            instance.enter(Phase::Ready(Connections::new(*address)));
            instance
        })
        .collect();
    let variant = RouteVariant { name: "V".into(), weight: 1.0, instances: instances.clone() };
    routes.set("us-east-1", Route { endpoint: "Ep".into(), variants: vec![variant] });
    let counts = Arc::new(Counts::default());
    let runtime = Runtime {
        routes,
        endpoints: Endpoints::new(Arc::new(Store::open(folder.path()).unwrap())),
        counts: Arc::clone(&counts),
        account: "000000000000".into(),
        region: "us-east-1".into(),
        memory: MemoryBudget::new(64 << 20),
        patience: Patience::default(),
        keys: None,
    };
    Place { router: runtime.router(), counts, instances, _folder: folder }
}

impl Place {
    async fn ask(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> (Response, Vec<u8>) {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let Ok(response) = self.router.call(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        (Response::from_parts(head, Body::empty()), body)
    }

    async fn refused(&mut self, path: &str, headers: &[(&str, &str)]) -> (u16, String, Value) {
        let (response, body) = self.ask(path, headers, "x").await;
        let code = response.headers()["x-amzn-errortype"].to_str().unwrap().to_owned();
        (response.status().as_u16(), code, serde_json::from_slice(&body).unwrap())
    }

    /// The sum of a metric.
    fn counted(&self, name: &str) -> f64 {
        let all = self.counts.peek();
        all.iter().filter(|point| point.metric.name == name).map(|point| point.sample.sum).sum()
    }
}

const PATH: &str = "/endpoints/ep/invocations";

#[tokio::test]
async fn requests_and_answers_are_passed_on() {
    let (address, got) = model(
        "HTTP/1.1 200 OK\r\ncontent-type: text/a\r\nx-amzn-sagemaker-custom-attributes: b\r\nserver: s\r\ncontent-length: 3\r\n\r\nyes",
    )
    .await;
    let mut place = place(&[address]);
    let headers = [
        ("content-type", "text/csv"),
        ("accept", "text/a"),
        ("x-amzn-sagemaker-custom-attributes", "c"),
        ("authorization", "secret"),
    ];
    let (response, body) = place.ask(PATH, &headers, "1,2").await;
    assert_eq!((response.status(), body.as_slice()), (StatusCode::OK, b"yes".as_slice()));
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("text/a"));
    assert_eq!(header("x-amzn-sagemaker-custom-attributes"), Some("b"));
    assert_eq!(header("x-amzn-invoked-production-variant"), Some("V"));
    assert_eq!(header("server"), None);
    let got = got.lock().unwrap().clone();
    assert!(got.starts_with("POST /invocations HTTP/1.1\r\n") && got.ends_with("\r\n\r\n1,2"), "{got}");
    for part in ["content-type: text/csv", "accept: text/a", "x-amzn-sagemaker-custom-attributes: c"] {
        assert!(got.contains(part), "{got}");
    }
    assert!(!got.contains("secret"), "{got}");
    assert_eq!((place.counted("Invocations"), place.counted("Invocation5XXErrors")), (1.0, 0.0));
    assert_eq!(place.instances[0].in_flight(), 0);
}

#[tokio::test]
async fn a_request_that_was_not_sent_goes_to_another_instance() {
    let (address, _) = model("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    // Nothing listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut place = place(&[gone, address]);
    for _ in 0..10 {
        assert_eq!(place.ask(PATH, &[], "x").await.1, b"ok");
    }
    assert!(!place.instances[0].is_ready() && place.instances[1].is_ready());
    assert_eq!(place.counted("Invocations"), 10.0, "each counts once");
}

#[tokio::test]
async fn errors_of_a_model_are_its_own() {
    let (address, _) = model("HTTP/1.1 415 No\r\ncontent-length: 4\r\n\r\nnope").await;
    let mut place_of_refusals = place(&[address]);
    let (status, code, body) = place_of_refusals.refused(PATH, &[]).await;
    assert_eq!((status, code.as_str()), (424, "ModelError"));
    assert_eq!((&body["OriginalStatusCode"], &body["OriginalMessage"]), (&Value::from(415), &"nope".into()));
    assert_eq!(place_of_refusals.counted("Invocation4XXErrors"), 1.0);
    // A model that closes the connection before it answers.
    let (address, _) = model("").await;
    let mut place = place(&[address]);
    let (status, _, body) = place.refused(PATH, &[]).await;
    assert_eq!((status, &body["OriginalStatusCode"]), (424, &Value::from(0)));
    assert_eq!(place.counted("Invocation5XXErrors"), 1.0);
    assert_eq!(place.instances[0].in_flight(), 0);
}

#[tokio::test]
async fn requests_that_cannot_be_served_are_refused() {
    let (address, _) = model("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let mut place = place(&[address]);
    let mut check = async |path: &str, header: Option<&str>, want_code: &str, part: &str| {
        let headers: Vec<(&str, &str)> = header.map(|name| (name, "W")).into_iter().collect();
        let (status, code, body) = place.refused(path, &headers).await;
        let message = body["Message"].as_str().unwrap();
        assert!(
            status == 400 && code == want_code && message.contains(part),
            "{path}: {status} {code} {message}"
        );
    };
    let not_found = "Endpoint no of account 000000000000 not found.";
    check("/endpoints/no/invocations", None, "ValidationError", not_found).await;
    let target = "x-amzn-sagemaker-target-variant";
    check(PATH, Some(target), "ValidationError", "Variant W not found").await;
    check(PATH, Some("x-amzn-sagemaker-target-model"), "ValidationError", "TargetModel").await;
    check("/endpoints/e.p/invocations", None, "ValidationError", "'endpointName'").await;
    let other = "UnknownOperationException";
    check("/endpoints/ep/async-invocations", None, other, "InvokeEndpointAsync").await;
    check("/endpoints/ep/invocations-response-stream", None, other, "ResponseStream").await;
    let long = "a".repeat(1025);
    let (_, code, _) = place.refused(PATH, &[("x-amzn-sagemaker-custom-attributes", long.as_str())]).await;
    assert_eq!(code, "ValidationError");
    let (response, body) = place.ask(PATH, &[], &"x".repeat(MOST_BODY_BYTES + 1)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(String::from_utf8(body).unwrap().contains("HTTP content length exceeded 6291456 bytes."));
    assert_eq!(place.counted("Invocations"), 0.0);
    assert_eq!(place.ask(PATH, &[], &"x".repeat(MOST_BODY_BYTES)).await.0.status(), StatusCode::OK);
}
