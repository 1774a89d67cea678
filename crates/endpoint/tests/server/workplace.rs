//! A model that adds up its features, and servers for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kokanee_endpoint::tabular::{AnswerOptions, Columns, Key, PredictError, Predictor, Tabular};
use kokanee_endpoint::{Backend, Endpoint, ServerError, ServerSettings};
use kokanee_formats::rows::Rows;
use kokanee_http::{Ended, MemoryBudget, Metrics, Server};
use kokanee_testkit::http::{Answer, send};
use tokio::sync::watch;

/// Features of a row.
pub(crate) const WIDTH: usize = 3;
/// A feature that gives an error.
pub(crate) const UNANSWERED: f32 = 1313.0;
/// A feature on which the model panics.
pub(crate) const PANICS: f32 = 1314.0;

/// Answers a row by the sum of its features and, with `verbose=true`, by the features themselves.
pub(crate) struct Sum {
    /// How long a block takes.
    pub(crate) block: Duration,
}

impl Predictor for Sum {
    fn width(&self) -> usize {
        WIDTH
    }

    fn container(&self) -> &'static str {
        "scores"
    }

    fn keys(&self, options: &AnswerOptions) -> Result<Vec<Key>, PredictError> {
        match options.parameter("verbose") {
            None | Some("false") => Ok(vec![Key::number("sum")]),
            Some("true") => Ok(vec![Key::number("sum"), Key::vector("features", WIDTH)]),
            Some(other) => {
                Err(PredictError::Options(format!("verbose is {other:?}; expected true or false")))
            }
        }
    }

    fn predict(&self, rows: &Rows, options: &AnswerOptions) -> Result<Columns, PredictError> {
        std::thread::sleep(self.block);
        let (mut sums, mut all) = (Vec::new(), Vec::new());
        for index in 0..rows.len() {
            let mut dense = [0.0; WIDTH];
            rows.row(index).for_each(|column, value| dense[column] = value);
            assert!(!dense.contains(&PANICS), "this panic is part of the test");
            if dense.contains(&UNANSWERED) {
                return Err(PredictError::Row { index, problem: "it has no answer".to_owned() });
            }
            sums.push(dense.iter().sum());
            all.extend(dense);
        }
        let is_verbose = options.parameter("verbose") == Some("true");
        Ok(Columns(if is_verbose { vec![sums, all] } else { vec![sums] }))
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) budget: Arc<MemoryBudget>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<u32>,
    thread: Option<JoinHandle<Result<Ended, ServerError>>>,
}

impl Running {
    pub(crate) fn new() -> Self {
        Self::with(ServerSettings::default(), Duration::ZERO, 128 << 20)
    }

    pub(crate) fn with(settings: ServerSettings, block: Duration, memory_bytes: usize) -> Self {
        let (stop, stopped) = watch::channel(0);
        let metrics = kokanee_endpoint::metrics();
        let (tell, told) = mpsc::channel();
        let backend: Arc<dyn Backend> = Arc::new(Tabular::new(Sum { block }, memory_bytes));
        let (shared, budget) = (Arc::clone(&metrics), Arc::clone(backend.budget()));
        let run = move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let ended = runtime.block_on(async {
                let server = Server::bind(Ipv4Addr::LOCALHOST.into(), 0).await.unwrap();
                let address = server.address();
                let ready = move || {
                    tell.send(address).unwrap();
                    Ok(())
                };
                let load = || Ok(backend);
                Endpoint { settings, metrics: shared, load, ready }.run(server, stopped).await
            });
            runtime.shutdown_background();
            ended
        };
        let thread = Some(std::thread::spawn(run));
        let address = told.recv_timeout(Duration::from_secs(60)).expect("it is ready");
        Self { address, budget, metrics, stop, thread }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        send(self.address, "GET", path, &[], b"")
    }

    /// Sends a request with these types; an empty one is left out.
    pub(crate) fn post(&self, content_type: &str, accept: &str, body: impl AsRef<[u8]>) -> Answer {
        let headers = [("Content-Type", content_type), ("Accept", accept)];
        let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        send(self.address, "POST", "/invocations", &headers, body.as_ref())
    }

    /// Waits until a metric without labels meets a condition.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, is_it: impl Fn(f64) -> bool) {
        let started = Instant::now();
        loop {
            let text = self.metrics.render();
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value: f64 = value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap();
            if is_it(value) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{name} stays {value}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Checks that the server still answers and holds no memory for requests.
    #[track_caller]
    pub(crate) fn lives_on(&self) {
        assert_eq!(self.post("text/csv", "text/csv", "1,2,3").ok().text(), "6.0\n");
        let started = Instant::now();
        while self.budget.taken() > 0 {
            assert!(started.elapsed() < Duration::from_secs(60), "{} bytes are held", self.budget.taken());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(2);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
