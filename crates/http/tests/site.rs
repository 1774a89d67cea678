//! A server with its own routes and errors: the shell's errors have the site's form too.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use kokanee_http::{
    Bounds, Code, Columns, Ended, Journal, Metrics, Route, ServeError, Server, Shell, Site, columns, refuse,
};
use kokanee_testkit::http::{Answer, connect, read, send};
use tokio::sync::watch;

/// Errors in XML, as in object stores.
struct Store;

static COLUMNS: Columns = columns![objects];

impl Site for Store {
    fn route(&self, path: &str) -> Route {
        if path == "/object" { Route::plain("/object") } else { Route::plain("other") }
    }

    fn columns(&self) -> &'static Columns {
        &COLUMNS
    }

    fn envelope(&self, error: &ServeError) -> (&'static str, String) {
        ("application/xml", format!("<Error><Code>{}</Code></Error>", error.code.name()))
    }
}

async fn object(Extension(journal): Extension<Arc<Journal>>) -> Response {
    journal.counters.add(0, 1);
    refuse(&journal, ServeError::new(Code::NotFound, "no such object"))
}

struct Running {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: watch::Sender<u32>,
    thread: Option<JoinHandle<Result<Ended, &'static str>>>,
}

impl Running {
    fn new(max_connections: usize) -> Self {
        let (stop, stopped) = watch::channel(0);
        let (tell, told) = mpsc::channel();
        let metrics = Arc::new(Metrics::new("a request"));
        let shared = Arc::clone(&metrics);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(Ipv4Addr::LOCALHOST.into(), 0).await.unwrap();
                tell.send(server.address()).unwrap();
                let panics = || async { panic!("this panic is part of the test") as &str };
                let router = Router::new().route("/object", get(object)).route("/panics", get(panics));
                let bounds = Bounds { max_connections, ..Bounds::default() };
                let shell = Shell { router, site: Arc::new(Store), metrics: shared, bounds, tls: None };
                let mut stop = stopped.clone();
                let work = async move {
                    match *stop.wait_for(|&count| count > 0).await.unwrap() {
                        9 => Err("the work failed"),
                        _ => Ok(()),
                    }
                };
                server.run(shell, work, stopped).await
            })
        });
        let address = told.recv().unwrap();
        Self { address, metrics, stop, thread: Some(thread) }
    }

    fn get(&self, path: &str) -> Answer {
        send(self.address, "GET", path, &[], b"")
    }

    fn end(&mut self, count: u32) -> Option<Result<Ended, &'static str>> {
        self.stop.send_replace(count);
        self.thread.take().map(|thread| thread.join().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(2);
    }
}

#[test]
fn errors_of_the_shell_have_the_form_of_the_site() {
    let mut server = Running::new(2);
    let check = |answer: &Answer, status: u16, code: &str| {
        assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/xml")));
        assert_eq!(answer.text(), format!("<Error><Code>{code}</Code></Error>"));
    };
    let answer = server.get("/object");
    check(&answer, 404, "not_found");
    assert!(answer.header("x-request-id").is_some());
    check(&server.get("/panics"), 500, "internal");
    let idle = [connect(server.address), connect(server.address)];
    let refused = loop {
        let answer = read(&mut connect(server.address));
        if let Some(answer) = answer {
            break answer;
        }
    };
    check(&refused, 503, "unavailable");
    drop(idle);
    let text = server.metrics.render();
    for line in [
        r#"kokanee_requests_total{route="/object",type="none",status="404"} 1"#,
        r#"kokanee_requests_total{route="other",type="none",status="500"} 1"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(server.end(1), Some(Ok(Ended::Drained)));
}

#[test]
fn an_error_of_the_work_ends_it() {
    let mut server = Running::new(2);
    assert_eq!(server.end(9), Some(Err("the work failed")));
}
