//! A small model, and servers for it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_contract::algorithms::seq2seq::special_ids::{EOS, UNK};
use kokanee_endpoint::{Backend, Endpoint, ServerError, ServerSettings};
use kokanee_http::{Ended, Metrics, Server};
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_data::{Vocabulary, VocabularyLimits};
use kokanee_seq2seq_nn::artifact::{Artifact, LengthStatistics, Metadata};
use kokanee_seq2seq_nn::{Model, ModelConfig};
use kokanee_seq2seq_serve::{Service, ServiceSettings, Translator};
use kokanee_testkit::http::{Answer, send};
use tokio::sync::watch;

/// Number of words per language besides the special symbols: `a0` to `a24` and `b0` to `b24`.
const WORDS: usize = 25;

/// A model with many and long answers: its weights are random. Created once; tests only read it.
pub(crate) fn model() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let h = Hyperparameters {
            num_embed_source: 12,
            num_embed_target: 12,
            rnn_num_hidden: 16,
            weight_init_scale: 6.0,
            beam_size: 4,
            ..Hyperparameters::default()
        };
        let words = |letter: char| {
            let counts = (0..WORDS).map(|index| (format!("{letter}{index}"), (WORDS - index) as u64));
            Vocabulary::build(counts, VocabularyLimits::default())
        };
        let (source, target) = (words('a'), words('b'));
        let config = ModelConfig::new(&h, source.len(), target.len()).expect("a sound configuration");
        let mut model = Model::new(config, &(&h).into(), &Team::new(1)).expect("a model");
        // The bias of the output layer is the only vector of this size. It makes `</s>` less likely than by chance, and `<unk>`
        // more likely.
        let bias = model.parameters_mut().iter_mut().find(|p| p.value.shape().extents() == [target.len()]);
        let bias = &mut bias.expect("a bias").value;
        let mut shifted = (**bias).clone();
        shifted.data_mut()[EOS as usize] -= 4.0;
        shifted.data_mut()[UNK as usize] += 1.0;
        *bias = Arc::new(shifted);
        let lengths = LengthStatistics {
            ratio_mean: 2.0,
            ratio_std: 0.0,
            longest_source: 4096,
            longest_target: 4096,
            bucket_width: 1,
        };
        let hyperparameters: BTreeMap<String, String> = h.to_strings();
        let metadata = Metadata { hyperparameters, lengths, training: None };
        let folder = temporary().join("serve-model");
        Artifact::save(&model, &metadata, &folder).expect("writes");
        source.write(&folder.join("vocab.src.json")).expect("writes");
        target.write(&folder.join("vocab.trg.json")).expect("writes");
        folder
    })
}

/// The folder for files of the tests.
pub(crate) fn temporary() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A sentence of `words` words.
pub(crate) fn sentence(words: usize, seed: u64) -> String {
    let mut rng = kokanee_testkit::Rng::new(seed);
    let words: Vec<String> = (0..words).map(|_| format!("a{}", rng.range(0..WORDS))).collect();
    words.join(" ")
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<u32>,
    pub(crate) metrics: Arc<Metrics>,
    thread: Option<JoinHandle<Result<Ended, ServerError>>>,
}

impl Running {
    pub(crate) fn with(settings: ServerSettings, service: ServiceSettings) -> Self {
        let running = Self::begin(settings, service, Duration::ZERO, model());
        running.wait_until_ready();
        running
    }

    pub(crate) fn new() -> Self {
        Self::with(ServerSettings::default(), ServiceSettings::default())
    }

    /// Starts one whose weights are in this format.
    pub(crate) fn in_format(format: Format) -> Self {
        let (settings, service) = Default::default();
        let running = Self::launch(settings, service, Duration::ZERO, model(), format);
        running.wait_until_ready();
        running
    }

    /// Starts one that takes a while to load.
    pub(crate) fn begin(
        settings: ServerSettings,
        service: ServiceSettings,
        loading: Duration,
        model: &Path,
    ) -> Self {
        Self::launch(settings, service, loading, model, Format::F32)
    }

    fn launch(
        settings: ServerSettings,
        service: ServiceSettings,
        loading: Duration,
        model: &Path,
        format: Format,
    ) -> Self {
        let (stop, stopped) = watch::channel(0);
        let metrics = kokanee_endpoint::metrics();
        let (tell, told) = mpsc::channel();
        let (shared, model) = (Arc::clone(&metrics), model.to_owned());
        let run = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("threads");
            let ended = runtime.block_on(async {
                let server = Server::bind(Ipv4Addr::LOCALHOST.into(), 0).await.expect("a free port");
                tell.send(server.address()).expect("the test waits");
                let load = move || {
                    std::thread::sleep(loading);
                    let translator = Translator::open(&model, Arc::new(Team::new(2)))?.in_format(format);
                    let backend: Arc<dyn Backend> = Arc::new(Service::start(translator, service)?);
                    Ok(backend)
                };
                Endpoint { settings, metrics: shared, load, ready: || Ok(()) }.run(server, stopped).await
            });
            runtime.shutdown_background();
            ended
        };
        let thread = Some(std::thread::spawn(run));
        let address = told.recv_timeout(Duration::from_secs(60)).expect("it listens");
        Self { address, stop, metrics, thread }
    }

    pub(crate) fn wait_until_ready(&self) {
        let started = Instant::now();
        while self.get("/ping").status != 200 {
            assert!(started.elapsed() < Duration::from_secs(60), "not ready in a minute");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        send(self.address, "GET", path, &[], b"")
    }

    pub(crate) fn post(&self, content_type: &str, accept: &str, body: impl AsRef<[u8]>) -> Answer {
        let mut headers = vec![("Content-Type", content_type)];
        if !accept.is_empty() {
            headers.push(("Accept", accept));
        }
        send(self.address, "POST", "/invocations", &headers, body.as_ref())
    }

    pub(crate) fn json(&self, body: &serde_json::Value) -> Answer {
        self.post("application/json", "", body.to_string())
    }

    /// The value of a metric without labels.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a number")
    }

    /// Waits until a metric satisfies `is_it`.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, is_it: impl Fn(f64) -> bool) {
        let started = Instant::now();
        while !is_it(self.metric(name)) {
            assert!(started.elapsed() < Duration::from_secs(60), "{name} stays {}", self.metric(name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for it to end.
    pub(crate) fn join(mut self) -> Result<Ended, ServerError> {
        let thread = self.thread.take().expect("joined once");
        thread.join().expect("no panic")
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
