//! Tests of pages over a database and objects, without a network.

use std::path::Path;

use axum::extract::Request;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;
use crate::store::{Store, now_ms};
use crate::training::{FinalMetric, NewTrainingJob, Outcome, TrainingState};

struct Place {
    console: Console,
    control: Arc<Control>,
    objects: Arc<s3::Store>,
}

impl Place {
    fn new(folder: &Path, keys: Option<Keys>) -> Self {
        let store = Arc::new(Store::open(folder).unwrap());
        let objects = Arc::new(s3::Store::open(&folder.join("s3")).unwrap());
        let known = Arc::clone(&objects) as Arc<dyn crate::objects::ObjectStore>;
        let control = Arc::new(Control::new(store, known, "000000000000".to_owned()));
        let memory = MemoryBudget::new(8 << 20);
        let of_s3 = s3::Settings {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            patience: Patience::default(),
            keys: None,
        };
        let console = Console::new(Settings {
            control: Arc::clone(&control),
            buckets: Some((
                Arc::clone(&objects),
                s3::router(Arc::clone(&objects), of_s3, Arc::clone(&memory)),
            )),
            routes: Arc::default(),
            counts: Arc::default(),
            runtime: Router::new(),
            address: "127.0.0.1:7243".parse().unwrap(),
            region: "us-east-1".to_owned(),
            memory,
            patience: Patience::default(),
            keys: keys.map(Arc::new),
        });
        Self { console, control, objects }
    }

    fn job(&self, name: &str, region: &str, hyperparameters: serde_json::Value) {
        let request = json!({
            "AlgorithmSpecification": {"TrainingImage": "mine:1", "MetricDefinitions": [{"Name": "loss", "Regex": "x"}]},
            "HyperParameters": hyperparameters,
        });
        let mut state = TrainingState::new(None, now_ms());
        let metric = FinalMetric { name: "loss".to_owned(), value: 0.25, at_ms: now_ms() };
        state.measured([metric], now_ms()).unwrap();
        self.control
            .training_jobs
            .create(NewTrainingJob {
                region: region.to_owned(),
                name: name.to_owned(),
                arn: format!("arn:aws:sagemaker:{region}:000000000000:training-job/{name}"),
                request: request.as_object().unwrap().clone(),
                tags: Vec::new(),
                state,
            })
            .unwrap();
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String, Response) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7243");
            let request =
                headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let (head, body) = request.body(Body::from(body.to_owned())).unwrap().into_parts();
            let (head, body) = self.console.answer(head, body).await.into_parts();
            let text = body.collect().await.unwrap().to_bytes();
            (
                head.status.as_u16(),
                String::from_utf8_lossy(&text).into_owned(),
                Response::from_parts(head, Body::empty()),
            )
        })
    }

    #[track_caller]
    fn see(&self, path: &str, parts: &[&str]) -> String {
        let (status, text, response) = self.ask(Method::GET, path, &[], "");
        assert_eq!(status, 200, "{path}: {text}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(
            !text.contains(" style=\"") && !text.contains(" onclick"),
            "{path}: what the policy forbids: {text}"
        );
        for part in parts {
            assert!(text.contains(part), "{path} lacks {part}: {text}");
        }
        text
    }

    #[track_caller]
    fn refused(&self, path: &str, status: u16, part: &str) {
        let (found, text, _) = self.ask(Method::GET, path, &[], "");
        assert_eq!(found, status, "{path}: {text}");
        assert!(text.contains(part) && text.contains("Back to the overview"), "{path}: {text}");
    }
}

#[test]
fn pages_show_what_there_is_and_lead_back_where_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), None);
    place.see("/console", &["No jobs yet", "kokanee local env --data"]);
    place.job("first", "us-east-1", json!({"a": "1", "same": "x"}));
    place.job("second", "us-east-1", json!({"a": "<2>", "same": "x"}));
    place.job("elsewhere", "eu-west-1", json!({}));
    place.see("/console", &["href=\"/console/jobs/training/first\"", "href=\"/console/@eu-west-1\""]);
    place.see("/console/@eu-west-1/jobs", &["href=\"/console/@eu-west-1/jobs/training/elsewhere\""]);
    place.see(
        "/console/jobs/training/second",
        &["&lt;2&gt;", "create_training_job(", "data-refresh=\"2\"", "No log yet"],
    );
    let compared = place.see(
        "/console/jobs/compare?job=first&job=second&job=gone",
        &["&lt;2&gt;", "Job gone does not exist"],
    );
    assert!(!compared.contains("<td class=\"number\">x</td>"), "only what differs: {compared}");
    place.see("/console/endpoints", &["No endpoints yet"]);
    place.see("/console/buckets", &["No buckets yet"]);
    place.refused("/console/jobs/training/gone", 404, "No such job");
    place.refused("/console/jobs/compare", 400, "No jobs selected");
    place.refused("/console/nothing", 404, "No such page");
    place.refused("/console/endpoints/gone", 404, "Endpoint gone does not exist");
    place.refused("/console/buckets/gone", 404, "bucket does not exist");
    place.refused("/console/jobs?after=xyz", 400, "Unknown page");
    place.refused("/console/%ff", 400, "UTF-8");
    assert_eq!(place.ask(Method::DELETE, "/console/jobs", &[], "").0, 405);
}

#[test]
fn the_table_of_jobs_is_searched_sorted_and_paged() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), None);
    for number in 0..120 {
        place.job(&format!("Job-{number:03}"), "us-east-1", json!({}));
    }
    let names = |text: &str| -> Vec<String> {
        let rows = text.split("class=\"name\" href=\"/console/jobs/training/").skip(1);
        rows.map(|row| row.split('"').next().unwrap().to_owned()).collect()
    };
    let mut path = "/console/jobs?sort=name&order=up".to_owned();
    let mut all = Vec::new();
    loop {
        let text = place.see(&path, &[]);
        all.extend(names(&text));
        let Some(next) = text.split(" href=\"").find(|part| part.contains("rel=\"next\"")) else { break };
        path = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    let want: Vec<String> = (0..120).map(|number| format!("Job-{number:03}")).collect();
    assert_eq!(all, want, "each job once, in order");
    assert_eq!(names(&place.see("/console/jobs?q=JOB-11+inprogress", &[])).len(), 10);
    assert_eq!(names(&place.see("/console/jobs?q=failed", &["No jobs match"])).len(), 0);
    let latest = names(&place.see("/console/jobs", &["loss", "0.25"]));
    assert_eq!((latest.len(), latest[0].as_str()), (50, "Job-119"));
}

#[test]
fn only_the_consoles_own_pages_change_something() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), None);
    place.job("first", "us-east-1", json!({}));
    let stop = "/console/jobs/training/first/stop";
    let status = || place.control.training_jobs.find("us-east-1", "first").unwrap().state.status;
    for headers in [("origin", "http://127.0.0.1:8888"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        assert_eq!(place.ask(Method::POST, stop, &[headers], "").0, 403, "{headers:?}");
    }
    assert_eq!(place.ask(Method::GET, stop, &[], "").0, 405);
    assert!(!status().is_final());
    let (code, _, response) = place.ask(Method::POST, stop, &[("origin", "http://127.0.0.1:7243")], "");
    assert_eq!(
        (code, response.headers()["location"].to_str().unwrap()),
        (303, "/console/jobs/training/first")
    );
    assert!(status().is_final());
    // It has ended.
    assert_eq!(place.ask(Method::POST, stop, &[], "").0, 400);
    let id = place.control.training_jobs.find("us-east-1", "first").unwrap().id;
    assert!(place.control.training_jobs.finish(id, Outcome::Stopped { artefacts: None }).is_err());
}

#[test]
fn objects_are_listed_previewed_downloaded_and_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), None);
    place.objects.create_bucket("data", "us-east-1").unwrap();
    let form = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na b/${filename}\r\n--b\r\nContent-Disposition: form-data; \
                name=\"success_action_redirect\"\r\n\r\nhttp://evil.example/\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; \
                filename=\"x&y.json\"\r\n\r\n{\"a\": \"<b>\"}\r\n--b--\r\n";
    let length = form.len().to_string();
    let headers = [("content-type", "multipart/form-data; boundary=b"), ("content-length", length.as_str())];
    let (status, text, response) = place.ask(Method::POST, "/console/buckets/data/upload", &headers, form);
    assert_eq!(status, 303, "{text}");
    assert_eq!(
        response.headers()["location"],
        "/console/buckets/data",
        "a form leads to pages of the console only"
    );
    place.see("/console/buckets/data", &["prefix=a%20b%2F"]);
    place.see("/console/buckets/data?prefix=a%20b%2F", &["x&amp;y.json", "key=a%20b%2Fx%26y.json"]);
    place.see(
        "/console/buckets/data/object?key=a%20b%2Fx%26y.json",
        &["&quot;a&quot;: &quot;&lt;b&gt;&quot;"],
    );
    let (status, text, response) =
        place.ask(Method::GET, "/console/buckets/data/download?key=a%20b%2Fx%26y.json", &[], "");
    assert_eq!((status, text.as_str()), (200, "{\"a\": \"<b>\"}"));
    assert_eq!(response.headers()["content-disposition"], "attachment; filename*=UTF-8''x%26y.json");
    place.refused("/console/buckets/data/download?key=gone", 404, "does not exist");
    place.refused("/console/buckets/data/object?key=gone", 404, "does not exist");
    place.refused("/console/buckets/data/object", 400, "names no key");
}

#[test]
fn with_keys_only_browsers_that_have_shown_the_token_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new("team", "a-long-secret").unwrap();
    let place = Place::new(folder.path(), Some(keys.clone()));
    let token = keys.console_token();
    for path in ["/console", "/console/jobs", "/console/nothing", "/console?token=00"] {
        let (status, text, _) = place.ask(Method::GET, path, &[], "");
        assert_eq!(status, 401, "{path}");
        assert!(text.contains("kokanee local console") && !text.contains(&token));
    }
    assert_eq!(place.ask(Method::GET, "/console/style.css", &[], "").0, 200);
    assert_eq!(place.ask(Method::POST, "/console/jobs/training/a/stop", &[], "").0, 401);
    let cookie = |response: &Response| {
        let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(&token)
        );
        cookie.split(';').next().unwrap().to_owned()
    };
    let (status, _, response) = place.ask(Method::GET, &format!("/console/jobs?token={token}"), &[], "");
    assert_eq!((status, response.headers()["location"].to_str().unwrap()), (303, "/console/jobs"));
    let by_link = cookie(&response);
    let (_, _, response) = place.ask(Method::POST, "/console/sign-in", &[], &format!("token={token}"));
    let by_form = cookie(&response);
    assert_eq!(place.ask(Method::POST, "/console/sign-in", &[], "token=x").0, 401);
    let foreign = [("origin", "http://evil.example")];
    assert_eq!(place.ask(Method::POST, "/console/sign-in", &foreign, &format!("token={token}")).0, 403);
    for cookie in [by_link, by_form] {
        assert_eq!(place.ask(Method::GET, "/console/jobs", &[("cookie", &cookie)], "").0, 200);
        assert_eq!(place.ask(Method::GET, "/console/jobs", &[("cookie", &format!("{cookie}0"))], "").0, 401);
    }
}
